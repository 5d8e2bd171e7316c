/** Geofences, for those who run a city: drawn by admins, seen by dispatchers too. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  CrossingPageSchema,
  GeofenceCollectionSchema,
  GeofenceInputSchema,
  GeofenceQuerySchema,
  GeofenceSchema,
  toCrossingWire,
  toGeofenceInput,
  toGeofenceWire,
} from '../domain/geofences/schemas.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import { GEOJSON } from '../domain/geojson.ts';
import { Closed, Id, PageQuerySchema, paging } from '../domain/schemas.ts';
import { tellVersion, VersionHeaders, versionOf } from './conditional.ts';
import { IdempotencyHeaders, idempotencyKey } from './idempotency.ts';
import { problems } from './problems.ts';
import { sends } from './response-headers.ts';
import { requireRole } from './roles.ts';

const geojson = <S>(schema: S, description: string) => ({ description, content: { [GEOJSON]: { schema } } });

export const geofenceRoutes: FastifyPluginAsyncTypebox<{ geofences: Geofences }> = async (app, { geofences }) => {
  const tags = ['places'];
  const security = [{ bearer: [] }];
  const params = Type.Object({ geofence_id: Id });
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/geofences',
    {
      schema: {
        operationId: 'listGeofences',
        summary: 'List geofences',
        tags,
        security,
        querystring: GeofenceQuerySchema,
        response: { 200: geojson(GeofenceCollectionSchema, 'A page'), ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ query }, reply) => {
      const page = await geofences.list({ city: query.city, ...paging(query) });
      const collection = {
        type: 'FeatureCollection',
        features: page.items.map(toGeofenceWire),
        next_page_token: page.nextPageToken,
      };
      return reply.type(GEOJSON).send(collection as never);
    },
  );

  app.post(
    '/geofences',
    {
      schema: {
        operationId: 'createGeofence',
        summary: 'Draw a geofence',
        description: 'For admins. In force on this node at once, on the others within GEOFENCE_REFRESH.',
        tags,
        security,
        headers: IdempotencyHeaders,
        body: GeofenceInputSchema,
        response: {
          200: sends(geojson(GeofenceSchema, 'Drawn before, with this Idempotency-Key'), 'ETag', 'Location'),
          201: sends(geojson(GeofenceSchema, 'Drawn'), 'ETag', 'Location'),
          ...problems(400, 401, 403, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async ({ principal, headers, body }, reply) => {
      requireRole(principal, 'admin');
      const key = idempotencyKey(principal, 'POST /admin/geofences', headers['idempotency-key'], body);
      const { fence, created } = await geofences.create(toGeofenceInput(body), key);
      reply.code(created ? 201 : 200).header('location', `/admin/geofences/${fence.id}`);
      tellVersion(reply, fence);
      return reply.type(GEOJSON).send(toGeofenceWire(fence) as never);
    },
  );

  app.get(
    '/geofences/:geofence_id',
    {
      schema: {
        operationId: 'getGeofence',
        summary: 'Read a geofence',
        tags,
        security,
        params,
        response: {
          200: sends(geojson(GeofenceSchema, 'The geofence'), 'ETag'),
          ...problems(400, 401, 403, 404, 429, 503),
        },
      },
    },
    async ({ params: { geofence_id } }, reply) => {
      const fence = await geofences.get(geofence_id);
      tellVersion(reply, fence);
      return reply.type(GEOJSON).send(toGeofenceWire(fence) as never);
    },
  );

  app.put(
    '/geofences/:geofence_id',
    {
      schema: {
        operationId: 'replaceGeofence',
        summary: 'Draw a geofence anew',
        description: 'For admins. Who is inside the old one and not the new one leaves it with his next position.',
        tags,
        security,
        params,
        headers: VersionHeaders,
        body: GeofenceInputSchema,
        response: {
          200: sends(geojson(GeofenceSchema, 'Drawn anew'), 'ETag'),
          ...problems(400, 401, 403, 404, 412, 413, 415, 429, 503),
        },
      },
    },
    async ({ principal, params: { geofence_id }, headers, body }, reply) => {
      requireRole(principal, 'admin');
      const fence = await geofences.replace(geofence_id, toGeofenceInput(body), versionOf(headers['if-match']));
      tellVersion(reply, fence);
      return reply.type(GEOJSON).send(toGeofenceWire(fence) as never);
    },
  );

  app.delete(
    '/geofences/:geofence_id',
    {
      schema: {
        operationId: 'removeGeofence',
        summary: 'Remove a geofence',
        description: 'For admins. Its crossings stay until they are old.',
        tags,
        security,
        params,
        headers: VersionHeaders,
        response: {
          204: Type.Null({ description: 'Removed' }),
          ...problems(400, 401, 403, 404, 412, 429, 503),
        },
      },
    },
    async ({ principal, params: { geofence_id }, headers }, reply) => {
      requireRole(principal, 'admin');
      await geofences.remove(geofence_id, versionOf(headers['if-match']));
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/geofences/:geofence_id/crossings',
    {
      schema: {
        operationId: 'listCrossings',
        summary: 'Who entered and left a geofence',
        description: 'Newest first.',
        tags,
        security,
        params,
        querystring: Type.Object(PageQuerySchema, Closed),
        response: { 200: CrossingPageSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ params: { geofence_id }, query }) => {
      const { id } = await geofences.get(geofence_id);
      const page = await geofences.crossings(id, {
        ...paging(query),
      });
      return { items: page.items.map(toCrossingWire), next_page_token: page.nextPageToken };
    },
  );
};
