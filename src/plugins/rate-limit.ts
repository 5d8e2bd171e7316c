/**
 * Document C's tiers per minute: 100 without sign-in, 500 signed in, 1000 premium. Counted in Redis, so that they hold over
 * all nodes; one caller's excess never touches another's (property 5).
 */
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Redis } from 'ioredis';
import { isOperator } from '../domain/roles.ts';
import { RideError } from '../errors.ts';

export interface RateLimitOptions {
  redis: Redis;
  /** Requests a minute. */
  tiers: { default: number; authenticated: number; premium: number };
}

/** One address of IPv6 is a whole network of 2^64: it counts as one. */
const keyOf = (request: FastifyRequest): string =>
  request.principal ? `user:${request.principal.userId}` : `address:${normalizeIP(request.ip ?? 'gone')}`;

export const rateLimitPlugin = fp<RateLimitOptions>(
  async (app: FastifyInstance, { redis, tiers }) => {
    await app.register(rateLimit, {
      global: true,
      // As a route's own hook it comes after those of the scope, which find out who asks; before anything is read or refused, so
      // that bad tokens count against their address.
      hook: 'onRequest',
      timeWindow: 60_000,
      max: (request) => {
        const { principal } = request;
        if (!principal) return tiers.default;
        return principal.premium || isOperator(principal.role) ? tiers.premium : tiers.authenticated;
      },
      keyGenerator: keyOf,
      redis,
      nameSpace: 'rate:',
      // Redis away must not shut the door as well, nor make everyone wait for it.
      allowList: () => redis.status !== 'ready',
      skipOnError: true,
      enableDraftSpec: true,
      errorResponseBuilder: (_request, context) =>
        new RideError(
          'RIDE_RATE_LIMITED',
          `At most ${context.max} requests a minute; wait ${Math.ceil(context.ttl / 1000)} s`,
          {
            retryAfterMs: context.ttl,
            rule: `at most ${context.max} requests a minute`,
          },
        ),
    });
  },
  { name: 'rate-limit', dependencies: ['auth'] },
);
