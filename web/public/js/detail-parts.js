// What the detail panel is made of: pills, facts, links, texts that go on living.

import { h, idText, setText } from './dom.js';
import { label } from './format.js';

/**
 * What a view needs of the panel that holds it.
 * @typedef {{state: import('./state.js').State, now: () => number, timeZone?: string,
 *   live: (() => void)[], onSelect: (selection: import('./layer.js').Selection) => void}} Panel
 *   `live`: called several times a second while the view is open
 */

/** @param {string} status @param {'trip' | 'driver'} kind */
export function pill(status, kind) {
  return h('span', { class: 'pill', colour: `${kind}-${status}` }, [
    h('i', { class: 'swatch round', attrs: { 'aria-hidden': 'true' } }),
    h('span', { text: label(status) }),
  ]);
}

/** @param {readonly (readonly [string, string | Node] | null)[]} rows */
export function facts(rows) {
  const list = h('dl', { class: 'facts' });
  for (const fact of rows) {
    if (fact === null) continue;
    const value = typeof fact[1] === 'string' ? new Text(fact[1]) : fact[1];
    list.append(h('dt', { text: fact[0] }), h('dd', {}, [value]));
  }
  return list;
}

/** @param {Panel} panel @param {'trip' | 'driver'} kind @param {string} id @param {string} [text] default: the whole id */
export function linkTo(panel, kind, id, text) {
  const shown = text === undefined ? idText(id) : h('span', { text });
  return h('button', { class: 'link', title: id, onClick: () => panel.onSelect({ kind, id }) }, [shown]);
}

/** A text that goes on changing. @param {Panel} panel @param {() => string} text */
export function alive(panel, text) {
  const span = h('span', { text: text() });
  panel.live.push(() => setText(span, text()));
  return span;
}
