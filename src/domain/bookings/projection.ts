/** Keeps the collection `bookings` true to the departures: safe to repeat, in any order, from any node. */
import type { Collection } from '../../ports/store.ts';
import type { Departure } from '../departures/departure.ts';
import { LOST, put, untilWritten } from '../documents/writing.ts';
import type { Ids } from '../ids.ts';
import { shardKeyOf } from '../ids.ts';
import type { BookingDocument } from './booking.ts';
import type { Booking } from './rules.ts';

/** As it is listed; the version of the document is the next one of `stored`. */
export function toDocument(departure: Departure, booking: Booking, region: string, stored = 0): BookingDocument {
  const { version, ...fields } = booking;
  return {
    ...fields,
    ...shardKeyOf(booking.id, region, booking.bookedAt),
    version: stored + 1,
    bookingVersion: version,
    tripId: departure.id,
    driverId: departure.driverId,
    departureTime: departure.departureTime,
    source: departure.source,
    destination: departure.destination,
    currency: departure.estimate.currency,
  };
}

/** @returns writes the bookings of a departure, or one of them */
export function createProjection(bookings: Collection<BookingDocument>, ids: Ids) {
  const keep = (departure: Departure, booking: Booking): Promise<void> =>
    untilWritten('booking', async () => {
      const stored = await bookings.get(booking.id);
      if (stored && stored.bookingVersion >= booking.version) return;
      if (!(await put(bookings, stored, toDocument(departure, booking, ids.region, stored?.version)))) return LOST;
    });

  return async function project(departure: Departure, bookingId?: string): Promise<void> {
    for (const booking of departure.bookings) {
      if (bookingId === undefined || booking.id === bookingId) await keep(departure, booking);
    }
  };
}

export type Project = ReturnType<typeof createProjection>;
