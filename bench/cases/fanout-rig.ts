/**
 * What fan-out is measured with: a server, followers of one topic on it, and a publisher; and the measuring of one rate.
 */
import { bySize, type Context } from '../harness/context.ts';
import type { Program } from '../harness/programs.ts';
import { type Remote, startGenerator } from '../harness/remote.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import type { BusApi } from '../load/bus.ts';
import type { Member } from '../load/dialects.ts';
import type { SocketsApi } from '../load/sockets.ts';
import { connectLoad, LABELS, startLoad, startWebSocketServer, type WebSocketServer } from './contenders.ts';

/** What a delivery may take. */
export const P95_LIMIT_MS = 150;
/** Share of the deliveries that must arrive while it is counted. */
export const HELD_SHARE = 0.97;
const NOTHING_LEFT_MS = 3000;

export const contenders = ['ride', 'bus', 'ws', 'socketio'] as const;
export type Name = (typeof contenders)[number];
export const labels: Record<Name, string> = {
  ...LABELS,
  ride: 'Ridestream, way in: driver',
  bus: 'Ridestream, way in: another node',
};

export interface Scale {
  followers: number;
  rates: number[];
  /** Peers are overloaded long before: no further than this. */
  lastPeerRate: number;
  warmMs: number;
  countMs: number;
  bisections: number;
}

export const scaleOf = (context: Context): Scale =>
  bySize(
    context,
    {
      followers: 1000,
      rates: [30, 100, 300, 800, 1500, 3000],
      lastPeerRate: 800,
      warmMs: 1000,
      countMs: 4000,
      bisections: 3,
    },
    { followers: 200, rates: [30, 400, 1500, 4000], lastPeerRate: 1500, warmMs: 500, countMs: 1500, bisections: 2 },
    { followers: 10, rates: [50, 100], lastPeerRate: 100, warmMs: 50, countMs: 150, bisections: 0 },
  );

/** One rate at one server. */
export interface Point {
  rate: number;
  sentPerS: number;
  deliveriesPerS: number;
  /** Of what was to be delivered. */
  share: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** Server CPU seconds a million deliveries. */
  cpuPerMillion: number;
  serverCpu: number;
  generatorCpu: number;
  publisherCpu: number;
  redisCpu: number;
  bytesPerEvent: number;
  held: boolean;
  /** Why the server ended the publisher or a follower; '' when it did not. */
  refusal: string;
}

/** A server with its followers and its publisher. */
export interface Rig {
  server: Program;
  followers: Remote<SocketsApi>;
  publisher: Program & {
    publish(rate: number): Promise<void>;
    quiet(): Promise<{ sent: number; seconds: number; refusal: string }>;
  };
  stop(): Promise<void>;
}

async function publisherOf(
  context: Context,
  name: Name,
  server: WebSocketServer,
  trip: BenchTrip | null,
): Promise<Rig['publisher']> {
  if (name === 'bus') {
    const bus = await startGenerator<BusApi>(context.ground, 'publisher', 'load/bus.ts');
    await bus.call('connect', {
      redisUrl: context.ground.redis.url,
      trips: [{ id: trip!.id, driverId: trip!.driverId }],
    });
    return {
      ...bus,
      publish: (rate) => bus.call('publish', { perSecond: rate }),
      quiet: async () => ({ ...(await bus.call('quiet', undefined)), refusal: '' }),
    };
  }
  const load = await startLoad(context, 'publisher');
  const topic = trip ? `trip:${trip.id}` : '1';
  const member: Member = {
    userId: trip?.driverId ?? 'driver',
    role: 'driver',
    follows: [],
    publishesTo: topic,
    place: trip?.place ?? placeOf(0),
  };
  await connectLoad(load, server, { members: [member], follow: false, lookAtAll: true });
  return {
    ...load,
    async publish(rate) {
      await load.call('begin', undefined);
      await load.call('publish', { perSecond: rate });
    },
    async quiet() {
      const sent = await load.call('quiet', undefined);
      const { reason } = await load.call('read', undefined);
      return { ...sent, refusal: reason };
    },
  };
}

export async function build(context: Context, name: Name, scale: Scale, trip: BenchTrip): Promise<Rig> {
  const server = await startWebSocketServer(context, name === 'bus' ? 'ride' : name);
  const own = server.kind === 'ride' ? trip : null;
  const followers = await startLoad(context, 'followers');
  const topic = own ? `trip:${own.id}` : '1';
  const members = Array.from(
    { length: scale.followers },
    (_, i): Member => ({
      userId: `desk-${i}`,
      role: 'admin',
      follows: [topic],
      publishesTo: '',
      place: placeOf(0),
    }),
  );
  await connectLoad(followers, server, { members, follow: true, lookAtAll: false });
  const publisher = await publisherOf(context, name, server, own);
  return {
    server,
    followers,
    publisher,
    async stop() {
      await publisher.stop();
      await followers.stop();
      await server.stop();
    },
  };
}

export async function measure(context: Context, rig: Rig, rate: number, scale: Scale): Promise<Point> {
  const { server, followers, publisher } = rig;
  const cpu = new CpuMeter(server.pid, followers.pid, publisher.pid, context.ground.redis.pid);
  await publisher.publish(rate);
  await sleep(scale.warmMs);
  await followers.call('begin', undefined);
  cpu.start();
  await sleep(scale.countMs);
  const counted = await followers.call('read', undefined);
  const [serverCpu, generatorCpu, publisherCpu, redisCpu] = cpu.shares() as [number, number, number, number];
  const { sent, seconds, refusal } = await publisher.quiet();
  const deliveriesPerS = counted.events / (counted.windowMs / 1000);
  const share = deliveriesPerS / (rate * scale.followers);
  const { p50Ms, p95Ms, p99Ms } = counted.latency;
  return {
    rate,
    sentPerS: sent / seconds,
    deliveriesPerS,
    share,
    p50Ms,
    p95Ms,
    p99Ms,
    cpuPerMillion: (serverCpu / deliveriesPerS) * 1e6,
    serverCpu,
    generatorCpu,
    publisherCpu,
    redisCpu,
    bytesPerEvent: counted.bytes / counted.events,
    held: share >= HELD_SHARE && p95Ms <= P95_LIMIT_MS && counted.ended === 0 && refusal === '',
    refusal: refusal || counted.reason,
  };
}

/** True when what an overload left behind was delivered soon. */
export async function settled({ followers }: Rig): Promise<boolean> {
  for (const deadline = performance.now() + NOTHING_LEFT_MS; performance.now() < deadline; ) {
    await followers.call('begin', undefined);
    await sleep(150);
    const { events, ended } = await followers.call('read', undefined);
    if (ended > 0) return false;
    if (events === 0) return true;
  }
  return false;
}
