/** `sos:tracking:{alertId}` with document C's fields; kept for a week unless it is resolved. */
import type { SosTracking } from '../../ports/sos-tracking.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

const TTL_MS = 7 * 24 * 3_600_000;

export function createRedisSosTracking(redis: ScriptedRedis): SosTracking {
  return {
    async start({ alertId, tripId, startedAt, lastLocation }) {
      const key = `sos:tracking:${alertId}`;
      if ((await orAway(redis.exists(key))) === 1) return;
      const fields = {
        tripId,
        status: 'active',
        startedAt,
        lastLocation: lastLocation ? JSON.stringify(lastLocation) : '',
      };
      await orAway(redis.multi().hset(key, fields).pexpire(key, TTL_MS).exec());
    },
    async end(alertId) {
      await orAway(redis.del(`sos:tracking:${alertId}`));
    },
  };
}
