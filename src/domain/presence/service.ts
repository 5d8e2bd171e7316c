/** Who is connected, and who may know it: the user himself, operators, and the other side of a trip or booking while it lasts. */
import { RideError } from '../../errors.ts';
import type { PresenceState, Presences } from '../../ports/presences.ts';
import type { Bookings } from '../bookings/service.ts';
import type { Drivers } from '../drivers/service.ts';
import { isOperator, type Principal } from '../roles.ts';
import { isDriven } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';

export interface PresenceDeps {
  presences: Pick<Presences, 'read'>;
  trips: Pick<Trips, 'find' | 'openOf'>;
  drivers: Pick<Drivers, 'get'>;
  bookings: Pick<Bookings, 'haveOne'>;
}

export type Presence = ReturnType<typeof createPresence>;

export function createPresence({ presences, trips, drivers, bookings }: PresenceDeps) {
  async function isCounterpart(principal: Principal, userId: string): Promise<boolean> {
    if (principal.role === 'rider') {
      const open = await trips.openOf(principal.userId);
      if (open.some((trip) => trip.driverId === userId && isDriven(trip.status))) return true;
      return bookings.haveOne(principal.userId, userId);
    }
    const driver = await drivers.get(principal.userId);
    const trip = driver?.activeTripId ? await trips.find(driver.activeTripId) : null;
    return trip?.riderId === userId || bookings.haveOne(userId, principal.userId);
  }

  async function mayFollow(principal: Principal, userId: string): Promise<boolean> {
    return principal.userId === userId || isOperator(principal.role) || (await isCounterpart(principal, userId));
  }

  return {
    mayFollow,

    /** @throws RideError RIDE_FORBIDDEN, RIDE_UNAVAILABLE */
    async read(principal: Principal, userId: string): Promise<PresenceState> {
      if (await mayFollow(principal, userId)) return presences.read(userId);
      throw new RideError(
        'RIDE_FORBIDDEN',
        'Only the other side of a trip or booking may know whether someone is connected',
        {
          field: 'user_id',
          rule: 'the caller or the other side of his trip or booking',
        },
      );
    },

    /** For use inside: no question of who asks. @throws RideError RIDE_UNAVAILABLE */
    of: (userId: string): Promise<PresenceState> => presences.read(userId),
  };
}
