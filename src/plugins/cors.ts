/**
 * Browser apps of other origins that the operator named may use the API (WHATWG Fetch section 3.3). Tokens travel in a header or in
 * the query, never in a cookie: no credentials are allowed for, and a page that has no token gains nothing.
 */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

export interface CorsOptions {
  /** As browsers name them in `Origin`; `*` is any. */
  origins: readonly string[];
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
/** What a request may carry beyond what every page may send. */
const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, tracestate, x-correlation-id';
/** What the page's script may read of an answer beyond what it always may. */
const RESPONSE_HEADERS =
  'etag, location, allow, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, topic-position, x-correlation-id';
/** How long a browser may remember that it may; Chromium caps it at two hours. */
const PREFLIGHT_MAX_AGE_S = 7200;

export const corsPlugin = fp<CorsOptions>(
  async (app: FastifyInstance, { origins }) => {
    const isAnyAllowed = origins.includes('*');
    const allowed = new Set(origins);

    // Before anything that could refuse: a page may read refusals too, and a preflight carries no token.
    app.addHook('onRequest', (request, reply, done) => {
      // The answer differs by origin also for who names none, as a cache between may keep it.
      if (!isAnyAllowed) void reply.header('vary', 'origin');
      const { origin } = request.headers;
      if (origin === undefined || !(isAnyAllowed || allowed.has(origin))) return done();
      void reply.header('access-control-allow-origin', isAnyAllowed ? '*' : origin);
      if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
        void reply
          .headers({
            'access-control-allow-methods': METHODS,
            'access-control-allow-headers': REQUEST_HEADERS,
            'access-control-max-age': PREFLIGHT_MAX_AGE_S,
          })
          .code(204)
          .send();
        return;
      }
      void reply.header('access-control-expose-headers', RESPONSE_HEADERS);
      done();
    });
  },
  { name: 'cors' },
);
