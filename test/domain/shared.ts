/** What the nodes of a test share: one Redis, one store, one clock. And on which stores a suite is tried, where it matters. */
import { createClock } from '../../src/adapters/system/clock.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Place } from '../conformance/store/place.ts';
import { type MongoServer, startMongo } from '../servers/mongo.ts';
import { ownStore } from '../servers/own-store.ts';
import type { TestScope } from '../servers/process.ts';
import { startRedis } from '../servers/redis.ts';

export interface Shared {
  redisUrl: string;
  store: Place;
  clock: Clock;
}

/** A time that the test moves itself; never faster than that. */
export interface ManualClock extends Clock {
  add(ms: number): void;
}

export function manualClock(start = 1_421_322_000_000): ManualClock {
  let now = start;
  return {
    now: () => now,
    toWallMs: (ms) => ms,
    add(ms) {
      now += ms;
    },
  };
}

/** `mongo`: the store is in this one, else wherever the suite runs. */
export async function shared(t: TestScope, clock?: Clock, mongo?: MongoServer): Promise<Shared> {
  const store = await ownStore(t, mongo);
  const { url } = await startRedis(t);
  return { redisUrl: url, store, clock: clock ?? createClock({ speed: 1, anchor: 0, start: 0 }) };
}

/** A store that a model test is tried on. */
export interface Ground {
  name: string;
  skip: string | false;
  place(t: TestScope, clock: Clock): Promise<Shared>;
  /** How many programs, of so many on SQLite: fewer on MongoDB, for each takes longer; in the long form many on both. */
  runs(usual: number): number;
}

/**
 * Both stores; with MONGODB_URL only that one. `WORLDS_LONG=1` is the long form.
 */
export async function grounds(t: TestScope): Promise<Ground[]> {
  const isLong = process.env.WORLDS_LONG === '1';
  const runs = (usual: number): number => (isLong ? 5 * usual : usual);
  const sqlite: Ground = { name: 'SQLite', skip: false, place: (t, clock) => shared(t, clock), runs };
  const mongo = await startMongo(t);
  const mongodb: Ground = {
    name: 'MongoDB',
    skip: 'skip' in mongo ? mongo.skip : false,
    place: (t, clock) => shared(t, clock, mongo as MongoServer),
    runs: (usual) => runs(isLong ? usual : Math.ceil(usual / 4)),
  };
  return process.env.MONGODB_URL ? [mongodb] : [sqlite, mongodb];
}
