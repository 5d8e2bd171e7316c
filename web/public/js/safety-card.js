// The card of safety: check-ins with what is left of their time, and open flags. A row opens its trip or its driver. What becomes an
// SOS is also said to whoever reads the page by ear.

import { byId, h, setText } from './dom.js';
import { count, duration, label, shortId } from './format.js';
import { domainNow } from './measure.js';
import { checkInsInOrder, flagsInOrder } from './safety.js';

/** Rows of each list; how many more there are is said below them. */
const ROWS = 6;

/** @param {number} shown @param {number} all @param {boolean} atLeast */
export function moreText(shown, all, atLeast) {
  if (all <= shown) return '';
  return `and ${count(all - shown)}${atLeast ? ' or more' : ''} more`;
}

/** What is left of the time to answer. @param {import('./safety.js').CheckIn} checkIn @param {number | null} now domain time */
export function timeLeft({ status, deadlineMs }, now) {
  if (status === 'escalated') return 'SOS';
  if (now === null || deadlineMs === 0) return 'asked';
  return deadlineMs <= now ? 'no answer' : `${duration(deadlineMs - now)} left`;
}

/**
 * @param {import('./state.js').State} state
 * @param {{onSelect: (what: {kind: 'driver' | 'trip', id: string}) => void}} options
 */
export function createSafetyCard(state, { onSelect }) {
  const { safety } = state;
  const checkIns = byId('check-in-list');
  const flags = byId('flag-list');
  let drawn = -1;
  let wasKnown = false;
  /** Trips of which it was said that they are an SOS. @type {Set<string>} */
  let said = new Set();
  /** @type {{text: Element, checkIn: import('./safety.js').CheckIn}[]} */
  let times = [];

  /** @param {import('./safety.js').CheckIn} checkIn */
  function checkInRow(checkIn) {
    const { tripId, status, hazards, riderId, driverId } = checkIn;
    const why = hazards.length === 0 ? 'asked for help' : hazards.map(label).join(', ');
    const text = h('span', { class: 'n' });
    times.push({ text, checkIn });
    const title = `Trip ${tripId}: ${why}. Rider ${riderId}, driver ${driverId}`;
    return h('li', {}, [
      h(
        'button',
        { title, attrs: { 'data-check-in': status }, onClick: () => onSelect({ kind: 'trip', id: tripId }) },
        [
          h('i', { class: 'swatch round', colour: `check-in-${status}`, attrs: { 'aria-hidden': 'true' } }),
          h('span', { class: 'name', text: `${why} · ${shortId(tripId)}` }),
          text,
        ],
      ),
    ]);
  }

  /** @param {import('./safety.js').Flag} flag */
  function flagRow({ kind, subjectId, subjectRole, score, facts }) {
    const title = `${label(kind)} of ${subjectRole} ${subjectId}${facts === '' ? '' : `: ${facts}`}`;
    const parts = [
      h('i', { class: 'swatch', colour: 'flag', attrs: { 'aria-hidden': 'true' } }),
      h('span', { class: 'name', text: `${label(kind)} · ${shortId(subjectId)}` }),
      h('span', { class: 'n', text: `${Math.round(100 * score)} %` }),
    ];
    // Only drivers have a place on the map.
    const isDriver = subjectRole === 'driver';
    const attrs = { 'data-flag': kind };
    const row = isDriver
      ? h('button', { title, attrs, onClick: () => onSelect({ kind: 'driver', id: subjectId }) }, parts)
      : h('div', { class: 'row', title, attrs }, parts);
    return h('li', {}, [row]);
  }

  /** @param {HTMLElement} list @param {readonly Node[]} rows @param {number} all */
  function fill(list, rows, all) {
    const more = moreText(rows.length, all, safety.truncated);
    list.replaceChildren(...rows, ...(more === '' ? [] : [h('li', { class: 'note', text: more })]));
  }

  function draw() {
    // The reader's place among the rows is kept where the row is still there.
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.title : '';
    const inside = checkIns.contains(document.activeElement) || flags.contains(document.activeElement);
    times = [];
    const open = checkInsInOrder(safety);
    fill(checkIns, open.slice(0, ROWS).map(checkInRow), open.length);
    const marked = flagsInOrder(safety);
    fill(flags, marked.slice(0, ROWS).map(flagRow), marked.length);
    if (inside) {
      for (const button of byId('safety').querySelectorAll('button')) if (button.title === focused) button.focus();
    }
    const sos = new Set(open.filter(({ status }) => status === 'escalated').map(({ tripId }) => tripId));
    const fresh = [...sos].filter((id) => !said.has(id));
    // What was there before the page is no news.
    if (wasKnown && fresh.length > 0) {
      setText(byId('safety-news'), `${fresh.map((id) => `Trip ${shortId(id)}`).join(', ')}: a check-in became an SOS`);
    }
    wasKnown = safety.known;
    said = sos;
    byId('safety').classList.toggle('alarm', sos.size > 0);
    setText(byId('check-ins-open'), safety.known ? count(open.length) : '–');
    setText(byId('flags-open'), safety.known ? count(marked.length) : '–');
    byId('safety-empty').hidden = !safety.known || open.length + marked.length > 0;
  }

  return {
    /** @param {number} now */
    update(now) {
      if (drawn !== safety.changed) {
        drawn = safety.changed;
        draw();
      }
      const domain = domainNow(state, now);
      for (const { text, checkIn } of times) setText(text, timeLeft(checkIn, domain));
    },
  };
}
