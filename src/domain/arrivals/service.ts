/** Where a driver is who says that he has arrived. */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Positions } from '../../ports/positions.ts';
import type { LatLng } from '../geo.ts';
import { freshnessOf } from '../locations/rules.ts';
import { type Seen, seenAt } from './rules.ts';

export interface ArrivalsDeps {
  positions: Pick<Positions, 'latestOf'>;
  clock: Clock;
  /** So far from the pick-up he may be, metres; 0: anywhere. */
  radiusM: number;
  /** Age past which a position is stale, domain ms. */
  freshnessMs: number;
  log: Logger;
}

/** Undefined: it does not matter where he is. */
export type See = (driverId: string, pickup: LatLng) => Promise<Seen | undefined>;

/** @returns never rejects: a trip goes on while Redis is away, as without a position */
export function createSee({ positions, clock, radiusM: limitM, freshnessMs, log }: ArrivalsDeps): See {
  return async (driverId, pickup) => {
    if (limitM === 0) return undefined;
    try {
      const position = await positions.latestOf(driverId);
      if (!position || freshnessOf(position.recordedAt, clock.now(), freshnessMs).stale)
        return { distanceM: null, limitM };
      return seenAt(position, pickup, limitM);
    } catch (error) {
      log.warn(
        { err: error, driver_id: driverId },
        'where the driver is could not be read; his arrival is taken on his word',
      );
      return { distanceM: null, limitM };
    }
  };
}
