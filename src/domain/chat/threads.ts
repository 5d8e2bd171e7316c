/**
 * Who talks with whom: the two sides of a ride, or a passenger and the driver of a departure, who have a thread for each booking, so that no
 * passenger hears another. Operators have a say in any. What has ended can be read, and nothing is added to it.
 */
import { invalidInput, RideError } from '../../errors.ts';
import { holdsSeats } from '../bookings/rules.ts';
import type { Bookings } from '../bookings/service.ts';
import type { Principal } from '../roles.ts';
import { isTerminal } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';
import { lastSeq } from '../trips/trip.ts';
import { HEARS_ALL, HEARS_NOTHING, heardFrom } from './rules.ts';

/** One of them names the thread; what is left out may be empty. */
export interface ThreadName {
  tripId?: string;
  bookingId?: string;
}

export interface Thread {
  /** Of the trip or booking. */
  id: string;
  /** Of a booking its departure. */
  tripId: string;
  bookingId?: string;
  topic: string;
  /** Who is told on his own topic too, since he need not be there: a departure may be days ahead. */
  told: readonly string[];
  /** Null: it has not ended. */
  endedAs: string | null;
  /** What was said at the trip's event of this `seq` and later is for who asks; see ./rules.ts. */
  heardFrom: number;
  /** Of the trip's last event; none of a booking. */
  tripSeq?: number;
}

export interface ThreadsDeps {
  trips: Pick<Trips, 'get'>;
  bookings: Pick<Bookings, 'get'>;
}

/** @returns what finds a thread that `principal` has a say in; it throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_INVALID_INPUT */
export function createThreads({ trips, bookings }: ThreadsDeps) {
  async function ofTrip(principal: Principal, tripId: string): Promise<Thread> {
    const trip = await trips.get(principal, tripId);
    const from = heardFrom(principal, trip);
    // Whoever is offered a trip may read it, and has nobody to talk with yet.
    if (from === HEARS_NOTHING)
      throw new RideError('RIDE_FORBIDDEN', 'Only the rider and the driver of a trip may chat', {
        field: 'trip_id',
        rule: 'a trip of the caller',
      });
    const endedAs = isTerminal(trip.status) ? trip.status : null;
    return { id: tripId, tripId, topic: `trip:${tripId}`, told: [], endedAs, heardFrom: from, tripSeq: lastSeq(trip) };
  }

  async function ofBooking(principal: Principal, bookingId: string): Promise<Thread> {
    const { departure, booking } = await bookings.get(principal, bookingId);
    return {
      id: bookingId,
      tripId: departure.id,
      bookingId,
      topic: `booking:${bookingId}`,
      told: [booking.passengerId, departure.driverId],
      endedAs: holdsSeats(booking) ? null : booking.status,
      // Of a booking neither side is ever another.
      heardFrom: HEARS_ALL,
    };
  }

  return (principal: Principal, { tripId = '', bookingId = '' }: ThreadName): Promise<Thread> => {
    if (bookingId === '') return ofTrip(principal, tripId);
    if (tripId !== '') throw invalidInput('booking_id', 'left out where trip_id is given');
    return ofBooking(principal, bookingId);
  };
}
