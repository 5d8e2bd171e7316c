/**
 * A booking as passengers list theirs. The departure's document is the truth of it; this one follows: a change of the booking alone
 * before it is answered where nothing fails, and whatever happens from the departure's outbox.
 */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { Place } from '../trips/rules.ts';
import type { Booking } from './rules.ts';

export interface BookingDocument extends StoredDocument, Omit<Booking, 'version'> {
  tripId: string;
  driverId: string;
  departureTime: number;
  source: Place;
  destination: Place;
  currency: string;
  /** Version of the booking; that of the document counts its writes. */
  bookingVersion: number;
}

export const bookingCollection: CollectionSpec<BookingDocument> = {
  name: 'bookings',
  indexes: [
    { name: 'passenger_status', fields: ['passengerId', 'status'] },
    { name: 'passenger_created', fields: ['passengerId', 'createdAt'] },
    { name: 'trip_status', fields: ['tripId', 'status'] },
    { name: 'created', fields: ['createdAt'] },
  ],
};
