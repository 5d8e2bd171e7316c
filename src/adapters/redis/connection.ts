/** Redis connections: how one is made from a URL, and how its failures become errors of ours. */
import { Redis, type RedisOptions } from 'ioredis';
import { RideError } from '../../errors.ts';

/** Milliseconds a command may take before it counts as failed (document C's figure for Redis). */
const COMMAND_TIMEOUT_MS = 5000;
const RETRY_MAX_MS = 2000;

export interface RedisConnectionOptions {
  /** redis://, rediss:// or unix:///path/to/socket */
  url: string;
  /** Commands wait for a lost connection to come back (queues), instead of failing at once (live traffic). */
  patient?: boolean;
}

export function redisOptions({ url, patient = false }: RedisConnectionOptions): RedisOptions {
  const base: RedisOptions = {
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 6), RETRY_MAX_MS),
    // A command under way when the connection breaks fails: the caller knows whether a repeat is safe.
    maxRetriesPerRequest: patient ? null : 1,
    ...(patient ? {} : { commandTimeout: COMMAND_TIMEOUT_MS }),
  };
  if (url.startsWith('unix:')) return { ...base, path: url.replace(/^unix:(\/\/)?/, '') };
  const u = new URL(url);
  return {
    ...base,
    host: u.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: u.port === '' ? 6379 : Number(u.port),
    ...(u.username ? { username: decodeURIComponent(u.username) } : {}),
    ...(u.password ? { password: decodeURIComponent(u.password) } : {}),
    ...(u.pathname.length > 1 ? { db: Number(u.pathname.slice(1)) } : {}),
    ...(u.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/** A connection whose errors go to `onError`; the client reconnects by itself. */
export function connectRedis(options: RedisConnectionOptions, onError: (error: Error) => void): Redis {
  const redis = new Redis(redisOptions(options));
  redis.on('error', onError);
  return redis;
}

/** Any failure of Redis, as the caller's error. */
export function redisAway(cause: unknown): RideError {
  return new RideError('RIDE_UNAVAILABLE', 'The live store (Redis) cannot be reached', { cause, retryAfterMs: 1000 });
}

export async function orAway<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw redisAway(error);
  }
}
