/**
 * A whole server for a test: real Redis, a store of its own, free ports, and small clients that speak the contract. Torn down
 * with the test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp, type Listening, type RideServer } from '../src/app.ts';
import { type Config, loadConfig } from '../src/config.ts';
import { type Clients, clientsOf, type TestScope } from './clients/clients.ts';
import { ownDatabase } from './servers/own-store.ts';
import { startRedis } from './servers/redis.ts';

export { type Clients, clientsOf, type Rest, type TestScope } from './clients/clients.ts';

export interface TestServer extends Clients {
  server: RideServer;
  config: Config;
  at: Listening;
  redisUrl: string;
  stop(): Promise<void>;
}

export interface BuildOptions {
  /** Environment variables over the test's defaults. Give those of `beside` to make a second node. */
  env?: Record<string, string>;
}

const UNLIMITED = '1000000';

/** Environment of another node beside this one: the same Redis, the same store. */
export function beside({ redisUrl, config }: Pick<TestServer, 'redisUrl' | 'config'>): Record<string, string> {
  const { mongodbUrl, mongodbDatabase, sqliteFile } = config;
  const store: Record<string, string> = mongodbUrl
    ? { MONGODB_URL: mongodbUrl, MONGODB_DATABASE: mongodbDatabase }
    : { SQLITE_FILE: sqliteFile! };
  return { REDIS_URL: redisUrl, ...store };
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
    TRIP_REQUEST_LIMIT: UNLIMITED,
    ...ownDatabase(t),
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
