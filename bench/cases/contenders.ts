/** The WebSocket servers that are compared, each started the same way and spoken to in its own dialect. */
import { freePort } from '../../sim/free-port.ts';
import type { Context } from '../harness/context.ts';
import { HOST, type Program } from '../harness/programs.ts';
import { type Remote, startGenerator, startRemote } from '../harness/remote.ts';
import { measured, SECRET, startRide } from '../harness/ride.ts';
import type { DialectOptions, Member } from '../load/dialects.ts';
import type { SocketsApi } from '../load/sockets.ts';
import type { FastifyPeerApi } from '../peers/fastify.ts';
import type { SocketIoPeerApi } from '../peers/socketio.ts';
import type { WsPeerApi } from '../peers/ws.ts';

export type ServerName = 'ride' | 'ws' | 'socketio' | 'fastify';

export const LABELS: Record<ServerName, string> = {
  ride: 'Ridestream',
  ws: 'bare `ws`, frame built once',
  socketio: 'Socket.IO 4.8',
  fastify: '@fastify/websocket',
};

/** Bytes of an event at every server; ours are about as long. */
export const EVENT_BYTES = 200;
/** Shorter than any event and longer than any other message of a measurement. */
export const MIN_EVENT_BYTES = 175;

export interface WebSocketServer extends Program {
  host: string;
  port: number;
  kind: DialectOptions['kind'];
}

/** @param node name among several that share a Redis; alone without */
export async function startWebSocketServer(
  context: Context,
  name: ServerName,
  node?: string,
): Promise<WebSocketServer> {
  const { folder, profiles, redis } = context.ground;
  if (name === 'ride') {
    const server = await startRide(context.ground, node);
    return { ...server, port: server.http, kind: 'ride' };
  }
  const port = await freePort();
  const env = measured(profiles, name);
  const common = { name, folder, env };
  if (name === 'socketio') {
    const peer = await startRemote<SocketIoPeerApi>({ ...common, file: 'peers/socketio.ts' });
    await peer.call('listen', { port, ...(node ? { redisUrl: redis.url } : {}) });
    return { ...peer, host: HOST, port, kind: 'socketio' };
  }
  if (name === 'fastify') {
    const peer = await startRemote<FastifyPeerApi>({ ...common, file: 'peers/fastify.ts' });
    await peer.call('listenForWebSockets', { port });
    return { ...peer, host: HOST, port, kind: 'plain' };
  }
  const peer = await startRemote<WsPeerApi>({ ...common, file: 'peers/ws.ts' });
  await peer.call('listen', { port, echo: false });
  return { ...peer, host: HOST, port, kind: 'plain' };
}

export const startLoad = (context: Context, name: string): Promise<Remote<SocketsApi>> =>
  startGenerator<SocketsApi>(context.ground, name, 'load/sockets.ts');

export interface Joining {
  members: Member[];
  follow: boolean;
  lookAtAll: boolean;
  /** Locations in one message of ours. */
  batch?: number;
  /** Address to connect from. */
  from?: string;
  /** How long it may take. */
  limitMs?: number;
}

export async function connectLoad(load: Remote<SocketsApi>, server: WebSocketServer, joining: Joining): Promise<void> {
  const { members, follow, lookAtAll, batch = 1, from, limitMs = 120_000 } = joining;
  const dialect = { kind: server.kind, secret: SECRET, batch, eventBytes: EVENT_BYTES };
  const { host, port } = server;
  const args = {
    host,
    port,
    dialect,
    members,
    follow,
    lookAtAll,
    minEventBytes: MIN_EVENT_BYTES,
    ...(from ? { from } : {}),
  };
  await load.call('connect', args, limitMs);
}
