/** Location ingest over the sockets against Redis itself, and against the transport's own echo; and a sustained rate. */
import { freePort } from '../../sim/free-port.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { startRemote } from '../harness/remote.ts';
import { atLeast, atMost, type CaseResult } from '../harness/result.ts';
import { measured, startRide } from '../harness/ride.ts';
import { median, medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { CpuMeter } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import type { PipelineApi } from '../peers/redis-pipeline.ts';
import type { WsPeerApi } from '../peers/ws.ts';
import { driversOf, goOffDuty, goOnDuty } from './drivers.ts';
import { grpcLoad, type LocationLoad, webSocketLoad } from './location-loads.ts';

/** Document C's load, updates a minute. */
const SUSTAINED_PER_MINUTE = 500_000;
const PIPELINE_SIZE = 100;
const PIPELINES_IN_FLIGHT = 4;

const names = ['WebSocket', 'gRPC', 'WebSocket echo', 'Redis pipeline'] as const;
type Name = (typeof names)[number];

interface Result {
  messagesPerS: number;
  updatesPerS: number;
  p50Ms: number;
  p99Ms: number;
  cpuPerMillion: number;
  serverCpu: number;
  redisCpu: number;
  generatorCpu: number;
}

interface Sustained {
  updatesPerS: number;
  p50Ms: number;
  p99Ms: number;
  serverCpu: number;
}

interface Scale {
  drivers: number;
  warmMs: number;
  countMs: number;
  sustainedMs: number;
}

type Round = { one: Result; ten: Result; sustained?: Sustained };

async function count(
  context: Context,
  load: LocationLoad,
  pid: number,
  batch: number,
  warmMs: number,
  countMs: number,
): Promise<Result> {
  await sleep(warmMs);
  const cpu = new CpuMeter(pid, context.ground.redis.pid, load.pid);
  await load.begin();
  cpu.start();
  await sleep(countMs);
  const counted = await load.read();
  const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
  await load.quiet();
  if (counted.errors + counted.ended > 0) throw new Error(`refused: ${counted.reason}`);
  const messagesPerS = counted.answers / (counted.windowMs / 1000);
  return {
    messagesPerS,
    updatesPerS: messagesPerS * batch,
    p50Ms: counted.latency.p50Ms,
    p99Ms: counted.latency.p99Ms,
    cpuPerMillion: (serverCpu / (messagesPerS * batch)) * 1e6,
    serverCpu,
    redisCpu,
    generatorCpu,
  };
}

async function runSockets(context: Context, name: Name, members: Member[], scale: Scale): Promise<Round> {
  const server = name === 'WebSocket echo' ? await startEcho(context) : await startRide(context.ground);
  const port = 'port' in server ? server.port : name === 'gRPC' ? server.grpc : server.http;
  const load =
    name === 'gRPC'
      ? await grpcLoad(context, port, members)
      : await webSocketLoad(context, port, name === 'WebSocket' ? 'ride' : 'echo', members);
  try {
    const at = async (batch: number): Promise<Result> => {
      await load.connect(batch);
      await load.loop();
      return count(context, load, server.pid, batch, scale.warmMs, scale.countMs);
    };
    const one = await at(1);
    const ten = await at(10);
    if (name === 'WebSocket echo') return { one, ten };
    await load.connect(1);
    await load.publish(SUSTAINED_PER_MINUTE / 60);
    const sustained = await count(context, load, server.pid, 1, scale.warmMs, scale.sustainedMs);
    return { one, ten, sustained };
  } finally {
    await load.stop();
    await server.stop();
  }
}

async function startEcho(context: Context) {
  const port = await freePort();
  const { folder, profiles } = context.ground;
  const env = measured(profiles, 'echo');
  const peer = await startRemote<WsPeerApi>({ name: 'echo', file: 'peers/ws.ts', folder, env });
  await peer.call('listen', { port, echo: true });
  return { ...peer, port };
}

async function runRedis(context: Context, { drivers, countMs, warmMs }: Scale): Promise<Round> {
  const peer = await startRemote<PipelineApi>({
    name: 'pipeline',
    file: 'peers/redis-pipeline.ts',
    folder: context.ground.folder,
  });
  try {
    const args = { redisUrl: context.ground.redis.url, drivers, size: PIPELINE_SIZE, inFlight: PIPELINES_IN_FLIGHT };
    await peer.call('run', { ...args, durationMs: warmMs });
    const cpu = new CpuMeter(peer.pid, context.ground.redis.pid);
    cpu.start();
    const { updates, seconds } = await peer.call('run', { ...args, durationMs: countMs });
    const [serverCpu, redisCpu] = cpu.shares() as [number, number];
    const updatesPerS = updates / seconds;
    const result = {
      messagesPerS: updatesPerS,
      updatesPerS,
      p50Ms: Number.NaN,
      p99Ms: Number.NaN,
      cpuPerMillion: (serverCpu / updatesPerS) * 1e6,
      serverCpu,
      redisCpu,
      generatorCpu: 0,
    };
    return { one: result, ten: result };
  } finally {
    await peer.stop();
  }
}

export async function ingest(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { drivers: 500, warmMs: 2000, countMs: 5000, sustainedMs: 30_000 },
    { drivers: 200, warmMs: 1000, countMs: 2000, sustainedMs: 3000 },
    { drivers: 8, warmMs: 50, countMs: 150, sustainedMs: 300 },
  );
  const members = driversOf(scale.drivers);
  await goOnDuty(context, members);
  const results = await alternate(
    context,
    names.map((name) => ({
      name,
      run: () => (name === 'Redis pipeline' ? runRedis(context, scale) : runSockets(context, name, members, scale)),
    })),
  );
  await goOffDuty(context, members);
  return report(scale, results as Map<Name, Round[]>);
}

function report({ drivers }: Scale, results: Map<Name, Round[]>): CaseResult {
  const of = (name: Name, size: 'one' | 'ten'): Result => medians(results.get(name)!.map((round) => round[size]));
  const sustained = (name: Name): Sustained => medians(results.get(name)!.map((round) => round.sustained!));
  const raw = of('Redis pipeline', 'one').updatesPerS;
  const row = (name: string, r: Result): (string | number)[] => [
    name,
    r.messagesPerS,
    r.updatesPerS,
    r.p50Ms,
    r.p99Ms,
    r.cpuPerMillion,
    r.serverCpu,
    r.redisCpu,
    r.generatorCpu,
  ];
  const sockets = ['WebSocket', 'gRPC'] as const;
  return {
    title: 'Location ingest',
    method: [
      `${drivers} drivers on duty, a connection and one unanswered message each. An answer is the ack, which the server gives when Redis has answered. *WebSocket echo* is bare \`ws\` that decodes and encodes the same messages by the same codec. *Redis pipeline* is bare ioredis with one \`HSET\` and one \`GEOADD\` an update in explicit pipelines of ${PIPELINE_SIZE}, ${PIPELINES_IN_FLIGHT} under way, on the same Redis.`,
      "With ten locations a message the server writes a driver's newest to Redis and not those that it replaces: fewer commands than the pipeline for the same updates, and the same picture for whoever reads.",
      `The sustained rate is ${SUSTAINED_PER_MINUTE.toLocaleString('en')} updates a minute, one a message, sent at that rate however slow the answers are.`,
    ],
    tables: [
      {
        title: 'As fast as answers come',
        columns: [
          'way in',
          'messages/s',
          'updates/s',
          'ack p50 ms',
          'ack p99 ms',
          'CPU s per million updates',
          'cores',
          'Redis cores',
          'generator cores',
        ],
        rows: [
          ...sockets.map((name) => row(`Ridestream, ${name}, one a message`, of(name, 'one'))),
          ...sockets.map((name) => row(`Ridestream, ${name}, ten a message`, of(name, 'ten'))),
          row('WebSocket echo, one a message', of('WebSocket echo', 'one')),
          row('WebSocket echo, ten a message', of('WebSocket echo', 'ten')),
          row('Redis pipeline', of('Redis pipeline', 'one')),
        ],
      },
      {
        title: `Sustained ${SUSTAINED_PER_MINUTE.toLocaleString('en')} a minute`,
        columns: ['way in', 'updates/s', 'ack p50 ms', 'ack p99 ms', 'server cores'],
        rows: sockets.map((name) => {
          const s = sustained(name);
          return [`Ridestream, ${name}`, s.updatesPerS, s.p50Ms, s.p99Ms, s.serverCpu];
        }),
      },
    ],
    plots: [],
    claims: [
      ...sockets.map((name) =>
        atLeast(`updates/s by ${name}, ten a message, over the bare pipeline`, of(name, 'ten').updatesPerS / raw, 1),
      ),
      atLeast(
        'messages/s by WebSocket, one a message, over the echo',
        of('WebSocket', 'one').messagesPerS / of('WebSocket echo', 'one').messagesPerS,
        0.7,
      ),
      ...sockets.map((name) =>
        atMost(`p99 of the ack at the sustained rate by ${name}, over 100 ms`, sustained(name).p99Ms / 100, 1),
      ),
      ...sockets.map((name) =>
        atLeast(
          `sustained rate by ${name}, over ${(SUSTAINED_PER_MINUTE / 60) | 0}/s`,
          sustained(name).updatesPerS / (SUSTAINED_PER_MINUTE / 60),
          0.98,
        ),
      ),
    ],
    raw: { results: Object.fromEntries(results), pipelinePerS: median([raw]) },
  };
}
