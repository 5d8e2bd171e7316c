// Fills the picture by reads: all open trips when the stream has (re)started, the places of trips that only an event told of,
// and the server's totals. It reads in bounded pages, a few at a time, and waits when the server says so.

import { ApiError } from './api.js';
import { openStatuses } from './format.js';
import { domainNow } from './measure.js';
import { replaceSafety } from './safety.js';
import { applyStats } from './state.js';
import { applyTrip, dropMissing, dropTrip } from './trips.js';
import { readCheckIn, readFlag, readTrip } from './wire.js';

const PAGE_SIZE = 200;
/** Pages read of one status: above this many open trips the page counts by the server's statistics. */
const MAX_PAGES = 10;
/** Up to this many unknown trips are read one by one, more by pages. */
const SINGLE_READS = 3;

/**
 * @param {{api: {get(path: string): Promise<any>}, city: string, state: import('./state.js').State, now?: () => number,
 *   onProblem: (problem: string) => void, onSignIn: (reason: string) => void}} options `onProblem`: a sentence for the
 *   operator, '' when it is over; `onSignIn`: the token is refused
 */
export function createLoader({ api, city, state, onProblem, onSignIn, now = Date.now }) {
  let waitUntil = 0;
  let busy = false;

  /** Runs a read; its failure is shown and the next turn tries again. @param {() => Promise<void>} read */
  async function guarded(read) {
    if (now() < waitUntil) return false;
    try {
      await read();
      onProblem('');
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.fatal) onSignIn(error.message);
      waitUntil = now() + (error.retryAfterMs || 2_000);
      onProblem(`Some data could not be read: ${error.message}`);
      return false;
    }
  }

  /** @param {string} status @param {string} token */
  const pagePath = (status, token) => {
    const query = new URLSearchParams({ status, city, page_size: String(PAGE_SIZE) });
    if (token !== '') query.set('page_token', token);
    return `api/v1/trips?${query}`;
  };

  /**
   * Reads one status page by page; ends early when `enough` says so.
   * @param {string} status @param {(id: string) => void} onTrip @param {() => boolean} enough
   * @returns {Promise<boolean>} whether all was read
   */
  async function readStatus(status, onTrip, enough) {
    let token = '';
    for (let page = 0; page < MAX_PAGES; page++) {
      const answer = await api.get(pagePath(status, token));
      for (const raw of answer.items ?? []) {
        const trip = readTrip(raw);
        applyTrip(state, trip, now());
        onTrip(trip.id);
      }
      token = answer.next_page_token ?? '';
      if (token === '') return true;
      if (enough()) return false;
    }
    return false;
  }

  async function readAll() {
    const startedAt = now();
    /** @type {Set<string>} */
    const ids = new Set();
    let complete = true;
    // In the order of a trip's life: one that moves on while this reads is met again in a later status.
    for (const status of openStatuses) {
      const all = await readStatus(
        status,
        (id) => ids.add(id),
        () => false,
      );
      complete &&= all;
    }
    state.truncated = !complete;
    state.complete = true;
    if (complete) dropMissing(state, ids, startedAt);
  }

  async function readUnresolved() {
    const ids = [...state.unresolved];
    if (ids.length <= SINGLE_READS) {
      for (const id of ids) await readOne(id);
      return;
    }
    /** @type {Map<string, number>} */
    const byStatus = new Map();
    for (const id of ids) {
      const status = state.trips.get(id)?.status ?? 'requested';
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    }
    const [most] = [...byStatus].sort((a, b) => b[1] - a[1])[0] ?? ['requested'];
    const wanted = new Set(ids.filter((id) => state.trips.get(id)?.status === most));
    await readStatus(
      most,
      (id) => wanted.delete(id),
      () => wanted.size === 0,
    );
    // Moved on while the pages were read: one by one next time, a few each turn.
    for (const id of [...state.unresolved].filter((id) => wanted.has(id)).slice(0, SINGLE_READS)) await readOne(id);
  }

  /** @param {string} id */
  async function readOne(id) {
    try {
      applyTrip(state, readTrip(await api.get(`api/v1/trips/${encodeURIComponent(id)}`)), now());
    } catch (error) {
      // An event of a trip that cannot be read (erased meanwhile): it has no place on the map.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      dropTrip(state, id);
    }
  }

  async function readSafety() {
    const sinceMs = domainNow(state, now()) ?? 0;
    const size = `page_size=${PAGE_SIZE}`;
    const pages = await Promise.all(
      [`check-ins?status=escalated&${size}`, `check-ins?status=asked&${size}`, `anomalies?status=open&${size}`].map(
        (path) => api.get(`admin/${path}`),
      ),
    );
    const [escalated, asked, flagged] = pages.map(({ items = [] }) =>
      items.filter((/** @type {any} */ one) => one.city === city),
    );
    replaceSafety(
      state.safety,
      {
        checkIns: [...escalated, ...asked].map(readCheckIn),
        flags: flagged.map(readFlag),
        truncated: pages.some((page) => Boolean(page.next_page_token)),
      },
      sinceMs,
    );
  }

  /** One read at a time. @param {() => Promise<void>} read */
  async function alone(read) {
    if (busy) return false;
    busy = true;
    try {
      return await guarded(read);
    } finally {
      busy = false;
    }
  }

  return {
    /** All open trips; false when it has to be tried again. */
    snapshot: () => alone(readAll),
    /** The places of trips known from events only. */
    resolve: async () => (state.unresolved.size === 0 ? true : alone(readUnresolved)),
    /** Check-ins and flags that need somebody. */
    safety: () => guarded(readSafety),
    /** The server's totals. */
    stats: () =>
      guarded(async () => {
        applyStats(state, await api.get('admin/stats'), now());
      }),
  };
}
