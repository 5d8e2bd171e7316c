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
import { type ErrorCode, errorCodes } from '../errors.ts';
import { problemType } from './errors-page.ts';
import { exampleOf, type Parameter } from './parameter-examples.ts';

const info = {
  title: 'Ridestream',
  version: '1.0.0',
  description:
    'REST API of Ridestream. Errors are RFC 9457 problem documents whose `code` is one of docs/errors.md. Every answer names its ' +
    'request in `x-correlation-id`, which the caller may choose. A W3C `traceparent` goes on with the events that a call leads to. ' +
    'Every call that changes something takes an `Idempotency-Key`: the same key and body of one caller to one path have the same answer, ' +
    'also while the first is under way; another body is 422. What was refused or failed may be asked again with its key.',
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

/** What hooks say on answers: on all, and on those of operations that are counted, which document 429. */
const correlation = {
  'X-Correlation-Id': { description: 'Names the request, in logs too', schema: { type: 'string' } },
};
const counted = {
  'RateLimit-Limit': { description: 'Requests that the caller has in a minute', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'How many of these are left', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until all are there again', schema: { type: 'integer' } },
};

const PROBLEM = 'application/problem+json';

/** A problem document of this status, by the first of its codes. */
function problemExample(status: number): Json {
  const [code, { title, retryable }] = Object.entries(errorCodes).find(([, { http }]) => http === status)!;
  return {
    type: problemType(code as ErrorCode),
    title,
    status,
    detail: title,
    code,
    corr_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    ...(retryable && status !== 500 ? { retry_after_ms: 1000 } : {}),
  };
}

/**
 * What is told in several places stands once among the components and is referred to from there: every schema with a title, under
 * that name, the example of such an answer, headers, and refusals.
 * @throws Error when two share a name and differ
 */
function nameParts(document: Json): Json {
  const parts: Record<'examples' | 'headers' | 'responses' | 'schemas', Json> = {
    examples: {},
    headers: {},
    responses: {},
    schemas: {},
  };

  function name(kind: keyof typeof parts, key: string, value: unknown): { $ref: string } {
    const known = parts[kind][key];
    if (known !== undefined && !isDeepStrictEqual(known, value)) throw new Error(`two ${kind} are called ${key}`);
    parts[kind][key] = value;
    return { $ref: `#/components/${kind}/${key}` };
  }

  function visit(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(visit);
    if (!isObject(value)) return value;
    const visited = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
    const { title, type } = visited;
    if (typeof title !== 'string' || type !== 'object') return visited;
    // Examples stand beside the schema of the whole answer: @fastify/swagger moves them there, from within they are left out.
    const { examples: _, ...schema } = visited;
    return name('schemas', title, schema);
  }

  function nameAnswer(status: string, answer: Json, isCounted: boolean): Json {
    const headers = { ...(answer.headers as Json), ...(isCounted ? counted : {}), ...correlation };
    const named = Object.entries(headers).map(([key, header]) => [key, name('headers', key, header)]);
    const content = Object.entries((answer.content ?? {}) as Record<string, Json>).map(
      ([type, { schema, ...media }]) => {
        const { title, examples = [] } = schema as { title?: string; examples?: unknown[] };
        const value = type === PROBLEM ? problemExample(Number(status)) : (media.example ?? examples[0]);
        const visited = { schema: visit(schema) };
        if (title === undefined || value === undefined) return [type, visited];
        const key = status.startsWith('2') ? title : `${title}${status}`;
        return [type, { ...visited, examples: { [key]: name('examples', key, { value }) } }];
      },
    );
    const told = {
      description: answer.description,
      headers: Object.fromEntries(named),
      ...(answer.content ? { content: Object.fromEntries(content) } : {}),
    };
    return PROBLEM in ((answer.content ?? {}) as Json) ? name('responses', `Problem${status}`, told) : told;
  }

  function nameOperation({ responses, ...described }: Json): Json {
    const parameters = (described.parameters as Parameter[] | undefined)?.map((one) => ({
      ...one,
      example: exampleOf(one),
    }));
    const operation = parameters ? { ...described, parameters } : described;
    const answers = Object.entries(responses as Record<string, Json>);
    const isCounted = answers.some(([status]) => status === '429');
    const named = answers.map(([status, answer]) => [status, nameAnswer(status, answer, isCounted)]);
    return { ...(visit(operation) as Json), responses: Object.fromEntries(named) };
  }

  const mapValues = <T>(of: unknown, f: (value: Json) => T) =>
    Object.fromEntries(Object.entries(of as Record<string, Json>).map(([key, value]) => [key, f(value)]));
  const paths = mapValues(document.paths, (methods) => mapValues(methods, nameOperation));
  const sorted = mapValues(parts, (named) =>
    Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  return { ...document, components: { ...(document.components as Json), ...sorted }, paths };
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
        'openapiObject' in document ? nameParts(document.openapiObject as Json) : document.swaggerObject,
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
