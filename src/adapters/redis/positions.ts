/**
 * Positions in Redis under the documents' keys. Updates of a few milliseconds travel in one pipeline; each promise settles
 * with its own reply, so an acknowledged update is one that Redis has.
 *
 * `active-drivers` holds the available drivers only: a location update moves a member that is there (GEOADD XX), becoming
 * available adds it, being assigned removes it.
 */
import type { LatLng } from '../../domain/geo.ts';
import type { VehicleClass } from '../../domain/roles.ts';
import type { Logger } from '../../ports/logger.ts';
import type { NearbyDriver, Position, Positions } from '../../ports/positions.ts';
import { orAway, redisAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, runAll, sendAll } from './slots.ts';

export interface RedisPositionsOptions {
  ttlMs: number;
  /** Longest wait for company in a pipeline, milliseconds. */
  flushMs: number;
  log: Logger;
}

const ACTIVE_DRIVERS = 'active-drivers';
const MAX_PIPELINE = 500;
/** Redis GEO cannot hold latitudes beyond this (EPSG:3857). */
const GEO_LAT_MAX = 85.05112878;

const driverKey = (driverId: string): string => `porter:location:${driverId}`;
const tripKey = (tripId: string): string => `location:${tripId}`;

interface Waiting {
  position: Position;
  resolve(kept: boolean): void;
  reject(error: unknown): void;
  /** Replies that are still to come. */
  open: number;
  kept: boolean;
  failure: Error | null;
}

/** Hash fields, named as document C names them. */
function fieldsOf(p: Position): (string | number)[] {
  const fields: (string | number)[] = [
    'lat',
    p.lat,
    'lng',
    p.lng,
    'driverId',
    p.driverId,
    'vehicleClass',
    p.vehicleClass,
  ];
  fields.push('city', p.city, 'source', p.source);
  if (p.tripId !== '') fields.push('tripId', p.tripId);
  if (p.speedMps !== undefined) fields.push('speed', p.speedMps);
  if (p.headingDeg !== undefined) fields.push('heading', p.headingDeg);
  if (p.accuracyM !== undefined) fields.push('accuracy', p.accuracyM);
  return fields;
}

const optionalNumber = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text);

function parsePosition(hash: Record<string, string>): Position | null {
  if (hash.timestamp === undefined) return null;
  return {
    driverId: hash.driverId ?? '',
    tripId: hash.tripId ?? '',
    lat: Number(hash.lat),
    lng: Number(hash.lng),
    speedMps: optionalNumber(hash.speed),
    headingDeg: optionalNumber(hash.heading),
    accuracyM: optionalNumber(hash.accuracy),
    recordedAt: Number(hash.timestamp),
    vehicleClass: (hash.vehicleClass ?? 'standard') as VehicleClass,
    city: hash.city ?? '',
    source: hash.source ?? 'stream',
  };
}

const geoLat = (lat: number): number => Math.max(-GEO_LAT_MAX, Math.min(GEO_LAT_MAX, lat));

export function createRedisPositions(redis: ScriptedRedis, options: RedisPositionsOptions): Positions {
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | null = null;

  function flush(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) void send(batch);
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    const commands: KeyCommand[] = [];
    const owners: Waiting[] = [];
    for (const one of batch) {
      const { driverId, tripId, recordedAt } = one.position;
      const fields = fieldsOf(one.position);
      commands.push(['rideRecordPosition', driverKey(driverId), recordedAt, options.ttlMs, ...fields]);
      owners.push(one);
      one.open = 1;
      if (tripId === '') continue;
      commands.push(['rideRecordPosition', tripKey(tripId), recordedAt, options.ttlMs, ...fields]);
      owners.push(one);
      one.open = 2;
    }
    const replies = await sendAll(redis, commands);
    for (const [index, [error, reply]] of replies.entries()) settle(owners[index]!, error, reply);
    moveAvailable(batch);
  }

  function settle(one: Waiting, error: Error | null, reply: unknown): void {
    one.failure ??= error;
    if (error !== null || reply !== 1) one.kept = false;
    if (--one.open > 0) return;
    if (one.failure) one.reject(redisAway(one.failure));
    else one.resolve(one.kept);
  }

  /** Moves those of the kept that are available; one command for the whole flush. Later positions of a driver come last and win. */
  function moveAvailable(batch: readonly Waiting[]): void {
    const members: (string | number)[] = [];
    for (const { position, kept } of batch) {
      if (kept && position.tripId === '') members.push(position.lng, geoLat(position.lat), position.driverId);
    }
    if (members.length === 0) return;
    redis.call('GEOADD', ACTIVE_DRIVERS, 'XX', ...members).catch((error: unknown) => {
      options.log.warn({ err: error }, 'available drivers were not moved; their next update will');
    });
  }

  async function read(key: string): Promise<Position | null> {
    return parsePosition(await orAway(redis.hgetall(key)));
  }

  async function nearby(center: LatLng, radiusM: number, limit: number): Promise<NearbyDriver[]> {
    const found = (await orAway(
      redis.call(
        'GEOSEARCH',
        ACTIVE_DRIVERS,
        'FROMLONLAT',
        center.lng,
        geoLat(center.lat),
        'BYRADIUS',
        radiusM,
        'm',
        'ASC',
        'COUNT',
        limit,
        'WITHDIST',
      ),
    )) as [string, string][];
    if (found.length === 0) return [];
    const hashes = await orAway(
      runAll(
        redis,
        found.map(([driverId]) => ['hgetall', driverKey(driverId)]),
      ),
    );
    const near: NearbyDriver[] = [];
    for (const [index, [, distance]] of found.entries()) {
      const position = parsePosition(hashes[index] as Record<string, string>);
      // The hash has a TTL, the index has none: a driver without a position left long ago.
      if (position) near.push({ position, distanceM: Number(distance) });
      else void orAway(redis.zrem(ACTIVE_DRIVERS, found[index]![0])).catch(() => {});
    }
    return near;
  }

  return {
    record(position) {
      return new Promise<boolean>((resolve, reject) => {
        waiting.push({ position, resolve, reject, open: 0, kept: true, failure: null });
        if (waiting.length >= MAX_PIPELINE) flush();
        else timer ??= setTimeout(flush, options.flushMs);
      });
    },
    ofDriver: (driverId) => read(driverKey(driverId)),
    ofTrip: (tripId) => read(tripKey(tripId)),
    nearby,
    async setAvailable(driverId) {
      const position = await read(driverKey(driverId));
      if (!position) return false;
      await orAway(redis.geoadd(ACTIVE_DRIVERS, position.lng, geoLat(position.lat), driverId));
      return true;
    },
    async setUnavailable(driverId) {
      await orAway(redis.zrem(ACTIVE_DRIVERS, driverId));
    },
    countAvailable: () => orAway(redis.zcard(ACTIVE_DRIVERS)),
  };
}
