/**
 * Presence in Redis: a lease for each node, a set of its users, a hash for each user. What a killed node leaves is ended by
 * whichever node notices first; a node that dies while it does that is replaced by the next one.
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Leaving, PresenceState, Presences } from '../../ports/presences.ts';
import { PLAIN_HEADER } from './bus.ts';
import { orAway, redisAway } from './connection.ts';
import { withPresenceScripts } from './presence-scripts.ts';
import { type KeyCommand, runAll, sendAll } from './slots.ts';

export interface RedisPresencesOptions {
  nodeId: string;
  /** Within this after a node died, its users' presence has ended, milliseconds. */
  leaseMs: number;
  /** The finished envelope that subscribers get. */
  encode(state: { userId: string; online: boolean; lastSeenMs: number }): Buffer;
  /** So many users have come online, or gone offline. */
  onChanged?(state: 'online' | 'offline', users: number): void;
}

const NODES = '{presence}:nodes';
/** What is left for whoever notices that a lease ran out, and does something about it. */
const HELD = 0.8;
const PAGE = 200;
const TTL_MS = 30 * 24 * 3_600_000;
/** Whoever ends a node's presence says so this often; after it another one goes on. */
const SWEEP_LOCK_MS = 5000;

/** One slot with the channel on which it is told. */
const userKey = (userId: string): string => `online:{presence:${userId}}`;
const channelOf = (userId: string): string => `presence:${userId}`;
const usersKey = (incarnation: string): string => `presence:of:${incarnation}`;
const lockKey = (incarnation: string): string => `{presence}:sweep:${incarnation}`;

export function createRedisPresences(connection: Redis, options: RedisPresencesOptions): Presences {
  const redis = withPresenceScripts(connection);
  const publishCommand = redis.isCluster ? 'SPUBLISH' : 'PUBLISH';
  const leaseMs = Math.ceil(options.leaseMs * HELD);
  const incarnate = (): string => `${options.nodeId}~${randomUUID().slice(0, 8)}`;
  let incarnation = incarnate();
  let isFirst = true;
  /** Since when the lease has been held without a break, process clock; sweeping waits until all others have had time to renew theirs. */
  let heldSince: number | null = null;
  let cursor = '0';

  const told = (userId: string, online: boolean, lastSeenMs: number) =>
    [
      TTL_MS,
      publishCommand,
      channelOf(userId),
      Buffer.concat([PLAIN_HEADER, options.encode({ userId, online, lastSeenMs })]),
    ] as const;

  /**
   * One user's record that cannot be written must not keep the others from theirs.
   * @param steps one for each user
   * Resolves the users whose step failed. @throws RideError RIDE_UNAVAILABLE when all did
   */
  async function failing(
    state: 'online' | 'offline',
    userIds: readonly string[],
    steps: readonly KeyCommand[],
  ): Promise<string[]> {
    const replies = await sendAll(redis, steps);
    const changed = replies.filter(([error, reply]) => error === null && reply === 1).length;
    if (changed > 0) options.onChanged?.(state, changed);
    const failed = userIds.filter((_, index) => replies[index]![0] !== null);
    if (failed.length === userIds.length) throw redisAway(replies[0]![0]);
    return failed;
  }

  async function leaveFrom(from: string, leaving: readonly Leaving[]): Promise<string[]> {
    if (leaving.length === 0) return [];
    const userIds = leaving.map(({ userId }) => userId);
    const steps = leaving.map(
      ({ userId, seenMs }): KeyCommand => [
        'ridePresenceLeave',
        userKey(userId),
        from,
        ...told(userId, false, seenMs),
        seenMs,
      ],
    );
    const failed = new Set(await failing('offline', userIds, steps));
    // Last: whoever goes on after a crash in between finds them here.
    await orAway(redis.srem(usersKey(from), ...userIds.filter((userId) => !failed.has(userId))));
    return [...failed];
  }

  /** Takes all users of a node whose lease ran out off it. */
  async function end(dead: string, seenMs: number): Promise<void> {
    for (;;) {
      const users = await orAway(redis.srandmember(usersKey(dead), PAGE));
      if (users.length === 0) break;
      await leaveFrom(
        dead,
        users.map((userId) => ({ userId, seenMs })),
      );
      await orAway(redis.pexpire(lockKey(dead), SWEEP_LOCK_MS));
    }
    await orAway(redis.zrem(NODES, dead));
  }

  return {
    async join(userIds) {
      if (userIds.length === 0) return [];
      const own = incarnation;
      // First: a node that dies after the next step is known to have had them.
      await orAway(redis.sadd(usersKey(own), ...userIds));
      const at = Date.now();
      const steps = userIds.map(
        (userId): KeyCommand => ['ridePresenceJoin', userKey(userId), own, ...told(userId, true, at)],
      );
      return failing('online', userIds, steps);
    },

    leave: (leaving) => leaveFrom(incarnation, leaving),

    async renew() {
      try {
        const held = await orAway(redis.ridePresenceRenew(NODES, incarnation, leaseMs, isFirst ? '1' : '0'));
        isFirst = false;
        heldSince ??= performance.now();
        if (held === 1) return true;
        heldSince = performance.now();
        // Should only the lease have been lost and not what stands under it, that has to run out too: after the users have come over.
        const former = incarnation;
        incarnation = incarnate();
        cursor = '0';
        await orAway(redis.ridePresenceRenew(NODES, incarnation, leaseMs, '1'));
        await orAway(redis.ridePresenceRenew(NODES, former, leaseMs, '1'));
        return false;
      } catch (error) {
        heldSince = null;
        throw error;
      }
    },

    async sweep() {
      // After Redis was away every lease has run out, and who is alive needs a moment to renew his.
      if (heldSince === null || performance.now() - heldSince < leaseMs) return 0;
      const found = await orAway(redis.ridePresenceExpired(NODES, incarnation));
      let ended = 0;
      const failures: unknown[] = [];
      for (let i = 0; i < found.length; i += 2) {
        const dead = found[i]!;
        const claimed = await orAway(redis.set(lockKey(dead), options.nodeId, 'PX', SWEEP_LOCK_MS, 'NX'));
        if (claimed === null) continue;
        try {
          await end(dead, Number(found[i + 1]) - leaseMs);
          await orAway(redis.del(lockKey(dead)));
          ended++;
        } catch (error) {
          // What cannot be ended of this node keeps no other's from it; another sweep tries again.
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
      return ended;
    },

    async recorded() {
      const [next, users] = await orAway(redis.sscan(usersKey(incarnation), cursor, 'COUNT', PAGE));
      cursor = next;
      return users;
    },

    async retire(afterMs) {
      await orAway(redis.ridePresenceRetire(NODES, incarnation, afterMs));
    },

    async read(userId): Promise<PresenceState> {
      const [fields, leases] = (await orAway(
        runAll(redis, [
          ['hgetall', userKey(userId)],
          ['ridePresenceLeases', NODES],
        ]),
      )) as [Record<string, string>, string[]];
      const now = Number(leases[0]);
      let lastSeenMs = fields.seen === undefined ? null : Number(fields.seen);
      for (let i = 1; i < leases.length; i += 2) {
        if (fields[`n:${leases[i]}`] === undefined) continue;
        const due = Number(leases[i + 1]);
        if (due > now) return { userId, online: true, lastSeenMs: Date.now() };
        lastSeenMs = Math.max(lastSeenMs ?? 0, Math.abs(due) - leaseMs);
      }
      return { userId, online: false, lastSeenMs };
    },
  };
}
