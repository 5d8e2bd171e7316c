// What the page says about itself: connection, clock, problems. An operator must always know whether the picture is live.

import { byId, setText } from './dom.js';
import { dateTime, duration, timeOfDay } from './format.js';
import { domainNow } from './measure.js';

/** @typedef {import('./connection.js').ConnectionState} ConnectionState */

/** @type {Record<ConnectionState['phase'], string>} */
const phases = {
  connecting: 'Connecting',
  live: 'Live',
  waiting: 'Offline',
  refused: 'Refused',
  stopped: 'Signed out',
};

/**
 * @param {import('./state.js').State} state
 * @param {{onRetry: () => void, timeZone?: string}} options
 */
export function createStatus(state, { onRetry, timeZone }) {
  /** @type {ConnectionState} */
  let connection = { phase: 'stopped', retryAt: null, attempt: 0, reason: '' };
  /** When the picture stopped being live. @type {number | null} */
  let lostAt = null;
  let problem = '';
  const pill = byId('connection');
  const banner = byId('banner');
  byId('banner-action').addEventListener('click', onRetry);

  /** @param {number} now */
  function bannerText(now) {
    if (lostAt !== null && connection.phase !== 'live') {
      const wait =
        connection.retryAt === null
          ? ''
          : ` Next try in ${Math.max(0, Math.ceil((connection.retryAt - now) / 1000))} s.`;
      const why = connection.reason === '' ? '' : ` (${connection.reason})`;
      return `Not live since ${timeOfDay(lostAt)}${why}: this is the last known picture.${wait}`;
    }
    if (connection.phase === 'waiting' || connection.phase === 'refused') {
      return connection.reason === '' ? 'No connection.' : `No connection: ${connection.reason}.`;
    }
    return problem;
  }

  return {
    /** @param {ConnectionState} next @param {number} now */
    connection(next, now) {
      if (next.phase === 'live') lostAt = null;
      else if (connection.phase === 'live') lostAt = now;
      connection = next;
      this.update(now);
    },
    /** @param {string} text '' when it is over */
    problem(text) {
      problem = text;
    },
    /** @param {number} now */
    update(now) {
      pill.dataset.phase = connection.phase;
      setText(pill.lastElementChild ?? pill, phases[connection.phase]);
      document.body.classList.toggle('not-live', lostAt !== null && connection.phase !== 'live');
      const text = bannerText(now);
      banner.hidden = text === '';
      byId('banner-action').hidden = connection.phase === 'live' || connection.phase === 'connecting';
      setText(byId('banner-text'), text);
      const domain = domainNow(state, now);
      const replay = state.clockSpeed !== 1 || (domain !== null && Math.abs(domain - now) > 600_000);
      const clock = byId('clock');
      const at = replay && domain !== null ? domain : now;
      const speed = state.clockSpeed === 1 ? '' : ` ×${state.clockSpeed}`;
      setText(clock, replay ? `${dateTime(at, timeZone)}${speed}` : timeOfDay(at, timeZone));
      clock.title = replay
        ? `Time of the service${speed === '' ? '' : `, running ${state.clockSpeed} times as fast`}`
        : 'Time';
      if (domain !== null && lostAt !== null) clock.title += `, not live for ${duration(now - lostAt)}`;
    },
  };
}
