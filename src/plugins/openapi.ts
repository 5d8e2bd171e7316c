/**
 * OpenAPI 3.1 from the routes' own schemas, shown at /docs and written to openapi/openapi.yaml by script/contracts; beside it
 * the AsyncAPI document of the streams, which script/contracts wrote.
 */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

const info = {
  title: 'Ridestream',
  version: '1.0.0',
  description:
    'REST API of Ridestream. Errors are RFC 9457 problem documents whose `code` is one of docs/errors.md. Every answer names its ' +
    'request in `x-correlation-id`, which the caller may choose. A W3C `traceparent` goes on with the events that a call leads to.',
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
};

const ASYNCAPI_PATH = '/docs/asyncapi.yaml';
const ASYNCAPI_FILE = new URL('../../asyncapi/asyncapi.yaml', import.meta.url);

const tags = [
  { name: 'auth', description: 'Sign-in' },
  { name: 'trips', description: 'On-demand rides' },
  { name: 'pricing', description: 'Quotes, fares and surge' },
  { name: 'deliveries', description: 'Parcels by porters' },
  { name: 'departures', description: 'Scheduled departures with seats' },
  { name: 'bookings', description: 'Seats of scheduled departures' },
  { name: 'drivers', description: 'Drivers and their locations' },
  { name: 'users', description: 'Users as others see them' },
  { name: 'places', description: 'Zones, cities and geofences' },
  { name: 'safety', description: 'Check-ins of rides, and what looks like cheating' },
  { name: 'operations', description: 'Probes and statistics' },
];

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  query_token: {
    type: 'apiKey',
    in: 'query',
    name: 'access_token',
    description: 'The same token, for clients that can set no header (EventSource)',
  },
} as const;

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/**
 * Every schema with a title stands once, under that name among the components, and is referred to from where it was.
 * @throws Error when two schemas share a name and differ
 */
function nameSchemas(document: Json): Json {
  const schemas: Json = {};

  function visit(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(visit);
    if (!isObject(value)) return value;
    const visited = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
    const { title, type } = visited;
    if (typeof title !== 'string' || type !== 'object') return visited;
    if (schemas[title] !== undefined && !isDeepStrictEqual(schemas[title], visited))
      throw new Error(`two schemas are called ${title}`);
    schemas[title] = visited;
    return { $ref: `#/components/schemas/${title}` };
  }

  const paths = visit(document.paths);
  const named = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...document, components: { ...(document.components as Json), schemas: named }, paths };
}

export const openapiPlugin = fp(
  async (app: FastifyInstance) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info,
        servers: [{ url: '/', description: 'this server' }],
        tags,
        externalDocs: { description: 'The streams, as AsyncAPI', url: ASYNCAPI_PATH },
        components: { securitySchemes },
      },
      transformObject: (document) =>
        'openapiObject' in document ? nameSchemas(document.openapiObject as Json) : document.swaggerObject,
    });
    await app.register(swaggerUi, { routePrefix: '/docs' });
    const streams = await readFile(ASYNCAPI_FILE, 'utf8');
    // Media type as AsyncAPI's own specification names it.
    app.get(ASYNCAPI_PATH, { schema: { hide: true } as object }, (_request, reply) =>
      reply.type('application/vnd.aai.asyncapi+yaml;version=3.0.0').send(streams),
    );
  },
  { name: 'openapi' },
);
