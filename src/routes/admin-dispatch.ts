/** Why a trip was offered to whom (T10): every decision about it, its candidates, scores and reasons, replayed as it is read. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import type { DecisionLog, LoggedDecision } from '../domain/dispatch/decision-log.ts';
import { choiceReasons, rejectionReasons, termNames } from '../domain/dispatch/schemas.ts';
import { after, DRIVER_ID } from '../domain/examples.ts';
import { StaleReasonSchema, seenWire } from '../domain/locations/schemas.ts';
import { EpochMs, Id, OneOf, PageQuerySchema, pageOf } from '../domain/schemas.ts';
import type { Trips } from '../domain/trips/service.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';

export interface AdminDispatchOptions {
  decisions: DecisionLog;
  trips: Trips;
}

const Term = Type.Object({
  name: OneOf(termNames),
  value: Type.Number({ description: 'seconds, seconds, share, stars, degrees' }),
  cost_ms: Type.Integer(),
});

const position = {
  recorded_at_ms: Type.Optional(EpochMs),
  age_ms: Type.Optional(
    Type.Integer({ minimum: 0, description: 'of his position when it was decided; what goes from it is as old' }),
  ),
  accuracy_m: Type.Optional(Type.Number({ description: 'of his position, as far as his device told' })),
  position_source: Type.Optional(Type.String({ description: 'how his position came: stream or rest' })),
};

const Candidate = Type.Object({
  driver_id: Id,
  ...position,
  eta_s: Type.Number(),
  eta_source: Type.String({ description: 'a routing engine or straight_line' }),
  distance_m: Type.Number(),
  ring: Type.Integer({ description: 'ring of H3 cells around the pick-up' }),
  cost_ms: Type.Integer({ description: 'the sum of the terms, milliseconds of waiting' }),
  terms: Type.Array(Term),
});

const DecisionSchema = Type.Object(
  {
    id: Id,
    at: EpochMs,
    trips: Type.Integer({ description: 'trips decided together' }),
    greedy_trips: Type.Integer({ description: 'of these, how many the assignment did not reach in time' }),
    reason: OneOf(choiceReasons),
    driver_ids: Type.Array(Id, { description: 'who was asked, the chosen one first' }),
    candidates: Type.Array(Candidate, { description: 'cheapest first' }),
    candidate_count: Type.Integer(),
    rejected: Type.Array(
      Type.Object({
        driver_id: Id,
        ...position,
        stale_reason: StaleReasonSchema,
        ring: Type.Integer(),
        reason: OneOf(rejectionReasons),
      }),
    ),
    rejected_counts: Type.Record(Type.String(), Type.Integer()),
    replay: OneOf(['same', 'differs', 'other_rules'] as const),
  },
  {
    title: 'DispatchDecision',
    description: 'replay: the stored input gives the stored result today; other_rules: the rules have changed since',
    examples: [
      {
        id: 'dec_nyc_01jd0000000000000000000001',
        at: after(1),
        trips: 1,
        greedy_trips: 0,
        reason: 'cheapest',
        driver_ids: [DRIVER_ID],
        candidates: [
          {
            driver_id: DRIVER_ID,
            recorded_at_ms: after(0),
            age_ms: 1000,
            accuracy_m: 5,
            position_source: 'stream',
            eta_s: 190.4,
            eta_source: 'straight_line',
            distance_m: 1142.3,
            ring: 1,
            cost_ms: 190_400,
            terms: [{ name: 'eta', value: 190.4, cost_ms: 190_400 }],
          },
        ],
        candidate_count: 1,
        rejected: [
          {
            driver_id: 'driver-2',
            recorded_at_ms: after(-94),
            age_ms: 95_000,
            position_source: 'stream',
            stale_reason: 'battery_low',
            ring: 0,
            reason: 'stale_position',
          },
        ],
        rejected_counts: { stale_position: 1 },
        replay: 'same',
      },
    ],
  },
);

const DecisionPage = pageOf(DecisionSchema, 'DispatchDecisionPage');

function positionOf({ at, drivers }: LoggedDecision, driverId: string) {
  const facts = drivers.get(driverId);
  return facts ? seenWire({ ...facts, source: facts.positionSource }, at) : {};
}

const toWire = (d: LoggedDecision): Static<typeof DecisionSchema> => ({
  id: d.decisionId,
  at: d.at,
  trips: d.trips,
  greedy_trips: d.greedyTrips,
  reason: d.reason,
  driver_ids: d.driverIds,
  candidates: d.ranked.map(({ driverId, etaS, source, distanceM, ring, costMs, terms }) => ({
    driver_id: driverId,
    ...positionOf(d, driverId),
    eta_s: etaS,
    eta_source: source,
    distance_m: distanceM,
    ring,
    cost_ms: costMs,
    terms: terms.map((term) => ({ name: term.name, value: term.value, cost_ms: term.costMs })),
  })),
  candidate_count: d.rankedCount,
  rejected: d.rejected.map(({ driverId, ring, reason }) => ({
    driver_id: driverId,
    ...positionOf(d, driverId),
    stale_reason: d.drivers.get(driverId)?.staleReason,
    ring,
    reason,
  })),
  rejected_counts: d.rejectedCounts as Record<string, number>,
  replay: d.replay,
});

/** Decisions of a page, if nobody says: each is decided anew as it is read, which for a whole city's window takes its time. */
const REPLAYED = 10;

export const adminDispatchRoutes: FastifyPluginAsyncTypebox<AdminDispatchOptions> = async (app, options) => {
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/trips/:id/dispatch',
    {
      schema: {
        operationId: 'getTripDispatch',
        summary: 'Why a trip was offered to whom',
        description:
          'Every decision of dispatch about the trip, the latest first; that still nobody is asked, for the same reasons, is said once a minute or so. For admins and dispatchers.',
        tags: ['operations'],
        security: [{ bearer: [] }],
        params: Type.Object({ id: Id }),
        querystring: Type.Object(PageQuerySchema, { additionalProperties: false }),
        response: { 200: DecisionPage, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ params, query, principal }) => {
      await options.trips.get(principal, params.id);
      const page = await options.decisions.ofTrip(params.id, query.page_size ?? REPLAYED, query.page_token);
      return {
        items: page.items.map(toWire),
        next_page_token: page.nextPageToken,
      };
    },
  );
};
