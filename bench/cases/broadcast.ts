/** Fan-out to gRPC streams: ready buffers shared by all, against bare grpc-js that encodes for each stream. */
import { freePort } from '../../sim/free-port.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { HOST } from '../harness/programs.ts';
import { startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips, placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import type { StreamsApi } from '../load/streams.ts';
import type { GrpcBroadcastApi } from '../peers/grpc-broadcast.ts';

const servers = ['ride', 'grpc'] as const;
type Name = (typeof servers)[number];
const labels: Record<Name, string> = { ride: 'Ridestream', grpc: 'bare grpc-js, encoded for each stream' };
const CONNECTIONS = 4;

interface Scale {
  followers: number;
  /** Events a second: while turns bring one event, and when they bring several. */
  rates: readonly [quiet: number, busy: number, flood: number];
  warmMs: number;
  countMs: number;
}

interface Result {
  deliveriesPerS: number;
  share: number;
  p50Ms: number;
  p95Ms: number;
  serverCpu: number;
  generatorCpu: number;
  cpuPerMillion: number;
}

async function startServer(context: Context, name: Name, trip: BenchTrip) {
  if (name === 'ride') {
    const server = await startRide(context.ground);
    return { ...server, port: server.grpc };
  }
  const port = await freePort();
  const { folder, profiles } = context.ground;
  const env = measured(profiles, 'grpc');
  const peer = await startRemote<GrpcBroadcastApi>({ name: 'grpc', file: 'peers/grpc-broadcast.ts', folder, env });
  await peer.call('listen', { port, topic: `trip:${trip.id}`, driverId: trip.driverId });
  return { ...peer, port };
}

/** One server for all rates: it is warm for those that are compared. */
async function run(context: Context, name: Name, trip: BenchTrip, scale: Scale): Promise<Record<number, Result>> {
  const server = await startServer(context, name, trip);
  const followers = await startGenerator<StreamsApi>(context.ground, 'streams', 'load/streams.ts');
  const publisher = await startGenerator<StreamsApi>(context.ground, 'publisher', 'load/streams.ts');
  try {
    const common = { host: HOST, port: server.port, echo: false, secret: SECRET, batch: 1 };
    const topic = `trip:${trip.id}`;
    const desks = Array.from(
      { length: scale.followers },
      (_, i): Member => ({
        userId: `desk-${i}`,
        role: 'admin',
        follows: [topic],
        publishesTo: '',
        place: placeOf(0),
      }),
    );
    const driver: Member = {
      userId: trip.driverId,
      role: 'driver',
      follows: [],
      publishesTo: topic,
      place: trip.place,
    };
    await followers.call('connect', { ...common, members: desks, connections: CONNECTIONS });
    await publisher.call('connect', { ...common, members: [driver], connections: 1 });
    const results: Record<number, Result> = {};
    for (const rate of scale.rates) {
      await publisher.call('publish', { perSecond: rate });
      await sleep(scale.warmMs);
      const cpu = new CpuMeter(server.pid, followers.pid);
      await followers.call('begin', undefined);
      cpu.start();
      await sleep(scale.countMs);
      const counted = await followers.call('read', undefined);
      const [serverCpu, generatorCpu] = cpu.shares() as [number, number];
      await publisher.call('quiet', undefined);
      if (counted.ended + counted.errors > 0) throw new Error(`${name}: ${counted.reason}`);
      const deliveriesPerS = counted.events / (counted.windowMs / 1000);
      results[rate] = {
        deliveriesPerS,
        share: deliveriesPerS / (rate * scale.followers),
        p50Ms: counted.eventLatency.p50Ms,
        p95Ms: counted.eventLatency.p95Ms,
        serverCpu,
        generatorCpu,
        cpuPerMillion: (serverCpu / deliveriesPerS) * 1e6,
      };
    }
    return results;
  } finally {
    await publisher.stop();
    await followers.stop();
    await server.stop();
  }
}

async function oneTrip(context: Context): Promise<BenchTrip> {
  const server = await startRide(context.ground);
  try {
    const [trip] = await makeTrips(server, 'broadcast-to-streams', 1);
    return trip!;
  } finally {
    await server.stop();
  }
}

export async function grpcBroadcast(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { followers: 1000, rates: [10, 40, 400], warmMs: 2000, countMs: 5000 },
    { followers: 1000, rates: [10, 40, 250], warmMs: 1000, countMs: 2500 },
    { followers: 8, rates: [50, 100, 200], warmMs: 50, countMs: 150 },
  );
  const trip = await oneTrip(context);
  const results = await alternate(
    context,
    servers.map((name) => ({ name, run: () => run(context, name, trip, scale) })),
  );
  const of = (name: Name, rate: number): Result => medians(results.get(name)!.map((round) => round[rate]!));
  const ratio = (rate: number): number => of('grpc', rate).cpuPerMillion / of('ride', rate).cpuPerMillion;
  const [quiet, busy, flood] = scale.rates;
  return {
    title: 'gRPC broadcast',
    method: [
      `${scale.followers} streams on ${CONNECTIONS} connections follow one trip, whose driver sends positions by gRPC at the rate given. The server encodes an event once and hands every stream the same buffer; the peer hands grpc-js the message, which encodes it for each stream. Taking the positions in is part of both figures, with sign-in, limits, Redis and acks at ours only, and so is what a process costs that does little: at ${quiet} events a second that is most of it.`,
      `At ${flood} events a second a turn of the event loop brings several events, which ours joins for each stream; one that is late gives way to what is newer.`,
    ],
    tables: [
      {
        title: '',
        columns: [
          'events/s',
          'server',
          'deliveries/s',
          'delivered',
          'p50 ms',
          'p95 ms',
          'server CPU s per million',
          'server cores',
          'generator cores',
        ],
        rows: scale.rates.flatMap((rate) =>
          servers.map((name) => {
            const r = of(name, rate);
            return [
              rate,
              labels[name],
              r.deliveriesPerS,
              r.share,
              r.p50Ms,
              r.p95Ms,
              r.cpuPerMillion,
              r.serverCpu,
              r.generatorCpu,
            ];
          }),
        ),
      },
    ],
    plots: [],
    claims: [
      atLeast(`deliveries a CPU second at ${busy} events/s, over encoding for each`, ratio(busy), 1.3),
      atLeast(`deliveries a CPU second at ${flood} events/s, over encoding for each`, ratio(flood), 1.3),
    ],
    raw: Object.fromEntries(results),
  };
}
