// Trips as events and reads tell of them, and the feed. Events may repeat, come late or be lost, and reads may be older than
// events: whatever the order, the newest known state of each trip stays. As state.js: no DOM, no clock, no network.

import { closedStatuses, openStatuses } from './format.js';
import { countIn, domainNow, noteDomainTime } from './measure.js';

/**
 * @typedef {import('./state.js').State} State
 * @typedef {import('./state.js').MapTrip} MapTrip
 * @typedef {import('./wire.js').Trip} Trip
 * @typedef {import('./wire.js').TripEvent} TripEvent
 */

/** Bounds: nothing in the page grows for ever. */
const FEED_LENGTH = 200;
const SEEN_LENGTH = 20_000;
const ENDED_LENGTH = 5_000;

/** @param {string} status */
export const isOpen = (status) => /** @type {readonly string[]} */ (openStatuses).includes(status);

/** @param {string} status @returns {status is 'completed' | 'cancelled' | 'expired'} */
export const isClosed = (status) => /** @type {readonly string[]} */ (closedStatuses).includes(status);

/** @param {string} status */
const hasDriver = (status) => status === 'assigned' || status === 'driver_arrived' || status === 'in_progress';

/**
 * A change of a trip. The stream may repeat itself, and a followed trip comes on two topics: an event is known by its trip
 * and sequence number.
 * @param {State} state @param {TripEvent} event @param {number} now
 * @returns {boolean} false for a repeat, which changed nothing
 */
export function applyTripEvent(state, event, now) {
  const key = `${event.tripId}#${event.seq}`;
  if (event.tripId === '' || state.seen.has(key)) return false;
  remember(state.seen, key, SEEN_LENGTH);
  countIn(state, now, 'events', 1);
  state.feed.unshift({ ...event, key, receivedAt: now });
  state.feed.length = Math.min(state.feed.length, FEED_LENGTH);
  state.feedCount++;
  noteDomainTime(state, event.atMs, now);
  const known = state.trips.get(event.tripId);
  // Late, after a newer one or a newer read: it belongs in the feed, but the trip has moved on.
  if (known !== undefined && event.seq <= known.seq) return true;
  if (isClosed(event.status) && known?.closedAt == null) state.closed[event.status]++;
  const trip = known ?? unknownTrip(event);
  trip.status = event.status;
  trip.seq = event.seq;
  trip.version = Math.max(trip.version, event.version);
  if (event.riderId !== '') trip.riderId = event.riderId;
  // In an offer the driver is the one asked, not the one who drives.
  const driverId = hasDriver(event.status)
    ? event.driverId || trip.driverId
    : isClosed(event.status)
      ? trip.driverId
      : '';
  place(state, trip, driverId, now);
  return true;
}

/** The stream was interrupted: the feed says so where events may be missing. @param {State} state @param {string} reason
 * @param {number} now */
export function noteGap(state, reason, now) {
  const nothing = { tripId: '', seq: 0, status: '', version: 0, driverId: '', actorId: '', riderId: '' };
  state.feed.unshift({
    ...nothing,
    type: 'gap',
    reason,
    atMs: domainNow(state, now) ?? now,
    key: `gap#${now}`,
    receivedAt: now,
  });
  state.feed.length = Math.min(state.feed.length, FEED_LENGTH);
  state.feedCount++;
}

/** A trip as the REST API gave it. @param {State} state @param {Trip} read @param {number} now */
export function applyTrip(state, read, now) {
  noteDomainTime(state, read.updatedAt, now);
  const known = state.trips.get(read.id);
  // A read that was under way when the trip ended must not bring it back.
  if (known === undefined && (!isOpen(read.status) || state.ended.has(read.id))) return;
  const trip = known ?? { ...read, touchedAt: now, closedAt: null };
  const newer = known === undefined || read.seq >= known.seq;
  if (known !== undefined && newer) {
    // The driver is changed by place(), which keeps the way back from driver to trip.
    Object.assign(known, read, { driverId: known.driverId });
  } else if (known !== undefined) {
    // Read before the last event: the places and people still help, the status would be a step back.
    known.pickup ??= read.pickup;
    known.dropoff ??= read.dropoff;
    known.riderId ||= read.riderId;
    known.vehicleClass ||= read.vehicleClass;
    known.createdAt ||= read.createdAt;
  }
  place(state, trip, newer && hasDriver(read.status) ? read.driverId : trip.driverId, now);
}

/**
 * After a full read of the open trips: those that it did not hold and that nothing was heard of since it began were closed
 * while the page was not listening.
 * @param {State} state @param {ReadonlySet<string>} ids @param {number} startedAt when the read began
 */
export function dropMissing(state, ids, startedAt) {
  for (const trip of state.trips.values()) {
    if (trip.closedAt === null && !ids.has(trip.id) && trip.touchedAt < startedAt) forgetTrip(state, trip);
  }
}

/** @param {State} state @param {MapTrip} trip @param {string} driverId @param {number} now */
function place(state, trip, driverId, now) {
  if (trip.driverId !== driverId && state.tripOfDriver.get(trip.driverId) === trip.id) {
    state.tripOfDriver.delete(trip.driverId);
  }
  trip.driverId = driverId;
  trip.touchedAt = now;
  if (isOpen(trip.status)) {
    trip.closedAt = null;
    if (driverId !== '') state.tripOfDriver.set(driverId, trip.id);
    if (trip.pickup === null || trip.dropoff === null) state.unresolved.add(trip.id);
    else state.unresolved.delete(trip.id);
  } else {
    trip.closedAt ??= now;
    remember(state.ended, trip.id, ENDED_LENGTH);
    state.unresolved.delete(trip.id);
    if (state.tripOfDriver.get(driverId) === trip.id) state.tripOfDriver.delete(driverId);
  }
  state.trips.set(trip.id, trip);
  state.tripsChanged++;
}

/** A trip that cannot be read any more. @param {State} state @param {string} id */
export function dropTrip(state, id) {
  const trip = state.trips.get(id);
  if (trip !== undefined) forgetTrip(state, trip);
}

/** Takes a trip off the map. @param {State} state @param {MapTrip} trip */
export function forgetTrip(state, trip) {
  state.trips.delete(trip.id);
  state.unresolved.delete(trip.id);
  if (state.tripOfDriver.get(trip.driverId) === trip.id) state.tripOfDriver.delete(trip.driverId);
  state.tripsChanged++;
}

/** @param {TripEvent} event @returns {MapTrip} */
function unknownTrip(event) {
  return {
    id: event.tripId,
    status: event.status,
    version: event.version,
    seq: 0,
    riderId: event.riderId,
    driverId: '',
    vehicleClass: '',
    pickup: null,
    dropoff: null,
    createdAt: event.type === 'requested' ? event.atMs : 0,
    updatedAt: event.atMs,
    touchedAt: 0,
    closedAt: null,
  };
}

/** @param {Set<string>} set @param {string} key @param {number} length */
function remember(set, key, length) {
  set.add(key);
  // Sets keep their order: the first is the oldest.
  if (set.size > length) for (const oldest of set) return void set.delete(oldest);
}
