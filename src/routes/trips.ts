/** On-demand rides: request, read, cancel, and the driver's steps. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import { TripLocationSchema } from '../domain/locations/schemas.ts';
import type { Locations } from '../domain/locations/service.ts';
import type { Principal } from '../domain/roles.ts';
import { Id } from '../domain/schemas.ts';
import {
  ReasonSchema,
  TripHistorySchema,
  TripPageSchema,
  TripQuerySchema,
  TripRequestSchema,
  TripSchema,
  toTripEventWire,
  toTripWire,
} from '../domain/trips/schemas.ts';
import type { Trips } from '../domain/trips/service.ts';
import type { Trip } from '../domain/trips/trip.ts';
import { noneMatches, tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { readAt, type TopicPosition } from './cursor.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { JSON_TYPE, LocationAnswers } from './location-answers.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { forWhom, requireRole } from './roles.ts';
import { PAGES, searchOf } from './search.ts';
import { cityAndQuote } from './trip-city.ts';
import type { TripLimit } from './trip-limit.ts';

export interface TripRouteOptions {
  geofences: Pick<Geofences, 'cityOf'>;
  trips: Trips;
  dispatch: Dispatch;
  locations: Locations;
  tripLimit: TripLimit;
  position: TopicPosition;
}

const CURSOR =
  'The header `Topic-Position` is where the topic `trip:<trip_id>` was before this was read: following it after that, by `since` or ' +
  'Last-Event-ID, misses nothing; what comes twice has a `seq` that is here already. It is left out while Redis is away.';

const TripParams = Type.Object({ trip_id: Id });
const OfferParams = Type.Object({ trip_id: Id, offer_id: Id });
export const Empty = Type.Optional(Type.Union([Type.Null(), Type.Object({}, { additionalProperties: false })]));
export const OptionalReason = Type.Optional(
  Type.Union([Type.Null(), ReasonSchema], { examples: [{ reason: 'changed my mind' }] }),
);

function sendTrip(reply: FastifyReply, trip: Trip) {
  tellVersion(reply, trip);
  return toTripWire(trip);
}
const PollHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ maxLength: 1024, description: 'The ETag of the position that is known' }),
  ),
});

const tripAnswer = sends(TripSchema, 'ETag');
const madeTrip = sends(TripSchema, 'ETag', 'Location');

export const tripRoutes: FastifyPluginAsyncTypebox<TripRouteOptions> = async (app, options) => {
  const { trips, dispatch, locations, geofences, tripLimit, position } = options;

  /** A trip, and where its topic was before it was read; whoever may not read it is told neither. */
  const readTrip = (reply: FastifyReply, principal: Principal, tripId: string): Promise<Trip> =>
    readAt(reply, position, `trip:${tripId}`, () => trips.get(principal, tripId));

  const answers = new LocationAnswers();
  const tags = ['trips'];
  const security = [{ bearer: [] }];

  app.post(
    '/trips',
    {
      schema: {
        operationId: 'requestTrip',
        summary: 'Request a ride',
        tags,
        security,
        headers: IdempotencyHeaders,
        body: TripRequestSchema,
        response: { 200: madeTrip, 201: madeTrip, ...problems(400, 401, 403, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const { principal, body } = request;
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      const riderId = forWhom(principal, 'rider_id', body.rider_id, 'A rider requests trips for himself');
      const wish = () => ({
        riderId,
        pickup: body.pickup,
        dropoff: body.dropoff,
        ...cityAndQuote(geofences, principal, body),
        vehicleClass: body.vehicle_class ?? ('standard' as const),
        ...(body.note ? { note: body.note } : {}),
        ...(body.pickup_at === undefined ? {} : { pickupAt: body.pickup_at }),
        ...tripLimit(principal),
      });
      const key = idempotencyKey(principal, 'POST /trips', request.headers['idempotency-key'], body);
      const { trip, created } = await trips.request(wish, key);
      reply.code(created ? 201 : 200).header('location', `/api/v1/trips/${trip.id}`);
      return sendTrip(reply, trip) as never;
    },
  );

  app.get(
    '/trips',
    {
      schema: {
        operationId: 'listTrips',
        summary: 'List trips',
        description: `Riders and drivers see their own, operators all. ${PAGES}`,
        tags,
        security,
        querystring: TripQuerySchema,
        response: { 200: TripPageSchema, ...problems(400, 401, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      const page = await trips.list(principal, { kind: query.kind, ...searchOf(query) });
      return { items: page.items.map(toTripWire), next_page_token: page.nextPageToken };
    },
  );

  const reading = { tags, security, params: TripParams };

  app.get(
    '/trips/:trip_id',
    {
      schema: {
        operationId: 'getTrip',
        summary: 'Read a trip',
        description: CURSOR,
        ...reading,
        response: { 200: sends(TripSchema, 'ETag', 'Topic-Position'), ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }, reply) => sendTrip(reply, await readTrip(reply, principal, params.trip_id)),
  );

  app.get(
    '/trips/:trip_id/events',
    {
      schema: {
        operationId: 'getTripEvents',
        summary: 'The history of a trip',
        description: CURSOR,
        ...reading,
        response: { 200: sends(TripHistorySchema, 'Topic-Position'), ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }, reply) => ({
      items: (await readTrip(reply, principal, params.trip_id)).history.map(toTripEventWire),
    }),
  );

  app.get(
    '/trips/:trip_id/location',
    {
      schema: {
        operationId: 'getTripLocation',
        summary: 'Where the driver of a trip is',
        description:
          'The last position, with its age; readable here, on any node, from the moment it was acknowledged. ' +
          'To poll, give the ETag as If-None-Match: 304 says that the position, and whether it is stale, are as they were; ' +
          'its age is now minus recorded_at_ms.',
        ...reading,
        headers: PollHeaders,
        response: {
          200: sends(TripLocationSchema, 'ETag'),
          304: sends(Type.Null({ description: 'The position is the one of If-None-Match' }), 'ETag'),
          ...problems(400, 401, 403, 404, 429, 503),
        },
      },
    },
    async ({ principal, params, headers }, reply) => {
      const followed = await locations.followed(principal, params.trip_id);
      const answer = answers.of(reply, params.trip_id, followed);
      // Kept by whoever likes, used only after asking.
      void reply.header('etag', answer.tag).header('cache-control', 'private, no-cache');
      if (noneMatches(headers['if-none-match'], answer.tag)) return reply.code(304).send(undefined as never);
      void reply.type(JSON_TYPE);
      return answer.at(followed.ageMs) as never;
    },
  );

  app.post(
    '/trips/:trip_id/cancel',
    {
      schema: {
        operationId: 'cancelTrip',
        summary: 'Cancel a trip',
        description:
          'By its rider or an operator it is cancelled; by its driver before the start another driver is sought.',
        ...reading,
        headers: VersionHeaders,
        body: OptionalReason,
        response: { 200: tripAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      const command = {
        type: 'cancel',
        actorId: principal.userId,
        role: principal.role,
        reason: body?.reason,
      } as const;
      return sendTrip(reply, await trips.command(params.trip_id, command, versionOf(headers['if-match'])));
    },
  );

  for (const [step, summary] of [
    ['arrive', 'The driver is at the pick-up'],
    ['start', 'The rider is on board'],
    ['complete', 'The ride is over'],
  ] as const) {
    app.post(
      `/trips/:trip_id/${step}`,
      {
        schema: {
          operationId: `${step}Trip`,
          summary,
          description: 'By the assigned driver; a repeat answers with the present state.',
          ...reading,
          headers: VersionHeaders,
          body: Empty,
          response: { 200: tripAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
        },
      },
      async (request, reply) => {
        const { principal, params, headers } = request as FastifyRequest<{
          Params: { trip_id: string };
          Headers: { 'if-match'?: string };
        }>;
        requireRole(principal, 'driver');
        const command = { type: step, driverId: principal.userId };
        return sendTrip(reply, await trips.command(params.trip_id, command, versionOf(headers['if-match'])));
      },
    );
  }

  const offers = { tags, security, params: OfferParams, headers: VersionHeaders };

  app.post(
    '/trips/:trip_id/offers/:offer_id/accept',
    {
      schema: {
        operationId: 'acceptOffer',
        summary: 'Take an offered trip',
        description: 'If-Match takes the ETag of the trip.',
        ...offers,
        body: Empty,
        response: { 200: tripAnswer, ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, params, headers }, reply) => {
      requireRole(principal, 'driver');
      const version = versionOf(headers['if-match']);
      return sendTrip(reply, await dispatch.accept(params.trip_id, params.offer_id, principal.userId, version));
    },
  );

  app.post(
    '/trips/:trip_id/offers/:offer_id/reject',
    {
      schema: {
        operationId: 'rejectOffer',
        summary: 'Decline an offered trip',
        description: 'If-Match takes the ETag of the trip.',
        ...offers,
        body: OptionalReason,
        response: {
          204: Type.Null({ description: 'Declined' }),
          ...problems(400, 401, 403, 404, 409, 412, 413, 415, 429, 503),
        },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      requireRole(principal, 'driver');
      const version = versionOf(headers['if-match']);
      await dispatch.decline(params.trip_id, params.offer_id, principal.userId, body?.reason, version);
      return reply.code(204).send(null);
    },
  );
};
