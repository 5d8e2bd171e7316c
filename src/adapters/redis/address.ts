/** Where the private Redis listens, and whether anybody answers there. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Options of `new Redis(…)` for the private server. */
export type RedisAddress = { path: string } | { host: string; port: number; password: string };

/** macOS allows 103 bytes of socket path, Linux 107; Redis cuts longer ones off without a word. */
const SOCKET_PATH_MAX_BYTES = 103;

/** The socket in `folder` (absolute), or undefined when its path is too long for one. */
export function socketAddress(folder: string): { path: string } | undefined {
  const path = join(folder, 'redis.sock');
  return Buffer.byteLength(path) > SOCKET_PATH_MAX_BYTES ? undefined : { path };
}

/** As REDIS_URL takes it (connection.ts reads it): `unix:///path/redis.sock` or `redis://:password@host:port`. */
export function formatRedisUrl(address: RedisAddress): string {
  if ('path' in address) return `unix://${address.path}`;
  return `redis://:${address.password}@${address.host}:${address.port}`;
}

/** A loopback port that is free now; somebody else may take it before it is used. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** `ready`: answered PING. `busy`: somebody listens but cannot serve yet, e.g. still loading. `nobody`: no one listens. */
export async function probe(address: RedisAddress): Promise<'ready' | 'busy' | 'nobody'> {
  const redis = new Redis({
    ...address,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 5_000,
    commandTimeout: 5_000,
  });
  let connected = false;
  redis.on('connect', () => {
    connected = true;
  });
  // Errors reach us by the rejected calls below; without a listener ioredis would print them as well.
  redis.on('error', () => {});
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG' ? 'ready' : 'busy';
  } catch {
    return connected ? 'busy' : 'nobody';
  } finally {
    redis.disconnect();
  }
}
