// Pointing at the map: a tip for what is under the pointer, a click that selects it, and the buttons and keys of the map.

import { byId, h } from './dom.js';
import { duration, label, shortId } from './format.js';
import { driverAgeMs, driverCondition } from './state.js';

/**
 * @param {import('./state.js').State} state
 * @param {{ground: ReturnType<typeof import('./ground.js').createGround>,
 *   layer: ReturnType<typeof import('./layer.js').createLayer>,
 *   onSelect: (selection: import('./layer.js').Selection) => void, now?: () => number}} options
 */
export function watchPointer(state, { ground, layer, onSelect, now = Date.now }) {
  const { map } = ground;
  const tip = byId('tip');

  /** @param {import('./layer.js').Selection} what @returns {[string, string] | null} */
  function tipText(what) {
    if (what?.kind === 'driver') {
      const driver = state.drivers.get(what.id);
      if (driver === undefined) return null;
      const age = duration(driverAgeMs(state, driver, now()));
      return [`Driver ${shortId(what.id)}`, `${label(driverCondition(state, driver, now()))}, position ${age} old`];
    }
    const trip = what === null ? undefined : state.trips.get(what.id);
    return trip === undefined ? null : [`Trip ${shortId(trip.id)}`, label(trip.status)];
  }

  /** @param {number} x @param {number} y */
  function point(x, y) {
    const text = tipText(layer.pick(x, y));
    map.getContainer().classList.toggle('on-thing', text !== null);
    tip.hidden = text === null;
    if (text === null) return;
    tip.replaceChildren(h('b', { text: text[0] }), h('span', { text: text[1] }));
    const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
    const top = y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18;
    tip.style.transform = `translate(${left}px, ${top}px)`;
  }

  // At most one look a frame, however fast the pointer reports.
  let asked = false;
  let x = 0;
  let y = 0;
  map.on('mousemove', (event) => {
    ({ x, y } = event.containerPoint);
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      point(x, y);
    });
  });
  const hideTip = () => {
    tip.hidden = true;
  };
  map.on('mouseout movestart zoomstart', hideTip);
  document.addEventListener('keydown', hideTip);
  map.on('click', (event) => {
    hideTip();
    onSelect(layer.pick(event.containerPoint.x, event.containerPoint.y));
  });

  byId('zoom-in').addEventListener('click', () => ground.zoom(1));
  byId('zoom-out').addEventListener('click', () => ground.zoom(-1));
  byId('fit').addEventListener('click', () => ground.fit());
}
