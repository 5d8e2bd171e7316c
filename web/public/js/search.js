// Find a driver, rider or trip by a part of its id; a whole trip id that the map does not hold is looked up in the store.
// This is also how the map is used without a pointer.

import { byId, h } from './dom.js';
import { label, shortId } from './format.js';
import { driverCondition } from './state.js';

const MOST = 8;

/**
 * @param {import('./state.js').State} state
 * @param {{onSelect: (selection: NonNullable<import('./layer.js').Selection>) => void, now?: () => number}} options
 */
export function createSearch(state, { onSelect, now = Date.now }) {
  const form = byId('search');
  const input = /** @type {HTMLInputElement} */ (byId('query'));
  const results = byId('results');

  /** @param {string} query @returns {{kind: 'driver' | 'trip', id: string, note: string, colour: string}[]} */
  function find(query) {
    /** @type {{kind: 'driver' | 'trip', id: string, note: string, colour: string}[]} */
    const found = [];
    for (const driver of state.drivers.values()) {
      if (found.length >= MOST) return found;
      if (!driver.id.toLowerCase().includes(query)) continue;
      const condition = driverCondition(state, driver, now());
      found.push({ kind: 'driver', id: driver.id, note: label(condition), colour: `driver-${condition}` });
    }
    for (const trip of state.trips.values()) {
      if (found.length >= MOST) return found;
      if (!trip.id.toLowerCase().includes(query) && !trip.riderId.toLowerCase().includes(query)) continue;
      found.push({ kind: 'trip', id: trip.id, note: label(trip.status), colour: `trip-${trip.status}` });
    }
    if (found.length === 0 && /^trip_[a-z0-9-]{1,32}_[0-9a-z]{26}$/.test(query)) {
      found.push({ kind: 'trip', id: query, note: 'Look up', colour: 'muted' });
    }
    return found;
  }

  function close() {
    results.hidden = true;
    results.replaceChildren();
  }

  function update() {
    const query = input.value.trim().toLowerCase();
    if (query === '') return close();
    const rows = find(query).map((hit) => {
      const open = () => {
        close();
        input.value = '';
        onSelect(hit);
      };
      return h('li', {}, [
        h('button', { title: hit.id, onClick: open }, [
          h('i', {
            class: hit.kind === 'driver' ? 'swatch round' : 'swatch',
            colour: hit.colour,
            attrs: { 'aria-hidden': 'true' },
          }),
          h('span', { class: 'what', text: `${hit.kind === 'driver' ? 'Driver' : 'Trip'} ${shortId(hit.id)}` }),
          h('span', { class: 'note', text: hit.note }),
        ]),
      ]);
    });
    results.replaceChildren(
      ...(rows.length > 0 ? rows : [h('li', {}, [h('p', { text: 'Nothing on the map has this id.' })])]),
    );
    results.hidden = false;
  }

  input.addEventListener('input', update);
  input.addEventListener('focus', update);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    results.querySelector('button')?.click();
  });
  form.addEventListener('focusout', (event) => {
    if (!(event.relatedTarget instanceof Node) || !form.contains(event.relatedTarget)) close();
  });
  form.addEventListener('keydown', (event) => {
    const buttons = [...results.querySelectorAll('button')];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    if (event.key === 'Escape') {
      event.stopPropagation();
      input.value = '';
      close();
      input.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const next = event.key === 'ArrowDown' ? at + 1 : at - 1;
      (next < 0 ? input : (buttons[next] ?? buttons.at(-1)))?.focus();
    }
  });

  return { focus: () => input.focus() };
}
