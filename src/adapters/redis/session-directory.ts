/**
 * Sessions in Redis under the keys of documents C and E (docs/redis.md), and per node a lease with its counts. What a killed node
 * leaves behind ends with its TTL, or sooner where somebody else still renews the set that it is in; its counts end with the lease.
 */
import type { Logger } from '../../ports/logger.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../../ports/session-directory.ts';
import { orAway } from './connection.ts';
import { createOutage } from './outage.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, type Reply, runAll } from './slots.ts';
import { createTurnWrites } from './turn-writes.ts';

export interface SessionDirectoryOptions {
  /** Life of a node's counts that are not renewed. */
  leaseMs: number;
  /** Life of an entry that is not renewed. */
  entryTtlMs: number;
  log: Logger;
}

/** The hash tag keeps the leases of all nodes in one slot. */
const NODES = '{nodes}:leases';

/** Document C calls riders passengers. */
const documentRole = (role: string): string => (role === 'rider' ? 'passenger' : role);

/**
 * KEYS 1 place of a user's newest session (hash); ARGV 1 ttl ms, 2 session, then fields and values in turn
 * It stays as it is while it names another session, which keeps it or is dead; ours is written when there is none.
 */
const keepPlace = `
local named = redis.call('HGET', KEYS[1], 'socketId')
if named and named ~= ARGV[2] then return end
if not named then redis.call('HSET', KEYS[1], unpack(ARGV, 3)) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
`;

/** KEYS as above; ARGV 1 session. It goes with the session that it names. */
const dropPlace = `
if redis.call('HGET', KEYS[1], 'socketId') == ARGV[1] then redis.call('DEL', KEYS[1]) end
`;

const sessionKey = (sessionId: string): string => `socket:user:${sessionId}`;
const userKey = (userId: string): string => `user:socket:${userId}`;
const placeKey = (userId: string): string => `session:${userId}`;
const tripKey = (tripId: string): string => `order:subscription:${tripId}`;

const placeOf = (e: DirectoryEntry): string[] =>
  Object.entries({
    token: e.tokenHash,
    role: documentRole(e.role),
    expiresAt: String(e.expiresAt),
    socketId: e.sessionId,
    nodeId: e.nodeId,
  }).flat();

function textOf(e: DirectoryEntry): string {
  const { userId, namespace, nodeId, connectedAt } = e;
  return JSON.stringify({ userId, role: documentRole(e.role), namespace, nodeId, connectedAt });
}

export function createRedisSessionDirectory(redis: ScriptedRedis, options: SessionDirectoryOptions): SessionDirectory {
  const { leaseMs, entryTtlMs, log } = options;
  redis.defineCommand('rideKeepPlace', { numberOfKeys: 1, lua: keepPlace });
  redis.defineCommand('rideDropPlace', { numberOfKeys: 1, lua: dropPlace });
  const nodeKey = (nodeId: string): string => `{nodes}:node:${nodeId}`;
  const writes = createTurnWrites(redis);
  // Apart: a script may have to be loaded first, and other writes must not come later for it.
  const scripts = createTurnWrites(redis);
  const tried = createOutage(log, 'session directory: not written');
  const settle = ([error]: Reply): void => tried(error);
  const write = (...commands: KeyCommand[]): void => {
    for (const command of commands) writes.add(command, settle);
  };

  const inSet = (key: string, sessionId: string): KeyCommand[] => [
    ['sadd', key, sessionId],
    ['pexpire', key, entryTtlMs],
  ];

  /** What the directory has of one session, but for its user's place. */
  const entryCommands = (e: DirectoryEntry): KeyCommand[] => [
    ['set', sessionKey(e.sessionId), textOf(e), 'PX', entryTtlMs],
    ...inSet(userKey(e.userId), e.sessionId),
    ...e.tripIds.flatMap((tripId) => inSet(tripKey(tripId), e.sessionId)),
  ];

  /**
   * Takes sessions without an entry out of the sets of these, which would keep them for as long as anybody renews the set. One
   * whose entry is just being written may be among them; its own node puts it back at its next renewal.
   */
  async function prune(entries: readonly DirectoryEntry[]): Promise<void> {
    const keys = [...new Set(entries.flatMap((e) => [userKey(e.userId), ...e.tripIds.map(tripKey)]))];
    const sets = (await runAll(
      redis,
      keys.map((key) => ['smembers', key]),
    )) as string[][];
    const alive = new Set(entries.map(({ sessionId }) => sessionId));
    const others = sets.flatMap((members, at) =>
      members.filter((id) => !alive.has(id)).map((id) => ({ key: keys[at]!, id })),
    );
    if (others.length === 0) return;
    const found = await runAll(
      redis,
      others.map(({ id }) => ['exists', sessionKey(id)]),
    );
    await runAll(
      redis,
      others.filter((_, at) => found[at] === 0).map(({ key, id }) => ['srem', key, id]),
    );
  }

  return {
    opened(e) {
      const key = placeKey(e.userId);
      write(...entryCommands(e), ['hset', key, ...placeOf(e)], ['pexpire', key, entryTtlMs]);
    },
    closed(e) {
      write(['del', sessionKey(e.sessionId)], ['srem', userKey(e.userId), e.sessionId]);
      scripts.add(['rideDropPlace', placeKey(e.userId), e.sessionId], settle);
    },
    followed: (tripId, sessionId) => write(...inSet(tripKey(tripId), sessionId)),
    unfollowed: (tripId, sessionId) => write(['srem', tripKey(tripId), sessionId]),
    async keep(entries) {
      await orAway(
        Promise.all([
          runAll(redis, entries.flatMap(entryCommands)),
          // Apart: what a session that ends meanwhile removes must not be written after it.
          runAll(
            redis,
            entries.map((e) => ['rideKeepPlace', placeKey(e.userId), entryTtlMs, e.sessionId, ...placeOf(e)]),
          ),
        ]),
      );
      await orAway(prune(entries));
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
