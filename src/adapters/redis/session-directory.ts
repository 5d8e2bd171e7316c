/**
 * Sessions in Redis under document E's keys with its TTL of a day, and per node a lease with its counts. What a killed node
 * leaves behind ends with the TTL; its counts end with the lease.
 */
import type { Logger } from '../../ports/logger.ts';
import {
  type DirectoryEntry,
  ENTRY_TTL_MS,
  type NodeStats,
  type SessionDirectory,
} from '../../ports/session-directory.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, runAll } from './slots.ts';

const TTL_S = ENTRY_TTL_MS / 1000;
/** The hash tag keeps the leases of all nodes in one slot. */
const NODES = '{nodes}:leases';

/** Document C calls riders passengers. */
const documentRole = (role: string): string => (role === 'rider' ? 'passenger' : role);

/**
 * KEYS 1 place of a user's newest session (hash); ARGV 1 ttl s, then fields and values in turn
 * It stays as it is; ours is written only when there is none.
 */
const keepPlace = `
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 1 then return end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
`;

const placeKey = (userId: string): string => `session:${userId}`;
const placeOf = (e: DirectoryEntry): string[] =>
  Object.entries({ role: documentRole(e.role), socketId: e.sessionId, nodeId: e.nodeId }).flat();

/** What the directory has of one session. */
function entryCommands(e: DirectoryEntry): KeyCommand[] {
  const userKey = `user:socket:${e.userId}`;
  const data = JSON.stringify({
    userId: e.userId,
    role: documentRole(e.role),
    namespace: e.namespace,
    nodeId: e.nodeId,
    connectedAt: e.connectedAt,
  });
  return [
    ['set', `socket:user:${e.sessionId}`, data, 'EX', TTL_S],
    ['sadd', userKey, e.sessionId],
    ['expire', userKey, TTL_S],
  ];
}

export function createRedisSessionDirectory(redis: ScriptedRedis, leaseMs: number, log: Logger): SessionDirectory {
  redis.defineCommand('rideKeepPlace', { numberOfKeys: 1, lua: keepPlace });
  const run = (what: string, reply: Promise<unknown>): void => {
    reply.catch((error: unknown) => log.warn({ err: error }, `session directory: ${what} not written`));
  };
  const nodeKey = (nodeId: string): string => `{nodes}:node:${nodeId}`;

  return {
    opened(e: DirectoryEntry) {
      const key = placeKey(e.userId);
      run('opening', runAll(redis, [...entryCommands(e), ['hset', key, ...placeOf(e)], ['expire', key, TTL_S]]));
    },
    async keep(entries) {
      await orAway(
        Promise.all([
          runAll(redis, entries.flatMap(entryCommands)),
          // Apart: a script may have to be loaded first, and what a session that ends meanwhile removes must not be written after it.
          runAll(
            redis,
            entries.map((e) => ['rideKeepPlace', placeKey(e.userId), TTL_S, ...placeOf(e)]),
          ),
        ]),
      );
    },
    closed(e: DirectoryEntry) {
      run(
        'closing',
        runAll(redis, [
          ['del', `socket:user:${e.sessionId}`],
          ['srem', `user:socket:${e.userId}`, e.sessionId],
        ]),
      );
    },
    async renew(stats) {
      await orAway(
        redis
          .multi()
          .set(nodeKey(stats.nodeId), JSON.stringify(stats), 'PX', leaseMs)
          .zadd(NODES, Date.now() + leaseMs, stats.nodeId)
          .exec(),
      );
    },
    async cluster() {
      await orAway(redis.zremrangebyscore(NODES, '-inf', String(Date.now())));
      const ids = await orAway(redis.zrange(NODES, '0', '-1'));
      if (ids.length === 0) return [];
      const texts = await orAway(redis.mget(ids.map(nodeKey)));
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as NodeStats);
    },
    async leave(nodeId) {
      await orAway(redis.multi().del(nodeKey(nodeId)).zrem(NODES, nodeId).exec());
    },
  };
}
