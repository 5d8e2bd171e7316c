// The panel of what is selected, one driver or one trip, with the history that the store keeps. It reads again when an event
// of it comes, at most once a second.

import { driverView } from './detail-driver.js';
import { tripView } from './detail-trip.js';
import { byId, h } from './dom.js';
import { shortId } from './format.js';

const READ_EVERY_MS = 1_000;

/** What is not known is shown as such. @param {any} error */
function notThere(error) {
  if (error?.status === 404) return null;
  throw error;
}

/** @typedef {NonNullable<import('./layer.js').Selection>} Selected */

/**
 * @param {import('./state.js').State} state
 * @param {{api: {get(path: string): Promise<any>}, onSelect: (selection: import('./layer.js').Selection) => void,
 *   onShow: (selection: Selected) => void, onTrip: (trip: any) => void, now?: () => number, timeZone?: string}} options
 *   `onTrip`: the selected trip as the store has it
 */
export function createDetail(state, { api, onSelect, onShow, onTrip, timeZone, now = Date.now }) {
  const root = byId('detail');
  /** @type {import('./detail-parts.js').Panel} */
  const panel = { state, now, timeZone, live: [], onSelect };
  /** @type {Selected | null} */
  let selected = null;
  let readAt = 0;
  let wanted = false;
  /** Counts reads: the answer to an older one is dropped. */
  let reading = 0;
  /** Latest ETA and position of the selected trip, from the stream. @type {any} */
  let eta = null;
  /** @type {any} */
  let position = null;

  const focusable = () => /** @type {HTMLElement[]} */ ([...root.querySelectorAll('h2, button')]);

  /** @param {(Node | null)[]} body */
  function fill(body) {
    if (selected === null) return;
    const title = `${selected.kind === 'trip' ? 'Trip' : 'Driver'} ${shortId(selected.id)}`;
    const heading = h('h2', { text: title, title: selected.id, attrs: { tabindex: '-1' } });
    const close = h('button', { class: 'icon', text: '✕', title: 'Close (Esc)', attrs: { 'aria-label': 'Close' } });
    close.addEventListener('click', () => onSelect(null));
    // A panel that is read again must not throw its reader back to the top or lose the keyboard's place.
    const scrolled = root.querySelector('.body')?.scrollTop ?? 0;
    const focused = focusable().indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const content = h('div', { class: 'body' }, body);
    root.replaceChildren(h('header', {}, [heading, close]), content);
    content.scrollTop = scrolled;
    if (focused >= 0) (focusable()[focused] ?? heading).focus();
  }

  const actions = () =>
    h('div', { class: 'actions' }, [
      h('button', { class: 'plain', text: 'Show on map', onClick: () => selected !== null && onShow(selected) }),
    ]);

  /** @param {Selected} what @returns {Promise<() => (Node | null)[]>} the view, to be made when it is still wanted */
  async function viewOf(what) {
    const id = encodeURIComponent(what.id);
    if (what.kind === 'driver') {
      const [recent, seen] = await Promise.all([
        api.get(`api/v1/trips?driver_id=${id}&page_size=8`),
        api.get(`admin/drivers/${id}`).catch(notThere),
      ]);
      return () => driverView(panel, what.id, recent.items ?? [], seen, actions());
    }
    const [trip, events] = await Promise.all([api.get(`api/v1/trips/${id}`), api.get(`api/v1/trips/${id}/events`)]);
    return () => {
      onTrip(trip);
      return tripView(panel, trip, events.items ?? [], {
        eta: () => eta,
        position: () => position,
        actions: actions(),
      });
    };
  }

  async function read() {
    const what = selected;
    if (what === null) return;
    const mine = ++reading;
    readAt = now();
    wanted = false;
    /** @type {() => (Node | null)[]} */
    let view;
    try {
      view = await viewOf(what);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      view = () => [
        h('p', { class: 'error', text: `Could not be read: ${reason}`, attrs: { role: 'alert' } }),
        h('div', { class: 'actions' }, [h('button', { class: 'plain', text: 'Try again', onClick: read })]),
      ];
    }
    if (mine !== reading) return;
    panel.live = [];
    fill(view());
  }

  return {
    /** Opens the panel for a selection, or closes it. @param {import('./layer.js').Selection} next */
    show(next) {
      selected = next;
      eta = null;
      position = null;
      panel.live = [];
      reading++;
      root.hidden = next === null;
      root.replaceChildren();
      if (next === null) return;
      fill([h('p', { class: 'note', text: 'Reading…' })]);
      read();
    },
    /** Something of this trip changed. @param {string} tripId @param {string} driverId */
    touched(tripId, driverId) {
      if (selected !== null && (selected.kind === 'trip' ? tripId : driverId) === selected.id) wanted = true;
    },
    /** @param {any} message @param {number} receivedAt */
    onEta(message, receivedAt) {
      if (selected?.kind === 'trip' && message.tripId === selected.id) eta = { ...message, receivedAt };
    },
    /** @param {any} message @param {number} receivedAt */
    onLocation(message, receivedAt) {
      if (selected?.kind === 'trip' && message.tripId === selected.id) position = { ...message, receivedAt };
    },
    /** Ages go on; what changed is read again. */
    update() {
      if (selected === null) return;
      for (const write of panel.live) write();
      if (wanted && now() - readAt >= READ_EVERY_MS) read();
    },
    /** For the reader's keyboard: into the panel. */
    focus() {
      root.querySelector('h2')?.focus();
    },
  };
}
