/**
 * Probes that tell the truth. `/startupz`: everything has been opened once. `/livez`: the event loop answers. `/readyz`: the
 * parts that a request needs answer now, and the server is not draining; it names the part that does not.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';

export interface ProbeOptions {
  /** Each resolves when its part answers. */
  checks: Record<string, () => Promise<unknown>>;
  state: { started: boolean; draining: boolean };
}

const CHECK_TIMEOUT_MS = 2000;

const Health = Type.Object(
  {
    status: Type.Unsafe<'ok' | 'unavailable'>({ type: 'string', enum: ['ok', 'unavailable'] }),
    parts: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: '`ok`, or what is wrong, by the name of the part' }),
    ),
  },
  { title: 'Health', description: 'Whether it is so' },
);

async function outcome(check: () => Promise<unknown>): Promise<string> {
  const timeout = Promise.withResolvers<string>();
  const timer = setTimeout(timeout.resolve, CHECK_TIMEOUT_MS, `no answer within ${CHECK_TIMEOUT_MS} ms`);
  try {
    return await Promise.race([check().then(() => 'ok'), timeout.promise]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

export const probeRoutes: FastifyPluginAsyncTypebox<ProbeOptions> = async (app, { checks, state }) => {
  const tags = ['operations'];
  const response = {
    200: { ...Health, examples: [{ status: 'ok', parts: { store: 'ok', redis: 'ok' } }] },
    503: {
      ...Health,
      examples: [{ status: 'unavailable', parts: { store: 'ok', redis: 'no answer within 2000 ms' } }],
    },
  };

  app.get(
    '/livez',
    { schema: { operationId: 'getLiveness', summary: 'The process is alive', tags, response } },
    async () => ({
      status: 'ok' as const,
    }),
  );

  app.get(
    '/startupz',
    { schema: { operationId: 'getStartup', summary: 'The process has started', tags, response } },
    async (_request, reply) => {
      if (!state.started) reply.code(503);
      return { status: state.started ? ('ok' as const) : ('unavailable' as const) };
    },
  );

  app.get(
    '/readyz',
    { schema: { operationId: 'getReadiness', summary: 'The process can serve', tags, response } },
    async (_request, reply) => {
      const names = Object.keys(checks);
      const results = await Promise.all(names.map((name) => outcome(checks[name]!)));
      const parts: Record<string, string> = Object.fromEntries(names.map((name, index) => [name, results[index]!]));
      if (state.draining) parts.server = 'draining';
      const ready = state.started && Object.values(parts).every((result) => result === 'ok');
      if (!ready) reply.code(503);
      return { status: ready ? ('ok' as const) : ('unavailable' as const), parts };
    },
  );
};
