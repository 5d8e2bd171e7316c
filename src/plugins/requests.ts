/** Requests under way, for the drain: they are finished, and their clients come by another connection next time. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { RideError } from '../errors.ts';

export interface RequestsOptions {
  state: { draining: boolean };
}

declare module 'fastify' {
  interface FastifyInstance {
    requests: {
      /** From now on requests are refused with RIDE_DRAINING, but for probes. Resolves when none is under way. */
      finish(): Promise<void>;
    };
  }
}

/** A balancer finds another node at once. */
const RETRY_AFTER_MS = 100;
const PROBES = new Set(['/livez', '/readyz', '/startupz']);
const PROBE_CHARS = 9;

/** To look a long path up in a set costs its hash, which most requests can do without. */
const isProbe = (url: string): boolean => url.length <= PROBE_CHARS && PROBES.has(url);

export const requestsPlugin = fp<RequestsOptions>(
  async (app: FastifyInstance, { state }) => {
    let underWay = 0;
    let isClosing = false;
    const idle = Promise.withResolvers<void>();

    const ended = (): void => {
      if (--underWay === 0 && isClosing) idle.resolve();
    };

    app.decorate('requests', {
      finish() {
        isClosing = true;
        if (underWay === 0) idle.resolve();
        return idle.promise;
      },
    });

    app.addHook('onRequest', (request, reply, done) => {
      // An upgrade becomes a session, which has its own drain.
      if (request.ws || isProbe(request.url)) return done();
      if (isClosing) {
        const hint = { retryAfterMs: RETRY_AFTER_MS };
        return done(new RideError('RIDE_DRAINING', 'The server is draining; ask again, elsewhere', hint));
      }
      underWay++;
      reply.raw.on('close', ended);
      done();
    });

    app.addHook('onSend', (_request, reply, _payload, done) => {
      if (state.draining) reply.header('connection', 'close');
      done();
    });
  },
  { name: 'requests' },
);
