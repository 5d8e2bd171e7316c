/** Inbox positions in Redis: `inbox:{userId}`, a hash of epoch and offset. */
import type { Inboxes } from '../../ports/inboxes.ts';
import type { Logger } from '../../ports/logger.ts';
import { orAway } from './connection.ts';
import { createOutage } from './outage.ts';
import type { ScriptedRedis } from './scripts.ts';
import { createTurnWrites } from './turn-writes.ts';

const keyOf = (userId: string): string => `inbox:${userId}`;

/** @param ttlMs life of a position that does not move; not shorter than the memory of the user's topic */
export function createRedisInboxes(redis: ScriptedRedis, ttlMs: number, log: Logger): Inboxes {
  const writes = createTurnWrites(redis);
  const tried = createOutage(log, 'inboxes not advanced; their messages come again');
  return {
    async position(userId) {
      const [epoch, offset] = await orAway(redis.hmget(keyOf(userId), 'epoch', 'offset'));
      return epoch == null ? null : { epoch, offset: Number(offset) };
    },
    advance(userId, { epoch, offset }) {
      writes.add(['rideAdvanceInbox', keyOf(userId), epoch, offset, ttlMs], ([error]) => tried(error));
    },
  };
}
