/** Reconnect tokens in Redis: `reconnect:token:{token}` (document E), a JSON text with a TTL, taken by GETDEL. */
import type { Logger } from '../../ports/logger.ts';
import type { Reconnects, SavedSession } from '../../ports/reconnects.ts';
import { orAway, redisAway } from './connection.ts';
import { createOutage } from './outage.ts';
import type { ScriptedRedis } from './scripts.ts';
import { createTurnWrites } from './turn-writes.ts';

const keyOf = (token: string): string => `reconnect:token:${token}`;

export function createRedisReconnects(redis: ScriptedRedis, log: Logger): Reconnects {
  const writes = createTurnWrites(redis);
  const updated = createOutage(log, 'reconnect tokens not updated');
  const forgotten = createOutage(log, 'reconnect tokens not forgotten; they end with their TTL');
  const ttl = (ms: number): number => Math.max(1, Math.ceil(ms));

  return {
    create(token, session, ttlMs) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      writes.add(['set', keyOf(token), JSON.stringify(session), 'PX', ttl(ttlMs)], ([error]) =>
        error ? reject(redisAway(error)) : resolve(),
      );
      return promise;
    },
    update(token, session, ttlMs) {
      writes.add(['set', keyOf(token), JSON.stringify(session), 'PX', ttl(ttlMs), 'XX'], ([error]) => updated(error));
    },
    async redeem(token) {
      const text = await orAway(redis.getdel(keyOf(token)));
      return text === null ? null : (JSON.parse(text) as SavedSession);
    },
    forget(token) {
      writes.add(['del', keyOf(token)], ([error]) => forgotten(error));
    },
  };
}
