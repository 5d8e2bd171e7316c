/**
 * Trip requests over REST, against bare Fastify with the same sign-in and limit. Each server is alone while it is asked, for what
 * follows from a trip goes on after its answer.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../sim/free-port.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { HOST, type Program } from '../harness/programs.ts';
import { startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import { signToken } from '../load/dialects.ts';
import type { Asker, RequestsApi } from '../load/requests.ts';
import type { FastifyTripsApi } from '../peers/fastify-trips.ts';

const servers = ['ride', 'keyed', 'fastify', 'sqlite'] as const;
type Name = (typeof servers)[number];
const labels: Record<Name, string> = {
  ride: 'Ridestream',
  keyed: 'Ridestream, each request with an Idempotency-Key',
  fastify: 'bare Fastify, kept in memory',
  sqlite: 'bare Fastify, kept in SQLite',
};

interface Result {
  requestsPerS: number;
  p50Ms: number;
  p99Ms: number;
  cpuPerMillion: number;
  serverCpu: number;
  redisCpu: number;
  generatorCpu: number;
}

const columns: readonly [title: string, of: keyof Result][] = [
  ['requests/s', 'requestsPerS'],
  ['p50 ms', 'p50Ms'],
  ['p99 ms', 'p99Ms'],
  ['server CPU s per million', 'cpuPerMillion'],
  ['server cores', 'serverCpu'],
  ['Redis cores', 'redisCpu'],
  ['generator cores', 'generatorCpu'],
];

interface Scale {
  clients: number;
  warmMs: number;
  countMs: number;
}

type Server = Program & { port: number };

/** With nothing of an earlier run in its store or in Redis: what waits there would be looked after beside the new. */
async function startServer({ ground }: Context, name: Name, round: number): Promise<Server> {
  const { folder, profiles, redis } = ground;
  const own = `trips-${name}-${round}`;
  if (name === 'ride' || name === 'keyed') {
    const server = ground.only
      ? await startRide(ground)
      : await startRide(ground, own, { DATA_DIR: join(folder, own) });
    return { ...server, port: server.http };
  }
  const port = await freePort();
  const env = measured(profiles, own);
  const peer = await startRemote<FastifyTripsApi>({ name: own, file: 'peers/fastify-trips.ts', folder, env });
  const file = name === 'sqlite' ? { file: join(folder, `${own}.sqlite`) } : {};
  await peer.call('listen', { port, secret: SECRET, redisUrl: redis.url, ...file });
  return { ...peer, port };
}

async function forget({ ground }: Context): Promise<void> {
  if (ground.only) return;
  const redis = new Redis(ground.redis.url);
  await redis.flushall();
  redis.disconnect();
}

/** So far from the drivers of other cases on the same server that what waits here is never offered to them. */
const AWAY_DEG = 5;

const askersOf = (name: Name, round: number, clients: number): Asker[] =>
  Array.from({ length: clients }, (_, i) => {
    const near = placeOf(i);
    const pickup = { lat: near.lat + AWAY_DEG, lng: near.lng };
    const userId = `r-trips-${name}-${i}`;
    return {
      path: '/api/v1/trips',
      headers: { Authorization: `Bearer ${signToken({ userId, role: 'rider' }, SECRET)}` },
      body: { pickup, dropoff: { lat: pickup.lat + 0.05, lng: pickup.lng + 0.05 }, vehicle_class: 'standard' },
      ...(name === 'keyed' ? { keys: `${round}-` } : {}),
    };
  });

async function run(context: Context, name: Name, round: number, scale: Scale): Promise<Result> {
  const { ground } = context;
  const server = await startServer(context, name, round);
  const load = await startGenerator<RequestsApi>(ground, 'requests', 'load/requests.ts');
  try {
    const askers = askersOf(name, round, scale.clients);
    await load.call('connect', { name, host: HOST, port: server.port, askers });
    await load.call('start', name);
    await sleep(scale.warmMs);
    const cpu = new CpuMeter(server.pid, ground.redis.pid, load.pid);
    await load.call('begin', undefined);
    cpu.start();
    await sleep(scale.countMs);
    const counted = await load.call('read', undefined);
    const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
    await load.call('rest', name);
    await load.call('close', undefined);
    if (counted.refused > 0) throw new Error(`${name}: ${counted.refused} answers were not 201: ${counted.reason}`);
    const requestsPerS = counted.answers / (counted.windowMs / 1000);
    const { p50Ms, p99Ms } = counted.latency;
    const cpuPerMillion = (serverCpu / requestsPerS) * 1e6;
    return { requestsPerS, p50Ms, p99Ms, cpuPerMillion, serverCpu, redisCpu, generatorCpu };
  } finally {
    await load.stop();
    await server.stop();
    await forget(context);
  }
}

export async function tripRequests(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { clients: 64, warmMs: 3000, countMs: 6000 },
    { clients: 64, warmMs: 2000, countMs: 3000 },
    { clients: 4, warmMs: 50, countMs: 150 },
  );
  const rounds: Record<Name, number> = { ride: 0, keyed: 0, fastify: 0, sqlite: 0 };
  const contenders = servers.map((name) => ({ name, run: () => run(context, name, rounds[name]++, scale) }));
  const results = await alternate(context, contenders);
  const of = (name: Name): Result => medians(results.get(name)!);
  const [ride, memory, durable] = [of('ride'), of('fastify'), of('sqlite')];
  return {
    title: 'Trip requests over REST',
    method: [
      `\`POST /api/v1/trips\` on ${scale.clients} kept connections, one request at a time on each, every one by another rider. Ours verifies the token, counts the request against its limit, prices the ride with the surge of its zone, and writes the trip with its event to SQLite, on the disk before it is answered. While it takes further requests it tells the followers of each trip, looks for a driver, of whom there is none, writes down why, and looks again: what follows from a request runs in the same process and is in the figure, and all trips go on waiting.`,
      'The peer is Fastify with @fastify/jwt, which remembers verified tokens, @fastify/rate-limit over the same Redis, so that its limit too is one of all nodes, and the same schemas for body and answer. It keeps the trip in a Map, or inserts it into SQLite, on the disk before it is answered too; nothing follows. Only the second promises what ours does: what the first has answered is gone with the process, so beside it stands what keeping the promise costs on this disk. What each stage of ours costs, and why 0.6 of the first is out of reach on two shared cores, says [decision 0019](decisions/0019-the-cost-of-a-trip.md).',
    ],
    tables: [
      {
        title: '',
        columns: ['server', ...columns.map(([title]) => title)],
        rows: servers.map((name) => [labels[name], ...columns.map(([, field]) => of(name)[field])]),
      },
    ],
    plots: [],
    claims: [
      atLeast('requests/s, over bare Fastify that keeps them in memory', ride.requestsPerS / memory.requestsPerS, 0.6),
      atLeast('requests/s, over bare Fastify with SQLite', ride.requestsPerS / durable.requestsPerS, 0.6),
      atLeast('p99 of bare Fastify that keeps them in memory, over ours', memory.p99Ms / ride.p99Ms, 0.6),
      atLeast('p99 of bare Fastify with SQLite, over ours', durable.p99Ms / ride.p99Ms, 0.6),
    ],
    raw: Object.fromEntries(results),
  };
}
