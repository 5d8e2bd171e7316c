// What the page measures about its own stream: delays, rates, the server's clock and the domain's. As state.js: time comes
// in as an argument, nothing touches the DOM.

/** @typedef {import('./state.js').State} State */

const DELAY_SAMPLES = 600;
const DELAY_WINDOW_MS = 60_000;
const RATE_SECONDS = 120;

/**
 * Notes how long a message took: receive time less `sent_at_ms`, by the server's clock where ours is known to differ.
 * @param {State} state @param {number} sentAtMs @param {number} now
 */
export function noteDelay(state, sentAtMs, now) {
  const ms = now + clockOffsetMs(state) - sentAtMs;
  // Ten minutes off is not a delay but another clock: no figure is better than a wrong one.
  if (sentAtMs <= 0 || Math.abs(ms) > 600_000) return;
  state.delays.push({ at: now, ms: Math.max(0, ms) });
  if (state.delays.length > DELAY_SAMPLES) state.delays.splice(0, state.delays.length - DELAY_SAMPLES);
}

/** The delays of the last minute. @param {State} state @param {number} now */
export function recentDelays(state, now) {
  return state.delays.filter((sample) => now - sample.at <= DELAY_WINDOW_MS).map((sample) => sample.ms);
}

/** A heartbeat and its answer: how far the server's clock is from ours. @param {State} state
 * @param {{sentAt: number, receivedAt: number, serverTimeMs: number}} probe */
export function noteClock(state, { sentAt, receivedAt, serverTimeMs }) {
  const rttMs = receivedAt - sentAt;
  const offsetMs = serverTimeMs + rttMs / 2 - receivedAt;
  if (serverTimeMs <= 0 || rttMs < 0 || state.clockSpeed !== 1 || Math.abs(offsetMs) > 600_000) return;
  state.clockSamples.push({ rttMs, offsetMs });
  if (state.clockSamples.length > 12) state.clockSamples.shift();
}

/** Milliseconds to add to our clock to get the server's; 0 while the difference is within what can be measured.
 * @param {State} state */
export function clockOffsetMs(state) {
  if (state.clockSamples.length === 0) return 0;
  const best = state.clockSamples.reduce((a, b) => (b.rttMs < a.rttMs ? b : a));
  return Math.abs(best.offsetMs) > best.rttMs / 2 + 1 ? best.offsetMs : 0;
}

/** Mean a second of trip events and positions over the last ten whole seconds. @param {State} state @param {number} now */
export function rates(state, now) {
  const second = Math.floor(now / 1000);
  const recent = state.rates.filter((r) => r.second < second && r.second >= second - 10);
  // A page that has just been opened has not listened for ten seconds yet.
  const over = Math.max(1, Math.min(10, second - state.listeningSince));
  return {
    events: recent.reduce((sum, r) => sum + r.events, 0) / over,
    positions: recent.reduce((sum, r) => sum + r.positions, 0) / over,
  };
}

/** Counts messages by the second. @param {State} state @param {number} now @param {'events' | 'positions'} what @param {number} n */
export function countIn(state, now, what, n) {
  const second = Math.floor(now / 1000);
  if (state.listeningSince === 0) state.listeningSince = second;
  let last = state.rates.at(-1);
  if (last === undefined || last.second < second) {
    last = { second, events: 0, positions: 0 };
    state.rates.push(last);
    while (state.rates.length > 0 && (state.rates[0]?.second ?? second) <= second - RATE_SECONDS) state.rates.shift();
  }
  last[what] += n;
}

/** Domain time now as far as events and reads told it, milliseconds; null before the first.
 * @param {State} state @param {number} now */
export function domainNow(state, now) {
  if (state.domain === null) return null;
  return state.domain.atMs + (now - state.domain.receivedAt) * state.clockSpeed;
}

/** A domain time was seen in an event or a read. @param {State} state @param {number} atMs @param {number} now */
export function noteDomainTime(state, atMs, now) {
  const estimate = domainNow(state, now);
  if (atMs > 0 && (estimate === null || atMs > estimate)) state.domain = { atMs, receivedAt: now };
}
