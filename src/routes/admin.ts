/** Statistics for operators (getConnectionStats of document C): sessions by node, trips by status, drivers, queues. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type TInteger, Type } from 'typebox';
import type { AnyTrip } from '../domain/departures/departure.ts';
import { after } from '../domain/examples.ts';
import { departureStatuses, type TripStatus, tripStatuses } from '../domain/statuses.ts';
import type { QueueStats } from '../ports/jobs.ts';
import type { NodeStats } from '../ports/session-directory.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';

export interface AdminOptions {
  nodeId: string;
  local(): NodeStats;
  cluster(): Promise<NodeStats[]>;
  countTrips(kind: AnyTrip['kind'], status: string): Promise<number>;
  countAvailable(): Promise<number>;
  queues(): Promise<Record<string, QueueStats>>;
  now(): number;
}

const Counts = Type.Record(Type.String(), Type.Integer());
const Sessions = { total: Type.Integer(), by_namespace: Counts, by_role: Counts, by_city: Counts };
const Node = Type.Object({ node_id: Type.String(), ...Sessions });
const Queue = Type.Object({
  waiting: Type.Integer(),
  active: Type.Integer(),
  delayed: Type.Integer(),
  failed: Type.Integer(),
});

/** Every status has its count, also 0. */
const countsOf = <S extends string>(statuses: readonly S[], description?: string) =>
  Type.Object(
    Object.fromEntries(statuses.map((status) => [status, Type.Integer()])) as Record<S, TInteger>,
    description === undefined ? {} : { description },
  );

const sessionsExample = {
  total: 3,
  by_namespace: { client: 1, ws: 2 },
  by_role: { rider: 1, driver: 2 },
  by_city: { nyc: 3 },
};

const none = (statuses: readonly string[]) => Object.fromEntries(statuses.map((status) => [status, 0]));

const Stats = Type.Object(
  {
    node_id: Type.String(),
    now_ms: Type.Integer({ description: 'domain time' }),
    sessions: Type.Object(Sessions, { description: 'over all nodes' }),
    nodes: Type.Array(Node, { description: 'this node as it is, the others as they were at their last lease' }),
    trips: countsOf(tripStatuses, 'rides and deliveries together'),
    trips_by_kind: Type.Object({
      ride: countsOf(tripStatuses),
      delivery: countsOf(tripStatuses),
      scheduled: countsOf(departureStatuses, 'departures with seats'),
    }),
    drivers: Type.Object({ available: Type.Integer() }),
    queues: Type.Record(Type.String(), Queue),
  },
  {
    title: 'Stats',
    description: 'The platform now',
    examples: [
      {
        node_id: 'node-1',
        now_ms: after(9),
        sessions: sessionsExample,
        nodes: [{ node_id: 'node-1', ...sessionsExample }],
        trips: { ...none(tripStatuses), in_progress: 2 },
        trips_by_kind: {
          ride: { ...none(tripStatuses), in_progress: 1 },
          delivery: { ...none(tripStatuses), in_progress: 1 },
          scheduled: { ...none(departureStatuses), scheduled: 1 },
        },
        drivers: { available: 1 },
        queues: { critical: { waiting: 0, active: 1, delayed: 2, failed: 0 } },
      },
    ],
  },
);

const toNode = (n: NodeStats) => ({
  node_id: n.nodeId,
  total: n.total,
  by_namespace: n.byNamespace,
  by_role: n.byRole,
  by_city: n.byCity,
});

function sum(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const one of counts) for (const [key, count] of Object.entries(one)) total[key] = (total[key] ?? 0) + count;
  return total;
}

export const adminRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, options) => {
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  async function count<S extends string>(kind: AnyTrip['kind'], statuses: readonly S[]): Promise<Record<S, number>> {
    const counts = await Promise.all(statuses.map((status) => options.countTrips(kind, status)));
    return Object.fromEntries(statuses.map((status, i) => [status, counts[i]!])) as Record<S, number>;
  }

  app.get(
    '/stats',
    {
      schema: {
        operationId: 'getStats',
        summary: 'Connections, trips, drivers, queues',
        description: 'For admins and dispatchers.',
        tags: ['operations'],
        security: [{ bearer: [] }],
        response: { 200: Stats, ...problems(401, 403, 429, 503) },
      },
    },
    async () => {
      const [others, ride, delivery, scheduled, available, queues] = await Promise.all([
        options.cluster(),
        count('ride', tripStatuses),
        count('delivery', tripStatuses),
        count('scheduled', departureStatuses),
        options.countAvailable(),
        options.queues(),
      ]);
      const nodes = [options.local(), ...others.filter((n) => n.nodeId !== options.nodeId)];
      return {
        node_id: options.nodeId,
        now_ms: options.now(),
        sessions: {
          total: nodes.reduce((total, n) => total + n.total, 0),
          by_namespace: sum(nodes.map((n) => n.byNamespace)),
          by_role: sum(nodes.map((n) => n.byRole)),
          by_city: sum(nodes.map((n) => n.byCity)),
        },
        nodes: nodes.map(toNode),
        trips: sum([ride, delivery]) as Record<TripStatus, number>,
        trips_by_kind: { ride, delivery, scheduled },
        drivers: { available },
        queues,
      };
    },
  );
};
