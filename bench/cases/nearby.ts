/** Who is near, with everything that the answer says of a driver, against GEOSEARCH alone on the same index. */
import { freePort } from '../../sim/free-port.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { HOST } from '../harness/programs.ts';
import { type Remote, startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, type RideServer, SECRET, startRide } from '../harness/ride.ts';
import { median, medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { placeOf } from '../harness/trips.ts';
import { CpuMeter } from '../harness/usage.ts';
import { type Member, signToken } from '../load/dialects.ts';
import type { RequestsApi } from '../load/requests.ts';
import type { Place } from '../load/wire/protobuf.ts';
import type { GeosearchApi } from '../peers/geosearch.ts';
import { driversOf, goOffDuty, goOnDuty } from './drivers.ts';

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

/** What one of them did in one window. */
interface Window {
  answersPerS: number;
  p50Ms: number;
  p99Ms: number;
  serverCpu: number;
  redisCpu: number;
}

type Windows = Record<Name, Window[]>;

interface Scale {
  drivers: number;
  clients: number;
  warmMs: number;
  countMs: number;
  /** Windows of each in a round. */
  windows: number;
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

/** One of the three, running: asked for so long, it says how often it answered. */
interface Contender {
  pid: number;
  ask(durationMs: number): Promise<{ answers: number; seconds: number; p50Ms: number; p99Ms: number }>;
}

/** Asked by the generator, a connection for each place. */
async function overHttp(
  load: Remote<RequestsApi>,
  name: Name,
  { pid, port }: { pid: number; port: number },
  scale: Scale,
): Promise<Contender> {
  const askers = placesOf(scale).map(({ lat, lng }, i) => ({
    path: `/api/v1/drivers/nearby?lat=${lat}&lng=${lng}`,
    headers: { Authorization: `Bearer ${signToken({ userId: `r-near-${i}`, role: 'rider' }, SECRET)}` },
  }));
  await load.call('connect', { name, host: HOST, port, askers });
  return {
    pid,
    async ask(durationMs) {
      await load.call('start', name);
      await load.call('begin', undefined);
      await sleep(durationMs);
      const { answers, windowMs, refused, reason, latency } = await load.call('read', undefined);
      await load.call('rest', name);
      if (refused > 0) throw new Error(`${name}: ${refused} answers were not 200: ${reason}`);
      return { answers, seconds: windowMs / 1000, p50Ms: latency.p50Ms, p99Ms: latency.p99Ms };
    },
  };
}

async function measure({ ground }: Context, { pid, ask }: Contender, durationMs: number): Promise<Window> {
  const cpu = new CpuMeter(pid, ground.redis.pid);
  cpu.start();
  const { answers, seconds, p50Ms, p99Ms } = await ask(durationMs);
  const [serverCpu, redisCpu] = cpu.shares() as [number, number];
  return { answersPerS: answers / seconds, p50Ms, p99Ms, serverCpu, redisCpu };
}

/** All three anew, warmed, then asked in turn in short windows; who is first changes with each turn. */
async function run(context: Context, drivers: readonly Member[], scale: Scale): Promise<Windows> {
  const { ground } = context;
  const { folder, profiles, redis } = ground;
  const search = { redisUrl: redis.url, radiusM: RADIUS_M, limit: LIMIT };
  const ended: (() => Promise<unknown>)[] = [];
  try {
    const load = await startGenerator<RequestsApi>(ground, 'requests', 'load/requests.ts');
    ended.push(() => load.stop());
    const ride = await startRide(ground);
    ended.push(() => ride.stop());
    await report(ride, drivers);
    const peer = async (name: string): Promise<Remote<GeosearchApi>> => {
      const env = measured(profiles, name);
      const remote = await startRemote<GeosearchApi>({ name, file: 'peers/geosearch.ts', folder, env });
      ended.push(() => remote.stop());
      return remote;
    };
    const [fastify, bare] = [await peer('fastify'), await peer('geosearch')];
    const port = await freePort();
    await fastify.call('listen', { port, ...search });
    const places = placesOf(scale);
    const contenders: Record<Name, Contender> = {
      ride: await overHttp(load, 'ride', { pid: ride.pid, port: ride.http }, scale),
      fastify: await overHttp(load, 'fastify', { pid: fastify.pid, port }, scale),
      redis: { pid: bare.pid, ask: (durationMs) => bare.call('run', { ...search, places, durationMs }) },
    };
    for (const name of names) await contenders[name].ask(scale.warmMs);
    const windows: Windows = { ride: [], fastify: [], redis: [] };
    for (let turn = 0; turn < scale.windows; turn++)
      for (const name of turn % 2 === 0 ? names : names.toReversed())
        windows[name].push(await measure(context, contenders[name], scale.countMs));
    return windows;
  } finally {
    for (const end of ended.reverse()) await end();
  }
}

export async function nearby(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { drivers: 5000, clients: 64, warmMs: 2000, countMs: 1000, windows: 8 },
    { drivers: 5000, clients: 64, warmMs: 1500, countMs: 700, windows: 4 },
    { drivers: 40, clients: 4, warmMs: 50, countMs: 150, windows: 1 },
  );
  const drivers = driversOf(scale.drivers);
  await goOnDuty(context, drivers);
  const rounds = (await alternate(context, [{ name: 'all', run: () => run(context, drivers, scale) }])).get('all')!;
  await goOffDuty(context, drivers);
  const of = (name: Name): Window => medians(rounds.flatMap((round) => round[name]));
  /** Of windows side by side, so that what the machine does meanwhile falls on both. */
  const ratioTo = (name: Name): number =>
    median(rounds.flatMap(({ ride, [name]: other }) => ride.map((w, i) => w.answersPerS / other[i]!.answersPerS)));
  return {
    title: 'Drivers nearby',
    method: [
      `\`GET /api/v1/drivers/nearby\` on ${scale.clients} kept connections, one request at a time on each, at ${scale.clients} places among ${scale.drivers.toLocaleString('en')} available drivers about 200 m apart; radius and limit are the route's defaults, ${RADIUS_M} m and ${LIMIT}. Ours verifies the token, counts the request, reads position, class and freshness of each driver beside the index, and estimates when he would be there. The peers ask the same index on the same Redis by one \`GEOSEARCH … WITHDIST WITHCOORD\`, once behind bare Fastify without token, limit or estimate, once without HTTP at all, which is what Redis and its client can do and no server over HTTP does.`,
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
    claims: [atLeast('answers/s, over GEOSEARCH behind bare Fastify', ratioTo('fastify'), 0.7)],
    raw: { rounds },
  };
}
