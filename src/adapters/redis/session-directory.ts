/**
 * Sessions in Redis under document E's keys with its TTL of a day, and per node a lease with its counts. What a killed node
 * leaves behind ends with the TTL; its counts end with the lease.
 */
import type { Logger } from '../../ports/logger.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../../ports/session-directory.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';
import { runAll } from './slots.ts';

const TTL_S = 24 * 3600;
/** The hash tag keeps the leases of all nodes in one slot. */
const NODES = '{nodes}:leases';

/** Document C calls riders passengers. */
const documentRole = (role: string): string => (role === 'rider' ? 'passenger' : role);

export function createRedisSessionDirectory(redis: ScriptedRedis, leaseMs: number, log: Logger): SessionDirectory {
  const run = (what: string, reply: Promise<unknown>): void => {
    reply.catch((error: unknown) => log.warn({ err: error }, `session directory: ${what} not written`));
  };
  const nodeKey = (nodeId: string): string => `{nodes}:node:${nodeId}`;

  return {
    opened(e: DirectoryEntry) {
      const socketKey = `socket:user:${e.sessionId}`;
      const userKey = `user:socket:${e.userId}`;
      const sessionKey = `session:${e.userId}`;
      const data = JSON.stringify({
        userId: e.userId,
        role: documentRole(e.role),
        namespace: e.namespace,
        nodeId: e.nodeId,
        connectedAt: e.connectedAt,
      });
      const place = { role: documentRole(e.role), socketId: e.sessionId, nodeId: e.nodeId };
      run(
        'opening',
        runAll(redis, [
          ['set', socketKey, data, 'EX', TTL_S],
          ['sadd', userKey, e.sessionId],
          ['expire', userKey, TTL_S],
          ['hset', sessionKey, ...Object.entries(place).flat()],
          ['expire', sessionKey, TTL_S],
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
