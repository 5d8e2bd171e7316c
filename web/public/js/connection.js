// The live stream: one WebSocket that comes back by itself. Network, timers and chance come in from outside, so that tests
// can drive it without a browser.

import { readEnvelope, writeEnvelope } from './wire.js';

/**
 * @typedef {{phase: 'connecting' | 'live' | 'waiting' | 'refused' | 'stopped', retryAt: number | null, attempt: number,
 *   reason: string}} ConnectionState
 * @typedef {ReturnType<typeof readEnvelope>} Envelope
 */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** Time for the handshake and the welcome. */
const WELCOME_TIMEOUT_MS = 10_000;
/** Until the welcome names them. */
const HEARTBEAT_INTERVAL_MS = 5_000;
const HEARTBEAT_TIMEOUT_MS = 15_000;

/**
 * How long to wait before attempt `attempt` (from 1): exponential with full jitter, never less than a quarter of the step, so
 * that many pages do not come back in the same instant.
 * @param {number} attempt @param {number} chance 0 to 1
 */
export function backoffMs(attempt, chance) {
  const step = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(step * (0.25 + 0.75 * chance));
}

/**
 * @param {{
 *   open: () => Promise<WebSocket>,
 *   onMessage: (envelope: Envelope, receivedAt: number) => void,
 *   onState: (state: ConnectionState) => void,
 *   onProbe: (probe: {sentAt: number, receivedAt: number, serverTimeMs: number}) => void,
 *   now?: () => number, random?: () => number,
 *   setTimer?: (run: () => void, ms: number) => any, clearTimer?: (timer: any) => void,
 * }} options `open` resolves to a socket that is connecting, or rejects with an error whose `fatal` says that a repeat
 *   cannot help (sign-in refused)
 */
export function createConnection(options) {
  const { onMessage, onState, onProbe } = options;
  const now = options.now ?? Date.now;
  const random = options.random ?? Math.random;
  const setTimer = options.setTimer ?? ((run, ms) => setTimeout(run, ms));
  const clearTimer = options.clearTimer ?? ((timer) => clearTimeout(timer));

  /** @type {ConnectionState} */
  let state = { phase: 'stopped', retryAt: null, attempt: 0, reason: '' };
  /** @type {WebSocket | null} */
  let socket = null;
  /** Counts connections: what belongs to an older one is ignored. */
  let generation = 0;
  /** @type {any} */
  let retryTimer = null;
  /** @type {any} */
  let beatTimer = null;
  let heartbeatIntervalMs = HEARTBEAT_INTERVAL_MS;
  let heartbeatTimeoutMs = HEARTBEAT_TIMEOUT_MS;
  let lastReceivedAt = 0;
  let lastBeatAt = 0;
  let serial = 0;
  /** Heartbeats not yet answered, by corr_id. @type {Map<string, number>} */
  const beats = new Map();

  /** @param {Partial<ConnectionState>} change */
  function become(change) {
    state = { ...state, ...change };
    onState(state);
  }

  /** @param {string} kind @param {Record<string, unknown>} body */
  function send(kind, body) {
    if (socket === null || state.phase !== 'live') return '';
    const corrId = `map-${++serial}`;
    socket.send(writeEnvelope(corrId, kind, body));
    return corrId;
  }

  function beat() {
    lastBeatAt = now();
    const corrId = send('heartbeat', { client_time_ms: String(lastBeatAt), app_version: 'map' });
    if (corrId === '') return;
    beats.set(corrId, lastBeatAt);
    // The server may choose not to answer: what is unanswered does not pile up.
    if (beats.size > 8) for (const oldest of beats.keys()) return void beats.delete(oldest);
  }

  /** Sends heartbeats and notices silence. @param {number} mine */
  function watch(mine) {
    clearTimer(beatTimer);
    beatTimer = setTimer(
      () => {
        if (mine !== generation) return;
        const silence = now() - lastReceivedAt;
        const limit = state.phase === 'live' ? heartbeatTimeoutMs : WELCOME_TIMEOUT_MS;
        if (silence > limit) return lose(mine, `no message for ${Math.round(silence / 1000)} s`, null);
        if (state.phase === 'live' && now() - lastBeatAt >= heartbeatIntervalMs) beat();
        watch(mine);
      },
      Math.max(50, Math.min(heartbeatIntervalMs, 1_000)),
    );
  }

  /** @param {Envelope} envelope */
  function welcomed(envelope) {
    heartbeatIntervalMs = envelope.body.heartbeatIntervalMs || HEARTBEAT_INTERVAL_MS;
    heartbeatTimeoutMs = envelope.body.heartbeatTimeoutMs || HEARTBEAT_TIMEOUT_MS;
    become({ phase: 'live', attempt: 0, retryAt: null, reason: '' });
    beat();
  }

  /** @param {string} frame @param {number} mine */
  function receive(frame, mine) {
    const receivedAt = now();
    lastReceivedAt = receivedAt;
    /** @type {Envelope} */
    let envelope;
    try {
      envelope = readEnvelope(frame);
    } catch (error) {
      // A server that does not speak the protocol: start again rather than show a picture made of guesses.
      return lose(mine, `unreadable message (${error instanceof Error ? error.message : error})`, null);
    }
    const sentAt = beats.get(envelope.corrId);
    if (sentAt !== undefined) {
      beats.delete(envelope.corrId);
      if (envelope.kind === 'ack') onProbe({ sentAt, receivedAt, serverTimeMs: envelope.body.serverTimeMs });
    }
    if (envelope.kind === 'welcome') welcomed(envelope);
    onMessage(envelope, receivedAt);
    if (envelope.kind === 'go_away') {
      return lose(mine, envelope.body.reason || 'the server is draining', envelope.body.reconnectAfterMs);
    }
    // Timers sleep in a hidden tab, messages do not: they carry the heartbeat along.
    if (state.phase === 'live' && receivedAt - lastBeatAt >= heartbeatIntervalMs) beat();
  }

  /** Gives this connection up and comes back later. @param {number} mine @param {string} reason
   * @param {number | null} delayMs null: by backoff */
  function lose(mine, reason, delayMs) {
    if (mine !== generation) return;
    abandon();
    const attempt = state.attempt + 1;
    const wait = delayMs ?? backoffMs(attempt, random());
    become({ phase: 'waiting', attempt, retryAt: now() + wait, reason });
    retryTimer = setTimer(connect, wait);
  }

  /** Drops socket and timers; later events of that socket are ignored. */
  function abandon() {
    generation++;
    clearTimer(retryTimer);
    clearTimer(beatTimer);
    beats.clear();
    socket?.close();
    socket = null;
  }

  async function connect() {
    abandon();
    const mine = generation;
    lastReceivedAt = now();
    become({ phase: 'connecting', retryAt: null });
    /** @type {WebSocket} */
    let opened;
    try {
      opened = await options.open();
    } catch (error) {
      if (mine !== generation) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (/** @type {any} */ (error)?.fatal === true) return become({ phase: 'refused', reason, retryAt: null });
      return lose(mine, reason, null);
    }
    if (mine !== generation) return opened.close();
    socket = opened;
    opened.onmessage = (event) => mine === generation && receive(String(event.data), mine);
    opened.onclose = (event) => {
      if (mine !== generation) return;
      // 4500 to 4999: the server says that coming back cannot help (docs/errors.md).
      if (event.code >= 4500 && event.code <= 4999) {
        abandon();
        return become({ phase: 'refused', retryAt: null, reason: event.reason || `closed with ${event.code}` });
      }
      const why = event.reason || (state.phase === 'live' ? 'connection closed' : 'could not connect');
      lose(mine, why, null);
    };
    watch(mine);
  }

  return {
    connect,
    /** Tries at once when it is waiting: the network is back, the tab is in front again. */
    hurry() {
      if (state.phase === 'waiting') connect();
    },
    /** Stays away until connect() is called. */
    stop() {
      abandon();
      become({ phase: 'stopped', retryAt: null, reason: '' });
    },
    /** Sends when live; returns the corr_id, or '' when it was not sent. */
    send,
    get state() {
      return state;
    },
  };
}
