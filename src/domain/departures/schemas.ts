/** The scheduled departure on the REST wire, and the one place where a stored one becomes it. */
import { type Static, Type } from 'typebox';
import { cancelSteps, noShowFeeMinor } from '../bookings/rules.ts';
import { after, BOOKING_ID, DEPARTS_AT, DEPARTURE_ID, DRIVER_ID, eventIdAt, PICKUP, RIDER_ID } from '../examples.ts';
import { city } from '../names.ts';
import {
  Address,
  CitySchema,
  Closed,
  EpochMs,
  EstimateSource,
  ForWhom,
  Id,
  Latitude,
  Longitude,
  Named,
  OneOf,
  PageQuerySchema,
  PlaceCitySchema,
  pageOf,
  Radius,
  UserId,
  VehicleClassSchema,
} from '../schemas.ts';
import { departureStatuses } from '../statuses.ts';
import type { Place } from '../trips/rules.ts';
import { Steps, toSteps } from '../trips/schemas.ts';
import type { Departure } from './departure.ts';
import { bookingClosesAt, type DepartureEvent, departureEventTypes, openly } from './rules.ts';

const Money = Type.Integer({ minimum: 0, description: 'minor units' });

export const StopSchema = Type.Object(
  {
    lat: Latitude,
    lng: Longitude,
    address: Address,
    city: Type.Optional(
      Named(city, 'the city in which it lies; where geofences of purpose city hold the place, one of theirs'),
    ),
  },
  { ...Closed, title: 'Stop' },
);

export const DepartureRequestSchema = Type.Object(
  {
    pickup: StopSchema,
    dropoff: StopSchema,
    departure_time: EpochMs,
    seats: Type.Integer({ minimum: 1, maximum: 1000 }),
    seat_fare_minor: Type.Integer({ minimum: 0, maximum: 100_000_000, description: 'of one seat, minor units' }),
    vehicle_class: Type.Optional(VehicleClassSchema),
    city: PlaceCitySchema,
    driver_id: ForWhom,
    note: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'for passengers' })),
  },
  {
    ...Closed,
    title: 'DepartureRequest',
    examples: [
      {
        pickup: { lat: 40.7484, lng: -73.9857, address: '350 5th Ave' },
        dropoff: { lat: 42.3601, lng: -71.0589, city: 'boston' },
        departure_time: 1_421_352_000_000,
        seats: 3,
        seat_fare_minor: 2500,
      },
    ],
  },
);

export const CancellationSchema = Type.Array(
  Type.Object({
    until: Type.Optional(EpochMs),
    fee_minor: Money,
  }),
  { description: 'what a passenger who cancels owes: each fee holds until its instant, the last has none' },
);

/** What is owed for seats of `fareMinor`, by the settings as they are when nobody sets them. */
export const cancellationExample = (fareMinor: number) => [
  { until: DEPARTS_AT - 86_400_000, fee_minor: 0 },
  { until: DEPARTS_AT - 7_200_000, fee_minor: fareMinor / 2 },
  { fee_minor: fareMinor },
];

export const departureExample = {
  id: DEPARTURE_ID,
  kind: 'scheduled',
  status: 'scheduled',
  version: 2,
  event_seq: 2,
  driver_id: DRIVER_ID,
  vehicle_class: 'standard',
  region: 'nyc',
  pickup: { ...PICKUP, city: 'nyc' },
  dropoff: { lat: 42.3601, lng: -71.0589, city: 'boston' },
  departure_time: DEPARTS_AT,
  seats: 3,
  seats_free: 1,
  seat_fare_minor: 2500,
  currency: 'USD',
  distance_m: 346_000,
  duration_s: 13_800,
  estimate_source: 'straight_line',
  booking_closes_at: DEPARTS_AT - 600_000,
  boarding_from: DEPARTS_AT - 3_600_000,
  cancellation: cancellationExample(2500),
  no_show_fee_minor: 2500,
  created_at: after(0),
  updated_at: after(600),
};

export const DepartureSchema = Type.Object(
  {
    id: Id,
    kind: Type.Literal('scheduled'),
    status: OneOf(departureStatuses),
    version: Type.Integer({ minimum: 1 }),
    event_seq: Type.Integer({ minimum: 1, description: 'seq of the last event' }),
    driver_id: Type.String(),
    vehicle_class: VehicleClassSchema,
    region: Type.String(),
    pickup: StopSchema,
    dropoff: StopSchema,
    note: Type.Optional(Type.String()),
    departure_time: EpochMs,
    seats: Type.Integer({ minimum: 1 }),
    seats_free: Type.Integer({ minimum: 0 }),
    seat_fare_minor: Money,
    currency: Type.String(),
    distance_m: Type.Number(),
    duration_s: Type.Number(),
    estimate_source: Type.Optional(EstimateSource),
    booking_closes_at: EpochMs,
    boarding_from: EpochMs,
    cancellation: CancellationSchema,
    no_show_fee_minor: Money,
    created_at: EpochMs,
    updated_at: EpochMs,
    ...Steps,
  },
  {
    title: 'Departure',
    description: 'The departure as it is now; fares and fees are of one seat',
    examples: [departureExample],
  },
);

export const DeparturePageSchema = pageOf(DepartureSchema, 'DeparturePage');

export const DepartureQuerySchema = Type.Object(
  {
    status: Type.Optional(
      OneOf(departureStatuses, {
        description:
          'left out: those that can be booked, with a seat free and booking not closed, or whatever became of those of driver_id, for him and ' +
          'operators; scheduled: also those that are full or closed',
      }),
    ),
    driver_id: Type.Optional(UserId),
    city: Type.Optional(CitySchema),
    to_city: Type.Optional(CitySchema),
    lat: Type.Optional(Latitude),
    lng: Type.Optional(Longitude),
    radius_m: Radius('lat, lng'),
    to_lat: Type.Optional(Latitude),
    to_lng: Type.Optional(Longitude),
    to_radius_m: Radius('to_lat, to_lng'),
    departs_from: Type.Optional(EpochMs),
    departs_before: Type.Optional(EpochMs),
    seats: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'at least so many free' })),
    vehicle_class: Type.Optional(VehicleClassSchema),
    ...PageQuerySchema,
  },
  Closed,
);

export const DepartureEventSchema = Type.Object(
  {
    id: Id,
    seq: Type.Integer({ minimum: 1, description: 'counts from 1 without a gap' }),
    type: OneOf(departureEventTypes),
    status: OneOf(departureStatuses),
    version: Type.Integer({ minimum: 1 }),
    actor_id: Type.String({ description: 'a user, system, or passenger for whoever has the booking' }),
    driver_id: Type.String(),
    booking_id: Type.Optional(Id),
    seats: Type.Optional(Type.Integer({ minimum: 1, description: 'of the booking' })),
    seats_free: Type.Integer({ minimum: 0, description: 'after the event' }),
    reason: Type.Optional(Type.String({ description: 'of a booking for its passenger, the driver and operators' })),
    at: EpochMs,
  },
  { title: 'DepartureEvent' },
);

export const DepartureHistorySchema = Type.Object(
  { items: Type.Array(DepartureEventSchema) },
  {
    title: 'DepartureHistory',
    description: 'Every event of the departure, in order',
    examples: [
      {
        items: [
          {
            id: eventIdAt(10),
            seq: 1,
            type: 'published',
            status: 'scheduled',
            version: 1,
            actor_id: DRIVER_ID,
            driver_id: DRIVER_ID,
            seats_free: 3,
            at: after(0),
          },
          {
            id: eventIdAt(11),
            seq: 2,
            type: 'booked',
            status: 'scheduled',
            version: 2,
            actor_id: RIDER_ID,
            driver_id: DRIVER_ID,
            booking_id: BOOKING_ID,
            seats: 2,
            seats_free: 1,
            at: after(600),
          },
        ],
      },
    ],
  },
);

export const toStop = ({ lat, lng, address, city }: Place): Static<typeof StopSchema> => ({
  lat,
  lng,
  ...(address ? { address } : {}),
  city,
});

export function toDepartureWire(d: Departure): Static<typeof DepartureSchema> {
  const { terms, departureTime, seatFareMinor } = d;
  return {
    id: d.id,
    kind: d.kind,
    status: d.status,
    version: d.version,
    event_seq: d.history.length,
    driver_id: d.driverId,
    vehicle_class: d.vehicleClass,
    region: d.region,
    pickup: toStop(d.source),
    dropoff: toStop(d.destination),
    note: d.note,
    departure_time: departureTime,
    seats: d.seats,
    seats_free: d.seatsFree,
    seat_fare_minor: seatFareMinor,
    currency: d.estimate.currency,
    distance_m: d.estimate.distanceM,
    duration_s: d.estimate.durationS,
    estimate_source: d.estimate.source,
    booking_closes_at: bookingClosesAt(d),
    boarding_from: departureTime - terms.boardsBeforeMs,
    cancellation: toCancellation(d, seatFareMinor),
    no_show_fee_minor: noShowFeeMinor(terms, seatFareMinor),
    created_at: d.createdAt,
    updated_at: d.updatedAt,
    ...toSteps(d),
  };
}

export const toCancellation = (
  { terms, departureTime }: Departure,
  fareMinor: number,
): Static<typeof CancellationSchema> =>
  cancelSteps(terms, departureTime, fareMinor).map(({ until, feeMinor }) => ({ until, fee_minor: feeMinor }));

/** @param knowsWhy the reader may know why the passenger of the event has no seat any more */
export function toDepartureEventWire(event: DepartureEvent, knowsWhy: boolean): Static<typeof DepartureEventSchema> {
  const { id, seq, type, status, version, actorId, driverId, booking, seatsFree, reason, at } = knowsWhy
    ? event
    : openly(event);
  return {
    id,
    seq,
    type,
    status,
    version,
    actor_id: actorId,
    driver_id: driverId,
    ...(booking ? { booking_id: booking.id, seats: booking.seats } : {}),
    seats_free: seatsFree,
    ...(reason ? { reason } : {}),
    at,
  };
}
