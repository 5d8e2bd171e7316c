/** The adapters of one Redis, or of one Redis Cluster, as the conformance suites want them. */
import { once } from 'node:events';
import type { Test } from 'tap';
import { createRedisBus, type RedisBus } from '../../../src/adapters/redis/bus.ts';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createRedisInboxes } from '../../../src/adapters/redis/inboxes.ts';
import { createRedisOffers } from '../../../src/adapters/redis/offers.ts';
import { createRedisPositions } from '../../../src/adapters/redis/positions.ts';
import { createRedisReconnects } from '../../../src/adapters/redis/reconnects.ts';
import { type ScriptedRedis, withScripts } from '../../../src/adapters/redis/scripts.ts';
import { createRedisSessionDirectory } from '../../../src/adapters/redis/session-directory.ts';
import { createRedisTokenBuckets } from '../../../src/adapters/redis/token-buckets.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { type BusPlace, busConformance } from '../../conformance/bus.ts';
import { type OffersPlace, offersConformance } from '../../conformance/offers.ts';
import { type PositionsPlace, positionsConformance } from '../../conformance/positions.ts';
import { type SessionsPlace, sessionsConformance } from '../../conformance/sessions.ts';

const LEASE_MS = 300;
const LOCATION_TTL_MS = 60_000;
const ENTRY_TTL_MS = 60_000;

/** What goes wrong shows in what the suites see. */
export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Logger;

export interface RedisPlace extends BusPlace {
  redis: ScriptedRedis;
  positions: PositionsPlace;
  offers: OffersPlace;
  sessions: SessionsPlace;
}

/** Connects to `url`; `cut` breaks what listens there. Everything is closed with the test. */
export async function redisPlace(
  t: Test,
  url: string,
  cut: () => Promise<void>,
  historyLength = 50,
): Promise<RedisPlace> {
  const connect = async (): Promise<ScriptedRedis> => {
    const redis = withScripts(connectRedis({ url }, () => {}));
    t.teardown(() => redis.disconnect());
    await once(redis, 'ready');
    return redis;
  };
  const redis = await connect();
  const lifeMs = (key: string): Promise<number> => redis.pttl(key);
  return {
    redis,
    cut,
    historyLength,
    async node(): Promise<RedisBus> {
      const options = { url, historyLength, historyTtlMs: 60_000, onError: () => {}, log: quiet };
      const bus = createRedisBus(await connect(), options);
      t.teardown(() => bus.close());
      return bus;
    },
    positions: {
      ttlMs: LOCATION_TTL_MS,
      lifeMs,
      stored: (key) => redis.hgetall(key),
      async shorten(key) {
        await redis.pexpire(key, LOCATION_TTL_MS / 4);
      },
      node: () => createRedisPositions(redis, { ttlMs: LOCATION_TTL_MS, flushMs: 2, log: quiet }),
      async forget(driverId) {
        await redis.del(`porter:location:${driverId}`);
      },
      async spoil(driverId) {
        await redis.set(`porter:location:${driverId}`, 'no hash');
      },
    },
    offers: {
      node: () => createRedisOffers(redis),
      stored: (offerId) => redis.hgetall(`job:offer:${offerId}`),
      lifeMs,
    },
    sessions: {
      inboxes: () => createRedisInboxes(redis, ENTRY_TTL_MS, quiet),
      reconnects: () => createRedisReconnects(redis, quiet),
      buckets: () => createRedisTokenBuckets(redis),
      directory: () => createRedisSessionDirectory(redis, { leaseMs: LEASE_MS, entryTtlMs: ENTRY_TTL_MS, log: quiet }),
      ttlMs: ENTRY_TTL_MS,
      stored: (key) => redis.hgetall(key),
      members: async (key) => (await redis.smembers(key)).sort(),
      lifeMs,
      async shorten(key, ms) {
        await redis.pexpire(key, ms);
      },
      async forget(key) {
        await redis.del(key);
      },
    },
  };
}

export async function allConformance(t: Test, name: string, place: RedisPlace): Promise<void> {
  await busConformance(t, `bus on ${name}`, place);
  await positionsConformance(t, `positions on ${name}`, place.positions);
  await offersConformance(t, `offers on ${name}`, place.offers);
  await sessionsConformance(t, `sessions on ${name}`, place.sessions);
}
