/**
 * Many small topics, which is what rides look like: each trip is followed by its driver, who also reports his position once a
 * second, and by its rider. Deliveries a CPU second of the server, with and without what it costs to take the positions in.
 */
import { alternate, bySize, type Context } from '../harness/context.ts';
import type { Remote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips } from '../harness/trips.ts';
import { CpuMeter, fileLimit } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import type { SocketsApi } from '../load/sockets.ts';
import { connectLoad, LABELS, startLoad, startWebSocketServer } from './contenders.ts';

const contenders = ['ride', 'bus', 'ws', 'socketio'] as const;
type Name = (typeof contenders)[number];
const labels: Record<Name, string> = {
  ...LABELS,
  ride: 'Ridestream, way in: driver',
  bus: 'Ridestream, way in: another node',
};

/** Files that a server or a generator has open besides its sockets. */
const RESERVED_FILES = 1200;

interface Result {
  /** Events a second that were to be sent. */
  events: number;
  deliveriesPerS: number;
  share: number;
  /** Events a second that were refused on their way in, as a server does that has as many as it takes. */
  refusedPerS: number;
  p50Ms: number;
  p95Ms: number;
  /** Cores, taking events in with nobody following. */
  wayInCpu: number;
  /** Cores, with everyone following. */
  serverCpu: number;
  redisCpu: number;
  generatorCpu: number;
  perCpuS: number;
}

interface Scale {
  topics: number;
  /** Events a second of one topic. */
  pace: number;
  warmMs: number;
  countMs: number;
}

function membersOf(trips: readonly BenchTrip[], ours: boolean): Member[] {
  return trips.flatMap((trip, i): Member[] => {
    const topic = ours ? `trip:${trip.id}` : String(i);
    const common = { follows: [topic], place: trip.place };
    return [
      { ...common, userId: trip.driverId, role: 'driver', publishesTo: topic },
      { ...common, userId: trip.riderId, role: 'rider', publishesTo: '' },
    ];
  });
}

async function run(context: Context, name: Name, trips: readonly BenchTrip[], scale: Scale): Promise<Result> {
  const server = await startWebSocketServer(context, name === 'bus' ? 'ride' : name);
  const load = await startLoad(context, 'members');
  try {
    const cpu = new CpuMeter(server.pid, context.ground.redis.pid, load.pid);
    const events = trips.length * scale.pace;
    const members = membersOf(trips, server.kind === 'ride');
    await connectLoad(load, server, { members, follow: false, lookAtAll: true });
    const publisher = name === 'bus' ? await otherNode(context, load, trips) : drivers(load);
    const count = async () => {
      await publisher.publish(events);
      await sleep(scale.warmMs);
      await load.call('begin', undefined);
      cpu.start();
      await sleep(scale.countMs);
      const counted = await load.call('read', undefined);
      const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
      await publisher.quiet();
      // A refusal is an answer: what was not delivered shows it. A connection that ended is a fault.
      if (counted.ended > 0) throw new Error(`${name}: ${counted.reason}`);
      return { ...counted, serverCpu, redisCpu, generatorCpu };
    };
    // Compiled code is what is measured.
    await count();
    const wayIn = await count();
    await load.call('follow', undefined, 120_000);
    const whole = await count();
    const deliveriesPerS = whole.events / (whole.windowMs / 1000);
    return {
      events,
      deliveriesPerS,
      share: deliveriesPerS / (events * 2),
      refusedPerS: whole.errors / (whole.windowMs / 1000),
      p50Ms: whole.latency.p50Ms,
      p95Ms: whole.latency.p95Ms,
      wayInCpu: wayIn.serverCpu,
      serverCpu: whole.serverCpu,
      redisCpu: whole.redisCpu,
      generatorCpu: whole.generatorCpu,
      perCpuS: deliveriesPerS / whole.serverCpu,
    };
  } finally {
    await load.stop();
    await server.stop();
  }
}

interface Publisher {
  publish(perSecond: number): Promise<unknown>;
  quiet(): Promise<unknown>;
}

/** The members who drive. */
const drivers = (load: Remote<SocketsApi>): Publisher => ({
  publish: (perSecond) => load.call('publish', { perSecond }),
  quiet: () => load.call('quiet', undefined),
});

/** Publishes the trips' positions as a second node does that took them in. */
async function otherNode(
  { ground }: Context,
  load: Remote<SocketsApi>,
  trips: readonly BenchTrip[],
): Promise<Publisher> {
  await load.call('connectBus', {
    redisUrl: ground.redis.url,
    trips: trips.map(({ id, driverId }) => ({ id, driverId })),
  });
  return {
    publish: (perSecond) => load.call('publishOnBus', { perSecond }),
    quiet: () => load.call('quietBus', undefined),
  };
}

async function tripsOf(context: Context, count: number): Promise<BenchTrip[]> {
  const server = await startRide(context.ground);
  try {
    return await makeTrips(server, 'topics', count);
  } finally {
    await server.stop();
  }
}

export async function manyTopics(context: Context): Promise<CaseResult> {
  const wanted = bySize<Scale>(
    context,
    { topics: 10_000, pace: 1, warmMs: 5000, countMs: 10_000 },
    { topics: 500, pace: 6, warmMs: 1500, countMs: 2500 },
    { topics: 10, pace: 20, warmMs: 50, countMs: 200 },
  );
  const most = Math.floor((fileLimit() - RESERVED_FILES) / 2);
  const scale = { ...wanted, topics: Math.min(wanted.topics, most) };
  const trips = await tripsOf(context, scale.topics);
  const results = await alternate(
    context,
    contenders.map((name) => ({ name, run: () => run(context, name, trips, scale) })),
  );
  return report(scale, results as Map<Name, Result[]>);
}

function report({ topics, pace }: Scale, results: Map<Name, Result[]>): CaseResult {
  const of = (name: Name): Result => medians(results.get(name)!);
  const [ride, bus, ws, socketio] = [of('ride'), of('bus'), of('ws'), of('socketio')];
  return {
    title: 'WebSocket fan-out, many small topics',
    method: [
      `${topics} trips (10,000, or as many as twice the sockets fit the limit of open files of one process), ${pace === 1 ? 'one event' : `${pace} events`} a second each, two followers each: the driver's socket, which also sends the event, and the rider's. So every delivery is a write of its own to a socket of its own.`,
      'The *way in* is measured first, with the same sockets and events and nobody following: heartbeats of all sockets are part of it. Ours takes a position in as in the case above (decode, check, Redis, ack, publish); the peers look up a Map or a room. *Way in: another node* has the same positions published to the Redis channels of the trips from outside, by the process that also receives the deliveries, as at the peers: what is left is what the peers do, receiving an event and handing it out.',
    ],
    tables: [
      {
        title: '',
        columns: [
          'server',
          'deliveries/s',
          'delivered',
          'refused/s',
          'p50 ms',
          'p95 ms',
          'cores, way in only',
          'server cores',
          'Redis cores',
          'generator cores',
          'deliveries a CPU s',
        ],
        rows: ([ride, bus, ws, socketio] as const).map((r, i) => [
          labels[contenders[i]!],
          r.deliveriesPerS,
          r.share,
          r.refusedPerS,
          r.p50Ms,
          r.p95Ms,
          r.wayInCpu,
          r.serverCpu,
          r.redisCpu,
          r.generatorCpu,
          r.perCpuS,
        ]),
      },
    ],
    plots: [],
    claims: [
      atLeast('deliveries a CPU second of a node that others publish to, over bare ws', bus.perCpuS / ws.perCpuS, 0.85),
      atLeast(
        'deliveries a CPU second of a node that others publish to, over Socket.IO rooms',
        bus.perCpuS / socketio.perCpuS,
        1.3,
      ),
      atLeast('deliveries a CPU second, way in included, over bare ws', ride.perCpuS / ws.perCpuS, 0.85),
      atLeast('deliveries a CPU second, way in included, over Socket.IO rooms', ride.perCpuS / socketio.perCpuS, 1.3),
    ],
    raw: Object.fromEntries(results),
  };
}
