/** Ratings: each side of a trip says once what it thinks of the other. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  RatingInputSchema,
  RatingListSchema,
  RatingSchema,
  toRatingWire,
  toUserRatingWire,
  UserRatingSchema,
} from '../domain/ratings/schemas.ts';
import type { Ratings } from '../domain/ratings/service.ts';
import { Id, UserId } from '../domain/schemas.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

const madeRating = sends(RatingSchema, 'Location');

export const ratingRoutes: FastifyPluginAsyncTypebox<{ ratings: Ratings }> = async (app, { ratings }) => {
  const tags = ['trips'];
  const security = [{ bearer: [] }];
  const params = Type.Object({ trip_id: Id });

  app.post(
    '/trips/:trip_id/rating',
    {
      schema: {
        operationId: 'rateTrip',
        summary: 'Rate the other side of a trip',
        description:
          'By its rider or its driver once it is completed; of a departure by who was on board, and it is about the driver. Each side once: ' +
          'a repeat of the same answers with what is stored, another rating is 409. A driver’s ratings count when drivers are chosen.',
        tags,
        security,
        params,
        headers: IdempotencyHeaders,
        body: RatingInputSchema,
        response: {
          200: madeRating,
          201: madeRating,
          ...problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async ({ principal, params, body, headers }, reply) => {
      requireRole(principal, 'rider', 'driver');
      const route = `POST /trips/${params.trip_id}/rating`;
      const key = idempotencyKey(principal, route, headers['idempotency-key'], body);
      const { rating, created } = await ratings.give(principal, params.trip_id, body, key);
      reply.code(created ? 201 : 200).header('location', `/api/v1/trips/${params.trip_id}/rating`);
      return toRatingWire(rating) as never;
    },
  );

  app.get(
    '/trips/:trip_id/rating',
    {
      schema: {
        operationId: 'getTripRatings',
        summary: 'How a trip was rated',
        description: 'Its two sides see what each said itself, operators all.',
        tags,
        security,
        params,
        response: { 200: RatingListSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ principal, params }) => ({
      items: (await ratings.ofTrip(principal, params.trip_id)).map(toRatingWire),
    }),
  );

  app.get(
    '/users/:user_id/rating',
    {
      schema: {
        operationId: 'getUserRating',
        summary: 'What others think of riding with a user',
        description: 'For the user, for operators, and for the other side of a trip while it lasts.',
        tags: ['users'],
        security,
        params: Type.Object({ user_id: UserId }),
        response: { 200: UserRatingSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, params }) => toUserRatingWire(params.user_id, await ratings.ofUser(principal, params.user_id)),
  );
};
