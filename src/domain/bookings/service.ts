/**
 * Use cases of bookings: seats are taken and given back by one write of the departure's document. What a passenger lists is a copy of
 * that; what he reads or changes is the departure's own.
 */
import { notFound, RideError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import type { Changes } from '../departures/changes.ts';
import type { Departure } from '../departures/departure.ts';
import type { Idempotency, IdempotencyKey } from '../idempotency/service.ts';
import type { Ids } from '../ids.ts';
import { isOperator, type Principal } from '../roles.ts';
import { decideSeats, type SeatCommand } from '../seats/rules.ts';
import { isDriven } from '../statuses.ts';
import type { BookingDocument } from './booking.ts';
import type { Project } from './projection.ts';
import { type Booking, type BookingStatus, bookingStatuses, holdsSeats } from './rules.ts';

export interface BookingsDeps {
  bookings: Collection<BookingDocument>;
  changes: Changes;
  project: Project;
  idempotency: Idempotency;
  ids: Ids;
  log: Logger;
}

export interface Booked {
  departure: Departure;
  booking: Booking;
}

export interface BookingQuery {
  status?: BookingStatus;
  tripId?: string;
  passengerId?: string;
  pageSize: number;
  pageToken?: string;
}

const HOLDING = bookingStatuses.filter((status) => holdsSeats({ status }));

export type Bookings = ReturnType<typeof createBookings>;

export function createBookings({ bookings, changes, project, idempotency, ids, log }: BookingsDeps) {
  const pick = (departure: Departure, bookingId: string): Booked | null => {
    const booking = departure.bookings.find(({ id }) => id === bookingId);
    return booking ? { departure, booking } : null;
  };

  async function find(departureId: string, bookingId: string): Promise<Booked | null> {
    const departure = await changes.get(departureId);
    return departure && pick(departure, bookingId);
  }

  async function change(departureId: string, command: SeatCommand): Promise<Booked & { changed: boolean }> {
    const { departure, changed } = await changes.change(departureId, (d, now) => decideSeats(d, command, now));
    const booked = pick(departure, command.bookingId);
    if (!booked) throw notFound('booking', command.bookingId);
    if (changed) {
      // It has happened: when the copy cannot be written now, the outbox sees to it.
      await project(departure, command.bookingId).catch((error: unknown) => {
        log.warn({ err: error, trip_id: departureId }, 'booking not listed yet; the outbox will');
      });
    }
    return { ...booked, changed };
  }

  /** Where a booking is. @throws RideError RIDE_NOT_FOUND */
  async function departureOf(bookingId: string): Promise<string> {
    const listed = await bookings.get(bookingId);
    if (!listed) throw notFound('booking', bookingId);
    return listed.tripId;
  }

  async function any(bookingId: string): Promise<Booked | null> {
    const listed = await bookings.get(bookingId);
    return listed && find(listed.tripId, bookingId);
  }

  const mayRead = ({ userId, role }: Principal, { departure, booking }: Booked): boolean =>
    booking.passengerId === userId || departure.driverId === userId || isOperator(role);

  return {
    /**
     * Seats for a passenger; all of them or none.
     * @throws RideError RIDE_SEATS_TAKEN (facts: seats_asked, seats_free, winner_booking_id, winner_version, version), RIDE_NOT_FOUND,
     *   RIDE_ILLEGAL_TRANSITION when it is not to be booked any more, RIDE_ALREADY_EXISTS (facts: booking_id) when he has a booking,
     *   RIDE_FORBIDDEN, RIDE_IDEMPOTENCY_MISMATCH
     */
    async book(
      departureId: string,
      input: { passengerId: string; seats: number; note?: string },
      key?: IdempotencyKey,
    ): Promise<Booked & { created: boolean }> {
      const { made, created } = await idempotency.once(key, {
        prepare: () => changes.mustGet(departureId),
        newId: () => ids.next('bkg'),
        find: (bookingId) => find(departureId, bookingId),
        async make(bookingId) {
          const { changed, ...booked } = await change(departureId, { type: 'book', bookingId, ...input });
          return changed ? booked : null;
        },
      });
      return { ...made, created };
    },

    /** By the passenger, who may owe a fee, or by the driver or an operator, and then for nothing. */
    async cancel(
      { userId, role }: Pick<Principal, 'userId' | 'role'>,
      bookingId: string,
      reason?: string,
      bookingVersion?: number,
    ): Promise<Booked> {
      return change(await departureOf(bookingId), {
        type: 'cancel_booking',
        bookingId,
        actorId: userId,
        role,
        ...(reason ? { reason } : {}),
        ...(bookingVersion === undefined ? {} : { bookingVersion }),
      });
    },

    /** Who is there, and who is not, by the driver at the pick-up. */
    async attend(driverId: string, bookingId: string, type: 'board' | 'no_show'): Promise<Booked> {
      return change(await departureOf(bookingId), { type, bookingId, driverId });
    },

    /** For use inside the domain: no question of who asks. */
    find,
    /** The same by its own id. */
    any,

    /** Its passenger, its driver and operators. */
    mayRead,

    /** Whether a passenger has seats with a driver, on the way or to come. */
    async haveOne(passengerId: string, driverId: string): Promise<boolean> {
      const where = { passengerId, driverId, status: { in: HOLDING } };
      const { items } = await bookings.page({ where, orderBy: 'departureTime', direction: 'asc', pageSize: 10 });
      // The copy may say of a departure that is over that it is to come.
      const booked = await Promise.all(items.map(({ id, tripId }) => find(tripId, id)));
      return booked.some((one) => one !== null && holdsSeats(one.booking));
    },

    /** Departures on their way on which he has seats: ids of the trips. */
    async underWayOf(passengerId: string): Promise<string[]> {
      const where = { passengerId, status: { in: HOLDING } };
      // Those of the next days are not; what is on its way is among the first.
      const first = { orderBy: 'departureTime', direction: 'asc', pageSize: 10 } as const;
      const { items } = await bookings.page({ where, ...first });
      const departures = await Promise.all(items.map(({ tripId }) => changes.get(tripId)));
      return departures.flatMap((departure) => (departure && isDriven(departure.status) ? [departure.id] : []));
    },

    /** For its passenger, its driver and operators. @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
    async get(principal: Principal, bookingId: string): Promise<Booked> {
      const booked = await any(bookingId);
      if (!booked) throw notFound('booking', bookingId);
      if (mayRead(principal, booked)) return booked;
      throw new RideError('RIDE_FORBIDDEN', 'This booking is someone else’s', {
        field: 'booking_id',
        rule: 'a booking of the caller',
      });
    },

    /** A passenger's own, newest first; operators choose whose. */
    list({ userId, role }: Principal, query: BookingQuery): Promise<Page<BookingDocument>> {
      const where: Record<string, Filter[string]> = {};
      if (query.status) where.status = query.status;
      if (query.tripId) where.tripId = query.tripId;
      if (query.passengerId) where.passengerId = query.passengerId;
      if (!isOperator(role)) where.passengerId = userId;
      return bookings.page({
        where,
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      });
    },
  };
}
