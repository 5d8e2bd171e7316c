/**
 * How many sessions one machine holds: workers that share the port, every session signed in and heard of as often as the server
 * asks, while a few of them follow a busy topic.
 */
import { bySize, type Context } from '../harness/context.ts';
import { atLeast, atMost, type CaseResult } from '../harness/result.ts';
import { type RideServer, SECRET, startRide } from '../harness/ride.ts';
import { median } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips, placeOf } from '../harness/trips.ts';
import { CpuMeter, childrenOf, collectGarbage, residentBytes } from '../harness/usage.ts';
import { type Member, signToken } from '../load/dialects.ts';
import type { Counted } from '../load/sockets.ts';
import { connectLoad, startLoad, type WebSocketServer } from './contenders.ts';
import { P95_LIMIT_MS } from './fanout-rig.ts';

interface Scale {
  sessions: number;
  /** Processes of the server, and of the clients. */
  processes: number;
  /** Sessions that follow the busy topic, and its events a second. */
  hot: number;
  eventsPerS: number;
  settleMs: number;
  holdMs: number;
}

interface Figures {
  held: number;
  /** By the nodes' own counts, at the end. */
  counted: number;
  dropped: number;
  reason: string;
  connectS: number;
  deliveriesPerS: number;
  share: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  bytesPerSession: number;
  workerCpu: number;
  supervisorCpu: number;
  redisCpu: number;
  clientCpu: number;
}

/** However slow the machine is, connecting takes no longer than this a session. */
const CONNECT_LIMIT_MS = 5;
const CONNECT_LEAST_MS = 60_000;

const scaleOf = (context: Context): Scale => ({
  ...bySize(
    context,
    { sessions: 100_000, processes: 6, hot: 1000, eventsPerS: 10, settleMs: 5000, holdMs: 300_000 },
    { sessions: 2000, processes: 2, hot: 20, eventsPerS: 10, settleMs: 1500, holdMs: 15_000 },
    { sessions: 40, processes: 2, hot: 20, eventsPerS: 20, settleMs: 100, holdMs: 1000 },
  ),
  ...(context.holdMs ? { holdMs: context.holdMs } : {}),
});

/** The sessions of one client process; every so many of them is hot. */
function membersOf(client: number, topic: string, { sessions, processes, hot }: Scale): Member[] {
  const members: Member[] = [];
  for (let i = client; i < sessions; i += processes) {
    const isHot = Math.floor(i / processes) % Math.floor(sessions / hot) === 0;
    members.push({
      userId: `${isHot ? 'desk' : 'rider'}-${i}`,
      role: isHot ? 'admin' : 'rider',
      follows: isHot ? [topic] : [],
      publishesTo: '',
      place: placeOf(0),
    });
  }
  return members;
}

/** Resident memory of all workers without their garbage. */
async function keptBytes(workers: readonly number[], settleMs: number): Promise<number> {
  for (const pid of workers) collectGarbage(pid);
  await sleep(settleMs);
  return workers.reduce((sum, pid) => sum + residentBytes(pid), 0);
}

async function countedByNodes(server: RideServer): Promise<number> {
  const admin = signToken({ userId: 'ops', role: 'admin' }, SECRET);
  const { nodes } = (await server.rest('GET', '/admin/stats', admin)) as { nodes: { total: number }[] };
  return nodes.reduce((sum, node) => sum + node.total, 0);
}

async function hold(context: Context, server: RideServer, trip: BenchTrip, scale: Scale): Promise<Figures> {
  const { sessions, processes, hot, eventsPerS, settleMs, holdMs } = scale;
  const workers = childrenOf(server.pid);
  if (workers.length !== processes) throw new Error(`${workers.length} workers and not ${processes}`);
  const topic = `trip:${trip.id}`;
  const target: WebSocketServer = { ...server, port: server.http, kind: 'ride' };
  const clients = await Promise.all(Array.from({ length: processes }, (_, i) => startLoad(context, `client-${i}`)));
  const publisher = await startLoad(context, 'publisher');
  try {
    const before = await keptBytes(workers, settleMs);
    const startedAt = performance.now();
    const crowds = clients.map((_, i) => membersOf(i, topic, scale));
    const limitMs = Math.max(CONNECT_LEAST_MS, sessions * CONNECT_LIMIT_MS);
    const joining = { follow: true, lookAtAll: false, limitMs };
    await Promise.all(
      clients.map((client, i) =>
        connectLoad(client, target, { ...joining, members: crowds[i]!, from: `127.0.0.${2 + i}` }),
      ),
    );
    const connectS = (performance.now() - startedAt) / 1000;
    context.log(`  ${sessions} sessions after ${connectS.toFixed(1)} s; they are held for ${holdMs / 1000} s`);
    const driver: Member = { ...trip, userId: trip.driverId, role: 'driver', follows: [], publishesTo: topic };
    await connectLoad(publisher, target, { members: [driver], follow: false, lookAtAll: true });

    const cpu = new CpuMeter(
      server.pid,
      context.ground.redis.pid,
      publisher.pid,
      ...workers,
      ...clients.map(({ pid }) => pid),
    );
    for (const client of clients) await client.call('begin', undefined);
    await publisher.call('publish', { perSecond: eventsPerS });
    cpu.start();
    await sleep(holdMs);
    const shares = cpu.shares();
    const { sent } = await publisher.call('quiet', undefined);
    const counts: Counted[] = await Promise.all(clients.map((client) => client.call('read', undefined)));
    const driven = await publisher.call('read', undefined);
    if (driven.ended > 0) throw new Error(`the driver's connection ended: ${driven.reason}`);

    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const dropped = sum(counts.map(({ ended }) => ended));
    const events = sum(counts.map((count) => count.events));
    const latencies = counts.map(({ latency }) => latency);
    const [supervisorCpu, redisCpu, publisherCpu, ...rest] = shares as [number, number, number, ...number[]];
    // One of them is the driver's.
    const counted = (await countedByNodes(server)) - 1;
    return {
      held: sessions - dropped,
      counted,
      dropped,
      reason: counts.find(({ reason }) => reason !== '')?.reason ?? '',
      connectS,
      deliveriesPerS: events / (counts[0]!.windowMs / 1000),
      share: events / (sent * hot),
      p50Ms: median(latencies.map(({ p50Ms }) => p50Ms)),
      p95Ms: Math.max(...latencies.map(({ p95Ms }) => p95Ms)),
      p99Ms: Math.max(...latencies.map(({ p99Ms }) => p99Ms)),
      bytesPerSession: ((await keptBytes(workers, settleMs)) - before) / sessions,
      workerCpu: sum(rest.slice(0, processes)),
      supervisorCpu,
      redisCpu,
      clientCpu: publisherCpu + sum(rest.slice(processes)),
    };
  } finally {
    for (const load of [publisher, ...clients]) await load.stop();
  }
}

/** Once, whatever the rounds: it is no comparison. */
export async function manySessions(context: Context): Promise<CaseResult> {
  const scale = scaleOf(context);
  const server = await startRide(context.ground, 'crowd', { WORKERS: String(scale.processes) });
  try {
    const [trip] = await makeTrips(server, 'crowd', 1);
    return report(scale, await hold(context, server, trip!, scale));
  } finally {
    await server.stop();
  }
}

function report(scale: Scale, figures: Figures): CaseResult {
  const { sessions, processes, hot, eventsPerS, holdMs } = scale;
  const { held, counted, dropped, reason, connectS, p50Ms, p95Ms, p99Ms } = figures;
  return {
    title: 'Sessions on one machine',
    method: [
      `\`WORKERS=${processes}\` on one port; ${processes} client processes open ${sessions} WebSocket sessions of as many users from 127.0.0.2 on, each signed in by a token of its own and heard of as often as the welcome tells (HEARTBEAT_INTERVAL is ${process.env.HEARTBEAT_INTERVAL ?? '5s, its default'}), from its first moment on. They are held for ${holdMs / 1000} s; meanwhile ${hot} of them follow one trip whose driver sends ${eventsPerS} positions a second. Server, clients and Redis share the cores of the machine.`,
      `CONNECTION_RATE and CONNECTION_BURST, which are limits of one address, are raised so far that nobody is refused: here ${processes} addresses stand for all users. Memory is that of all workers without garbage, less what they had before the first session.`,
    ],
    tables: [
      {
        title: 'Held',
        columns: ['figure', 'value'],
        rows: [
          ['sessions held to the end', held],
          ['sessions by the nodes’ own counts', counted],
          ['sessions dropped', dropped],
          ...(reason === '' ? [] : [['why the first one was', reason]]),
          ['connections a second while they came', sessions / connectS],
          ['deliveries a second to the hot ones', figures.deliveriesPerS],
          ['of what was to be delivered', figures.share],
          ['p50 ms', p50Ms],
          ['p95 ms', p95Ms],
          ['p99 ms', p99Ms],
          ['KB a session', figures.bytesPerSession / 1024],
          ['cores of the workers', figures.workerCpu],
          ['cores of the supervisor', figures.supervisorCpu],
          ['cores of Redis', figures.redisCpu],
          ['cores of the clients', figures.clientCpu],
        ],
      },
    ],
    plots: [],
    claims: [
      atLeast('sessions held to the end', held, sessions),
      atMost('sessions dropped', dropped, 0),
      atMost('fan-out to the hot ones, p95 ms', p95Ms, P95_LIMIT_MS),
    ],
    raw: figures,
  };
}
