// The panel of one driver: where it is and how old that is, its trip now, its latest trips.

import { alive, facts, linkTo, pill } from './detail-parts.js';
import { h, idText } from './dom.js';
import { compass, dateTime, distance, duration, label, place, shortId, staleness } from './format.js';
import { driverAgeMs, driverCondition } from './state.js';

/** @typedef {import('./detail-parts.js').Panel} Panel */

/**
 * @param {Panel} panel @param {string} id @param {readonly any[]} recent trips as REST gave them
 * @param {any} seen what /admin/drivers/{id} gave, or null @param {Node} actions
 */
export function driverView(panel, id, recent, seen, actions) {
  const { state, live } = panel;
  const known = () => state.drivers.get(id);
  const headline = h('p', { class: 'headline' });
  const current = h('dd');
  let shownTrip = '?';
  let shownCondition = '?';
  const write = () => {
    const driver = known();
    const condition = driver === undefined ? '' : driverCondition(state, driver, panel.now());
    if (condition !== shownCondition) {
      shownCondition = condition;
      headline.replaceChildren(
        condition === '' ? h('span', { text: 'No position received yet' }) : pill(condition, 'driver'),
      );
    }
    const tripId = state.tripOfDriver.get(id) ?? '';
    if (tripId === shownTrip) return;
    shownTrip = tripId;
    current.replaceChildren(tripId === '' ? 'none' : linkTo(panel, 'trip', tripId));
  };
  live.push(write);
  write();
  const list = facts([
    ['Driver', idText(id)],
    ['Position', alive(panel, () => place(known()))],
    ['Age', alive(panel, () => ageText(panel, known(), seen?.position))],
    ['Accuracy', alive(panel, () => accuracyText(known()))],
    ['Heading', alive(panel, () => headingText(known()))],
    ['Device', deviceText(seen?.telematics)],
  ]);
  list.append(h('dt', { text: 'Trip' }), current);
  return [headline, list, actions, h('h3', { text: 'Latest trips' }), tripList(panel, recent)];
}

/**
 * @param {Panel} panel @param {import('./state.js').Driver | undefined} driver
 * @param {any} read his position as REST gave it, which knows what his device said to any node
 */
function ageText({ state, now }, driver, read) {
  if (driver === undefined) return '–';
  const age = driverAgeMs(state, driver, now());
  return `${duration(age)}${age > state.staleAfterMs ? staleness(driver.staleReason || (read?.stale_reason ?? '')) : ''}`;
}

/** @param {import('./state.js').Driver | undefined} driver */
function accuracyText(driver) {
  if (driver === undefined) return '–';
  const known = driver.accuracyM === null ? 'not told' : `±${distance(driver.accuracyM)}`;
  return driver.source === '' ? known : `${known}, by ${driver.source}`;
}

/** @param {import('./state.js').Driver | undefined} driver */
function headingText(driver) {
  const deg = driver?.headingDeg ?? driver?.motion.toDeg ?? null;
  if (deg === null) return '–';
  return compass(deg) + (driver?.headingDeg == null ? ', from its movement' : '');
}

/** What the device of a driver said of itself last. @param {any} said */
function deviceText(said) {
  if (!said) return '–';
  const parts = [`${duration(said.age_ms)} ago`];
  if (said.battery_ratio !== undefined) parts.push(`battery ${Math.round(said.battery_ratio * 100)} %`);
  if (said.signal_dbm !== undefined) parts.push(`signal ${said.signal_dbm} dBm`);
  if (said.in_background) parts.push('app in the background');
  return parts.join(', ');
}

/** @param {Panel} panel @param {readonly any[]} trips */
function tripList(panel, trips) {
  if (trips.length === 0) return h('p', { class: 'note', text: 'None yet.' });
  const rows = trips.map((trip) => {
    const id = String(trip.id);
    return h('li', { colour: `trip-${trip.status}` }, [
      h('div', { class: 'head' }, [
        linkTo(panel, 'trip', id, shortId(id)),
        h('span', { text: dateTime(Number(trip.created_at), panel.timeZone) }),
      ]),
      h('div', { class: 'more', text: label(String(trip.status)) }),
    ]);
  });
  return h('ol', { class: 'timeline' }, rows);
}
