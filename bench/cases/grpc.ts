/** gRPC location streams with acks, against bare grpc-js that sends back what it gets through the same codec. */
import { freePort } from '../../sim/free-port.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { HOST, type Program } from '../harness/programs.ts';
import { startGenerator, startRemote } from '../harness/remote.ts';
import { atLeast, type CaseResult } from '../harness/result.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import { medians } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { CpuMeter } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import type { StreamsApi } from '../load/streams.ts';
import type { GrpcPeerApi } from '../peers/grpc.ts';
import { driversOf, goOnDuty } from './drivers.ts';

export type GrpcName = 'ride' | 'grpc';
const labels: Record<GrpcName, string> = { ride: 'Ridestream, location and ack', grpc: 'bare grpc-js, echo' };

interface Shape {
  connections: number;
  batch: number;
}

interface Result {
  messagesPerS: number;
  locationsPerS: number;
  p50Ms: number;
  p99Ms: number;
  cpuPerMillion: number;
  serverCpu: number;
  redisCpu: number;
  generatorCpu: number;
}

export interface GrpcServer extends Program {
  host: string;
  port: number;
  echo: boolean;
}

export async function startGrpc(context: Context, name: GrpcName): Promise<GrpcServer> {
  const { folder, profiles } = context.ground;
  if (name === 'ride') {
    const server = await startRide(context.ground);
    return { ...server, port: server.grpc, echo: false };
  }
  const port = await freePort();
  const env = measured(profiles, name);
  const peer = await startRemote<GrpcPeerApi>({ name, file: 'peers/grpc.ts', folder, env });
  await peer.call('listen', { port });
  return { ...peer, host: HOST, port, echo: true };
}

const keyOf = ({ connections, batch }: Shape): string => `${connections}/${batch}`;

async function run(
  context: Context,
  name: GrpcName,
  drivers: Member[],
  shapes: readonly Shape[],
  warmMs: number,
  countMs: number,
) {
  const server = await startGrpc(context, name);
  const load = await startGenerator<StreamsApi>(context.ground, 'streams', 'load/streams.ts');
  const results: Record<string, Result> = {};
  try {
    const { host, port, echo } = server;
    for (const shape of shapes) {
      await load.call('connect', { host, port, echo, secret: SECRET, members: drivers, ...shape });
      await load.call('loop', { inFlight: 1 });
      await sleep(warmMs);
      const cpu = new CpuMeter(server.pid, context.ground.redis.pid, load.pid);
      await load.call('begin', undefined);
      cpu.start();
      await sleep(countMs);
      const counted = await load.call('read', undefined);
      const [serverCpu, redisCpu, generatorCpu] = cpu.shares() as [number, number, number];
      await load.call('quiet', undefined);
      if (counted.errors + counted.ended > 0) throw new Error(`${name}: ${counted.reason}`);
      const messagesPerS = counted.messages / (counted.windowMs / 1000);
      results[keyOf(shape)] = {
        messagesPerS,
        locationsPerS: messagesPerS * shape.batch,
        p50Ms: counted.latency.p50Ms,
        p99Ms: counted.latency.p99Ms,
        cpuPerMillion: (serverCpu / messagesPerS) * 1e6,
        serverCpu,
        redisCpu,
        generatorCpu,
      };
    }
    return results;
  } finally {
    await load.stop();
    await server.stop();
  }
}

export async function grpcStreams(context: Context): Promise<CaseResult> {
  const { streams, warmMs, countMs } = bySize(
    context,
    { streams: 500, warmMs: 2000, countMs: 5000 },
    { streams: 200, warmMs: 1000, countMs: 2000 },
    { streams: 8, warmMs: 50, countMs: 150 },
  );
  const shapes: Shape[] = [4, streams].flatMap((connections) => [1, 10].map((batch) => ({ connections, batch })));
  const drivers = driversOf(streams);
  await goOnDuty(context, drivers);
  const names = ['ride', 'grpc'] as const;
  const results = await alternate(
    context,
    names.map((name) => ({ name, run: () => run(context, name, drivers, shapes, warmMs, countMs) })),
  );
  const of = (name: GrpcName, shape: Shape): Result => medians(results.get(name)!.map((round) => round[keyOf(shape)]!));
  const [fewOne, fewTen, manyOne, manyTen] = shapes as [Shape, Shape, Shape, Shape];
  const ratio = (shape: Shape): number => of('ride', shape).messagesPerS / of('grpc', shape).messagesPerS;
  return {
    title: 'gRPC location streams',
    method: [
      `${streams} drivers on duty, each with one stream and one unanswered message: the next is sent when the answer has come. Ours decodes, checks, writes to Redis, and acknowledges when Redis has answered; the peer decodes by the same codec (protobuf-es), encodes again and sends back.`,
      'One location a message, and ten (`location_batch`). Of several positions of one driver that meet in one write to Redis the server writes only the newest, and a batch counts as ten locations.',
    ],
    tables: [
      {
        title: '',
        columns: [
          'streams on connections',
          'server',
          'messages/s',
          'locations/s',
          'answer p50 ms',
          'answer p99 ms',
          'server CPU s per million messages',
          'server cores',
          'Redis cores',
          'generator cores',
        ],
        rows: shapes.flatMap((shape) =>
          names.map((name) => {
            const r = of(name, shape);
            const size = shape.batch === 1 ? 'one location' : `${shape.batch} locations`;
            return [
              `${streams} on ${shape.connections}, ${size}`,
              labels[name],
              r.messagesPerS,
              r.locationsPerS,
              r.p50Ms,
              r.p99Ms,
              r.cpuPerMillion,
              r.serverCpu,
              r.redisCpu,
              r.generatorCpu,
            ];
          }),
        ),
      },
    ],
    plots: [],
    claims: [
      atLeast(`messages/s on ${fewOne.connections} connections, over bare grpc-js`, ratio(fewOne), 0.7),
      atLeast(`messages/s on ${manyOne.connections} connections, over bare grpc-js`, ratio(manyOne), 0.7),
      atLeast(
        `locations/s, ten a message over one, ${fewTen.connections} connections`,
        of('ride', fewTen).locationsPerS / of('ride', fewOne).locationsPerS,
        3,
      ),
      atLeast(
        `locations/s, ten a message over one, ${manyTen.connections} connections`,
        of('ride', manyTen).locationsPerS / of('ride', manyOne).locationsPerS,
        3,
      ),
    ],
    raw: Object.fromEntries(results),
  };
}
