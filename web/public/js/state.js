// What the page knows: drivers, trips, counters, the feed. Every change goes through a function of this file that gets the
// message and the time as arguments and touches no DOM, clock or network: the same calls always give the same picture.
// (The maps inside are changed in place: copying thousands of drivers a second would cost the frames it is meant to draw.)

import { closedStatuses, openStatuses } from './format.js';
import { countIn, noteDomainTime } from './measure.js';
import { moveTo, still, worldX, worldY } from './motion.js';
import { createSafety } from './safety.js';
import { forgetTrip } from './trips.js';

/**
 * @typedef {import('./wire.js').Trip} Trip
 * @typedef {import('./wire.js').TripEvent} TripEvent
 * @typedef {import('./wire.js').ZonePosition} ZonePosition
 * @typedef {{id: string, lat: number, lng: number, headingDeg: number | null, status: string, ageMs: number,
 *   accuracyM: number | null, source: string, staleReason: string, receivedAt: number, motion: import('./motion.js').Motion}} Driver
 * @typedef {Trip & {touchedAt: number, closedAt: number | null}} MapTrip
 * @typedef {TripEvent & {key: string, receivedAt: number}} FeedEntry
 * @typedef {ReturnType<typeof createState>} State
 */

/** A closed trip fades out over this time. */
export const FADE_MS = 4_000;
/** A driver not heard of for this long leaves the map. */
const FORGET_MS = 15 * 60_000;

/**
 * @param {{freshnessMs?: number, clockSpeed?: number}} [options] `freshnessMs`: age past which a position is stale, domain
 *   time; `clockSpeed`: domain milliseconds in a wall millisecond
 */
export function createState({ freshnessMs = 60_000, clockSpeed = 1 } = {}) {
  return {
    clockSpeed,
    // Broadcasts come about once a second on the wall: with a fast clock, a cut-off shorter than a few of them would call
    // every driver stale between two broadcasts.
    staleAfterMs: Math.max(freshnessMs, 5_000 * clockSpeed),
    /** @type {Map<string, Driver>} */
    drivers: new Map(),
    /** @type {Map<string, MapTrip>} */
    trips: new Map(),
    /** The open trip of a driver. @type {Map<string, string>} */
    tripOfDriver: new Map(),
    /** Open trips whose places are not known yet. @type {Set<string>} */
    unresolved: new Set(),
    /** Newest first. @type {FeedEntry[]} */
    feed: [],
    /** Grows with each feed entry, so that a view knows what is new. */
    feedCount: 0,
    /** Events seen, by trip and sequence number. @type {Set<string>} */
    seen: new Set(),
    /** Trips that have ended lately. @type {Set<string>} */
    ended: new Set(),
    closed: { completed: 0, cancelled: 0, expired: 0 },
    safety: createSafety(),
    /** Last answer of /admin/stats. @type {any} */
    stats: null,
    /** All open trips were read at least once: until then no count of them is known. */
    complete: false,
    /** More open trips exist than the page reads; counts then come from the statistics. */
    truncated: false,
    /** Grows when a trip changes, so that the canvas knows when to draw lines again. */
    tripsChanged: 0,
    /** @type {{at: number, ms: number}[]} */
    delays: [],
    /** @type {{second: number, events: number, positions: number}[]} */
    rates: [],
    /** Second of the first message, 0 before it. */
    listeningSince: 0,
    /** @type {{rttMs: number, offsetMs: number}[]} */
    clockSamples: [],
    /** Domain time of the latest event and when it came. @type {{atMs: number, receivedAt: number} | null} */
    domain: null,
  };
}

/** Positions of drivers that moved. @param {State} state @param {readonly ZonePosition[]} positions @param {number} now
 * @param {boolean} [jump] without animation */
export function applyPositions(state, positions, now, jump = false) {
  for (const p of positions) {
    if (p.driverId === '') continue;
    const x = worldX(p.lng);
    const y = worldY(p.lat);
    const driver = state.drivers.get(p.driverId);
    if (driver === undefined) {
      state.drivers.set(p.driverId, {
        id: p.driverId,
        lat: p.lat,
        lng: p.lng,
        headingDeg: p.headingDeg,
        status: p.status,
        ageMs: p.ageMs,
        accuracyM: p.accuracyM,
        source: p.source,
        staleReason: p.staleReason,
        receivedAt: now,
        motion: still(x, y, p.headingDeg, now),
      });
      continue;
    }
    // Two nodes may broadcast the same driver: the older of two positions never replaces the newer.
    if (p.ageMs > driverAgeMs(state, driver, now)) continue;
    moveTo(driver.motion, x, y, p.headingDeg, now, jump);
    driver.lat = p.lat;
    driver.lng = p.lng;
    driver.headingDeg = p.headingDeg;
    driver.status = p.status;
    driver.ageMs = p.ageMs;
    driver.accuracyM = p.accuracyM;
    driver.source = p.source;
    driver.staleReason = p.staleReason;
    driver.receivedAt = now;
  }
  countIn(state, now, 'positions', positions.length);
}

/** An answer of /admin/stats: the totals are the server's, events only carry them on until the next answer.
 * @param {State} state @param {any} stats @param {number} now */
export function applyStats(state, stats, now) {
  state.stats = stats;
  if (typeof stats?.now_ms === 'number') noteDomainTime(state, stats.now_ms, now);
  for (const status of closedStatuses) {
    const total = stats?.trips?.[status];
    if (typeof total === 'number') state.closed[status] = total;
  }
}

/** Forgets what has faded and what was not heard of for long. @param {State} state @param {number} now */
export function sweep(state, now) {
  for (const trip of state.trips.values()) {
    if (trip.closedAt !== null && now - trip.closedAt > FADE_MS) forgetTrip(state, trip);
  }
  for (const driver of state.drivers.values()) {
    if (now - driver.receivedAt > FORGET_MS) state.drivers.delete(driver.id);
  }
}

/** Age of a driver's position now, milliseconds of domain time. @param {State} state @param {Driver} driver @param {number} now */
export function driverAgeMs(state, driver, now) {
  return driver.ageMs + Math.max(0, now - driver.receivedAt) * state.clockSpeed;
}

/** What the map shows of a driver: stale when the position is old, whatever the status was; on a trip when its position or
 * a trip says so. @param {State} state
 * @param {Driver} driver @param {number} now @returns {'available' | 'on_trip' | 'stale'} */
export function driverCondition(state, driver, now) {
  if (driverAgeMs(state, driver, now) > state.staleAfterMs) return 'stale';
  return driver.status === 'available' && !state.tripOfDriver.has(driver.id) ? 'available' : 'on_trip';
}

/** Every figure of the page. @param {State} state @param {number} now */
export function counters(state, now) {
  const drivers = { available: 0, on_trip: 0, stale: 0 };
  for (const driver of state.drivers.values()) drivers[driverCondition(state, driver, now)]++;
  /** @type {Record<string, number>} */
  const trips = Object.fromEntries(openStatuses.map((status) => [status, 0]));
  for (const trip of state.trips.values()) {
    if (trip.closedAt === null) trips[trip.status] = (trips[trip.status] ?? 0) + 1;
  }
  if (state.truncated) for (const status of openStatuses) trips[status] = state.stats?.trips?.[status] ?? trips[status];
  const of = (/** @type {string} */ status) => trips[status] ?? 0;
  return {
    drivers,
    shown: drivers.available + drivers.on_trip + drivers.stale,
    trips,
    waiting: of('requested') + of('offered'),
    active: of('assigned') + of('driver_arrived') + of('in_progress'),
    closed: { ...state.closed },
  };
}
