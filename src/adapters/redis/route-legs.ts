/**
 * Ways that some node has asked an engine for, one hash for each destination cell and hour, `route:legs:<engine>:<hour>:<cell>`:
 * so the question of many origins to one place is one HMGET, also on a cluster. Fields are origin cells, values
 * `<seconds>,<metres>`, or empty where no road leads.
 */
import type { Redis } from 'ioredis';
import type { LegCache, LegGroup, RoadLeg } from '../../ports/routing.ts';
import { orAway, redisAway } from './connection.ts';

const keyOf = ({ engine, hour, toCell }: LegGroup): string => `route:legs:${engine}:${hour}:${toCell}`;

const toText = (leg: RoadLeg | null): string => (leg ? `${leg.durationS},${leg.distanceM}` : '');

function fromText(text: string | null): RoadLeg | null | undefined {
  if (text === null) return undefined;
  if (text === '') return null;
  const [durationS, distanceM] = text.split(',').map(Number) as [number, number?];
  // Not of ours: as if nothing were known.
  if (!Number.isFinite(durationS) || !Number.isFinite(distanceM)) return undefined;
  return { durationS, distanceM: distanceM! };
}

/** `ttlMs` from the first way of a group on, so that what is asked for all the time is asked anew too. */
export function createRedisRouteLegs(redis: Redis, ttlMs: number): LegCache {
  return {
    async read(group, fromCells) {
      if (fromCells.length === 0) return [];
      return (await orAway(redis.hmget(keyOf(group), ...fromCells))).map(fromText);
    },
    async write(group, legs) {
      if (legs.length === 0) return;
      const key = keyOf(group);
      const fields = Object.fromEntries(legs.map(([cell, leg]) => [cell, toText(leg)]));
      // NX: only where there is no expiry yet.
      const replies = await orAway(redis.multi().hset(key, fields).pexpire(key, ttlMs, 'NX').exec());
      const [error] = replies?.find(([error]) => error !== null) ?? [null];
      if (error) throw redisAway(error);
    },
  };
}
