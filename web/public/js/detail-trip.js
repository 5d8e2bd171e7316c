// The panel of one trip: what it is, how it stands, and every event that the store keeps of it.

import { alive, facts, linkTo, pill } from './detail-parts.js';
import { h, idText, setColour } from './dom.js';
import { dateTime, distance, duration, label, money, place, shortId, staleness, timeOfDay } from './format.js';
import { domainNow } from './measure.js';
import { isClosed, isOpen } from './trips.js';

/** @typedef {import('./detail-parts.js').Panel} Panel */

/**
 * @param {Panel} panel @param {any} trip as REST gave it @param {readonly any[]} events oldest first
 * @param {{eta: () => any, position: () => any, actions: Node}} parts `eta`, `position`: the latest from the stream, or null
 */
export function tripView(panel, trip, events, { eta, position, actions }) {
  const status = String(trip.status);
  const driverId = typeof trip.driver_id === 'string' ? trip.driver_id : '';
  const { estimate } = trip;
  return [
    h('p', { class: 'headline' }, [pill(status, 'trip'), alive(panel, () => ageText(panel, trip, events))]),
    facts([
      ['Trip', idText(String(trip.id))],
      ['Rider', idText(String(trip.rider_id ?? '–'))],
      ['Driver', driverId === '' ? 'none yet' : linkTo(panel, 'driver', driverId)],
      ['Pickup', place(trip.pickup)],
      ['Dropoff', place(trip.dropoff)],
      trip.vehicle_class ? ['Vehicle', String(trip.vehicle_class)] : null,
      estimate ? ['Estimate', estimateText(estimate)] : null,
      estimate?.currency ? ['Fare', money(Number(estimate.fare_minor), String(estimate.currency))] : null,
      isOpen(status) && driverId !== '' ? ['Next stop', alive(panel, () => etaText(panel, eta()))] : null,
      isOpen(status) && driverId !== '' ? ['Position', alive(panel, () => positionText(panel, position()))] : null,
      trip.cancel_reason ? ['Reason', String(trip.cancel_reason)] : null,
      trip.note ? ['Note', String(trip.note)] : null,
    ]),
    actions,
    h('h3', { text: `History, ${events.length} ${events.length === 1 ? 'event' : 'events'}` }),
    timeline(panel, events),
  ];
}

/** @param {any} estimate */
const estimateText = (estimate) =>
  `${distance(Number(estimate.distance_m))}, ${duration(Number(estimate.duration_s) * 1000)}`;

/** @param {Panel} panel @param {any} trip @param {readonly any[]} events */
function ageText({ state, now }, trip, events) {
  if (isClosed(String(trip.status))) return `took ${duration(Number(trip.updated_at) - Number(trip.created_at))}`;
  const since = Number(events.at(-1)?.at ?? trip.updated_at);
  return `for ${duration((domainNow(state, now()) ?? now()) - since)}`;
}

/** How old a message of the stream is by now. @param {Panel} panel @param {any} message with its age when it came, and when that was */
function agedText({ state, now }, { ageMs, receivedAt, staleReason }) {
  const age = ageMs + (now() - receivedAt) * state.clockSpeed;
  return `${duration(age)} old${age > state.staleAfterMs ? staleness(staleReason) : ''}`;
}

/** @param {Panel} panel @param {any} eta */
function etaText(panel, eta) {
  if (eta === null) return 'no estimate yet';
  const way = `${eta.leg} in ${duration(eta.etaS * 1000)}, ${distance(eta.distanceM)} away`;
  return `${way}, by ${label(eta.source)} from a position ${agedText(panel, eta)}`;
}

/** @param {Panel} panel @param {any} position */
function positionText(panel, position) {
  if (position === null) return 'none received yet';
  const parts = [agedText(panel, position)];
  if (position.speedMps !== null) parts.push(`${Math.round(position.speedMps * 3.6)} km/h`);
  if (position.accuracyM !== null) parts.push(`±${distance(position.accuracyM)}`);
  if (position.source !== '') parts.push(`by ${position.source}`);
  return parts.join(', ');
}

/** @param {Panel} panel @param {readonly any[]} events */
function timeline({ timeZone }, events) {
  const list = h('ol', { class: 'timeline' });
  for (const [index, event] of events.entries()) {
    const at = Number(event.at);
    const since = index === 0 ? '' : ` (+${duration(at - Number(events[index - 1].at))})`;
    const more = [
      event.driver_id ? `driver ${shortId(String(event.driver_id))}` : '',
      event.actor_id && event.actor_id !== event.driver_id ? `by ${shortId(String(event.actor_id))}` : '',
      event.reason ? String(event.reason) : '',
    ].filter((part) => part !== '');
    const item = h('li', {}, [
      h('div', { class: 'head' }, [
        h('b', { text: label(String(event.type)) }),
        h('span', { text: timeOfDay(at, timeZone) + since, title: dateTime(at, timeZone) }),
      ]),
      more.length === 0 ? null : h('div', { class: 'more', text: more.join(', ') }),
    ]);
    setColour(item, `trip-${event.status}`);
    list.append(item);
  }
  return list;
}
