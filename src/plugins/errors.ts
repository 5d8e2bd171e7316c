/** Every failure of a request becomes an RFC 9457 problem document with a code of src/errors.ts. Nothing else leaves. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import fp from 'fastify-plugin';
import { ruleOfPattern } from '../domain/names.ts';
import { asRideError, RideError } from '../errors.ts';
import { problemType } from './errors-page.ts';

interface Ajv {
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
  message?: string;
}

const CONTEXT_NAME: Record<string, string> = { querystring: '', params: '', body: '', headers: '' };

/** `/pickup/lat` → `pickup.lat`; a missing or unknown member is named itself. */
function fieldOf(error: Ajv): string {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`));
  const member = error.params.missingProperty ?? error.params.additionalProperty;
  if (typeof member === 'string') path.push(`.${member}`);
  return path.join('').replace(/^\./, '');
}

function ruleOf(error: Ajv): string {
  if (error.keyword === 'required') return 'given';
  if (error.keyword === 'additionalProperties') return 'left out: there is no such field';
  if (error.keyword === 'enum') return `one of ${(error.params.allowedValues as unknown[]).join(', ')}`;
  const named = error.keyword === 'pattern' ? ruleOfPattern(error.params.pattern) : undefined;
  return named ?? (error.message ?? error.keyword).replace(/^must be /, '').replace(/^must /, 'such that it must ');
}

function fromValidation(error: FastifyError): RideError {
  const first = error.validation![0] as unknown as Ajv;
  const field = fieldOf(first) || CONTEXT_NAME[error.validationContext ?? 'body'] || 'body';
  const rule = ruleOf(first);
  return new RideError('RIDE_INVALID_INPUT', `${field} must be ${rule}`, { field, rule });
}

const BY_FASTIFY_CODE: Record<string, (error: FastifyError, bodyLimit: number) => RideError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: (e) =>
    new RideError('RIDE_UNSUPPORTED_MEDIA_TYPE', e.message, { field: 'Content-Type', rule: 'application/json' }),
  FST_ERR_CTP_BODY_TOO_LARGE: (e, bodyLimit) =>
    new RideError('RIDE_PAYLOAD_TOO_LARGE', e.message, { field: 'body', rule: `at most ${bodyLimit} bytes` }),
  FST_ERR_CTP_EMPTY_JSON_BODY: (e) => new RideError('RIDE_MALFORMED', e.message, { field: 'body', rule: 'JSON' }),
  FST_ERR_CTP_INVALID_JSON_BODY: (e) => new RideError('RIDE_MALFORMED', e.message, { field: 'body', rule: 'JSON' }),
};

/** Whatever a route, hook or parser threw, as an error of ours. `bodyLimit`: bytes that the route takes. */
export function toRideError(error: FastifyError | Error, bodyLimit: number): RideError {
  if (error instanceof RideError) return error;
  const e = error as FastifyError;
  if (e.validation) return fromValidation(e);
  const known = BY_FASTIFY_CODE[e.code];
  if (known) return known(e, bodyLimit);
  if (e instanceof SyntaxError || (e.statusCode === 400 && !e.code))
    return new RideError('RIDE_MALFORMED', e.message, { field: 'body', rule: 'JSON' });
  if (e.statusCode !== undefined && e.statusCode >= 400 && e.statusCode < 500)
    return new RideError('RIDE_INVALID_INPUT', e.message);
  return asRideError(error);
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: RideError): FastifyReply {
  if (error.retryAfterMs !== undefined)
    void reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  return reply
    .code(error.spec.http)
    .type('application/problem+json')
    .send({
      type: problemType(error.code),
      title: error.spec.title,
      status: error.spec.http,
      detail: error.message,
      code: error.code,
      corr_id: request.id,
      field: error.field,
      rule: error.rule,
      retry_after_ms: error.retryAfterMs,
      facts: error.facts,
    });
}

/** What there is, so that a wrong method at a right path can be told from a wrong path. */
interface Known {
  path: RegExp;
  methods: string[];
}

/** `/trips/:trip_id/*` as a pattern of paths. */
function pathPattern(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${source}$`);
}

function notFound(method: string, path: string, known: readonly Known[], reply: FastifyReply): RideError {
  const methods = new Set(known.filter((route) => route.path.test(path)).flatMap((route) => route.methods));
  if (methods.size === 0 || methods.has(method))
    return new RideError('RIDE_NOT_FOUND', `There is nothing at ${method} ${path}`);
  const allowed = [...methods].sort().join(', ');
  void reply.header('allow', allowed);
  return new RideError('RIDE_METHOD_NOT_ALLOWED', `${path} has no ${method}`, { field: 'method', rule: allowed });
}

export interface ErrorsOptions {
  /** Counts a request that no route answers. @throws RideError RIDE_RATE_LIMITED */
  payUnfound: preHandlerAsyncHookHandler;
}

export const errorsPlugin = fp<ErrorsOptions>(
  async (app: FastifyInstance, { payUnfound }) => {
    const known: Known[] = [];
    app.addHook('onRoute', ({ url, method }) => {
      known.push({ path: pathPattern(url), methods: [method].flat() });
    });
    // What a caller needs to ask us about an answer, whatever became of it.
    app.addHook('onRequest', (request, reply, done) => {
      void reply.header('x-correlation-id', request.id);
      done();
    });
    app.setErrorHandler((thrown: FastifyError, request, reply) => {
      // Where there is no route, nothing about the body matters: Fastify looks at it first. What we refuse there stands.
      const error =
        request.is404 && !(thrown instanceof RideError)
          ? notFound(request.method, request.url.split('?')[0]!, known, reply)
          : toRideError(thrown, request.routeOptions.bodyLimit);
      if (error.code === 'RIDE_INTERNAL') request.log.error({ err: thrown }, 'request failed');
      else request.log.debug({ code: error.code, field: error.field }, 'request refused');
      return sendProblem(request, reply, error);
    });
    app.setNotFoundHandler({ preHandler: payUnfound }, (request, reply) =>
      sendProblem(request, reply, notFound(request.method, request.url.split('?')[0]!, known, reply)),
    );
  },
  { name: 'errors' },
);
