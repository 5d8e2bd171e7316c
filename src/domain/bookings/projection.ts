/** Keeps the collection `bookings` true to the departures: safe to repeat, in any order, from any node. */
import { RideError } from '../../errors.ts';
import type { Collection } from '../../ports/store.ts';
import type { Departure } from '../departures/departure.ts';
import type { Ids } from '../ids.ts';
import { shardKeyOf } from '../ids.ts';
import type { BookingDocument } from './booking.ts';
import type { Booking } from './rules.ts';

const CAS_ATTEMPTS = 16;

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
  async function put(departure: Departure, booking: Booking): Promise<void> {
    for (let attempt = 0; attempt < CAS_ATTEMPTS; attempt++) {
      const stored = await bookings.get(booking.id);
      if (stored && stored.bookingVersion >= booking.version) return;
      const document = toDocument(departure, booking, ids.region, stored?.version);
      if (stored) {
        if (await bookings.compareAndSet(document)) return;
        continue;
      }
      try {
        return await bookings.insert(document);
      } catch (error) {
        if (!(error instanceof RideError) || error.code !== 'RIDE_ALREADY_EXISTS') throw error;
      }
    }
    throw new RideError('RIDE_CONFLICT', 'The booking changed too often; try again', { retryAfterMs: 50 });
  }

  return async function project(departure: Departure, bookingId?: string): Promise<void> {
    for (const booking of departure.bookings) {
      if (bookingId === undefined || booking.id === bookingId) await put(departure, booking);
    }
  };
}

export type Project = ReturnType<typeof createProjection>;
