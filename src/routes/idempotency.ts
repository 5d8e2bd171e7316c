/**
 * The header that makes a repeated request safe. Every call that changes something takes it: `takesIdempotencyKeys` sees to those of a
 * scope. Routes that make a thing name the header in their schema and make it once for its key.
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  onSendHookHandler,
  preHandlerHookHandler,
} from 'fastify';
import { Type } from 'typebox';
import type { Answer, Begun, CallRecord, Calls } from '../domain/idempotency/calls.ts';
import type { IdempotencyKey } from '../domain/idempotency/service.ts';
import type { Principal } from '../domain/roles.ts';
import { RideError } from '../errors.ts';
import { problems } from './problems.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Bodies that are never refused, and never wait, for the sake of an Idempotency-Key. */
    isUrgent?(body: unknown): boolean;
  }
  interface FastifyRequest {
    /** The key that this request has, while its answer is not written down. */
    idempotencyClaim: CallRecord | null;
  }
}

const HEADER = 'idempotency-key';

export const IdempotencyHeaders = Type.Object({
  [HEADER]: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'The same key and body give the same answer, for 24 h' }),
  ),
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Scoped to caller and route; the body's hash tells a repeat from another request. */
export function idempotencyKey(
  principal: Principal,
  route: string,
  key: string | undefined,
  body: unknown,
): IdempotencyKey | undefined {
  if (key === undefined) return undefined;
  const bodyHash = sha256(JSON.stringify(body ?? null));
  return { id: `idem:${sha256(`${principal.userId}\n${route}\n${key}`)}`, bodyHash };
}

const UNSAFE = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
/** So long a repeat waits for the first to be answered. Longer than a key is held by a call of a node that was killed. */
const WAIT_MS = 15_000;
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 200;
/** What of an answer tells the caller something that its status and body do not. */
const REMEMBERED = ['content-type', 'etag', 'location', 'cache-control'];

type Headers = { properties?: Record<string, unknown> };

const namesHeader = ({ headers }: FastifySchema): boolean => HEADER in ((headers as Headers)?.properties ?? {});

/** With the header, and the refusals that it may bring. */
function withHeader(schema: FastifySchema): FastifySchema {
  const { properties = {} } = (schema.headers ?? {}) as Headers;
  const headers = { ...IdempotencyHeaders, properties: { ...properties, ...IdempotencyHeaders.properties } };
  return { ...schema, headers, response: { ...problems(409, 422), ...(schema.response as object) } };
}

/** Waits while another request has the key. @throws RideError RIDE_IDEMPOTENCY_MISMATCH, RIDE_CONFLICT, RIDE_UNAVAILABLE */
async function settled(calls: Calls, key: IdempotencyKey): Promise<Exclude<Begun, 'under_way'>> {
  const until = performance.now() + WAIT_MS;
  let begun = await calls.begin(key);
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    if (begun === 'under_way') begun = await calls.again(key);
    if (begun !== 'under_way') return begun;
    if (performance.now() > until) {
      const hint = { field: 'Idempotency-Key', rule: 'that of a call which is over', retryAfterMs: 1000 };
      throw new RideError('RIDE_CONFLICT', 'The first call with this Idempotency-Key is still under way', hint);
    }
    await pause(pauseMs);
  }
}

function answerOf(reply: FastifyReply, payload: unknown): Answer {
  const told = REMEMBERED.filter((name) => reply.hasHeader(name));
  const headers = Object.fromEntries(told.map((name) => [name, String(reply.getHeader(name))]));
  return { status: reply.statusCode, headers, body: payload == null ? '' : String(payload) };
}

/** Whether it was answered already, and `reply` has the answer. */
async function answeredBefore(calls: Calls, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  const { principal, method, body } = request;
  // What is answered may depend on the caller's role: as whom he asks belongs to the question.
  const route = `${principal.role} ${method} ${request.url.split('?', 1)[0]}`;
  const key = idempotencyKey(principal, route, request.headers[HEADER] as string, body)!;
  const begun = await settled(calls, key);
  if ('claim' in begun) {
    request.idempotencyClaim = begun.claim;
    return false;
  }
  const { status, headers, body: text } = begun.answer;
  void reply
    .code(status)
    .headers(headers)
    .send(text === '' ? null : text);
  return true;
}

/** An answer is written down before it is sent, so that nobody sees another one later. A refusal changed nothing: its key is free. */
async function conclude(calls: Calls, claim: CallRecord, reply: FastifyReply, payload: unknown): Promise<void> {
  if (reply.statusCode < 300) {
    try {
      return await calls.keep(claim, answerOf(reply, payload));
    } catch (error) {
      for (const name of REMEMBERED) reply.removeHeader(name);
      throw error;
    }
  }
  await calls.free(claim).catch((error: unknown) => {
    reply.log.warn({ err: error }, 'idempotency key not freed; it is when its call counts as over');
  });
}

/**
 * From now on every call of `scope` that changes something takes an Idempotency-Key: the same key and body give the same answer, also
 * while the first is under way and on any node; another body is 422. Answers of success are remembered; what was refused or failed
 * may be asked again with its key. Without the header nothing is different.
 */
export function takesIdempotencyKeys(scope: FastifyInstance, calls: Calls): void {
  const begin: preHandlerHookHandler = (request, reply, done) => {
    if (request.headers[HEADER] === undefined) return done();
    if (request.routeOptions.config.isUrgent?.(request.body)) return done();
    answeredBefore(calls, request, reply).then((isAnswered) => isAnswered || done(), done);
  };
  const end: onSendHookHandler<unknown> = (request, reply, payload, done) => {
    const { idempotencyClaim: claim } = request;
    if (claim === null) return done(null, payload);
    request.idempotencyClaim = null;
    conclude(calls, claim, reply, payload).then(() => done(null, payload), done);
  };
  scope.decorateRequest('idempotencyClaim', null);
  scope.addHook('onRoute', (route) => {
    const schema = route.schema ?? {};
    if (![route.method].flat().some((method) => UNSAFE.has(method)) || namesHeader(schema)) return;
    route.schema = withHeader(schema);
    route.preHandler = [route.preHandler ?? [], begin].flat();
    route.onSend = [route.onSend ?? [], end].flat();
  });
}
