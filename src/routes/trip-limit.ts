/**
 * How many trips a rider may request. Each is looked after until a driver is found for it or its time is over, which costs far more
 * than the request did: without this bound one rider could keep a whole city's dispatch busy with trips that nobody will drive.
 */
import { isOperator, type Principal } from '../domain/roles.ts';
import { RideError } from '../errors.ts';
import type { Limiter } from '../realtime/limiter.ts';

export interface TripLimitOptions {
  limiter: Pick<Limiter<'trip'>, 'spend'>;
  /** Trips of a rider within a window. */
  limit: number;
  /** Wall ms. */
  windowMs: number;
}

/** @returns the part of a request that says so: what pays for a new trip, of any kind; nothing for operators, who ask for many riders */
export function createTripLimit({ limiter, limit, windowMs }: TripLimitOptions) {
  return ({ userId, role }: Principal): { admit?(): Promise<void> } => {
    if (isOperator(role)) return {};
    const admit = async (): Promise<void> => {
      const waitMs = await limiter.spend(userId, 'trip', 1);
      if (waitMs === 0) return;
      const rule = `at most ${limit} trips in ${Math.ceil(windowMs / 1000)} s`;
      const retryAfterMs = Math.ceil(waitMs);
      throw new RideError('RIDE_RATE_LIMITED', `Too many trips: ${rule}`, { rule, retryAfterMs });
    };
    return { admit };
  };
}

export type TripLimit = ReturnType<typeof createTripLimit>;
