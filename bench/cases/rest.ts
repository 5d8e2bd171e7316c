/**
 * REST under load: the location of a trip, with token and limit, against bare Fastify answering the same from a Map.
 *
 * A machine's speed changes within seconds, by what else runs on it and on its host. So both servers run all the time and are
 * asked in turn, in short windows, of which each pair makes a ratio of its own.
 */
import { freePort } from '../../sim/free-port.ts';
import { bySize, type Context } from '../harness/context.ts';
import { HOST, type Program } from '../harness/programs.ts';
import { type Remote, startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import { median, medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { type BenchTrip, makeTrips } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import { signToken } from '../load/dialects.ts';
import type { Asker, RequestsApi } from '../load/requests.ts';
import type { FastifyPeerApi } from '../peers/fastify.ts';

const names = ['ride', 'fastify'] as const;
type Name = (typeof names)[number];
const labels: Record<Name, string> = { ride: 'Ridestream, token and limit', fastify: 'bare Fastify' };

/** What one server did in one window. */
interface Window {
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
  /** A window begins so long before it is counted. */
  leadMs: number;
  countMs: number;
  /** Pairs of windows in a round. */
  pairs: number;
}

type Server = Program & { port: number };
type Windows = Record<Name, Window[]>;

async function startServer(context: Context, name: Name, trips: readonly BenchTrip[]): Promise<Server> {
  if (name === 'ride') {
    const server = await startRide(context.ground);
    return { ...server, port: server.http };
  }
  const port = await freePort();
  const { folder, profiles } = context.ground;
  const env = measured(profiles, name);
  const peer = await startRemote<FastifyPeerApi>({ name, file: 'peers/fastify.ts', folder, env });
  const places = trips.map(({ id, driverId, place }) => ({ tripId: id, driverId, ...place }));
  await peer.call('listenForRequests', { port, places });
  return { ...peer, port };
}

const askersOf = (name: Name, trips: readonly BenchTrip[]): Asker[] =>
  trips.map((trip): Asker => {
    const token = signToken({ userId: trip.riderId, role: 'rider' }, SECRET);
    const path = `/api/v1/trips/${trip.id}/location`;
    return { path, headers: name === 'ride' ? { Authorization: `Bearer ${token}` } : {} };
  });

async function measure(
  { ground }: Context,
  { pid, name }: Server,
  load: Remote<RequestsApi>,
  { leadMs, countMs }: Scale,
): Promise<Window> {
  await load.call('start', name);
  await sleep(leadMs);
  const cpu = new CpuMeter(pid, ground.redis.pid, load.pid);
  await load.call('begin', undefined);
  cpu.start();
  await sleep(countMs);
  const counted = await load.call('read', undefined);
  const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
  await load.call('rest', name);
  if (counted.refused > 0) throw new Error(`${name}: ${counted.refused} answers were not 200: ${counted.reason}`);
  const requestsPerS = counted.answers / (counted.windowMs / 1000);
  const { p50Ms, p99Ms } = counted.latency;
  const cpuPerMillion = (serverCpu / requestsPerS) * 1e6;
  return { requestsPerS, p50Ms, p99Ms, cpuPerMillion, serverCpu, redisCpu, generatorCpu };
}

/** Both servers anew, warmed, then asked in turn; who is first changes with each pair. */
async function run(context: Context, trips: readonly BenchTrip[], scale: Scale): Promise<Windows> {
  const load = await startGenerator<RequestsApi>(context.ground, 'requests', 'load/requests.ts');
  const servers: Server[] = [];
  const windows: Windows = { ride: [], fastify: [] };
  try {
    for (const name of names) {
      const server = await startServer(context, name, trips);
      servers.push(server);
      await load.call('connect', { name, host: HOST, port: server.port, askers: askersOf(name, trips) });
      await load.call('start', name);
      await sleep(scale.warmMs);
      await load.call('rest', name);
    }
    for (let pair = 0; pair < scale.pairs; pair++) {
      for (const server of pair % 2 === 0 ? servers : servers.toReversed()) {
        windows[server.name as Name].push(await measure(context, server, load, scale));
      }
    }
    return windows;
  } finally {
    await load.stop();
    for (const server of servers) await server.stop();
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
    { clients: 64, warmMs: 4000, leadMs: 200, countMs: 1300, pairs: 8 },
    { clients: 64, warmMs: 3000, leadMs: 150, countMs: 850, pairs: 4 },
    { clients: 4, warmMs: 50, leadMs: 20, countMs: 100, pairs: 1 },
  );
  const trips = await tripsOf(context, scale.clients);
  const rounds: Windows[] = [];
  for (let round = 1; round <= context.rounds; round++) {
    const windows = await run(context, trips, scale);
    rounds.push(windows);
    context.log(`  round ${round} of ${context.rounds}: ${ratiosOf(windows).map((ratio) => ratio.toFixed(3))}`);
  }
  return report(rounds, scale);
}

const ratiosOf = ({ ride, fastify }: Windows): number[] =>
  ride.map(({ requestsPerS }, i) => requestsPerS / fastify[i]!.requestsPerS);

/** Requests a CPU second of the server, over the peer's. */
const cpuRatiosOf = ({ ride, fastify }: Windows): number[] =>
  ride.map(({ cpuPerMillion }, i) => fastify[i]!.cpuPerMillion / cpuPerMillion);

const columns: readonly [title: string, of: keyof Window][] = [
  ['requests/s', 'requestsPerS'],
  ['p50 ms', 'p50Ms'],
  ['p99 ms', 'p99Ms'],
  ['server CPU s per million', 'cpuPerMillion'],
  ['server cores', 'serverCpu'],
  ['Redis cores', 'redisCpu'],
  ['generator cores', 'generatorCpu'],
];

function report(rounds: readonly Windows[], { clients, countMs, pairs }: Scale): CaseResult {
  const of = (name: Name): Window => medians(rounds.flatMap((windows) => windows[name]));
  const ratios = rounds.flatMap(ratiosOf);
  return {
    title: 'REST under load',
    method: [
      `\`GET /api/v1/trips/{id}/location\` on ${clients} kept connections, one request at a time on each, every one by another rider about his own trip. Ours verifies the token, counts the request against its limit, checks that the trip is the caller's and reads the position from Redis; the peer answers the same fields by the same kind of schema from a Map, and does nothing else. Drivers stand still meanwhile: ours recognises a position that it has read before, and writes only its age anew.`,
      `In each round both servers are started anew, warmed, and then asked in turn for ${pairs} pairs of windows of ${countMs / 1000} s, who is first changing with each pair. The ratio is the median of those of all pairs: what the machine does meanwhile falls on both. Where other programs take part of its cores, that of the CPU says more than that of the rate.`,
    ],
    tables: [
      {
        title: '',
        columns: ['server', ...columns.map(([title]) => title)],
        rows: names.map((name) => [labels[name], ...columns.map(([, field]) => of(name)[field])]),
      },
      {
        title: 'Over bare Fastify, by pair of windows',
        columns: ['round', 'what', 'lowest', 'median', 'highest'],
        rows: rounds.flatMap((windows, i) => [
          [`${i + 1}`, 'requests/s', ...spread(ratiosOf(windows))],
          [`${i + 1}`, 'requests a CPU second of the server', ...spread(cpuRatiosOf(windows))],
        ]),
      },
    ],
    plots: [],
    claims: [atLeast('requests/s, over bare Fastify', median(ratios), 0.6)],
    raw: rounds,
  };
}

const spread = (values: readonly number[]): number[] => [Math.min(...values), median(values), Math.max(...values)];
