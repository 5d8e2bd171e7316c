/** Alerts on the REST wire. */
import { type Static, Type } from 'typebox';
import type { StoredDocument } from '../../ports/store.ts';
import { ALERT_ID, after, OPERATOR_ID, RIDER_ID, TRIP_ID } from '../examples.ts';
import { type Shown, type Sighting, staleReasons } from '../locations/rules.ts';
import { Closed, EpochMs, Latitude, Longitude, Nullable, OneOf, PageQuerySchema, pageOf } from '../schemas.ts';

export const sosStatuses = ['active', 'resolved'] as const;
export type SosStatus = (typeof sosStatuses)[number];

/** As it is stored. */
export interface SosDocument extends StoredDocument {
  userId: string;
  role: string;
  /** The caller's own, or empty. */
  tripId: string;
  /** What he named, when it is not known to be his. Never more than a clue: nothing is done to, or told on, that trip. */
  claimedTripId?: string;
  status: SosStatus;
  position: Sighting | null;
  /** Whose device measured it, where it was not his own. */
  positionOf?: string;
  note: string;
  resolvedAt?: number;
  resolvedBy?: string;
  /** What whoever resolved it says. */
  resolution?: string;
}

export const SosAlertSchema = Type.Object(
  {
    id: Type.String(),
    status: OneOf(sosStatuses),
    version: Type.Integer({ minimum: 1, description: 'as in the ETag' }),
    user_id: Type.String({ description: 'who needs help' }),
    role: Type.String(),
    trip_id: Type.String({ description: 'a trip of his own, or empty' }),
    claimed_trip_id: Type.String({ description: 'what he named, when it is not known to be his: a clue; or empty' }),
    position: Nullable(
      Type.Object({
        lat: Latitude,
        lng: Longitude,
        recorded_at_ms: Type.Optional(EpochMs),
        age_ms: Type.Optional(Type.Integer({ minimum: 0 })),
        accuracy_m: Type.Optional(Type.Number()),
        source: Type.Optional(Type.String({ description: 'how it came: stream or rest; of a check-in, the car’s' })),
        stale: Type.Optional(Type.Boolean({ description: 'older than LOCATION_FRESHNESS: not live' })),
        stale_reason: Type.Optional(
          OneOf(staleReasons, { description: 'of a stale one, as far as it can be asked for: what the device said' }),
        ),
      }),
    ),
    note: Type.String(),
    created_at: EpochMs,
    resolved_at: Type.Optional(EpochMs),
    resolved_by: Type.Optional(Type.String()),
    resolution: Type.Optional(Type.String()),
  },
  {
    title: 'SosAlert',
    description: 'A call for help',
    examples: [
      {
        id: ALERT_ID,
        status: 'resolved',
        version: 2,
        user_id: RIDER_ID,
        role: 'rider',
        trip_id: TRIP_ID,
        claimed_trip_id: '',
        position: {
          lat: 40.7312,
          lng: -73.9945,
          recorded_at_ms: after(949),
          age_ms: 301_000,
          accuracy_m: 12,
          source: 'stream',
          stale: true,
          stale_reason: 'silent',
        },
        note: '',
        created_at: after(950),
        resolved_at: after(1250),
        resolved_by: OPERATOR_ID,
        resolution: 'spoke with the rider, all is well',
      },
    ],
  },
);

export const SosAlertPageSchema = pageOf(SosAlertSchema, 'SosAlertPage');

export const SosQuerySchema = Type.Object({ status: Type.Optional(OneOf(sosStatuses)), ...PageQuerySchema }, Closed);

export const SosResolutionSchema = Type.Object(
  { note: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })) },
  { ...Closed, title: 'SosResolution', examples: [{ note: 'spoke with the rider, all is well' }] },
);

const toPositionWire = ({ lat, lng, recordedAt, accuracyM, source, ageMs, stale, staleReason }: Shown) => ({
  lat,
  lng,
  ...(recordedAt === undefined ? {} : { recorded_at_ms: recordedAt }),
  ...(ageMs === undefined ? {} : { age_ms: ageMs }),
  ...(accuracyM === undefined ? {} : { accuracy_m: accuracyM }),
  ...(source === undefined ? {} : { source }),
  ...(stale === undefined ? {} : { stale }),
  ...(staleReason === undefined ? {} : { stale_reason: staleReason }),
});

/** @param shown its position as it is now */
export const toSosAlertWire = (a: SosDocument, shown: Shown | null): Static<typeof SosAlertSchema> => ({
  id: a.id,
  status: a.status,
  version: a.version,
  user_id: a.userId,
  role: a.role,
  trip_id: a.tripId,
  claimed_trip_id: a.claimedTripId ?? '',
  position: shown && toPositionWire(shown),
  note: a.note,
  created_at: a.createdAt,
  ...(a.resolvedAt === undefined ? {} : { resolved_at: a.resolvedAt }),
  ...(a.resolvedBy === undefined ? {} : { resolved_by: a.resolvedBy }),
  ...(a.resolution === undefined ? {} : { resolution: a.resolution }),
});
