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

type Reply = [error: Error | null, reply: unknown];

/** Within a pipeline a command gives no promise of its own. */
type ScriptedPipeline = Pick<ScriptedRedis, 'rideRecordPosition'> & { exec(): Promise<Reply[] | null> };

interface Waiting {
  position: Position;
  resolve(kept: boolean): void;
  reject(error: unknown): void;
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
    const pipeline = redis.pipeline() as unknown as ScriptedPipeline;
    const firstReply: number[] = [];
    let commands = 0;
    for (const { position } of batch) {
      firstReply.push(commands);
      const fields = fieldsOf(position);
      pipeline.rideRecordPosition(driverKey(position.driverId), position.recordedAt, options.ttlMs, ...fields);
      commands++;
      if (position.tripId !== '') {
        pipeline.rideRecordPosition(tripKey(position.tripId), position.recordedAt, options.ttlMs, ...fields);
        commands++;
      }
    }
    let replies: Reply[];
    try {
      replies = (await pipeline.exec()) ?? [];
    } catch (error) {
      for (const one of batch) one.reject(redisAway(error));
      return;
    }
    moveAvailable(batch, settle(batch, firstReply, replies));
  }

  /** Settles each waiting update with its own replies; returns which were kept. */
  function settle(batch: readonly Waiting[], firstReply: readonly number[], replies: Reply[]): boolean[] {
    return batch.map((one, index) => {
      const mine = replies.slice(firstReply[index], firstReply[index + 1]);
      const failure = mine.find(([error]) => error !== null);
      if (failure) {
        one.reject(redisAway(failure[0]));
        return false;
      }
      const kept = mine.every(([, reply]) => reply === 1);
      one.resolve(kept);
      return kept;
    });
  }

  /** Moves those of the kept that are available; one command for the whole flush. Later positions of a driver come last and win. */
  function moveAvailable(batch: readonly Waiting[], kept: readonly boolean[]): void {
    const members: (string | number)[] = [];
    for (const [index, { position }] of batch.entries()) {
      if (kept[index] && position.tripId === '') members.push(position.lng, geoLat(position.lat), position.driverId);
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
    const pipeline = redis.pipeline();
    for (const [driverId] of found) pipeline.hgetall(driverKey(driverId));
    const replies = (await orAway(pipeline.exec())) ?? [];
    const near: NearbyDriver[] = [];
    for (const [index, [, distance]] of found.entries()) {
      const position = parsePosition((replies[index]?.[1] ?? {}) as Record<string, string>);
      // The hash has a TTL, the index has none: a driver without a position left long ago.
      if (position) near.push({ position, distanceM: Number(distance) });
      else void orAway(redis.zrem(ACTIVE_DRIVERS, found[index]![0])).catch(() => {});
    }
    return near;
  }

  return {
    record(position) {
      return new Promise<boolean>((resolve, reject) => {
        waiting.push({ position, resolve, reject });
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
