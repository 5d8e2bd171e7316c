// How numbers, times and ids are written for people. Pure: no DOM, no clock; everything comes in as an argument, so that a
// test can say what the operator will read.

/** Label and order of the driver conditions that the map tells apart. */
export const driverConditions = /** @type {const} */ (['available', 'on_trip', 'stale']);

/** Statuses of a trip that is still going on, in the order they are passed through. */
export const openStatuses = /** @type {const} */ ([
  'requested',
  'offered',
  'assigned',
  'driver_arrived',
  'in_progress',
]);

/** Statuses a trip ends in. */
export const closedStatuses = /** @type {const} */ (['completed', 'cancelled', 'expired']);

/** @type {Record<string, string>} */
const labels = {
  available: 'Available',
  on_trip: 'On trip',
  stale: 'Stale',
  requested: 'Requested',
  offered: 'Offered',
  offer_declined: 'Offer declined',
  offer_expired: 'Offer expired',
  assigned: 'Assigned',
  driver_arrived: 'At pickup',
  started: 'Started',
  in_progress: 'In progress',
  completed: 'Completed',
  cancelled: 'Cancelled',
  expired: 'Expired',
  long_stop: 'Long stop',
  route_deviation: 'Off its way',
  overspeed: 'Too fast',
  signal_lost: 'Silent',
  spoofed_gps: 'Spoofed GPS',
  collusion: 'Collusion',
  self_trip: 'Trip with himself',
  surge_gaming: 'Surge gaming',
  cancellation_abuse: 'Cancellation abuse',
};

/** A status or event type for people; one that this page does not know is shown as it came. @param {string} name */
export function label(name) {
  return Object.hasOwn(labels, name) ? (labels[name] ?? name) : name.replaceAll('_', ' ');
}

/** @type {Record<string, string>} */
const reasons = {
  battery_low: 'the battery was low',
  no_signal: 'there was no signal',
  background: 'the app was in the background',
  silent: 'the device gave no reason',
};

/** Why a position is stale, for people; nothing while that is not known. @param {string} reason of the stream or of REST */
export function staleness(reason) {
  const why = Object.hasOwn(reasons, reason) ? reasons[reason] : reason.replaceAll('_', ' ');
  return why ? ` (stale: ${why})` : ' (stale)';
}

/**
 * The part of an id that tells it from its neighbours: ids of the platform (`trip_<region>_<26 characters>`) end in random
 * characters, other ids are shown whole when they are short.
 * @param {string} id
 */
export function shortId(id) {
  if (/^[a-z]+_[a-z0-9-]{1,32}_[0-9a-z]{26}$/.test(id)) return id.slice(-6);
  return id.length <= 18 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`;
}

/** @param {number} n */
export function count(n) {
  return Math.round(n).toLocaleString('en-US');
}

/** A rate a second, with one decimal below ten. @param {number} perSecond */
export function rate(perSecond) {
  return perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond);
}

/** How long ago or how long, coarser as it grows: `0.8 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d`. @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  if (whole < 3600) return join(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(s / 60);
  if (minutes < 48 * 60) return join(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${Math.round(minutes / 1440)} d`;
}

/** @param {number} a @param {string} unitA @param {number} b @param {string} unitB */
function join(a, unitA, b, unitB) {
  return b === 0 ? `${a} ${unitA}` : `${a} ${unitA} ${b} ${unitB}`;
}

/** A delay in milliseconds, or a dash when there is none to show. @param {number | null} ms */
export function delay(ms) {
  if (ms === null) return '–';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} m */
export function distance(m) {
  if (m < 1000) return `${Math.round(m)} m`;
  return `${(m / 1000).toFixed(m < 9950 ? 1 : 0)} km`;
}

/** Integer minor units of an ISO 4217 currency. @param {number} minor @param {string} currency */
export function money(minor, currency) {
  try {
    const format = new Intl.NumberFormat('en-US', { style: 'currency', currency });
    const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    return format.format(minor / 10 ** digits);
  } catch (error) {
    // Intl refuses what is not three letters: show the figure as it came rather than none.
    if (error instanceof RangeError) return `${minor} ${currency} (minor units)`;
    throw error;
  }
}

/** @param {{lat: number, lng: number, address?: string} | null | undefined} place */
export function place(place) {
  if (!place) return '–';
  const at = `${place.lat.toFixed(5)}, ${place.lng.toFixed(5)}`;
  return place.address ? `${place.address} (${at})` : at;
}

/** Time of day, in the reader's zone unless another is named. @param {number} ms @param {string} [timeZone] */
export function timeOfDay(ms, timeZone) {
  return new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone });
}

/** Date and time, in the reader's zone unless another is named. @param {number} ms @param {string} [timeZone] */
export function dateTime(ms, timeZone) {
  const day = new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone });
  return `${day} ${timeOfDay(ms, timeZone)}`;
}

/** Compass direction of a heading in degrees. @param {number} deg */
export function compass(deg) {
  const names = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'];
  const normal = ((deg % 360) + 360) % 360;
  return `${names[Math.round(normal / 45) % 8]} (${Math.round(normal)}°)`;
}

/**
 * The value below which the share `p` (0 to 1) of the samples lies, nearest rank; null without samples.
 * @param {ArrayLike<number>} samples in any order @param {number} p
 */
export function percentile(samples, p) {
  if (samples.length === 0) return null;
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? null;
}
