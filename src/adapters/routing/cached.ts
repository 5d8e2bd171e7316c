/**
 * An engine whose answers are remembered by pair of H3 cells and hour of the day: in this process (the least recently used goes
 * first), and in Redis for all nodes. A way within a cell's reach of its own length is asked for as it is, because there the place
 * within the cell is most of the answer; those are the drivers around the corner, whose order matters.
 */
import { getHexagonEdgeLengthAvg, latLngToCell, UNITS } from 'h3-js';
import type { LatLng } from '../../domain/geo.ts';
import type { Logger } from '../../ports/logger.ts';
import type { LegCache, LegGroup, RoadLeg, RoutingEngine, RoutingMeter } from '../../ports/routing.ts';

export interface RouteCacheOptions {
  /** What all nodes share; none: only the process remembers. */
  shared: LegCache | null;
  /** Pairs remembered in this process. */
  size: number;
  ttlMs: number;
  /** H3 resolution of the cells. */
  resolution: number;
  /** Longest wait for `shared`; past it the engine is asked. Default 100 ms. */
  sharedWaitMs?: number;
  meter: Pick<RoutingMeter, 'cached'>;
  log: Pick<Logger, 'warn'>;
  /** Wall time, ms. */
  now?(): number;
}

type Known = RoadLeg | null | undefined;

const HOUR_MS = 3_600_000;
const SHARED_WAIT_MS = 100;
/** A way of fewer edges of a cell than this is not remembered: its ends would be a quarter of it off. */
const LEAST_EDGES = 8;
const METRES_PER_DEGREE = 111_195;

const hourOf = (at: number): number => Math.floor(at / HOUR_MS) % 24;

export function cachedEngine(engine: RoutingEngine, options: RouteCacheOptions): RoutingEngine {
  const { shared, resolution, meter, log, sharedWaitMs = SHARED_WAIT_MS } = options;
  const leastM = LEAST_EDGES * getHexagonEdgeLengthAvg(resolution, UNITS.m);
  const own = createLru<RoadLeg | null>(options.size, options.ttlMs, options.now ?? (() => performance.now()));

  function fromProcess(keys: readonly string[]): Known[] {
    const found = keys.map((key) => (key === '' ? undefined : own.get(key)));
    const hits = found.filter((leg) => leg !== undefined).length;
    const misses = keys.filter((key, i) => key !== '' && found[i] === undefined).length;
    if (hits > 0) meter.cached('process', 'hit', hits);
    if (misses > 0) meter.cached('process', 'miss', misses);
    return found;
  }

  async function fromShared(group: LegGroup, cells: readonly string[]): Promise<Known[]> {
    if (!shared || cells.length === 0) return [];
    try {
      const found = await within(shared.read(group, cells), sharedWaitMs);
      const hits = found.filter((leg) => leg !== undefined).length;
      if (hits > 0) meter.cached('redis', 'hit', hits);
      if (hits < cells.length) meter.cached('redis', 'miss', cells.length - hits);
      return found;
    } catch (error) {
      // What is remembered is for speed: the engine itself is there.
      meter.cached('redis', 'failed', cells.length);
      log.warn({ err: error }, 'remembered ways not read');
      return [];
    }
  }

  function share(group: LegGroup, legs: readonly (readonly [string, RoadLeg | null])[]): void {
    if (!shared || legs.length === 0) return;
    shared.write(group, legs).catch((error: unknown) => {
      meter.cached('redis', 'failed', legs.length);
      log.warn({ err: error }, 'ways not remembered for the other nodes');
    });
  }

  async function legsTo(from: readonly LatLng[], to: LatLng, at: number): Promise<(RoadLeg | null)[]> {
    const group: LegGroup = {
      engine: engine.name,
      hour: hourOf(at),
      toCell: latLngToCell(to.lat, to.lng, resolution),
    };
    const cells = from.map((place) =>
      roughDistanceM(place, to) < leastM ? '' : latLngToCell(place.lat, place.lng, resolution),
    );
    const keys = cells.map((cell) => (cell === '' ? '' : `${group.hour}${group.toCell}${cell}`));
    const found = fromProcess(keys);

    const open = [...new Set(cells.filter((cell, i) => cell !== '' && found[i] === undefined))];
    const remembered = new Map((await fromShared(group, open)).map((leg, i) => [open[i]!, leg]));
    for (const [i, cell] of cells.entries()) {
      const leg = found[i] === undefined && cell !== '' ? remembered.get(cell) : undefined;
      if (leg === undefined) continue;
      found[i] = leg;
      own.set(keys[i]!, leg);
    }

    const asked = [...from.keys()].filter((i) => found[i] === undefined);
    if (asked.length === 0) return found as (RoadLeg | null)[];
    const answers = await engine.legsTo(
      asked.map((i) => from[i]!),
      to,
      at,
    );
    const learnt = new Map<string, RoadLeg | null>();
    for (const [n, i] of asked.entries()) {
      const leg = answers[n]!;
      found[i] = leg;
      if (cells[i] === '') continue;
      own.set(keys[i]!, leg);
      learnt.set(cells[i]!, leg);
    }
    share(group, [...learnt]);
    return found as (RoadLeg | null)[];
  }

  // A ride's way is asked for once, from where it began: nobody else asks for the same.
  return { name: engine.name, legsTo, lineTo: (from, to) => engine.lineTo(from, to) };
}

/** Good to a percent within a city. */
function roughDistanceM(a: LatLng, b: LatLng): number {
  const east = (b.lng - a.lng) * Math.cos(a.lat * (Math.PI / 180));
  return METRES_PER_DEGREE * Math.hypot(b.lat - a.lat, east);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The least recently used goes first; what is older than `ttlMs` counts as gone. */
function createLru<V>(size: number, ttlMs: number, now: () => number) {
  const entries = new Map<string, { value: V; until: number }>();
  return {
    get(key: string): V | undefined {
      const entry = entries.get(key);
      if (!entry) return undefined;
      entries.delete(key);
      if (entry.until <= now()) return undefined;
      // Behind all others: a Map keeps the order of insertion.
      entries.set(key, entry);
      return entry.value;
    },
    set(key: string, value: V): void {
      entries.delete(key);
      entries.set(key, { value, until: now() + ttlMs });
      if (entries.size > size) entries.delete(entries.keys().next().value!);
    },
  };
}
