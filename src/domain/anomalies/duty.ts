/**
 * What drivers do with the price: where they go off and on duty, and the surge there at that moment, is kept with their other deeds.
 * It is noted behind the change, which waits for none of it.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Positions } from '../../ports/positions.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Anomalies } from './service.ts';

export interface DutyDeps {
  anomalies: Pick<Anomalies, 'did'>;
  positions: Pick<Positions, 'ofDriver'>;
  clock: Clock;
  zoneOf(lat: number, lng: number): string;
  /** What a ride from a zone costs now, over its ordinary price; 1: no surge. */
  surgeAt(zone: string): Promise<number>;
  log: Logger;
}

export type Duty = ReturnType<typeof createDuty>;

export function createDuty({ anomalies, positions, clock, zoneOf, surgeAt, log }: DutyDeps) {
  const running = new Set<Promise<void>>();

  async function note({ id: userId, version, status, city }: Driver, at: number): Promise<void> {
    const position = await positions.ofDriver(userId);
    if (!position) return;
    const zone = zoneOf(position.lat, position.lng);
    const type = status === 'looking' ? 'went_looking' : 'went_offline';
    const deed = { id: `${userId}:${version}`, at, type, zone, surge: await surgeAt(zone) } as const;
    await anomalies.did({ userId, role: 'driver', city }, deed);
  }

  return {
    /** The driver went on or off duty. */
    changed(driver: Driver): void {
      const noted = note(driver, clock.now()).catch((error: unknown) =>
        log.warn({ err: error, driver_id: driver.id }, 'a change of duty was not noted'),
      );
      running.add(noted);
      void noted.then(() => running.delete(noted));
    },

    /** Resolves when what was noted is written, or has failed. */
    async idle(): Promise<void> {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
