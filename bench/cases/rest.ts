/** REST under load: the location of a trip, with token and limit, against bare Fastify answering the same from a Map. */
import { alternate, bySize, type Context } from '../harness/context.ts';
import { freePort, HOST } from '../harness/programs.ts';
import { startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import { signToken } from '../load/dialects.ts';
import type { Asker, RequestsApi } from '../load/requests.ts';
import type { FastifyPeerApi } from '../peers/fastify.ts';

const servers = ['ride', 'fastify'] as const;
type Name = (typeof servers)[number];
const labels: Record<Name, string> = { ride: 'Ridestream, token and limit', fastify: 'bare Fastify' };

interface Result {
  requestsPerS: number;
  p50Ms: number;
  p99Ms: number;
  cpuPerMillion: number;
  serverCpu: number;
  redisCpu: number;
  generatorCpu: number;
}

interface Scale {
  clients: number;
  warmMs: number;
  countMs: number;
}

async function startServer(context: Context, name: Name, trips: readonly BenchTrip[]) {
  if (name === 'ride') {
    const server = await startRide(context.ground);
    return { ...server, port: server.http };
  }
  const port = await freePort();
  const { folder, profiles } = context.ground;
  const peer = await startRemote<FastifyPeerApi>({
    name,
    file: 'peers/fastify.ts',
    folder,
    env: measured(profiles, name),
  });
  await peer.call('listen', { port, tripIds: trips.map((trip) => trip.id) });
  return { ...peer, port };
}

async function run(context: Context, name: Name, trips: readonly BenchTrip[], scale: Scale): Promise<Result> {
  const server = await startServer(context, name, trips);
  const load = await startGenerator<RequestsApi>(context.ground, 'requests', 'load/requests.ts');
  try {
    const askers = trips.map((trip): Asker => {
      const token = signToken({ userId: trip.riderId, role: 'rider' }, SECRET);
      return {
        path: `/api/v1/trips/${trip.id}/location`,
        headers: name === 'ride' ? { Authorization: `Bearer ${token}` } : {},
      };
    });
    await load.call('connect', { host: HOST, port: server.port, askers });
    await load.call('start', undefined);
    await sleep(scale.warmMs);
    const cpu = new CpuMeter(server.pid, context.ground.redis.pid, load.pid);
    await load.call('begin', undefined);
    cpu.start();
    await sleep(scale.countMs);
    const counted = await load.call('read', undefined);
    const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
    await load.call('close', undefined);
    if (counted.refused > 0) throw new Error(`${name}: ${counted.refused} answers were not 200: ${counted.reason}`);
    const requestsPerS = counted.answers / (counted.windowMs / 1000);
    return {
      requestsPerS,
      p50Ms: counted.latency.p50Ms,
      p99Ms: counted.latency.p99Ms,
      cpuPerMillion: (serverCpu / requestsPerS) * 1e6,
      serverCpu,
      redisCpu,
      generatorCpu,
    };
  } finally {
    await load.stop();
    await server.stop();
  }
}

/** Trips whose driver has said where he is. */
async function tripsOf(context: Context, count: number): Promise<BenchTrip[]> {
  const server = await startRide(context.ground);
  try {
    const trips = await makeTrips(server, 'rest', count);
    for (const { id, driverId, place } of trips) {
      const update = {
        ...place,
        recorded_at_ms: Date.now(),
        speed_mps: 7.5,
        heading_deg: 120,
        accuracy_m: 5,
        trip_id: id,
      };
      const token = signToken({ userId: driverId, role: 'driver' }, SECRET);
      await server.rest('POST', '/api/v1/drivers/me/locations', token, { updates: [update] });
    }
    return trips;
  } finally {
    await server.stop();
  }
}

export async function restLocation(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { clients: 64, warmMs: 3000, countMs: 6000 },
    { clients: 64, warmMs: 1500, countMs: 2500 },
    { clients: 4, warmMs: 50, countMs: 150 },
  );
  const trips = await tripsOf(context, scale.clients);
  const results = await alternate(
    context,
    servers.map((name) => ({ name, run: () => run(context, name, trips, scale) })),
  );
  const of = (name: Name): Result => medians(results.get(name)!);
  return {
    title: 'REST under load',
    method: [
      `\`GET /api/v1/trips/{id}/location\` on ${scale.clients} kept connections, one request at a time on each, every one by another rider about his own trip. Ours verifies the token, counts the request against its limit, checks that the trip is the caller's and reads the position; the peer answers the same fields by the same kind of schema from a Map.`,
    ],
    tables: [
      {
        title: '',
        columns: [
          'server',
          'requests/s',
          'p50 ms',
          'p99 ms',
          'server CPU s per million',
          'server cores',
          'Redis cores',
          'generator cores',
        ],
        rows: servers.map((name) => {
          const r = of(name);
          return [
            labels[name],
            r.requestsPerS,
            r.p50Ms,
            r.p99Ms,
            r.cpuPerMillion,
            r.serverCpu,
            r.redisCpu,
            r.generatorCpu,
          ];
        }),
      },
    ],
    plots: [],
    claims: [atLeast('requests/s, over bare Fastify', of('ride').requestsPerS / of('fastify').requestsPerS, 0.6)],
    raw: Object.fromEntries(results),
  };
}
