/** Alerts on the REST wire. */
import { type Static, Type } from 'typebox';
import type { StoredDocument } from '../../ports/store.ts';
import { ALERT_ID, after, OPERATOR_ID, RIDER_ID, TRIP_ID } from '../examples.ts';
import type { LatLng } from '../geo.ts';
import { Closed, EpochMs, Latitude, Longitude, OneOf, PageQuerySchema, pageOf } from '../schemas.ts';

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
  position: LatLng | null;
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
    position: Type.Union([Type.Object({ lat: Latitude, lng: Longitude }), Type.Null()]),
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
        position: { lat: 40.7312, lng: -73.9945 },
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

export const toSosAlertWire = (a: SosDocument): Static<typeof SosAlertSchema> => ({
  id: a.id,
  status: a.status,
  version: a.version,
  user_id: a.userId,
  role: a.role,
  trip_id: a.tripId,
  claimed_trip_id: a.claimedTripId ?? '',
  position: a.position ? { lat: a.position.lat, lng: a.position.lng } : null,
  note: a.note,
  created_at: a.createdAt,
  ...(a.resolvedAt === undefined ? {} : { resolved_at: a.resolvedAt }),
  ...(a.resolvedBy === undefined ? {} : { resolved_by: a.resolvedBy }),
  ...(a.resolution === undefined ? {} : { resolution: a.resolution }),
});
