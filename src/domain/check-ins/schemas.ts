/** Check-ins on the REST wire. */
import { type Static, Type } from 'typebox';
import { after, DRIVER_ID, RIDER_ID, TRIP_ID } from '../examples.ts';
import { seenWire, staleReasons } from '../locations/schemas.ts';
import { hazards } from '../safety/rules.ts';
import { Closed, EpochMs, Latitude, Longitude, Nullable, OneOf, PageQuerySchema, pageOf } from '../schemas.ts';
import type { CheckIn } from './check-in.ts';
import { checkInEventTypes, checkInStatuses } from './rules.ts';

const HazardSchema = OneOf(hazards);

export const CheckInSchema = Type.Object(
  {
    trip_id: Type.String(),
    status: OneOf(checkInStatuses),
    version: Type.Integer(),
    rider_id: Type.String({ description: 'empty for a departure, whose passengers on board are all asked' }),
    driver_id: Type.String(),
    city: Type.String(),
    hazards: Type.Array(HazardSchema, { description: 'that are there now' }),
    round: Type.Integer({ description: 'counts the questions; an answer names its own' }),
    asked_at: Nullable(EpochMs),
    deadline: Nullable(EpochMs),
    escalated_at: Nullable(EpochMs),
    alert_id: Nullable(Type.String({ description: 'the SOS that it became, until that is resolved' })),
    evidence: Type.Array(
      Type.Object({
        hazard: HazardSchema,
        change: OneOf(['set', 'cleared']),
        at: EpochMs,
        lat: Latitude,
        lng: Longitude,
        recorded_at_ms: Type.Optional(EpochMs),
        age_ms: Type.Optional(Type.Integer({ minimum: 0, description: 'of that position when this was found' })),
        accuracy_m: Type.Optional(Type.Number()),
        position_source: Type.Optional(Type.String({ description: 'how it came: stream or rest' })),
        value: Type.Number({ description: 'what was measured' }),
        threshold: Type.Number({ description: 'where the line was drawn' }),
        unit: OneOf(['m', 'ms', 'mps']),
        stale_reason: Type.Optional(
          OneOf(staleReasons, { description: 'of signal_lost: what the device said last, or silent' }),
        ),
      }),
    ),
    events: Type.Array(
      Type.Object({
        type: OneOf(checkInEventTypes),
        at: EpochMs,
        round: Type.Integer(),
        hazard: Type.Optional(HazardSchema),
        actor_id: Type.Optional(Type.String()),
        alert_id: Type.Optional(Type.String()),
        reason: Type.Optional(Type.String()),
      }),
    ),
    updated_at: EpochMs,
  },
  {
    title: 'CheckIn',
    description: 'What detectors found on a trip, and what its rider said',
    examples: [
      {
        trip_id: TRIP_ID,
        status: 'asked',
        version: 2,
        rider_id: RIDER_ID,
        driver_id: DRIVER_ID,
        city: 'nyc',
        hazards: ['long_stop'],
        round: 1,
        asked_at: after(900),
        deadline: after(960),
        escalated_at: null,
        alert_id: null,
        evidence: [
          {
            hazard: 'long_stop',
            change: 'set',
            at: after(900),
            lat: 40.7312,
            lng: -73.9945,
            recorded_at_ms: after(900),
            age_ms: 0,
            accuracy_m: 5,
            position_source: 'stream',
            value: 305_000,
            threshold: 300_000,
            unit: 'ms',
          },
        ],
        events: [
          { type: 'hazard_raised', at: after(900), round: 0, hazard: 'long_stop' },
          { type: 'asked', at: after(900), round: 1 },
        ],
        updated_at: after(900),
      },
    ],
  },
);

export const CheckInPageSchema = pageOf(CheckInSchema, 'CheckInPage');
export const CheckInQuerySchema = Type.Object(
  { status: Type.Optional(OneOf(checkInStatuses)), ...PageQuerySchema },
  Closed,
);

export const CheckInAnswerSchema = Type.Object(
  {
    round: Type.Integer({ minimum: 0, description: 'of the question' }),
    is_safe: Type.Boolean({ description: 'false asks for help: it becomes an SOS at once' }),
  },
  { ...Closed, title: 'CheckInAnswer', examples: [{ round: 1, is_safe: true }] },
);

/** Who is on board with whom, nobody but the driver and operators is told. */
const actorOf = ({ passengerIds = [] }: CheckIn, actorId: string, isForOperator: boolean): string =>
  !isForOperator && passengerIds.includes(actorId) ? 'passenger' : actorId;

export const toCheckInWire = (c: CheckIn, isForOperator: boolean): Static<typeof CheckInSchema> => ({
  trip_id: c.id,
  status: c.status,
  version: c.version,
  rider_id: c.riderId,
  driver_id: c.driverId,
  city: c.city,
  hazards: c.present,
  round: c.round,
  asked_at: c.askedAt,
  deadline: c.deadline,
  escalated_at: c.escalatedAt,
  alert_id: c.alertId ?? null,
  evidence: c.evidence.map(({ place, staleReason, ...rest }) => ({
    ...rest,
    lat: place.lat,
    lng: place.lng,
    ...seenWire(place, rest.at),
    ...(staleReason ? { stale_reason: staleReason } : {}),
  })),
  events: c.history.map((e) => ({
    type: e.type,
    at: e.at,
    round: e.round,
    ...(e.hazard ? { hazard: e.hazard } : {}),
    ...(e.actorId ? { actor_id: actorOf(c, e.actorId, isForOperator) } : {}),
    ...(e.alertId ? { alert_id: e.alertId } : {}),
    ...(e.reason ? { reason: e.reason } : {}),
  })),
  updated_at: c.updatedAt,
});
