/** Tokens for development: whoever asks gets one. The route exists in development mode only. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { RIDER_ID } from '../domain/examples.ts';
import type { Ids } from '../domain/ids.ts';
import { roles } from '../domain/roles.ts';
import { CitySchema, Closed, OneOf, UserId, VehicleClassSchema } from '../domain/schemas.ts';
import { problems } from './problems.ts';

export interface AuthRouteOptions {
  ids: Ids;
  city: string;
  ttlMs: number;
}

const Body = Type.Object(
  {
    role: OneOf(roles),
    user_id: Type.Optional(UserId),
    city: Type.Optional(CitySchema),
    vehicle_class: Type.Optional(VehicleClassSchema),
    premium: Type.Optional(Type.Boolean()),
  },
  { ...Closed, title: 'TokenRequest', examples: [{ role: 'rider', user_id: 'rider-1' }] },
);

const Token = Type.Object(
  {
    access_token: Type.String(),
    token_type: Type.Literal('Bearer'),
    expires_in_s: Type.Integer(),
    user_id: Type.String(),
    role: OneOf(roles),
  },
  {
    title: 'Token',
    description: 'A token and whose it is',
    examples: [
      {
        access_token: '<header>.<claims>.<signature>',
        token_type: 'Bearer',
        expires_in_s: 3600,
        user_id: RIDER_ID,
        role: 'rider',
      },
    ],
  },
);

export const authRoutes: FastifyPluginAsyncTypebox<AuthRouteOptions> = async (app, { ids, city, ttlMs }) => {
  app.post(
    '/auth/token',
    {
      schema: {
        operationId: 'createToken',
        summary: 'A token for development',
        description: 'Whoever asks gets one; in production mode there is no such route.',
        tags: ['auth'],
        body: Body,
        response: { 200: Token, ...problems(400, 413, 415, 429) },
      },
    },
    async ({ body }) => {
      const userId = body.user_id ?? ids.next('usr');
      const principal = {
        userId,
        role: body.role,
        city: body.city ?? city,
        vehicleClass: body.vehicle_class ?? ('standard' as const),
        premium: body.premium ?? false,
      };
      return {
        access_token: app.signToken(principal, ttlMs),
        token_type: 'Bearer' as const,
        expires_in_s: Math.ceil(ttlMs / 1000),
        user_id: userId,
        role: body.role,
      };
    },
  );
};
