/**
 * A whole server for a test: real Redis, a store of its own, free ports, and small clients that speak the contract. Torn down
 * with the test.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { buildApp, type Listening, type RideServer } from '../src/app.ts';
import { type Config, loadConfig } from '../src/config.ts';
import { connectGrpc, type GrpcClient } from './clients/grpc.ts';
import { type JsonClient, wrapWebSocket } from './clients/websocket.ts';
import { startRedis } from './servers/redis.ts';

/** What the helpers need of a tap test. */
export interface TestScope {
  after(hook: () => Promise<void> | void): void;
}

export interface Rest {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  body: any;
}

/** Clients of a server that is somewhere. */
export interface Clients {
  at: { http: string; grpc: string };
  token(role: string, userId: string, more?: object): Promise<string>;
  rest(method: string, path: string, token?: string, body?: unknown, headers?: Record<string, string>): Promise<Rest>;
  /** A WebSocket in JSON, already welcomed. */
  ws(path: string, token: string): Promise<JsonClient>;
  /** A gRPC stream, already welcomed. */
  grpc(token: string): Promise<GrpcClient>;
}

export interface TestServer extends Clients {
  server: RideServer;
  config: Config;
  at: Listening;
  redisUrl: string;
  stop(): Promise<void>;
}

export interface BuildOptions {
  /** Environment variables over the test's defaults. Give REDIS_URL and SQLITE_FILE to make a second node. */
  env?: Record<string, string>;
}

const UNLIMITED = '1000000';

/** `MONGODB_URL=… script/test`: every server of the suite then stores in that MongoDB, each in a database of its own. */
function ownDatabase(): Record<string, string> {
  const { MONGODB_URL } = process.env;
  return MONGODB_URL ? { MONGODB_URL, MONGODB_DATABASE: `ridestream-test-${randomUUID()}` } : {};
}

export async function build(t: TestScope, options: BuildOptions = {}): Promise<TestServer> {
  const env = options.env ?? {};
  const redisUrl = env.REDIS_URL ?? (await startRedis(t)).url;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-test-'));
  const config = loadConfig({
    HTTP_LISTEN_ADDR: ':0',
    GRPC_LISTEN_ADDR: ':0',
    METRICS_LISTEN_ADDR: ':0',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    CITY: 'testville',
    REGION: 'test',
    DATA_DIR: folder,
    DRAIN_JITTER: '0s',
    DRAIN_DEADLINE: '5s',
    RATE_LIMIT_DEFAULT: UNLIMITED,
    RATE_LIMIT_AUTHENTICATED: UNLIMITED,
    RATE_LIMIT_PREMIUM: UNLIMITED,
    MAX_SESSIONS_PER_USER: UNLIMITED,
    CONNECTION_RATE: UNLIMITED,
    SOCKET_LIMIT_GENERAL: UNLIMITED,
    SOCKET_LIMIT_LOCATION: UNLIMITED,
    SOCKET_LIMIT_CHAT: UNLIMITED,
    ...ownDatabase(),
    ...env,
    REDIS_URL: redisUrl,
  });
  const nodeId = config.nodeId ?? `n${Math.random().toString(36).slice(2, 8)}`;
  const server = await buildApp({ config: { ...config, redisUrl, nodeId } });
  const at = await server.listen();
  let stopped = false;
  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    await server.close();
  }
  t.after(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });

  return { ...clientsOf(t, at), server, config, at, redisUrl, stop };
}

/** Clients that are closed with the test. */
export function clientsOf(t: TestScope, at: Clients['at']): Clients {
  const rest: Clients['rest'] = async (method, path, token, body, headers = {}) => {
    const response = await fetch(`http://${at.http}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };

  return {
    at,
    rest,
    async token(role, userId, more = {}) {
      const { status, body } = await rest('POST', '/api/v1/auth/token', undefined, { role, user_id: userId, ...more });
      if (status !== 200) throw new Error(`no token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async ws(path, token) {
      const socket = new WebSocket(`ws://${at.http}${path}`, ['ride.v1.json'], {
        headers: { authorization: `Bearer ${token}` },
      });
      const client = wrapWebSocket(socket);
      t.after(() => socket.terminate());
      await once(socket, 'open');
      await client.next((m) => m.welcome !== undefined);
      return client;
    },
    async grpc(token) {
      const client = connectGrpc(at.grpc, token);
      t.after(() => client.close());
      await client.next((m) => m.welcome !== undefined);
      return client;
    },
  };
}
