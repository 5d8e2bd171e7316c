/** What a request changes belongs to its trace: to its correlation id, and to the trace context that its caller gave. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { traceOf } from '../domain/trace-context.ts';
import type { Tracing } from '../ports/tracing.ts';

/** What only reads leads to no event. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

export const tracingPlugin = fp<{ tracing: Tracing }>(
  async (app: FastifyInstance, { tracing }) => {
    // Behind the reading of the body, which comes in by events of the connection and so without the request's context.
    app.addHook('preHandler', ({ id, method, headers }, _reply, done) => {
      if (READS.has(method)) return done();
      tracing.within({ corrId: id, ...traceOf(headers.traceparent, headers.tracestate) }, done);
    });
  },
  { name: 'tracing' },
);
