// The figures: drivers, trips, closed trips, the stream itself. Each row is counter, legend and filter in one.

import { byId, h, setColour, setText } from './dom.js';
import { count, delay, driverConditions, duration, label, openStatuses, percentile, rate } from './format.js';
import { clockOffsetMs, rates, recentDelays } from './measure.js';
import { counters } from './state.js';

/**
 * @param {import('./state.js').State} state
 * @param {{hidden: Set<string>, onFilter: () => void}} options
 */
export function createPanels(state, { hidden, onFilter }) {
  for (const swatch of document.querySelectorAll('.swatch[data-colour]')) {
    if (swatch instanceof HTMLElement) setColour(swatch, swatch.dataset.colour ?? '');
  }
  const drivers = group('drivers', driverConditions, (name) => `driver-${name}`, true);
  const trips = group('trips', openStatuses, (name) => `trip-${name}`, false);
  const spark = /** @type {HTMLCanvasElement} */ (byId('spark'));

  /**
   * A bar of shares and a row of each status.
   * @param {string} id @param {readonly string[]} names @param {(name: string) => string} colourOf @param {boolean} round
   */
  function group(id, names, colourOf, round) {
    const figures = new Map();
    for (const name of names) {
      const share = h('i');
      share.style.background = `var(--${colourOf(name)})`;
      byId(`${id}-split`).append(share);
      const n = h('span', { class: 'n', text: '–' });
      const row = h(
        'button',
        { attrs: { 'aria-pressed': 'true', 'data-status': name }, title: 'Show or hide on the map' },
        [
          h('i', {
            class: round ? 'swatch round' : 'swatch',
            colour: colourOf(name),
            attrs: { 'aria-hidden': 'true' },
          }),
          h('span', { class: 'name', text: label(name) }),
          n,
        ],
      );
      row.addEventListener('click', () => {
        if (!hidden.delete(name)) hidden.add(name);
        row.setAttribute('aria-pressed', String(!hidden.has(name)));
        onFilter();
      });
      byId(`${id}-rows`).append(row);
      figures.set(name, { share, n });
    }
    return (/** @type {Record<string, number>} */ values, /** @type {boolean} */ known) => {
      for (const [name, { share, n }] of figures) {
        setText(n, figure(values[name] ?? 0, known));
        share.style.flexGrow = String(values[name] ?? 0);
      }
    };
  }

  /** What is not known yet is not nought. @param {number} n @param {boolean} known */
  const figure = (n, known) => (known ? count(n) : '–');

  /** Connected drivers as the server counts them; null when it does not say. */
  function connected() {
    const total = state.stats?.sessions?.by_role?.driver;
    return typeof total === 'number' ? total : null;
  }

  return {
    /** Writes all figures. @param {number} now */
    update(now) {
      const c = counters(state, now);
      const online = connected();
      const heard = state.listeningSince > 0;
      setText(
        byId('drivers-online'),
        figure(online ?? c.drivers.available + c.drivers.on_trip, online !== null || heard),
      );
      byId('drivers-online').title =
        online === null
          ? 'Drivers with a fresh position'
          : `${count(online)} driver sessions by the server's count; ${count(c.shown)} positions came to this page`;
      const ready = state.stats?.drivers?.available;
      if (typeof ready === 'number') byId('drivers-online').title += `; ${count(ready)} ready for matching`;
      const cutOff = duration(state.staleAfterMs);
      byId('drivers-rows').lastElementChild?.setAttribute(
        'title',
        `Position older than ${cutOff}. Show or hide on the map`,
      );
      drivers(c.drivers, heard);
      setText(byId('trips-open'), figure(c.waiting + c.active, state.complete));
      setText(byId('trips-waiting'), figure(c.waiting, state.complete));
      setText(byId('trips-active'), figure(c.active, state.complete));
      trips(c.trips, state.complete);
      setText(byId('closed-completed'), figure(c.closed.completed, state.stats !== null));
      setText(byId('closed-cancelled'), figure(c.closed.cancelled, state.stats !== null));
      setText(byId('closed-expired'), figure(c.closed.expired, state.stats !== null));
      updateStream(now);
    },
  };

  /** @param {number} now */
  function updateStream(now) {
    const r = rates(state, now);
    setText(byId('rate-events'), rate(r.events));
    setText(byId('rate-positions'), rate(r.positions));
    const delays = recentDelays(state, now);
    setText(byId('delay-median'), delay(percentile(delays, 0.5)));
    setText(byId('delay-p95'), delay(percentile(delays, 0.95)));
    const offset = clockOffsetMs(state);
    byId('delay-median').title =
      `Receive time less send time, ${delays.length} messages of the last minute` +
      (offset === 0
        ? ''
        : `; this device's clock is ${duration(Math.abs(offset))} ${offset > 0 ? 'behind' : 'ahead'}, corrected`);
    drawSpark(now);
  }

  /** Messages a second over the last two minutes. @param {number} now */
  function drawSpark(now) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = 120;
    const height = 28;
    if (spark.width !== width * ratio) {
      spark.width = width * ratio;
      spark.height = height * ratio;
    }
    const g = /** @type {CanvasRenderingContext2D} */ (spark.getContext('2d'));
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const last = Math.floor(now / 1000) - 1;
    const values = new Float64Array(width);
    for (const r of state.rates) {
      const at = width - 1 - (last - r.second);
      if (at >= 0 && at < width) values[at] = r.events + r.positions;
    }
    const top = Math.max(1, ...values);
    g.beginPath();
    for (let i = 0; i < width; i++) g.lineTo(i + 0.5, height - 1.5 - ((values[i] ?? 0) / top) * (height - 4));
    const colour = getComputedStyle(spark).getPropertyValue('--accent');
    g.strokeStyle = colour;
    g.lineWidth = 1.5;
    g.lineJoin = 'round';
    g.stroke();
    g.lineTo(width, height);
    g.lineTo(0, height);
    g.globalAlpha = 0.14;
    g.fillStyle = colour;
    g.fill();
    g.globalAlpha = 1;
  }
}
