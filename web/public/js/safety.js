// What needs an operator: check-ins that wait for a rider or became an SOS, and open flags of what looks like cheating. Part of the
// picture that state.js keeps: no DOM, no clock, no network.

/**
 * @typedef {{tripId: string, status: string, hazards: readonly string[], riderId: string, driverId: string, deadlineMs: number,
 *   atMs: number}} CheckIn `deadlineMs`: when no answer becomes an SOS, domain time; 0 when nothing is asked
 * @typedef {{id: string, kind: string, subjectId: string, subjectRole: string, score: number, atMs: number, facts: string}} Flag
 * @typedef {{checkIns: Map<string, CheckIn>, flags: Map<string, Flag>, alarms: Map<string, string>, known: boolean,
 *   truncated: boolean, changed: number}} Safety `alarms`: status of the check-in of a driver's trip; `changed` grows with each change
 */

/** @returns {Safety} */
export function createSafety() {
  return { checkIns: new Map(), flags: new Map(), alarms: new Map(), known: false, truncated: false, changed: 0 };
}

/** Nothing is to be done about one that is calm. @param {string} status */
export const needsCare = (status) => status === 'asked' || status === 'escalated';

/** @param {Safety} safety */
function note(safety) {
  safety.changed++;
  safety.alarms.clear();
  for (const { driverId, status } of safety.checkIns.values()) {
    if (safety.alarms.get(driverId) !== 'escalated') safety.alarms.set(driverId, status);
  }
}

/** A check-in as a message or a read tells it; the older of two never replaces the newer. @param {Safety} safety @param {CheckIn} next */
export function applyCheckIn(safety, next) {
  if (next.tripId === '') return;
  const known = safety.checkIns.get(next.tripId);
  if (known !== undefined && known.atMs > next.atMs) return;
  if (needsCare(next.status)) safety.checkIns.set(next.tripId, next);
  else if (!safety.checkIns.delete(next.tripId)) return;
  note(safety);
}

/** A flag that was opened. @param {Safety} safety @param {Flag} flag */
export function applyFlag(safety, flag) {
  if (flag.id === '') return;
  safety.flags.set(flag.id, flag);
  safety.changed++;
}

/**
 * A full read: what it does not have any more is done with, unless it was heard of since the read began.
 * @param {Safety} safety @param {{checkIns: readonly CheckIn[], flags: readonly Flag[], truncated: boolean}} read
 * @param {number} sinceMs domain time at which the read began
 */
export function replaceSafety(safety, { checkIns, flags, truncated }, sinceMs) {
  const later = (/** @type {{atMs: number}} */ one) => one.atMs > sinceMs;
  const heard = [...safety.checkIns.values()].filter(later);
  const flagged = [...safety.flags.values()].filter(later);
  safety.checkIns = new Map(checkIns.map((one) => [one.tripId, one]));
  safety.flags = new Map([...flags, ...flagged].map((one) => [one.id, one]));
  for (const one of heard) applyCheckIn(safety, one);
  safety.truncated = truncated;
  safety.known = true;
  note(safety);
}

/** What an operator looks at first: an SOS before a question, and the question that runs out first. @param {Safety} safety */
export function checkInsInOrder(safety) {
  const rank = (/** @type {CheckIn} */ one) => (one.status === 'escalated' ? 0 : 1);
  return [...safety.checkIns.values()].sort(
    (a, b) => rank(a) - rank(b) || a.deadlineMs - b.deadlineMs || a.atMs - b.atMs || (a.tripId < b.tripId ? -1 : 1),
  );
}

/** The flag that is farthest past its line first. @param {Safety} safety */
export function flagsInOrder(safety) {
  return [...safety.flags.values()].sort((a, b) => b.score - a.score || b.atMs - a.atMs || (a.id < b.id ? -1 : 1));
}
