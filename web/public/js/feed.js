// The last events as a list. Rows are buttons that open the trip. While the reader points at the list or walks it by
// keyboard, it holds still: nothing slips away from under the pointer.

import { byId, h, setText } from './dom.js';
import { label, shortId, timeOfDay } from './format.js';

const ROWS = 80;

/**
 * @param {import('./state.js').State} state
 * @param {{onOpen: (tripId: string) => void, timeZone?: string}} options
 */
export function createFeed(state, { onOpen, timeZone }) {
  const list = byId('feed-list');
  const note = byId('feed-note');
  let shown = 0;
  let held = false;

  const hold = (/** @type {boolean} */ on) => () => {
    held = on || list.contains(document.activeElement);
    update();
  };
  list.addEventListener('pointerenter', (event) => event.pointerType === 'mouse' && hold(true)());
  list.addEventListener('pointerleave', hold(false));
  list.addEventListener('focusin', hold(true));
  list.addEventListener('focusout', (event) => {
    if (!(event.relatedTarget instanceof Node) || !list.contains(event.relatedTarget)) {
      held = list.matches(':hover');
      update();
    }
  });

  /** @param {import('./state.js').FeedEntry} entry @param {boolean} quiet without drawing the eye to it */
  function row(entry, quiet) {
    if (entry.type === 'gap') {
      return h('li', { class: 'gap', text: `${timeOfDay(entry.atMs, timeZone)}  ${entry.reason}` });
    }
    const colour =
      entry.type === 'offer_declined' || entry.type === 'offer_expired' ? 'trip-expired' : `trip-${entry.status}`;
    const who = entry.driverId === '' ? '' : shortId(entry.driverId);
    const full = [`Trip ${entry.tripId}`, entry.driverId && `driver ${entry.driverId}`, entry.reason]
      .filter(Boolean)
      .join(', ');
    const at = h('time', { text: timeOfDay(entry.atMs, timeZone) });
    at.setAttribute('datetime', new Date(entry.atMs).toISOString());
    return h('li', { class: quiet ? '' : 'new' }, [
      h('button', { title: full, onClick: () => onOpen(entry.tripId) }, [
        at,
        h('i', { class: 'swatch round', colour, attrs: { 'aria-hidden': 'true' } }),
        h('span', { class: 'what', text: `${label(entry.type)} · ${shortId(entry.tripId)}` }),
        h('span', { class: 'who', text: who }),
      ]),
    ]);
  }

  /** Shows what is new. */
  function update() {
    const waiting = state.feedCount - shown;
    byId('feed-empty').hidden = state.feedCount > 0;
    if (held && shown > 0) {
      setText(note, waiting === 0 ? 'Paused while you read' : `Paused, ${waiting} new`);
      return;
    }
    setText(note, '');
    if (waiting === 0) return;
    const fresh = state.feed.slice(0, Math.min(waiting, ROWS));
    shown = state.feedCount;
    // In a busy city every row is new: flashing all of them says nothing.
    list.prepend(...fresh.map((entry) => row(entry, fresh.length > 2)));
    while (list.childElementCount > ROWS) list.lastElementChild?.remove();
  }

  return { update };
}
