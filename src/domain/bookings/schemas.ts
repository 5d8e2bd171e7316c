/** The booking on the REST wire. */
import { type Static, Type } from 'typebox';
import type { Departure } from '../departures/departure.ts';
import {
  CancellationSchema,
  cancellationExample,
  departureExample,
  StopSchema,
  toCancellation,
  toStop,
} from '../departures/schemas.ts';
import { after, BOOKING_ID, DEPARTURE_ID, DRIVER_ID, RIDER_ID } from '../examples.ts';
import { Closed, EpochMs, ForWhom, Id, OneOf, PageQuerySchema, pageOf, UserId } from '../schemas.ts';
import type { BookingDocument } from './booking.ts';
import { type Booking, bookingStatuses } from './rules.ts';

export const BookingRequestSchema = Type.Object(
  {
    seats: Type.Integer({ minimum: 1, maximum: 1000, description: 'all of them or none' }),
    passenger_id: ForWhom,
    note: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'for the driver' })),
  },
  { ...Closed, title: 'BookingRequest', examples: [{ seats: 2, note: 'with a suitcase' }] },
);

const { pickup, dropoff, departure_time } = departureExample;
const listedExample = {
  id: BOOKING_ID,
  trip_id: DEPARTURE_ID,
  status: 'confirmed',
  version: 1,
  passenger_id: RIDER_ID,
  driver_id: DRIVER_ID,
  seats: 2,
  fare_minor: 5000,
  currency: 'USD',
  departure_time,
  pickup,
  dropoff,
  note: 'with a suitcase',
  created_at: after(600),
  updated_at: after(600),
};

export const BookingSchema = Type.Object(
  {
    id: Id,
    trip_id: Type.String({ description: 'the departure; its events are on the topic trip:<trip_id>' }),
    status: OneOf(bookingStatuses),
    version: Type.Integer({ minimum: 1 }),
    passenger_id: Type.String(),
    driver_id: Type.String(),
    seats: Type.Integer({ minimum: 1 }),
    fare_minor: Type.Integer({ minimum: 0, description: 'of all its seats, minor units' }),
    fee_minor: Type.Optional(
      Type.Integer({ minimum: 0, description: 'owed by who cancelled or did not come, minor units' }),
    ),
    currency: Type.String(),
    departure_time: EpochMs,
    pickup: StopSchema,
    dropoff: StopSchema,
    note: Type.Optional(Type.String()),
    cancellation: Type.Optional(CancellationSchema),
    created_at: EpochMs,
    updated_at: EpochMs,
    cancelled_by: Type.Optional(Type.String()),
    cancel_reason: Type.Optional(Type.String()),
  },
  {
    title: 'Booking',
    description: 'Seats of a departure as they are now; lists leave the terms of cancellation out',
    examples: [{ ...listedExample, cancellation: cancellationExample(5000) }],
  },
);

export const BookingPageSchema = pageOf(BookingSchema, 'BookingPage', [listedExample]);

export const ManifestSchema = Type.Object(
  { items: Type.Array(BookingSchema) },
  {
    title: 'Manifest',
    description: 'Every booking of the departure, in the order they were made',
    examples: [{ items: [listedExample] }],
  },
);

export const BookingQuerySchema = Type.Object(
  {
    status: Type.Optional(OneOf(bookingStatuses)),
    trip_id: Type.Optional(Id),
    passenger_id: Type.Optional(UserId),
    ...PageQuerySchema,
  },
  Closed,
);

type Listed = Omit<BookingDocument, 'version' | 'region' | 'createdAt'>;

function toWire(b: Listed, version: number): Static<typeof BookingSchema> {
  return {
    id: b.id,
    trip_id: b.tripId,
    status: b.status,
    version,
    passenger_id: b.passengerId,
    driver_id: b.driverId,
    seats: b.seats,
    fare_minor: b.fareMinor,
    fee_minor: b.feeMinor,
    currency: b.currency,
    departure_time: b.departureTime,
    pickup: toStop(b.source),
    dropoff: toStop(b.destination),
    note: b.note,
    created_at: b.bookedAt,
    updated_at: b.updatedAt,
    cancelled_by: b.cancelledBy,
    cancel_reason: b.cancelReason,
  };
}

export const toListedBookingWire = (document: BookingDocument): Static<typeof BookingSchema> =>
  toWire(document, document.bookingVersion);

export function toBookingWire(departure: Departure, booking: Booking): Static<typeof BookingSchema> {
  const { id: tripId, driverId, departureTime, source, destination, estimate } = departure;
  const { currency } = estimate;
  const { version, ...fields } = booking;
  const listed = { ...fields, bookingVersion: version, tripId, driverId, departureTime, source, destination, currency };
  return { ...toWire(listed, version), cancellation: toCancellation(departure, booking.fareMinor) };
}
