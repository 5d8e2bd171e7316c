/** Drivers: on and off duty, locations by REST, and who is near. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { Driver } from '../domain/drivers/driver.ts';
import { DriverSchema, DriverStatusSchema, toDriverWire } from '../domain/drivers/schemas.ts';
import type { Drivers } from '../domain/drivers/service.ts';
import {
  AcceptedSchema,
  fromPositionWire,
  NearbyQuerySchema,
  NearbySchema,
  PositionBatchSchema,
  toPositionWire,
} from '../domain/locations/schemas.ts';
import type { Locations } from '../domain/locations/service.ts';
import { RideError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Limiter } from '../realtime/limiter.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

export interface DriverRouteOptions {
  drivers: Drivers;
  locations: Locations;
  clock: Clock;
  /** The limit of locations, which streams share. */
  limiter: Pick<Limiter, 'spend' | 'ruleOf'>;
}

const driverAnswer = sends(DriverSchema, 'ETag');

function sendDriver(reply: FastifyReply, driver: Driver) {
  tellVersion(reply, driver);
  return toDriverWire(driver);
}

export const driverRoutes: FastifyPluginAsyncTypebox<DriverRouteOptions> = async (
  app,
  { drivers, locations, clock, limiter },
) => {
  const tags = ['drivers'];
  const security = [{ bearer: [] }];

  app.get(
    '/drivers/me',
    {
      schema: {
        operationId: 'getDriver',
        summary: 'The caller as a driver',
        tags,
        security,
        response: { 200: driverAnswer, ...problems(401, 403, 429, 503) },
      },
    },
    async ({ principal }, reply) => {
      requireRole(principal, 'driver');
      return sendDriver(reply, await drivers.ensure(principal));
    },
  );

  app.put(
    '/drivers/me/status',
    {
      schema: {
        operationId: 'setDriverStatus',
        summary: 'Go on or off duty',
        tags,
        security,
        headers: VersionHeaders,
        body: DriverStatusSchema,
        response: { 200: driverAnswer, ...problems(400, 401, 403, 409, 412, 413, 415, 429, 503) },
      },
    },
    async ({ principal, body, headers }, reply) => {
      requireRole(principal, 'driver');
      const attributes = { city: body.city, vehicleClass: body.vehicle_class };
      const version = versionOf(headers['if-match']);
      return sendDriver(reply, await drivers.setStatus(principal, body.status, attributes, version));
    },
  );

  app.post(
    '/drivers/me/locations',
    {
      schema: {
        operationId: 'sendPositions',
        summary: 'Send positions',
        description:
          'Oldest first; all are taken or, when one breaks a rule, none. Each counts towards the limit of locations, as on streams.',
        tags,
        security,
        body: PositionBatchSchema,
        response: { 200: AcceptedSchema, ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async ({ principal, body }) => {
      requireRole(principal, 'driver');
      // A request may hold many: the limit of requests alone would let a hundred times as many through as a stream does.
      const waitMs = await limiter.spend(principal.userId, 'location', body.updates.length);
      if (waitMs > 0) {
        const rule = limiter.ruleOf('location');
        throw new RideError('RIDE_RATE_LIMITED', `Too many locations: ${rule}`, {
          field: 'updates',
          rule,
          retryAfterMs: Math.ceil(waitMs),
        });
      }
      const result = await locations.updateBatch(principal, body.updates.map(fromPositionWire), 'rest');
      return { ...result, server_time_ms: clock.now() };
    },
  );

  app.get(
    '/drivers/nearby',
    {
      schema: {
        operationId: 'findNearbyDrivers',
        summary: 'Available drivers around a place',
        tags,
        security,
        querystring: NearbyQuerySchema,
        response: { 200: NearbySchema, ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, query }) => {
      requireRole(principal, 'rider', 'admin', 'dispatcher', 'service');
      const found = await locations.nearby(query, query.radius_m ?? 3000, query.limit ?? 20, query.vehicle_class);
      return {
        items: found.map((d) => ({
          ...toPositionWire(d),
          distance_m: d.distanceM,
          eta_s: d.etaS,
          eta_source: d.etaSource,
          vehicle_class: d.vehicleClass,
        })),
      };
    },
  );
};
