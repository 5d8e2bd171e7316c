/** Users as others see them: whether they are connected. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { PresenceSchema, toPresenceWire } from '../domain/presence/schemas.ts';
import type { Presence } from '../domain/presence/service.ts';
import { UserId } from '../domain/schemas.ts';
import { problems } from './problems.ts';

export interface UserRouteOptions {
  presence: Pick<Presence, 'read'>;
}

export const userRoutes: FastifyPluginAsyncTypebox<UserRouteOptions> = async (app, { presence }) => {
  app.get(
    '/users/:user_id/presence',
    {
      schema: {
        operationId: 'getPresence',
        summary: 'Whether a user is connected',
        description:
          'For the user, for operators, and for the other side of a trip or booking while it lasts. Followed live by the topic `presence:<user id>`.',
        tags: ['users'],
        security: [{ bearer: [] }],
        params: Type.Object({ user_id: UserId }),
        response: { 200: PresenceSchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, params }) => toPresenceWire(await presence.read(principal, params.user_id)),
  );
};
