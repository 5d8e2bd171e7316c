/**
 * Redis connections: how one is made from a URL, one server or a cluster, and how its failures become errors of ours.
 *
 * A cluster is `redis-cluster://[user:password@]host:port,host:port` (`rediss-cluster:` with TLS); some of its nodes are
 * enough, the others are learnt from them.
 */
import { randomUUID } from 'node:crypto';
import { Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { RideError } from '../../errors.ts';
import { keyIn, slotsOfMasters } from './slots.ts';

/** Milliseconds a command may take before it counts as failed (document C's figure for Redis). */
export const COMMAND_TIMEOUT_MS = 5000;
const RETRY_MAX_MS = 2000;
/** A failover takes one to three seconds: a command asks again this often until its timeout. */
const FAILOVER_RETRY_MS = 100;
/** A server that is gone without a word must not hold up the way to the others. */
const CLUSTER_CONNECT_TIMEOUT_MS = 2000;

export interface RedisConnectionOptions {
  /** redis://, rediss:// or unix:///path/to/socket */
  url: string;
  /** Commands wait for a lost server to come back (queues), instead of failing after a while (live traffic). */
  patient?: boolean;
}

/** ioredis gives a cluster the commands of a single server; `isCluster` tells which it is. */
export type RedisClient = Redis;

export const isClusterUrl = (url: string): boolean => /^rediss?-cluster:/.test(url);

export const retryStrategy = (attempt: number): number => Math.min(50 * 2 ** Math.min(attempt, 6), RETRY_MAX_MS);

/** A command waits for as long as it takes. */
export const patience: RedisOptions = { retryStrategy, maxRetriesPerRequest: null };

/** A command under way when the connection breaks fails: the caller knows whether a repeat is safe. */
const impatience: RedisOptions = { retryStrategy, maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT_MS };

/** Options of one server. */
export function redisOptions({ url, patient = false }: RedisConnectionOptions): RedisOptions {
  const base = patient ? patience : impatience;
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

/** What every connection to a node of the cluster needs, and some nodes to begin with. */
export function clusterAddress(url: string): { nodes: ClusterNode[]; access: RedisOptions } {
  const match = /^(rediss?)-cluster:\/\/(?:([^:@]*)(?::([^@]*))?@)?([^/]+)\/?$/.exec(url);
  if (!match) throw new Error('a cluster is redis-cluster://[user:password@]host:port,host:port');
  const [, protocol, username, password, hosts] = match as unknown as [string, string, string?, string?, string?];
  const nodes = hosts!.split(',').map((host) => {
    const u = new URL(`redis://${host}`);
    return { host: u.hostname.replace(/^\[|\]$/g, ''), port: u.port === '' ? 6379 : Number(u.port) };
  });
  return {
    nodes,
    access: {
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
      ...(protocol === 'rediss' ? { tls: {} } : {}),
    },
  };
}

function clusterOptions(access: RedisOptions): ClusterOptions {
  return {
    clusterRetryStrategy: retryStrategy,
    enableOfflineQueue: false,
    retryDelayOnFailover: FAILOVER_RETRY_MS,
    retryDelayOnClusterDown: FAILOVER_RETRY_MS,
    maxRedirections: COMMAND_TIMEOUT_MS / FAILOVER_RETRY_MS,
    redisOptions: { ...access, commandTimeout: COMMAND_TIMEOUT_MS, connectTimeout: CLUSTER_CONNECT_TIMEOUT_MS },
    // Certificates name hosts: the name must not become an address before it is checked.
    ...(access.tls ? { dnsLookup: (address, found) => found(null, address) } : {}),
  };
}

/** Each command is a write of its own to ioredis: those that the same moment brings leave in one, without waiting for more. */
function writeTogether(redis: Redis): Redis {
  redis.on('connect', () => {
    const { stream } = redis;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    stream.write = (...args: unknown[]): boolean => {
      if (stream.writableCorked === 0) {
        stream.cork();
        process.nextTick(() => stream.uncork());
      }
      return write(...args);
    };
  });
  return redis;
}

/** A connection for live commands, whose errors go to `onError`; the client reconnects by itself. */
export function connectRedis({ url }: { url: string }, onError: (error: Error) => void): RedisClient {
  if (!isClusterUrl(url)) return writeTogether(new Redis(redisOptions({ url })).on('error', onError));
  const { nodes, access } = clusterAddress(url);
  const cluster = new Cluster(nodes, clusterOptions(access));
  cluster.on('error', onError);
  cluster.on('node error', (error: Error) => onError(error));
  return cluster as unknown as Redis;
}

/** How long a start waits for Redis, which may be started at the same time. */
const READY_TIMEOUT_MS = 10_000;

/** Without name and password. */
const placeOf = (url: string): string => url.replace(/\/\/[^/@]*@/, '//');

/** Resolves when a connection may be used for the first time. @throws RideError RIDE_UNAVAILABLE that says where there is no Redis, and why */
export async function untilReady(redis: RedisClient, url: string): Promise<void> {
  if (redis.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let reason: Error | undefined;
  const onError = (error: Error): void => {
    reason = error;
  };
  const timer = setTimeout(() => {
    const why = reason?.message || `no answer within ${READY_TIMEOUT_MS} ms`;
    reject(new RideError('RIDE_UNAVAILABLE', `REDIS_URL: no Redis at ${placeOf(url)} (${why})`, { cause: reason }));
  }, READY_TIMEOUT_MS);
  redis.on('error', onError).once('ready', resolve);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    redis.off('error', onError).off('ready', resolve);
  }
}

/** How Redis refuses a write when it has reached `maxmemory` and may evict nothing; scripts say it within their own error. */
const isFull = (cause: unknown): boolean => cause instanceof Error && /\bOOM\b/.test(cause.message);

/** Any failure of Redis, as the caller's error. @param part what the caller knows of it */
export function redisAway(cause: unknown, part = 'The live store'): RideError {
  const what = isFull(cause) ? 'is full and refuses writes (OOM)' : 'cannot be reached';
  return new RideError('RIDE_UNAVAILABLE', `${part} (Redis) ${what}`, { cause, retryAfterMs: 1000 });
}

export async function orAway<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw redisAway(error);
  }
}

/**
 * Resolves when Redis takes writes, which one that answers need not: it may be full, a replica, or without its disk. It writes nothing: a
 * command that would only replace a value that is not there is refused all the same. Of a cluster every master is asked, at once: each
 * has keys that nobody else can take.
 * @throws RideError RIDE_UNAVAILABLE
 */
export async function takesWrites(redis: RedisClient): Promise<void> {
  const beginning = `probe:${randomUUID()}`;
  const slots = slotsOfMasters(redis);
  const keys = slots.length === 0 ? [beginning] : slots.map((slot) => keyIn(slot, beginning));
  await orAway(Promise.all(keys.map((key) => redis.set(key, '', 'PX', 1, 'XX'))));
}
