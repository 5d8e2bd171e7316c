/** Positions on the REST wire. */
import { type Static, Type } from 'typebox';
import type { Position } from '../../ports/positions.ts';
import { after, DRIVER_ID, TRIP_ID } from '../examples.ts';
import { Closed, EpochMs, EstimateSource, Latitude, Longitude, OneOf, VehicleClassSchema } from '../schemas.ts';
import { type Freshness, limits, type PositionInput, type Sighting, staleReasons } from './rules.ts';

export { staleReasons };

const within = (r: { min: number; max: number }) => ({ minimum: r.min, maximum: r.max });

const motion = {
  speed_mps: Type.Optional(Type.Number(within(limits.speedMps))),
  heading_deg: Type.Optional(Type.Number(within(limits.headingDeg))),
  accuracy_m: Type.Optional(Type.Number(within(limits.accuracyM))),
};

export const PositionInputSchema = Type.Object(
  {
    lat: Latitude,
    lng: Longitude,
    recorded_at_ms: EpochMs,
    ...motion,
    trip_id: Type.Optional(Type.String({ maxLength: 128 })),
    is_mock: Type.Optional(Type.Boolean({ description: 'the device says that an app made this position up' })),
  },
  { ...Closed, title: 'PositionInput' },
);

export const PositionBatchSchema = Type.Object(
  { updates: Type.Array(PositionInputSchema, { minItems: 1 }) },
  {
    ...Closed,
    title: 'PositionBatch',
    examples: [
      { updates: [{ lat: 40.7484, lng: -73.9857, recorded_at_ms: 1421322000000, speed_mps: 7.5, accuracy_m: 5 }] },
    ],
  },
);

export const AcceptedSchema = Type.Object(
  {
    accepted: Type.Integer({ description: 'kept, and readable on every node' }),
    late: Type.Integer({ description: 'a newer position was there' }),
    server_time_ms: EpochMs,
  },
  {
    title: 'Accepted',
    description: 'What became of the positions',
    examples: [{ accepted: 1, late: 0, server_time_ms: after(9) }],
  },
);

const freshness = {
  recorded_at_ms: EpochMs,
  age_ms: Type.Integer({ minimum: 0 }),
  source: Type.String({ description: 'how the position came: stream or rest' }),
  stale: Type.Boolean({ description: 'older than LOCATION_FRESHNESS: not live' }),
};

/** Of a position that is asked for however old it is. */
export const StaleReasonSchema = Type.Optional(
  OneOf(staleReasons, { description: 'of a stale position alone: what its device said, or silent' }),
);

const positionExample = {
  driver_id: DRIVER_ID,
  lat: 40.7501,
  lng: -73.981,
  speed_mps: 7.5,
  heading_deg: 120,
  accuracy_m: 5,
  recorded_at_ms: after(9),
  age_ms: 850,
  source: 'stream',
  stale: false,
};

export const PositionSchema = Type.Object(
  { driver_id: Type.String(), lat: Latitude, lng: Longitude, ...motion, ...freshness, stale_reason: StaleReasonSchema },
  { title: 'Position' },
);

/** Of a driver who has not been heard of. */
export const stalePositionExample = { ...positionExample, age_ms: 95_000, stale: true, stale_reason: 'battery_low' };

export const TripLocationSchema = Type.Object(
  {
    trip_id: Type.String(),
    driver_id: Type.String(),
    lat: Latitude,
    lng: Longitude,
    ...motion,
    ...freshness,
    stale_reason: StaleReasonSchema,
  },
  {
    title: 'TripLocation',
    description: 'The last position of the trip’s driver',
    examples: [{ trip_id: TRIP_ID, ...positionExample }],
  },
);

export const NearbyQuerySchema = Type.Object(
  {
    lat: Latitude,
    lng: Longitude,
    radius_m: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000, default: 3000 })),
    vehicle_class: Type.Optional(VehicleClassSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 20 })),
  },
  Closed,
);

const nearbyExample = {
  ...positionExample,
  distance_m: 440.3,
  eta_s: 99.1,
  eta_source: 'straight_line',
  vehicle_class: 'standard',
};

export const NearbySchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          driver_id: Type.String(),
          lat: Latitude,
          lng: Longitude,
          ...motion,
          ...freshness,
          distance_m: Type.Number(),
          eta_s: Type.Number({ description: 'estimated from this position, which has an age' }),
          eta_source: EstimateSource,
          vehicle_class: VehicleClassSchema,
        },
        { title: 'NearbyDriver' },
      ),
    ),
  },
  { title: 'Nearby', description: 'Available drivers, nearest first', examples: [{ items: [nearbyExample] }] },
);

export function fromPositionWire(p: Static<typeof PositionInputSchema>): PositionInput {
  return {
    lat: p.lat,
    lng: p.lng,
    recordedAt: p.recorded_at_ms,
    speedMps: p.speed_mps,
    headingDeg: p.heading_deg,
    accuracyM: p.accuracy_m,
    tripId: p.trip_id ?? '',
    isMock: p.is_mock,
  };
}

type Fresh = Position & Freshness;

/** What every position on the wire has. */
export function toPositionWire(p: Fresh) {
  return {
    driver_id: p.driverId,
    lat: p.lat,
    lng: p.lng,
    speed_mps: p.speedMps,
    heading_deg: p.headingDeg,
    accuracy_m: p.accuracyM,
    recorded_at_ms: p.recordedAt,
    age_ms: p.ageMs,
    source: p.source,
    stale: p.stale,
    stale_reason: p.staleReason,
  };
}

/** What is told beside a place that somebody was seen at: how well that was known `at` a later instant. */
export const seenWire = ({ recordedAt, accuracyM, source }: Omit<Sighting, 'lat' | 'lng'>, at: number) => ({
  ...(recordedAt === undefined ? {} : { recorded_at_ms: recordedAt, age_ms: Math.max(0, at - recordedAt) }),
  ...(accuracyM === undefined ? {} : { accuracy_m: accuracyM }),
  ...(source === undefined ? {} : { position_source: source }),
});
