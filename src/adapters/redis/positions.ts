/**
 * Positions in Redis under the documents' keys.
 *
 * `active-drivers` holds the available drivers only: a location update moves a member that is there (GEOADD XX), becoming
 * available adds it, being assigned removes it. What an available driver drives stands beside it, written at the same moments,
 * so that no update has to ask for it.
 */
import type { LatLng } from '../../domain/geo.ts';
import type { Logger } from '../../ports/logger.ts';
import type { NearbyDriver, Positions } from '../../ports/positions.ts';
import { orAway } from './connection.ts';
import { createNearSearch } from './near-search.ts';
import { driverKey, tripKey } from './position-fields.ts';
import { createPositionReader } from './position-reader.ts';
import { createPositionWriter } from './position-writer.ts';
import type { ScriptedRedis } from './scripts.ts';
import { runAll } from './slots.ts';

export interface RedisPositionsOptions {
  ttlMs: number;
  /** Longest wait for company in a write, milliseconds. */
  flushMs: number;
  log: Logger;
  /** So many positions were written or read by Redis. */
  answered?(operation: 'location_write' | 'location_read', count: number): void;
}

const ACTIVE_DRIVERS = 'active-drivers';
/** Hash: driver → class. */
const ACTIVE_CLASSES = 'active-drivers:class';
/** Sorted by when they are overdue. In the slot of the index: what is sent together is done in its order. */
const DISTRUSTED = '{active-drivers}:distrusted';
/** Drivers who are looked up by one command: Redis does nothing else meanwhile. */
const ASKED_TOGETHER = 500;
/** Redis GEO cannot hold latitudes beyond this (EPSG:3857). */
const GEO_LAT_MAX = 85.05112878;

const geoLat = (lat: number): number => Math.max(-GEO_LAT_MAX, Math.min(GEO_LAT_MAX, lat));

export function createRedisPositions(redis: ScriptedRedis, options: RedisPositionsOptions): Positions {
  let first = (_driverId: string): void => {};

  function notMoved(error: unknown): void {
    options.log.warn({ err: error }, 'available drivers were not moved; their next update will');
  }

  const writer = createPositionWriter(redis, {
    first: (driverId) => first(driverId),
    answered: (count) => options.answered?.('location_write', count),
    ttlMs: options.ttlMs,
    flushMs: options.flushMs,
    index: ACTIVE_DRIVERS,
    indexLatMax: GEO_LAT_MAX,
    move(moved) {
      const members = moved.flatMap((p) => [p.lng, geoLat(p.lat), p.driverId]);
      redis.call('GEOADD', ACTIVE_DRIVERS, 'XX', ...members).catch(notMoved);
    },
    notMoved,
  });

  const readCount = (count: number): void => options.answered?.('location_read', count);
  const read = createPositionReader(redis, readCount);
  const search = createNearSearch(redis, { index: ACTIVE_DRIVERS, classes: ACTIVE_CLASSES, read, readCount });

  async function remove(driverIds: readonly string[]): Promise<void> {
    await orAway(
      runAll(redis, [
        ['zrem', ACTIVE_DRIVERS, ...driverIds],
        ['hdel', ACTIVE_CLASSES, ...driverIds],
      ]),
    );
  }

  /** Who sent a position between the look at it and the removal was taken out wrongly; what his place is, his document says. */
  async function noticeReturned(removed: readonly string[]): Promise<void> {
    const positions = await Promise.all(removed.map((driverId) => read(driverKey(driverId))));
    for (const [index, driverId] of removed.entries()) if (positions[index]) first(driverId);
  }

  async function nearby(center: LatLng, radiusM: number, limit: number): Promise<NearbyDriver[]> {
    const found = await search({ lat: geoLat(center.lat), lng: center.lng }, radiusM, limit);
    const near: NearbyDriver[] = [];
    const gone: string[] = [];
    for (const { driverId, distanceM, vehicleClass, position } of found) {
      if (position) near.push({ position: vehicleClass ? { ...position, vehicleClass } : position, distanceM });
      else gone.push(driverId);
    }
    if (gone.length === 0) return near;
    // The hash has a TTL, the index has none: a driver without a position left long ago, and hides who is behind him.
    await remove(gone);
    await noticeReturned(gone);
    return found.length < limit ? near : nearby(center, radiusM, limit);
  }

  return {
    record: writer.record,
    onFirst(listener) {
      first = listener;
    },
    ofDriver: (driverId) => read(driverKey(driverId)),
    async latestOf(driverId) {
      // What is under way is on this connection before the read.
      const waiting = writer.waitingOf(driverId);
      const stored = await read(driverKey(driverId));
      return waiting && !(stored && stored.recordedAt > waiting.recordedAt) ? waiting : stored;
    },
    ofTrip: (tripId) => read(tripKey(tripId), true),
    nearby,
    async setAvailable(driverId, vehicleClass) {
      const position = await read(driverKey(driverId));
      if (!position) return false;
      const [, , overdueAt] = await orAway(
        runAll(redis, [
          ['hset', ACTIVE_CLASSES, driverId, vehicleClass],
          ['geoadd', ACTIVE_DRIVERS, position.lng, geoLat(position.lat), driverId],
          ['zscore', DISTRUSTED, driverId],
        ]),
      );
      // Asked after he was added: who distrusts him later takes him out himself.
      if (overdueAt === null) return true;
      await remove([driverId]);
      return false;
    },
    setUnavailable: (driverId) => remove([driverId]),
    async distrust(driverId, overdueAt) {
      await orAway(
        runAll(redis, [
          ['zadd', DISTRUSTED, overdueAt, driverId],
          ['zrem', ACTIVE_DRIVERS, driverId],
          ['hdel', ACTIVE_CLASSES, driverId],
        ]),
      );
    },
    async trust(driverId) {
      await orAway(redis.zrem(DISTRUSTED, driverId));
    },
    overdue: (now, limit) => orAway(redis.zrangebyscore(DISTRUSTED, '-inf', now, 'LIMIT', 0, limit)),
    async areAvailable(driverIds) {
      const asked: Promise<(string | null)[]>[] = [];
      for (let from = 0; from < driverIds.length; from += ASKED_TOGETHER) {
        asked.push(redis.zmscore(ACTIVE_DRIVERS, ...driverIds.slice(from, from + ASKED_TOGETHER)));
      }
      return (await orAway(Promise.all(asked))).flat().map((place) => place !== null);
    },
    countAvailable: () => orAway(redis.zcard(ACTIVE_DRIVERS)),
  };
}
