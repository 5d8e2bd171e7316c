/**
 * Two nodes over one Redis, in both shapes: one big topic whose followers sit half on each node, and many small ones whose
 * driver is on one node and whose rider is on the other. Against Socket.IO with its Redis adapter, also in two processes.
 */
import { alternate, bySize, type Context } from '../harness/context.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { startRide } from '../harness/ride.ts';
import { median, medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips, placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import {
  connectLoad,
  EVENT_BYTES,
  LABELS,
  startLoad,
  startWebSocketServer,
  type WebSocketServer,
} from './contenders.ts';
import { climb, twiceIfIdle } from './fanout.ts';
import { HELD_SHARE, P95_LIMIT_MS } from './fanout-rig.ts';

/** Windows of small topics before the one that counts. */
const WARM_WINDOWS = 2;

const servers = ['ride', 'socketio'] as const;
type Name = (typeof servers)[number];
const labels: Record<Name, string> = { ride: LABELS.ride, socketio: `${LABELS.socketio}, Redis adapter` };

interface Scale {
  followers: number;
  rates: number[];
  bisections: number;
  topics: number;
  /** Events a second of one small topic. */
  pace: number;
  warmMs: number;
  countMs: number;
}

interface Point {
  rate: number;
  deliveriesPerS: number;
  share: number;
  p50Ms: number;
  p95Ms: number;
  /** Both nodes. */
  serverCpu: number;
  redisCpu: number;
  held: boolean;
}

interface Round {
  points: Point[];
  best: number;
  small: Point;
  /** Small topics whose events come from neither node. */
  outside: Point;
}

/** Two servers, and a load on each. */
async function startPair(context: Context, name: Name) {
  const nodes = [
    await startWebSocketServer(context, name, 'a'),
    await startWebSocketServer(context, name, 'b'),
  ] as const;
  const loads = [await startLoad(context, 'on a'), await startLoad(context, 'on b')] as const;
  const cpu = new CpuMeter(nodes[0].pid, nodes[1].pid, context.ground.redis.pid);
  return {
    nodes,
    loads,
    async connect(members: readonly [Member[], Member[]], lookAtAll: boolean): Promise<void> {
      for (const i of [0, 1] as const) {
        await connectLoad(loads[i], nodes[i] as WebSocketServer, { members: members[i], follow: true, lookAtAll });
      }
    },
    /** Counts at both loads while `publisher` publishes. */
    async measure(
      publisher: { publish(): Promise<unknown>; quiet(): Promise<unknown> },
      expected: number,
      rate: number,
      scale: Scale,
    ): Promise<Point> {
      await publisher.publish();
      await sleep(scale.warmMs);
      for (const load of loads) await load.call('begin', undefined);
      cpu.start();
      await sleep(scale.countMs);
      const counts = await Promise.all(loads.map((load) => load.call('read', undefined)));
      const [a, b, redisCpu] = cpu.shares() as [number, number, number];
      await publisher.quiet();
      const deliveriesPerS = counts.reduce((sum, c) => sum + c.events / (c.windowMs / 1000), 0);
      const share = deliveriesPerS / expected;
      const p95Ms = Math.max(...counts.map((c) => c.latency.p95Ms));
      const broken = counts.find((c) => c.ended + c.errors > 0);
      if (broken) throw new Error(`${name}: ${broken.reason}`);
      return {
        rate,
        deliveriesPerS,
        share,
        p50Ms: median(counts.map((c) => c.latency.p50Ms)),
        p95Ms,
        serverCpu: a + b,
        redisCpu,
        held: share >= HELD_SHARE && p95Ms <= P95_LIMIT_MS,
      };
    },
    async stop(): Promise<void> {
      for (const load of loads) await load.stop();
      for (const node of nodes) await node.stop();
    },
  };
}

async function bigTopic(
  context: Context,
  name: Name,
  trip: BenchTrip,
  scale: Scale,
): Promise<Pick<Round, 'points' | 'best'>> {
  const topic = name === 'ride' ? `trip:${trip.id}` : '1';
  const desks = (node: string): Member[] =>
    Array.from({ length: scale.followers / 2 }, (_, i) => ({
      userId: `desk-${node}-${i}`,
      role: 'admin',
      follows: [topic],
      publishesTo: '',
      place: placeOf(0),
    }));
  const publisher = await startLoad(context, 'publisher');
  let pair = await startPair(context, name);
  const driver: Member = { userId: trip.driverId, role: 'driver', follows: [], publishesTo: topic, place: trip.place };
  const ready = async (): Promise<void> => {
    await pair.connect([desks('a'), desks('b')], false);
    await connectLoad(publisher, pair.nodes[0], { members: [driver], follow: false, lookAtAll: true });
  };
  const points: Point[] = [];
  const once = async (rate: number): Promise<Point> => {
    const work = {
      publish: () => publisher.call('publish', { perSecond: rate }),
      quiet: () => publisher.call('quiet', undefined),
    };
    const point = await pair.measure(work, rate * scale.followers, rate, scale);
    // What an overload leaves behind must not reach the next rate.
    if (!point.held) {
      await pair.stop();
      pair = await startPair(context, name);
      await ready();
    }
    return point;
  };
  const at = (rate: number): Promise<Point> => twiceIfIdle(() => once(rate), points);
  try {
    await ready();
    for (const rate of scale.rates) if (!(await at(rate)).held) break;
    await climb(points, at, scale);
    const held = points.filter((point) => point.held);
    return { points, best: Math.max(0, ...held.map((point) => point.deliveriesPerS)) };
  } finally {
    await publisher.stop();
    await pair.stop();
  }
}

/** @param isOutside a third node publishes, as one that took the events in */
async function smallTopics(
  context: Context,
  name: Name,
  trips: readonly BenchTrip[],
  scale: Scale,
  isOutside: boolean,
): Promise<Point> {
  const pair = await startPair(context, name);
  const topicOf = (trip: BenchTrip, i: number): string => (name === 'ride' ? `trip:${trip.id}` : String(i));
  const drivers = trips.map(
    (trip, i): Member => ({
      userId: trip.driverId,
      role: 'driver',
      follows: [topicOf(trip, i)],
      publishesTo: topicOf(trip, i),
      place: trip.place,
    }),
  );
  const riders = trips.map(
    (trip, i): Member => ({
      userId: trip.riderId,
      role: 'rider',
      follows: [topicOf(trip, i)],
      publishesTo: '',
      place: trip.place,
    }),
  );
  const perSecond = trips.length * scale.pace;
  const load = pair.loads[0];
  const work = isOutside
    ? { publish: () => load.call('publishOnBus', { perSecond }), quiet: () => load.call('quietBus', undefined) }
    : { publish: () => load.call('publish', { perSecond }), quiet: () => load.call('quiet', undefined) };
  try {
    await pair.connect([drivers, riders], true);
    const redisUrl = context.ground.redis.url;
    if (isOutside && name === 'ride')
      await load.call('connectBus', { redisUrl, trips: trips.map(({ id, driverId }) => ({ id, driverId })) });
    else if (isOutside)
      await load.call('connectRooms', { redisUrl, rooms: trips.map(topicOf), eventBytes: EVENT_BYTES });
    // Compiled code is what is measured: at so few messages a second it takes a while until it is.
    for (let i = 0; i < WARM_WINDOWS; i++) await pair.measure(work, perSecond * 2, perSecond, scale);
    return await pair.measure(work, perSecond * 2, perSecond, scale);
  } finally {
    await pair.stop();
  }
}

async function tripsOf(context: Context, count: number): Promise<BenchTrip[]> {
  const server = await startRide(context.ground);
  try {
    return await makeTrips(server, 'two-nodes-and-one-redis', count);
  } finally {
    await server.stop();
  }
}

export async function twoNodes(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    {
      followers: 1000,
      rates: [30, 60, 120, 300, 800, 2000],
      bisections: 3,
      topics: 3000,
      pace: 1,
      warmMs: 3000,
      countMs: 6000,
    },
    { followers: 200, rates: [100, 300, 1000, 3000], bisections: 2, topics: 300, pace: 5, warmMs: 700, countMs: 1500 },
    { followers: 10, rates: [50], bisections: 0, topics: 10, pace: 10, warmMs: 50, countMs: 200 },
  );
  const trips = await tripsOf(context, scale.topics);
  const results = await alternate(
    context,
    servers.map((name) => ({
      name,
      run: async (): Promise<Round> => ({
        ...(await bigTopic(context, name, trips[0]!, scale)),
        small: await smallTopics(context, name, trips, scale, false),
        outside: await smallTopics(context, name, trips, scale, true),
      }),
    })),
  );
  return report(scale, results as Map<Name, Round[]>);
}

function report(scale: Scale, results: Map<Name, Round[]>): CaseResult {
  const best = (name: Name): number => median(results.get(name)!.map((round) => round.best));
  const shapes = ['small', 'outside'] as const;
  const point = (name: Name, shape: (typeof shapes)[number]): Point =>
    medians(results.get(name)!.map((round) => round[shape]));
  const perCpuS = (p: Point): number => p.deliveriesPerS / p.serverCpu;
  return {
    title: 'Two nodes over Redis',
    method: [
      `Two server processes on one Redis. *Big topic*: ${scale.followers} followers, half on each node, events by the trip's driver on the first. *Small topics*: ${scale.topics} trips, ${scale.pace} event${scale.pace === 1 ? '' : 's'} a second each, the driver on one node (he follows his trip too), the rider on the other. Ours takes each position in as everywhere (decode, check, Redis, ack); Socket.IO relays. The same with events that a third node publishes: for ours what a node publishes that took the positions in, for Socket.IO a third server with the adapter.`,
      'Two servers, two or three generators and Redis share the cores of the machine, so the highest rates are those of the machine; the ratio is what counts.',
    ],
    tables: [
      {
        title: `Big topic: highest rate held (p95 ≤ ${P95_LIMIT_MS} ms)`,
        columns: ['server', 'deliveries/s'],
        rows: servers.map((name) => [labels[name], best(name)]),
      },
      {
        title: 'Small topics',
        columns: [
          'server',
          'events come',
          'deliveries/s',
          'delivered',
          'p50 ms',
          'p95 ms',
          'cores of both nodes',
          'Redis cores',
          'deliveries a CPU s',
        ],
        rows: shapes.flatMap((shape) =>
          servers.map((name) => {
            const p = point(name, shape);
            const from = shape === 'small' ? "from the driver's socket" : 'from a third node';
            return [
              labels[name],
              from,
              p.deliveriesPerS,
              p.share,
              p.p50Ms,
              p.p95Ms,
              p.serverCpu,
              p.redisCpu,
              perCpuS(p),
            ];
          }),
        ),
      },
    ],
    plots: [],
    claims: [
      atLeast(
        'big topic, highest rate held, over Socket.IO with its Redis adapter',
        best('ride') / best('socketio'),
        2.5,
      ),
      atLeast(
        'small topics, deliveries a CPU second, events of a third node, over Socket.IO with its Redis adapter',
        perCpuS(point('ride', 'outside')) / perCpuS(point('socketio', 'outside')),
        1.3,
      ),
      atLeast(
        'small topics, deliveries a CPU second, way in included, over Socket.IO with its Redis adapter',
        perCpuS(point('ride', 'small')) / perCpuS(point('socketio', 'small')),
        1.3,
      ),
    ],
    raw: Object.fromEntries(results),
  };
}
