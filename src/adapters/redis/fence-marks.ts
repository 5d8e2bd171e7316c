/** `geofence:inside:{driverId}`: a hash from geofence to the time of entry, for a day after the last one. */
import type { FenceMarks } from '../../ports/fence-marks.ts';
import { orAway, redisAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

const TTL_MS = 24 * 3_600_000;

export function createRedisFenceMarks(redis: ScriptedRedis): FenceMarks {
  const keyOf = (driverId: string): string => `geofence:inside:${driverId}`;
  return {
    async of(driverId) {
      const fields = await orAway(redis.hgetall(keyOf(driverId)));
      return new Map(Object.entries(fields).map(([id, at]) => [id, Number(at)]));
    },

    async enter(driverId, geofenceId, at) {
      const key = keyOf(driverId);
      const replies = await orAway(redis.multi().hsetnx(key, geofenceId, String(at)).pexpire(key, TTL_MS).exec());
      const [error, isNew] = replies?.[0] ?? [new Error('no reply'), 0];
      if (error) throw redisAway(error);
      return isNew === 1;
    },

    leave: async (driverId, geofenceId) => (await orAway(redis.hdel(keyOf(driverId), geofenceId))) === 1,
  };
}
