/**
 * One client for every way into a stream: WebSocket in JSON, WebSocket in binary protobuf, gRPC. Tests of what all three must
 * do alike are written once against it. Knows the contract by proto/ride/v1/ride.proto alone, and can send bytes that break it.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import WebSocket from 'ws';
import { Inbox, type Message } from './inbox.ts';

export const transports = ['websocket-json', 'websocket-protobuf', 'grpc'] as const;
export type TransportName = (typeof transports)[number];

/** How a session ended: the close code of a WebSocket or the status of gRPC. */
export interface Ended {
  code: number;
  reason: string;
  /** Trailing metadata of gRPC. */
  trailers: Record<string, string>;
}

export interface Peer {
  readonly transport: TransportName;
  readonly inbox: Inbox;
  readonly ended: Promise<Ended>;
  /** The next message that `match` holds for. */
  next: Inbox['next'];
  /** Sends one message, resolves its ack, error or subscribed. */
  ask(message: Message): Promise<Message>;
  /** Sends one message under a corr_id of its own, waits for nothing. */
  send(message: Message): void;
  /** Sends bytes as one message of this transport. */
  raw(bytes: Buffer | string): void;
  /** Bytes of an envelope, as this transport carries them. */
  encode(message: Message): Buffer;
  /** An orderly end by the client. */
  close(): void;
  /** The connection is cut without a word. */
  cut(): void;
  /** Stops and goes on reading from the network. */
  pause(): void;
  resume(): void;
}

export interface Address {
  http: string;
  grpc: string;
}

const PROTO = fileURLToPath(new URL('../../proto/ride/v1/ride.proto', import.meta.url));
const METHOD = '/ride.v1.RideStreamService/Connect';
const definition = loadSync(PROTO, { keepCase: true, longs: Number, enums: String });
const service = definition['ride.v1.RideStreamService'] as unknown as {
  Connect: {
    requestSerialize(message: Message): Buffer;
    responseSerialize(message: Message): Buffer;
    responseDeserialize(bytes: Buffer): Message;
  };
};

export const encodeClient = (message: Message): Buffer => service.Connect.requestSerialize(message);
export const encodeServer = (message: Message): Buffer => service.Connect.responseSerialize(message);
export const decodeServer = (bytes: Buffer): Message => service.Connect.responseDeserialize(bytes);

type Link = Pick<Peer, 'raw' | 'encode' | 'close' | 'cut' | 'pause' | 'resume' | 'ended'>;

function peer(transport: TransportName, inbox: Inbox, link: Link): Peer {
  let asked = 0;
  const send = (message: Message): void => link.raw(link.encode(message));
  return {
    transport,
    inbox,
    ...link,
    next: (match, what) => inbox.next(match, what),
    send,
    ask(message) {
      const corr_id = `${transport}-${++asked}`;
      send({ corr_id, ...message });
      return inbox.find((m) => m.corr_id === corr_id, `answer to ${Object.keys(message)}`);
    },
  };
}

export interface WebSocketOptions {
  path?: string;
  /** Subprotocols in place of the usual one. */
  protocols?: string[];
  headers?: Record<string, string>;
}

/** A refused upgrade. */
export class UpgradeRefused extends Error {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  readonly body: any;
  constructor(status: number, headers: UpgradeRefused['headers'], text: string) {
    super(`the upgrade was refused: ${status} ${text}`);
    this.status = status;
    this.headers = headers;
    this.body = JSON.parse(text);
  }
}

/** A WebSocket that is open. @throws UpgradeRefused with the problem document */
export async function openWebSocket(
  at: Address,
  transport: 'websocket-json' | 'websocket-protobuf',
  token: string | undefined,
  { path = '/ws', protocols, headers = {} }: WebSocketOptions = {},
): Promise<Peer & { socket: WebSocket }> {
  const json = transport === 'websocket-json';
  const socket = new WebSocket(`ws://${at.http}${path}`, protocols ?? [json ? 'ride.v1.json' : 'ride.v1.protobuf'], {
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
  });
  const inbox = new Inbox();
  socket.on('message', (data: Buffer, isBinary) => {
    inbox.push(isBinary ? decodeServer(data) : JSON.parse(data.toString()));
  });
  const ended = new Promise<Ended>((resolve) => {
    socket.on('close', (code, reason) => {
      inbox.end(new Error(`socket closed: ${code} ${reason}`));
      resolve({ code, reason: reason.toString(), trailers: {} });
    });
  });
  const refused = new Promise<never>((_resolve, reject) => {
    socket.on('error', reject);
    socket.on('unexpected-response', async (_request, response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      reject(new UpgradeRefused(response.statusCode!, response.headers, text));
    });
  });
  refused.catch(() => {});
  await Promise.race([once(socket, 'open'), refused]);
  const link: Link = {
    ended,
    raw: (bytes) => socket.send(bytes, { binary: typeof bytes !== 'string' && !json }),
    encode: (message) => (json ? Buffer.from(JSON.stringify(message)) : encodeClient(message)),
    close: () => socket.close(),
    cut: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };
  return { ...peer(transport, inbox, link), socket };
}

/** A gRPC stream; that it is refused shows in `ended`. `more`: further metadata. */
export function openGrpc(at: Address, token: string | undefined, more: Record<string, string> = {}): Peer {
  // A connection of its own, as every device has one; clients of one process would share one.
  const client = new Client(at.grpc, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const metadata = new Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  const call = client.makeBidiStreamRequest<Buffer, Message>(METHOD, (bytes) => bytes, decodeServer, metadata);
  const inbox = new Inbox();
  call.on('data', (message: Message) => inbox.push(message));
  const ended = new Promise<Ended>((resolve) => {
    const end = (code: number, reason: string, trailers: Ended['trailers']): void => {
      inbox.end(new Error(`stream ended: ${code} ${reason}`));
      resolve({ code, reason, trailers });
      client.close();
    };
    call.on('error', (error: ServiceError) => {
      const map = error.metadata?.getMap() ?? {};
      end(error.code, error.details, Object.fromEntries(Object.entries(map).map(([k, v]) => [k, String(v)])));
    });
    call.on('status', (status) => status.code === 0 && end(0, status.details, {}));
  });
  return peer('grpc', inbox, {
    ended,
    raw: (bytes) => void call.write(Buffer.from(bytes)),
    encode: encodeClient,
    close: () => call.end(),
    cut: () => {
      call.cancel();
      client.close();
    },
    pause: () => void call.pause(),
    resume: () => void call.resume(),
  });
}

/** A session that was welcomed. @throws when it is refused */
export async function connect(
  t: { after(hook: () => void): void },
  at: Address,
  transport: TransportName,
  token: string | undefined,
  options: WebSocketOptions = {},
): Promise<Peer> {
  const one =
    transport === 'grpc' ? openGrpc(at, token, options.headers) : await openWebSocket(at, transport, token, options);
  t.after(() => one.cut());
  await one.next((m) => m.welcome !== undefined, 'welcome');
  return one;
}

/** Keeps a welcomed session alive that says little else, as its welcome asks for. */
export function keepAlive(t: { after(hook: () => void): void }, peer: Peer): void {
  const { welcome } = peer.inbox.all[0]!;
  const timer = setInterval(() => peer.send({ heartbeat: {} }), Number(welcome.heartbeat_interval_ms));
  const stop = (): void => clearInterval(timer);
  void peer.ended.then(stop);
  t.after(stop);
}

/** Says that the connection goes on with what an earlier one left. */
export const resuming = (transport: TransportName, reconnectToken: string): WebSocketOptions => ({
  headers: { [transport === 'grpc' ? 'reconnect-token' : 'x-reconnect-token']: reconnectToken },
});

export interface Refusal {
  /** RIDE_… */
  code: string;
  field: string | undefined;
}

/** Why a connection is refused. @throws when it is not */
export async function refusalOf(
  at: Address,
  transport: TransportName,
  token: string | undefined,
  options: WebSocketOptions,
): Promise<Refusal> {
  if (transport === 'grpc') {
    const { trailers } = await openGrpc(at, token, options.headers).ended;
    return { code: trailers['ride-code'] ?? 'none', field: trailers['ride-field'] };
  }
  try {
    (await openWebSocket(at, transport, token, options)).cut();
  } catch (error) {
    if (error instanceof UpgradeRefused) return error.body;
    throw error;
  }
  throw new Error('it was not refused');
}
