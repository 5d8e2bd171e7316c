/**
 * The learnt traffic of every city, kept in the store in small documents: one for a city, one for each of its zones, so that a
 * finished trip changes three. A node reads them once, then again after a while; what it learns itself it joins into as few
 * writes as there are documents, one at a time each.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Collection, CollectionSpec, StoredDocument } from '../../ports/store.ts';
import { LOST, put, untilWritten } from '../documents/writing.ts';
import {
  bounded,
  type Effects,
  type Features,
  factorOf,
  featuresOf,
  isTelling,
  type Lesson,
  learn,
  lessonsOf,
  type Way,
} from './rules.ts';

/** What is learnt of one zone, or of a city as a whole, for one source of times. */
export interface TrafficRecord extends StoredDocument {
  effects: Effects;
  /** The trips it learnt from last: the event of one may come twice. */
  recent: string[];
}

export const trafficCollection: CollectionSpec<TrafficRecord> = { name: 'traffic', indexes: [] };

export interface TrafficDeps {
  records: Collection<TrafficRecord>;
  clock: Clock;
  region: string;
  halfLifeMs: number;
  /** Factor of a source of which nothing is known. */
  prior(source: string): number;
  log: Pick<Logger, 'warn'>;
}

/** What one trip teaches one document. */
interface Taught {
  tripId: string;
  at: number;
  lessons: Lesson[];
}

/** Domain ms. */
const REFRESH_MS = 60_000;
const MOST_PARTS = 20_000;
const MOST_EFFECTS = 512;
const MOST_RECENT = 64;
/** Trips that wait for one document, at most; more come only when the store is away. */
const MOST_WAITING = 256;
const PATIENCE = { attempts: 8, retryAfterMs: 1000 };

const NONE: Effects = {};
const NO_FEATURES: Features = { levels: [], effects: [] };
const idOf = (source: string, city: string, part: string): string => `${source}.${city}${part && `.${part}`}`;

export type Traffic = ReturnType<typeof createTraffic>;

export function createTraffic({ records, clock, region, halfLifeMs, prior, log }: TrafficDeps) {
  const known = new Map<string, { effects: Effects; readAt: number }>();
  const waiting = new Map<string, { trips: Taught[]; done: Promise<void> }>();

  function keep(id: string, effects: Effects): void {
    known.delete(id);
    known.set(id, { effects, readAt: clock.now() });
    if (known.size > MOST_PARTS) known.delete(known.keys().next().value!);
  }

  async function read(ids: readonly string[]): Promise<void> {
    try {
      const found = new Map((await records.getMany(ids)).map((record) => [record.id, record.effects]));
      for (const id of ids) keep(id, found.get(id) ?? NONE);
    } catch (error) {
      // Estimates go on with what is known, and ask again after the same while.
      for (const id of ids) keep(id, known.get(id)?.effects ?? NONE);
      log.warn({ err: error }, 'traffic not read');
    }
  }

  /** Waits for what was never read; what is old is read again behind the caller's back. */
  async function prepare(source: string, city: string, zones: Iterable<string>): Promise<void> {
    const now = clock.now();
    const ids = [...new Set(['', ...zones])].map((part) => idOf(source, city, part));
    const missing = ids.filter((id) => !known.has(id));
    const old = ids.filter((id) => now - (known.get(id)?.readAt ?? now) > REFRESH_MS);
    if (old.length > 0) {
      // Counts as read, so that one question at a time is enough.
      for (const id of old) known.get(id)!.readAt = now;
      void read(old);
    }
    if (missing.length > 0) await read(missing);
  }

  /** Of the parts of one question, whose names are long: each is looked for once. */
  function lookup(source: string, city: string): (part: string) => Effects | undefined {
    const found = new Map<string, Effects | undefined>();
    return (part) => {
      if (!found.has(part)) found.set(part, known.get(idOf(source, city, part))?.effects);
      return found.get(part);
    };
  }

  /** Real time over the source's, for each way, in order. */
  async function factors(source: string, city: string, ways: readonly Way[]): Promise<number[]> {
    const zones = new Set<string>();
    for (const { fromZone, toZone } of ways) zones.add(fromZone).add(toZone);
    await prepare(source, city, zones);
    const effects = lookup(source, city);
    const usual = prior(source);
    // Of a city in which nothing was learnt yet, every way is alike.
    const isNew = effects('') === NONE && [...zones].every((zone) => effects(zone) === NONE);
    return ways.map((way) => factorOf(isNew ? NO_FEATURES : featuresOf(way), effects, usual));
  }

  /** @throws RideError RIDE_UNAVAILABLE, or RIDE_CONFLICT after many lost races */
  function write(id: string, trips: readonly Taught[]): Promise<void> {
    const attempt = async () => {
      const stored = await records.get(id);
      const before: TrafficRecord = stored ?? {
        id,
        region,
        createdAt: clock.now(),
        version: 0,
        effects: NONE,
        recent: [],
      };
      const next = taught(before, trips, halfLifeMs);
      return (await put(records, stored, next)) ? keep(id, next.effects) : LOST;
    };
    return untilWritten('traffic', attempt, PATIENCE);
  }

  /** Writes what waits for one document until nothing does. */
  async function drain(id: string, trips: Taught[]): Promise<void> {
    while (trips.length > 0) {
      const batch = trips.splice(0);
      // Lost is what some trips taught; the next ones teach the same.
      await write(id, batch).catch((error: unknown) =>
        log.warn({ err: error, traffic: id, trips: batch.length }, 'traffic not learnt'),
      );
    }
    waiting.delete(id);
  }

  /** Resolves when it is written, or given up. */
  function queue(id: string, trip: Taught): Promise<void> {
    const under = waiting.get(id);
    if (under) {
      if (under.trips.length < MOST_WAITING) under.trips.push(trip);
      return under.done;
    }
    const trips = [trip];
    // After this turn, in which others may join.
    const done = Promise.resolve().then(() => drain(id, trips));
    waiting.set(id, { trips, done });
    return done;
  }

  return {
    factors,

    /** A finished way teaches; resolves when that is written. A store that is away costs the lesson, not the caller. */
    async observe(source: string, city: string, tripId: string, way: Way, tookS: number): Promise<void> {
      if (!isTelling(way.baseS, tookS)) return;
      await prepare(source, city, [way.fromZone, way.toZone]);
      const lessons = lessonsOf(way, tookS, lookup(source, city), prior(source), halfLifeMs);
      const parts = Map.groupBy(lessons, ({ part }) => part);
      await Promise.all(
        [...parts].map(([part, own]) => queue(idOf(source, city, part), { tripId, at: way.at, lessons: own })),
      );
    },
  };
}

/** The record after the trips it has not learnt from yet. */
function taught(before: TrafficRecord, trips: readonly Taught[], halfLifeMs: number): TrafficRecord {
  const effects: Record<string, Effects[string]> = { ...before.effects };
  const recent = [...before.recent];
  for (const { tripId, at, lessons } of trips) {
    if (recent.includes(tripId)) continue;
    recent.push(tripId);
    for (const lesson of lessons) effects[lesson.key] = learn(effects[lesson.key], lesson, at, halfLifeMs);
  }
  return {
    ...before,
    version: before.version + 1,
    effects: bounded(effects, MOST_EFFECTS),
    recent: recent.slice(-MOST_RECENT),
  };
}
