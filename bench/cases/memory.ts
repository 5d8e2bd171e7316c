/** What an idle session costs in resident memory: WebSocket against @fastify/websocket and bare ws, gRPC against grpc-js. */
import { alternate, bySize, type Context } from '../harness/context.ts';
import { startGenerator } from '../harness/remote.ts';
import { atMost, type CaseResult } from '../harness/result.ts';
import { SECRET } from '../harness/ride.ts';
import { median } from '../harness/statistics.ts';
import { sleep } from '../harness/time.ts';
import { placeOf } from '../harness/trips.ts';
import { collectGarbage, residentBytes } from '../harness/usage.ts';
import type { Member } from '../load/dialects.ts';
import type { StreamsApi } from '../load/streams.ts';
import { connectLoad, LABELS, type ServerName, startLoad, startWebSocketServer } from './contenders.ts';
import { type GrpcName, startGrpc } from './grpc.ts';

interface Scale {
  webSockets: number;
  streams: number;
  settleMs: number;
}

/** Share of the sessions that are there before the first reading: what only the first ones cost is not counted. */
const FIRST_SHARE = 0.2;
const READINGS = 5;
const FEW_CONNECTIONS = 4;

const webSocketServers = ['ride', 'fastify', 'ws', 'socketio'] as const satisfies readonly ServerName[];
const grpcNames: Record<GrpcName, string> = { ride: 'Ridestream', grpc: 'bare grpc-js' };

const idle = (from: number, count: number): Member[] =>
  Array.from({ length: count }, (_, i) => ({
    userId: `idle-${from + i}`,
    role: 'rider',
    follows: [],
    publishesTo: '',
    place: placeOf(0),
  }));

/** Resident memory without garbage, once it has settled: the median of some readings. */
async function settled(pid: number, { settleMs }: Scale): Promise<number> {
  const readings: number[] = [];
  await sleep(settleMs);
  collectGarbage(pid);
  for (let i = 0; i < READINGS; i++) {
    await sleep(settleMs / READINGS);
    readings.push(residentBytes(pid));
  }
  return median(readings.slice(READINGS >> 1));
}

async function ofWebSockets(context: Context, name: ServerName, scale: Scale): Promise<number> {
  const server = await startWebSocketServer(context, name);
  const first = await startLoad(context, 'first');
  const rest = await startLoad(context, 'rest');
  try {
    const firstCount = Math.ceil(scale.webSockets * FIRST_SHARE);
    const silent = { follow: false, lookAtAll: true };
    await connectLoad(first, server, { members: idle(0, firstCount), ...silent });
    const before = await settled(server.pid, scale);
    await connectLoad(rest, server, { members: idle(firstCount, scale.webSockets), ...silent });
    const after = await settled(server.pid, scale);
    for (const load of [first, rest]) {
      const { ended, reason } = await load.call('read', undefined);
      if (ended > 0) throw new Error(`${name}: ${ended} idle sessions ended: ${reason}`);
    }
    return (after - before) / scale.webSockets;
  } finally {
    await first.stop();
    await rest.stop();
    await server.stop();
  }
}

async function ofStreams(context: Context, name: GrpcName, perConnection: boolean, scale: Scale): Promise<number> {
  const server = await startGrpc(context, name);
  const first = await startGenerator<StreamsApi>(context.ground, 'first', 'load/streams.ts');
  const rest = await startGenerator<StreamsApi>(context.ground, 'rest', 'load/streams.ts');
  try {
    const { host, port, echo } = server;
    const connect = async (load: typeof first, from: number, count: number): Promise<void> => {
      const connections = perConnection ? count : Math.min(FEW_CONNECTIONS, count);
      await load.call('connect', {
        host,
        port,
        echo,
        secret: SECRET,
        members: idle(from, count),
        connections,
        batch: 1,
      });
    };
    const firstCount = Math.ceil(scale.streams * FIRST_SHARE);
    await connect(first, 0, firstCount);
    const before = await settled(server.pid, scale);
    await connect(rest, firstCount, scale.streams);
    const after = await settled(server.pid, scale);
    for (const load of [first, rest]) {
      const { ended, reason } = await load.call('read', undefined);
      if (ended > 0) throw new Error(`${name}: ${ended} idle streams ended: ${reason}`);
    }
    return (after - before) / scale.streams;
  } finally {
    await first.stop();
    await rest.stop();
    await server.stop();
  }
}

export async function idleMemory(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { webSockets: 10_000, streams: 4000, settleMs: 6000 },
    { webSockets: 4000, streams: 1000, settleMs: 2000 },
    { webSockets: 50, streams: 20, settleMs: 100 },
  );
  const contenders = [
    ...webSocketServers.map((name) => ({ name: `ws ${name}`, run: () => ofWebSockets(context, name, scale) })),
    ...(['ride', 'grpc'] as const).flatMap((name) => [
      { name: `stream ${name}`, run: () => ofStreams(context, name, false, scale) },
      { name: `connection ${name}`, run: () => ofStreams(context, name, true, scale) },
    ]),
  ];
  const results = await alternate(context, contenders);
  const of = (name: string): number => median(results.get(name)!);
  const kb = (bytes: number): number => bytes / 1024;
  return {
    title: 'Idle memory',
    method: [
      `Growth of the server's resident memory (VmRSS) from ${Math.ceil(scale.webSockets * FIRST_SHARE)} to as many and ${scale.webSockets} more idle WebSocket sessions, and from ${Math.ceil(scale.streams * FIRST_SHARE)} to as many and ${scale.streams} more gRPC streams, divided by their number. Before each reading the server, ours or the peer, is made to collect its garbage and to give unused pages back, so that what is compared is what it keeps and not how far its heap has grown. Every session says a heartbeat every 5 s, at the peers too.`,
    ],
    tables: [
      {
        title: 'WebSocket',
        columns: ['server', 'KB a session'],
        rows: webSocketServers.map((name) => [LABELS[name], kb(of(`ws ${name}`))]),
      },
      {
        title: 'gRPC',
        columns: ['server', `KB a stream, ${FEW_CONNECTIONS} connections`, 'KB a stream with a connection of its own'],
        rows: (['ride', 'grpc'] as const).map((name) => [
          grpcNames[name],
          kb(of(`stream ${name}`)),
          kb(of(`connection ${name}`)),
        ]),
      },
    ],
    plots: [],
    claims: [
      atMost('WebSocket session, over @fastify/websocket', of('ws ride') / of('ws fastify'), 1.1),
      atMost('WebSocket session, over bare ws', of('ws ride') / of('ws ws'), 1.5),
      atMost(
        `gRPC stream on ${FEW_CONNECTIONS} connections, over bare grpc-js`,
        of('stream ride') / of('stream grpc'),
        1.3,
      ),
      atMost('gRPC stream with its connection, over bare grpc-js', of('connection ride') / of('connection grpc'), 1.3),
    ],
    raw: Object.fromEntries(results),
  };
}
