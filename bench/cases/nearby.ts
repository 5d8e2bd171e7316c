/** Who is near, with everything that the answer says of a driver, against GEOSEARCH alone on the same index. */
import { alternate, bySize, type Context } from '../harness/context.ts';
import { freePort, HOST } from '../harness/programs.ts';
import { startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, type RideServer, SECRET, startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import { type Member, signToken } from '../load/dialects.ts';
import type { RequestsApi } from '../load/requests.ts';
import type { Place } from '../load/wire/protobuf.ts';
import type { GeosearchApi } from '../peers/geosearch.ts';
import { driversOf, goOnDuty } from './drivers.ts';

const names = ['ride', 'fastify', 'redis'] as const;
type Name = (typeof names)[number];
const labels: Record<Name, string> = {
  ride: 'Ridestream, token and limit',
  fastify: 'GEOSEARCH behind bare Fastify',
  redis: 'GEOSEARCH by bare ioredis, no HTTP',
};

/** The route's defaults. */
const RADIUS_M = 3000;
const LIMIT = 20;
const AT_ONCE = 16;

interface Result {
  answersPerS: number;
  p50Ms: number;
  p99Ms: number;
  serverCpu: number;
  redisCpu: number;
}

interface Scale {
  drivers: number;
  clients: number;
  warmMs: number;
  countMs: number;
}

/** Riders stand among the drivers, away from the rim. */
const placesOf = ({ drivers, clients }: Scale): Place[] =>
  Array.from({ length: clients }, (_, i) => {
    const { lat, lng } = placeOf(Math.floor(((i + 0.5) * drivers) / clients));
    return { lat: lat + 0.0005, lng: lng + 0.0007 };
  });

/** Everyone says where he is: positions of a minute ago would count no more. */
async function report(server: RideServer, drivers: readonly Member[]): Promise<void> {
  const next = drivers.values();
  const lane = async (): Promise<void> => {
    for (const driver of next) {
      const update = { ...driver.place, recorded_at_ms: Date.now(), speed_mps: 7.5, heading_deg: 120, accuracy_m: 5 };
      const token = signToken(driver, SECRET);
      await server.rest('POST', '/api/v1/drivers/me/locations', token, { updates: [update] });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function startServer(context: Context, name: 'ride' | 'fastify', drivers: readonly Member[]) {
  const { ground } = context;
  if (name === 'ride') {
    const server = await startRide(ground);
    await report(server, drivers);
    return { ...server, port: server.http };
  }
  const port = await freePort();
  const peer = await startRemote<GeosearchApi>({
    name,
    file: 'peers/geosearch.ts',
    folder: ground.folder,
    env: measured(ground.profiles, name),
  });
  await peer.call('listen', { port, redisUrl: ground.redis.url, radiusM: RADIUS_M, limit: LIMIT });
  return { ...peer, port };
}

async function overHttp(
  context: Context,
  name: 'ride' | 'fastify',
  drivers: readonly Member[],
  scale: Scale,
): Promise<Result> {
  const server = await startServer(context, name, drivers);
  const load = await startGenerator<RequestsApi>(context.ground, 'requests', 'load/requests.ts');
  try {
    const askers = placesOf(scale).map(({ lat, lng }, i) => ({
      path: `/api/v1/drivers/nearby?lat=${lat}&lng=${lng}`,
      headers: { Authorization: `Bearer ${signToken({ userId: `r-near-${i}`, role: 'rider' }, SECRET)}` },
    }));
    await load.call('connect', { host: HOST, port: server.port, askers });
    await load.call('start', undefined);
    await sleep(scale.warmMs);
    const cpu = new CpuMeter(server.pid, context.ground.redis.pid);
    await load.call('begin', undefined);
    cpu.start();
    await sleep(scale.countMs);
    const { answers, windowMs, refused, reason, latency } = await load.call('read', undefined);
    const [serverCpu, redisCpu] = cpu.shares() as [number, number];
    await load.call('close', undefined);
    if (refused > 0) throw new Error(`${name}: ${refused} answers were not 200: ${reason}`);
    const { p50Ms, p99Ms } = latency;
    return { answersPerS: answers / (windowMs / 1000), p50Ms, p99Ms, serverCpu, redisCpu };
  } finally {
    await load.stop();
    await server.stop();
  }
}

async function bare(context: Context, scale: Scale): Promise<Result> {
  const { folder, redis } = context.ground;
  const peer = await startRemote<GeosearchApi>({ name: 'geosearch', file: 'peers/geosearch.ts', folder });
  try {
    const search = { redisUrl: redis.url, radiusM: RADIUS_M, limit: LIMIT, places: placesOf(scale) };
    await peer.call('run', { ...search, durationMs: scale.warmMs });
    const cpu = new CpuMeter(peer.pid, redis.pid);
    cpu.start();
    const { answers, seconds, latency } = await peer.call('run', { ...search, durationMs: scale.countMs });
    const [serverCpu, redisCpu] = cpu.shares() as [number, number];
    return { answersPerS: answers / seconds, p50Ms: latency.p50Ms, p99Ms: latency.p99Ms, serverCpu, redisCpu };
  } finally {
    await peer.stop();
  }
}

export async function nearby(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { drivers: 5000, clients: 64, warmMs: 2000, countMs: 6000 },
    { drivers: 5000, clients: 64, warmMs: 1500, countMs: 3000 },
    { drivers: 40, clients: 4, warmMs: 50, countMs: 150 },
  );
  const drivers = driversOf(scale.drivers);
  await goOnDuty(context, drivers);
  // Before any server has its turn: peers ask the index that this fills.
  const server = await startRide(context.ground);
  await report(server, drivers);
  await server.stop();
  const results = await alternate(
    context,
    names.map((name) => ({
      name,
      run: () => (name === 'redis' ? bare(context, scale) : overHttp(context, name, drivers, scale)),
    })),
  );
  const of = (name: Name): Result => medians(results.get(name)!);
  return {
    title: 'Drivers nearby',
    method: [
      `\`GET /api/v1/drivers/nearby\` on ${scale.clients} kept connections, one request at a time on each, at ${scale.clients} places among ${scale.drivers.toLocaleString('en')} available drivers about 200 m apart; radius and limit are the route's defaults, ${RADIUS_M} m and ${LIMIT}. Ours verifies the token, counts the request, reads position, class and freshness of each driver beside the index, and estimates when he would be there. The peers ask the same index on the same Redis by one \`GEOSEARCH … WITHDIST WITHCOORD\`, once behind bare Fastify without token, limit or estimate, once without HTTP at all.`,
    ],
    tables: [
      {
        title: '',
        columns: ['server', 'answers/s', 'p50 ms', 'p99 ms', 'server cores', 'Redis cores'],
        rows: names.map((name) => {
          const r = of(name);
          return [labels[name], r.answersPerS, r.p50Ms, r.p99Ms, r.serverCpu, r.redisCpu];
        }),
      },
    ],
    plots: [],
    claims: [
      atLeast('answers/s, over GEOSEARCH behind bare Fastify', of('ride').answersPerS / of('fastify').answersPerS, 0.7),
    ],
    raw: Object.fromEntries(results),
  };
}
