// The page on one screen: settings, state, map, reads, stream, panels, and who calls whom.

import { createApi } from './api.js';
import { readConfig } from './config.js';
import { createConnection } from './connection.js';
import { createDetail } from './detail.js';
import { byId } from './dom.js';
import { createFeed } from './feed.js';
import { createFences } from './fences.js';
import { createGround } from './ground.js';
import { createLayer } from './layer.js';
import { createLoader } from './loader.js';
import { noteClock, noteDelay } from './measure.js';
import { createPanels } from './panels.js';
import { watchPointer } from './pointer.js';
import { applyCheckIn, applyFlag } from './safety.js';
import { createSafetyCard } from './safety-card.js';
import { createSearch } from './search.js';
import { createSheet } from './sheet.js';
import { createSignIn } from './sign-in.js';
import { applyPositions, counters, createState, sweep } from './state.js';
import { createStatus } from './status.js';
import { createSurge } from './surge.js';
import { readTheme, watchTheme } from './theme.js';
import { applyTripEvent, noteGap } from './trips.js';
import { readTrip } from './wire.js';

/** How often figures are written, reads are looked after, totals fetched, milliseconds. */
const FIGURES_MS = 250;
const READS_MS = 1_500;
const TOTALS_MS = 10_000;
/** Events of a city are sent once and may be lost: a full read now and then makes up for it. */
const SNAPSHOT_MS = 60_000;

/** @typedef {import('./layer.js').Selection} Selection */

// The page is served at <root>/map/: everything else of the server lies relative to <root>.
const root = new URL('..', new URL('.', document.baseURI));
const config = await readConfig();
const city = String(config.city);
const timeZone = config.time_zone ?? undefined;
const state = createState({ freshnessMs: config.freshness_ms, clockSpeed: config.clock_speed });
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
const calm = () => reducedMotion.matches;

byId('place').textContent = `${city} · ${config.region}`;
document.title = `${city} live map · Ridestream`;

// ------------------------------------------------------------------------------------------------------------------- map

/** Driver conditions and trip statuses that the filter hides. @type {Set<string>} */
const hidden = new Set();
const ground = createGround(state, { calm, onBasemap: () => layer.refresh() });
const layer = createLayer(ground.map, state, { hidden, graticule: () => !ground.hasBasemap });

watchTheme(() => {
  ground.restyle(layer.restyle());
  fences.restyle();
  surge.restyle();
});
if (config.basemap) {
  ground
    .loadBasemap(readTheme(document.documentElement))
    .catch((error) => status.problem(`The base map could not be read: ${error.message}`));
}

// ------------------------------------------------------------------------------------------------------ sign-in and reads

const api = createApi({ base: root, development: config.development === true, storage: sessionStorage });
const signIn = createSignIn((token) => {
  api.use(token);
  connection.connect();
});
const fences = createFences(ground.map, {
  get: (path) => api.get(path),
  city,
  theme: () => readTheme(document.documentElement),
});
const loader = createLoader({ api, city, state, onProblem: (text) => status.problem(text), onSignIn: needSignIn });
const surge = createSurge(ground.map, { get: api.get, city, onProblem: (text) => status.problem(text) });
/** When the last full read was done; 0: it is due. */
let snapshotAt = 0;

/** The token was refused. @param {string} reason */
function needSignIn(reason) {
  const problem = api.hasToken ? reason : '';
  api.forget();
  connection.stop();
  if (config.development === true) status.problem(`Sign-in failed: ${reason}`);
  else signIn.ask(problem);
}

async function lookAfterReads() {
  if (connection.state.phase !== 'live') return;
  if (Date.now() - snapshotAt >= SNAPSHOT_MS) {
    const startedAt = Date.now();
    if (await loader.snapshot()) snapshotAt = startedAt;
    fences.refresh().catch((error) => status.problem(`The geofences could not be read: ${error.message}`));
  } else {
    await loader.resolve();
  }
  ground.fitAtFirst();
  layer.schedule();
}

/** What people have done about it since is told by a read alone. */
async function lookAfterSafety() {
  if (await loader.safety()) layer.schedule();
}

// ----------------------------------------------------------------------------------------------------------------- stream

async function openSocket() {
  await api.currentToken();
  // The browser hides why a handshake failed: a read with the same token tells a refusal from a server that is away, and in
  // development renews the token.
  if (connection.state.attempt > 0) await api.get('admin/stats');
  const url = new URL('ws/admin', root);
  url.protocol = root.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url, ['ride.v1.json', `bearer.${await api.currentToken()}`]);
}

/** @type {Record<string, (body: any, receivedAt: number) => void>} */
const handlers = {
  welcome: () => {
    connection.send('subscribe', { topic: `city:${city}` });
    followSelected(true);
  },
  // Reads begin when the stream is sure to carry what changes meanwhile.
  subscribed: (body) => {
    if (body.topic !== `city:${city}`) return;
    snapshotAt = 0;
    lookAfterReads();
    loader.stats();
    lookAfterSafety();
  },
  zone_broadcast: (body, at) => {
    applyPositions(state, body.positions, at, calm());
    ground.fitAtFirst();
    layer.schedule();
  },
  trip_event: (body, at) => {
    if (!applyTripEvent(state, body, at)) return;
    detail.touched(body.tripId, body.driverId);
    layer.schedule();
  },
  check_in: (body) => {
    applyCheckIn(state.safety, body);
    layer.schedule();
  },
  anomaly_flag: (body) => applyFlag(state.safety, body),
  location: (body, at) => detail.onLocation(body, at),
  eta_refresh: (body, at) => detail.onEta(body, at),
  error: (body) => status.problem(`The server refused a message: ${body.message || body.code}`),
};

/** @type {import('./connection.js').ConnectionState['phase']} */
let phase = 'stopped';
const connection = createConnection({
  open: openSocket,
  onMessage: (envelope, receivedAt) => {
    noteDelay(state, envelope.sentAtMs, receivedAt);
    handlers[envelope.kind]?.(envelope.body, receivedAt);
  },
  onProbe: (probe) => noteClock(state, probe),
  onState: (next) => {
    const wasLive = phase === 'live';
    phase = next.phase;
    if (wasLive && phase !== 'live') noteGap(state, 'Connection lost: events are missing here', Date.now());
    status.connection(next, Date.now());
    if (phase === 'refused') needSignIn(next.reason);
  },
});

// ----------------------------------------------------------------------------------------------------------------- panels

const status = createStatus(state, {
  onRetry: () => {
    const now = connection.state.phase;
    if (now === 'waiting') connection.hurry();
    else if (now === 'refused' || now === 'stopped') connection.connect();
  },
  timeZone,
});
const panels = createPanels(state, { hidden, onFilter: () => layer.refresh() });
const feed = createFeed(state, { onOpen: (id) => select({ kind: 'trip', id }, true), timeZone });
const detail = createDetail(state, {
  api,
  onSelect: (next) => select(next, true),
  onShow: show,
  onTrip: (trip) => layer.store(readTrip(trip)),
  timeZone,
});
const safety = createSafetyCard(state, { onSelect: openFrom });
const sheet = createSheet(() => layer.schedule());
const search = createSearch(state, { onSelect: openFrom });
/** @type {Selection} */
let selected = null;
/** Trip whose own topic is followed, '' for none. */
let following = '';

/** @param {Selection} next @param {boolean} [focus] moves the keyboard along */
function select(next, focus = false) {
  selected = next;
  layer.select(next);
  detail.show(next);
  sheet.detail(next !== null);
  byId('feed').classList.toggle('behind', next !== null);
  if (next !== null && focus) detail.focus();
  else if (focus) ground.map.getContainer().focus({ preventScroll: true });
  followSelected(false);
}

/** Positions and ETAs of the selected trip come on its own topic. @param {boolean} anew the connection is new */
function followSelected(anew) {
  const wanted = selected?.kind === 'trip' ? selected.id : '';
  if (wanted === following && !anew) return;
  if (following !== '' && !anew) connection.send('unsubscribe', { topic: `trip:${following}` });
  if (wanted !== '') connection.send('subscribe', { topic: `trip:${wanted}` });
  following = wanted;
}

/** @param {NonNullable<Selection>} what chosen elsewhere than on the map */
function openFrom(what) {
  select(what, true);
  show(what);
}

/** Brings a driver or trip into view. @param {NonNullable<Selection>} what */
function show(what) {
  const trip = state.trips.get(what.kind === 'trip' ? what.id : (state.tripOfDriver.get(what.id) ?? ''));
  const driver = state.drivers.get(what.kind === 'driver' ? what.id : (trip?.driverId ?? ''));
  ground.show([driver, trip?.pickup, trip?.dropoff].filter((place) => place != null));
}

watchPointer(state, { ground, layer, onSelect: select });

document.addEventListener('keydown', (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape' && selected !== null && !signIn.open) select(null, true);
  else if (typing || event.ctrlKey || event.metaKey || event.altKey || signIn.open) return;
  else if (event.key === '/') {
    event.preventDefault();
    search.focus();
  } else if (event.key === 'f' || event.key === 'F') ground.fit();
});

// ------------------------------------------------------------------------------------------------------------------ turns

function writeFigures() {
  const now = Date.now();
  sweep(state, now);
  panels.update(now);
  safety.update(now);
  feed.update();
  detail.update();
  status.update(now);
}

setInterval(writeFigures, FIGURES_MS);
setInterval(lookAfterReads, READS_MS);
setInterval(() => {
  if (connection.state.phase !== 'live') return;
  loader.stats();
  lookAfterSafety();
}, TOTALS_MS);
// Markers go grey by time alone.
setInterval(() => layer.schedule(), 1_000);
addEventListener('online', () => connection.hurry());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && connection.hurry());
addEventListener('unhandledrejection', (event) =>
  status.problem(`The page failed: ${event.reason?.message ?? event.reason}`),
);

/** What the page shows, for tests and for a look from the browser's console; read only. */
Object.defineProperty(globalThis, '__map', {
  value: Object.freeze({
    snapshot: () => ({
      ...counters(state, Date.now()),
      drawn: { ...layer.drawn },
      surge: { ...surge.drawn },
      safety: { checkIns: state.safety.checkIns.size, flags: state.safety.flags.size, known: state.safety.known },
      phase: connection.state.phase,
      complete: snapshotAt > 0,
      unresolved: state.unresolved.size,
      selected,
      zoom: ground.map.getZoom(),
    }),
    pointOfDriver: layer.pointOfDriver,
  }),
});

writeFigures();
connection.connect();
