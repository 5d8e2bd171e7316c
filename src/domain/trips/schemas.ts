/** The trip on the REST wire, and the one place where a stored trip becomes it. */
import { type Static, Type } from 'typebox';
import { after, DRIVER_ID, DROPOFF, ESTIMATE, eventIdAt, PICKUP, RIDER_ID, TRIP_ID } from '../examples.ts';
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
  OneOf,
  PageQuerySchema,
  PlaceCitySchema,
  pageOf,
  Radius,
  UserId,
  VehicleClassSchema,
} from '../schemas.ts';
import { SYSTEM, tripStatuses } from '../statuses.ts';
import { type Place, type TripEvent, type TripState, tripEventTypes } from './rules.ts';
import { dispatchedKinds, lastSeq, type Trip } from './trip.ts';

export const TripStatusSchema = OneOf(tripStatuses);

export const PlaceSchema = Type.Object(
  { lat: Latitude, lng: Longitude, address: Address },
  { ...Closed, title: 'Place' },
);

export const TripRequestSchema = Type.Object(
  {
    pickup: PlaceSchema,
    dropoff: PlaceSchema,
    vehicle_class: Type.Optional(VehicleClassSchema),
    city: PlaceCitySchema,
    rider_id: ForWhom,
    note: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'for the driver' })),
    quote_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2048,
        description:
          'books this quote, which must be of the same journey; it holds in the city in which it was made, also when cities were drawn anew since',
      }),
    ),
    pickup_at: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'epoch milliseconds of a ride for later, at most 30 days ahead; a driver is sought ahead of it',
      }),
    ),
  },
  {
    ...Closed,
    title: 'TripRequest',
    examples: [
      { pickup: { lat: 40.7484, lng: -73.9857 }, dropoff: { lat: 40.7061, lng: -74.0087 }, vehicle_class: 'standard' },
    ],
  },
);

/** What was reached, and how it ended: of a trip as of a departure. */
export const Steps = {
  arrived_at: Type.Optional(EpochMs),
  started_at: Type.Optional(EpochMs),
  completed_at: Type.Optional(EpochMs),
  cancelled_at: Type.Optional(EpochMs),
  expired_at: Type.Optional(EpochMs),
  cancel_reason: Type.Optional(Type.String()),
  cancelled_by: Type.Optional(Type.String()),
};

export const tripExample = {
  id: TRIP_ID,
  kind: 'ride',
  status: 'in_progress',
  version: 5,
  event_seq: 5,
  rider_id: RIDER_ID,
  driver_id: DRIVER_ID,
  vehicle_class: 'standard',
  city: 'nyc',
  region: 'nyc',
  pickup: PICKUP,
  dropoff: DROPOFF,
  note: 'two bags',
  estimate: ESTIMATE,
  created_at: after(0),
  updated_at: after(360),
  matched_at: after(10),
  arrived_at: after(200),
  started_at: after(360),
};

export const TripSchema = Type.Object(
  {
    id: Id,
    kind: OneOf(dispatchedKinds),
    status: TripStatusSchema,
    version: Type.Integer({ minimum: 1 }),
    event_seq: Type.Integer({ minimum: 1, description: 'seq of the last event' }),
    rider_id: Type.String(),
    driver_id: Type.Union([Type.String(), Type.Null()]),
    vehicle_class: VehicleClassSchema,
    city: Type.String(),
    region: Type.String(),
    pickup: PlaceSchema,
    dropoff: PlaceSchema,
    note: Type.Optional(Type.String()),
    estimate: Type.Object({
      distance_m: Type.Number(),
      duration_s: Type.Number(),
      source: Type.Optional(EstimateSource),
      fare_minor: Type.Integer(),
      currency: Type.String(),
    }),
    pickup_at: Type.Optional(EpochMs),
    created_at: EpochMs,
    updated_at: EpochMs,
    matched_at: Type.Optional(EpochMs),
    ...Steps,
  },
  { title: 'Trip', description: 'The trip as it is now', examples: [tripExample] },
);

export const TripEventSchema = Type.Object(
  {
    id: Id,
    seq: Type.Integer({ minimum: 1, description: 'counts from 1 without a gap' }),
    type: OneOf(tripEventTypes),
    status: TripStatusSchema,
    version: Type.Integer({ minimum: 1 }),
    actor_id: Type.String(),
    driver_id: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String()),
    at: EpochMs,
  },
  { title: 'TripEvent' },
);

const eventExample = (seq: number, type: string, status: string, actor_id: string, at: number, driver_id?: string) => ({
  id: eventIdAt(seq),
  seq,
  type,
  status,
  version: seq,
  actor_id,
  ...(driver_id ? { driver_id } : {}),
  at,
});

export const TripHistorySchema = Type.Object(
  { items: Type.Array(TripEventSchema) },
  {
    title: 'TripHistory',
    description: 'Every event of the trip, in order',
    examples: [
      {
        items: [
          eventExample(1, 'requested', 'requested', RIDER_ID, after(0)),
          eventExample(2, 'offered', 'offered', SYSTEM, after(1), DRIVER_ID),
          eventExample(3, 'assigned', 'assigned', DRIVER_ID, after(10), DRIVER_ID),
          eventExample(4, 'driver_arrived', 'driver_arrived', DRIVER_ID, after(200), DRIVER_ID),
          eventExample(5, 'started', 'in_progress', DRIVER_ID, after(360), DRIVER_ID),
        ],
      },
    ],
  },
);

export const TripPageSchema = pageOf(TripSchema, 'TripPage');

const instant = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));

/** What rides and deliveries are both searched by. */
export const SearchSchema = {
  status: Type.Optional(TripStatusSchema),
  city: Type.Optional(CitySchema),
  driver_id: Type.Optional(UserId),
  rider_id: Type.Optional(UserId),
  from: instant('created_at is this or later, epoch milliseconds; a ride for later goes by its request too'),
  before: instant('created_at is earlier than this, epoch milliseconds'),
  lat: Type.Optional(Latitude),
  lng: Type.Optional(Longitude),
  radius_m: Radius('lat, lng, where the pick-up is'),
  order: Type.Optional(Type.Union([Type.Literal('asc'), Type.Literal('desc')], { description: 'of created_at' })),
  ...PageQuerySchema,
};

export const TripQuerySchema = Type.Object({ kind: Type.Optional(OneOf(dispatchedKinds)), ...SearchSchema }, Closed);

export const ReasonSchema = Type.Object(
  { reason: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) },
  { ...Closed, title: 'Reason' },
);

const toPlace = ({ lat, lng, address }: Place): Static<typeof PlaceSchema> => ({
  lat,
  lng,
  ...(address ? { address } : {}),
});

type StepsOf = Pick<
  TripState,
  'arrivedAt' | 'startedAt' | 'completedAt' | 'cancelledAt' | 'expiredAt' | 'cancelReason' | 'cancelledBy'
>;

export const toSteps = (of: StepsOf) => ({
  arrived_at: of.arrivedAt,
  started_at: of.startedAt,
  completed_at: of.completedAt,
  cancelled_at: of.cancelledAt,
  expired_at: of.expiredAt,
  cancel_reason: of.cancelReason,
  cancelled_by: of.cancelledBy,
});

export function toTripWire(trip: Trip): Static<typeof TripSchema> {
  return {
    id: trip.id,
    kind: trip.kind,
    status: trip.status,
    version: trip.version,
    event_seq: lastSeq(trip),
    rider_id: trip.riderId,
    driver_id: trip.driverId,
    vehicle_class: trip.vehicleClass,
    city: trip.source.city,
    region: trip.region,
    pickup: toPlace(trip.source),
    dropoff: toPlace(trip.destination),
    note: trip.note,
    estimate: {
      distance_m: trip.estimate.distanceM,
      duration_s: trip.estimate.durationS,
      fare_minor: trip.estimate.fareMinor,
      currency: trip.estimate.currency,
      source: trip.estimate.source,
    },
    pickup_at: trip.departureTime,
    created_at: trip.createdAt,
    updated_at: trip.updatedAt,
    matched_at: trip.matchedAt,
    ...toSteps(trip),
  };
}

export function toTripEventWire(event: TripEvent): Static<typeof TripEventSchema> {
  const { id, seq, type, status, version, at } = event;
  return {
    id,
    seq,
    type,
    status,
    version,
    at,
    actor_id: event.actorId,
    driver_id: event.driverId,
    reason: event.reason,
  };
}
