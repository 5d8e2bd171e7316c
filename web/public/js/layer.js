// The moving part of the map: two canvases over Leaflet's panes, trips below and drivers above. No DOM node per driver; a
// frame is drawn only when something moves, so an idle map costs nothing and a busy one keeps its frame rate.

import { drawSelectedTrip, drawTrips, traceWay, tripDistanceSquared } from './lines.js';
import { graticuleStep, headingAt, latOf, lngOf, shareDone, worldX, worldY } from './motion.js';
import { ALARM_RADIUS, drawRing, HALO_RADIUS } from './rings.js';
import { createSprites } from './sprites.js';
import { driverCondition } from './state.js';
import { readTheme } from './theme.js';
import { isOpen } from './trips.js';
import { createView } from './view.js';

/** @typedef {{kind: 'driver' | 'trip', id: string} | null} Selection */

/** How near a click has to be, CSS pixels. */
const DRIVER_REACH = 15;
const TRIP_REACH = 8;
/** Up to this many drivers are arrows at every zoom. */
const FEW_DRIVERS = 250;

/**
 * @param {import('leaflet').Map} map @param {import('./state.js').State} state
 * @param {{hidden: ReadonlySet<string>, graticule: () => boolean, now?: () => number}} options `hidden`: driver conditions
 *   and trip statuses that the filter hides
 */
export function createLayer(map, state, { hidden, graticule, now = Date.now }) {
  const container = map.getContainer();
  const view = createView(map, now);
  const lines = addCanvas('trip-canvas');
  const marks = addCanvas('driver-canvas');
  let theme = readTheme(document.documentElement);
  let pixelRatio = 1;
  let sprites = createSprites(theme, pixelRatio);
  let scheduled = false;
  let linesKey = '';
  let fading = false;
  /** @type {Selection} */
  let selection = null;
  /** The selected trip as the store has it, for one that the map does not hold (any more).
   * @type {import('./state.js').MapTrip | null} */
  let stored = null;
  /** What the last frame drew, for the figures and for tests. */
  const drawn = { drivers: 0, trips: 0, ways: 0, frames: 0, frameMs: 0, alarms: 0 };

  /** @param {string} name */
  function addCanvas(name) {
    const canvas = document.createElement('canvas');
    canvas.className = `live-canvas ${name}`;
    canvas.setAttribute('aria-hidden', 'true');
    container.append(canvas);
    return canvas;
  }

  /** @param {HTMLCanvasElement} canvas @param {import('./view.js').View} at */
  function clean(canvas, at) {
    const width = Math.round(at.width * pixelRatio);
    const height = Math.round(at.height * pixelRatio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    g.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    g.clearRect(0, 0, at.width, at.height);
    return g;
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(frame);
  }

  function frame() {
    scheduled = false;
    const startedAt = performance.now();
    const at = view.current();
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    if (ratio !== pixelRatio) {
      pixelRatio = ratio;
      sprites = createSprites(theme, ratio);
    }
    const key = `${at.scale}/${at.left}/${at.top}/${at.width}/${at.height}/${ratio}/${state.tripsChanged}`;
    if (key !== linesKey || fading) {
      linesKey = key;
      drawLines(at);
    }
    const moving = drawDrivers(at);
    drawn.frames++;
    drawn.frameMs = drawn.frameMs * 0.9 + (performance.now() - startedAt) * 0.1;
    if (moving || fading || view.animating) schedule();
  }

  /** @param {import('./view.js').View} at */
  function drawLines(at) {
    const g = clean(lines, at);
    if (graticule()) drawGraticule(g, at);
    const result = drawTrips(g, state.trips.values(), at, { theme, hidden, now: now(), dimmed: selection !== null });
    drawn.trips = result.drawn;
    fading = result.fading;
  }

  /** @param {import('./view.js').View} at */
  function drawDrivers(at) {
    const g = clean(marks, at);
    const time = now();
    const arrows = at.zoom >= 13 || state.drivers.size <= FEW_DRIVERS;
    const form = arrows ? 'arrow' : at.zoom >= 11.5 ? 'small' : 'dot';
    let moving = false;
    drawn.drivers = 0;
    drawn.alarms = 0;
    drawn.ways = 0;
    drawWays(g, at, time);
    const chosen = chosenTrip();
    if (chosen !== null) drawSelectedTrip(g, chosen, at, theme);
    const keep =
      selection?.kind === 'driver' ? selection.id : chosen !== null && isOpen(chosen.status) ? chosen.driverId : '';
    for (const driver of state.drivers.values()) {
      const motion = driver.motion;
      const share = shareDone(motion, time);
      if (share < 1) moving = true;
      const condition = driverCondition(state, driver, time);
      if (hidden.has(condition)) continue;
      const x = (motion.fromX + (motion.toX - motion.fromX) * share) * at.scale - at.left;
      const y = (motion.fromY + (motion.toY - motion.fromY) * share) * at.scale - at.top;
      if (x < -15 || y < -15 || x > at.width + 15 || y > at.height + 15) continue;
      drawn.drivers++;
      const alarm = state.safety.alarms.get(driver.id);
      if (alarm !== undefined) {
        drawn.alarms++;
        drawRing(g, x, y, ALARM_RADIUS, theme.checkIns[alarm] ?? theme.select);
      }
      if (driver.id === keep) drawRing(g, x, y, HALO_RADIUS, theme.select);
      else if (selection !== null) g.globalAlpha = 0.55;
      sprites.draw(g, condition, driver.id === keep ? 'arrow' : form, headingAt(motion, time), x, y);
      g.globalAlpha = 1;
    }
    return moving;
  }

  /** From each assigned driver to its pickup, and the chosen one's way. @param {CanvasRenderingContext2D} g
   * @param {import('./view.js').View} at @param {number} time */
  function drawWays(g, at, time) {
    const chosen = chosenTrip();
    if (!hidden.has('assigned')) {
      g.beginPath();
      for (const [driverId, tripId] of state.tripOfDriver) {
        const trip = state.trips.get(tripId);
        const driver = state.drivers.get(driverId);
        if (trip?.status !== 'assigned' || driver === undefined) continue;
        const { x, y } = placeOf(driver, at, time);
        traceWay(g, trip, x, y, at);
        drawn.ways++;
      }
      g.strokeStyle = theme.trips.assigned ?? theme.gridText;
      g.globalAlpha = selection !== null ? 0.2 : drawn.ways > 300 ? 0.4 : 0.8;
      g.lineWidth = 1.5;
      g.setLineDash([2, 4]);
      g.stroke();
    }
    const driver = chosen === null ? undefined : state.drivers.get(chosen.driverId);
    if (chosen !== null && isOpen(chosen.status) && driver !== undefined) {
      const { x, y } = placeOf(driver, at, time);
      g.beginPath();
      traceWay(g, chosen, x, y, at);
      g.globalAlpha = 1;
      g.lineWidth = 2;
      g.strokeStyle = theme.trips[chosen.status] ?? theme.gridText;
      g.stroke();
    }
    g.setLineDash([]);
    g.globalAlpha = 1;
  }

  /** The selected trip, or the one of the selected driver. */
  function chosenTrip() {
    if (selection === null) return null;
    const id = selection.kind === 'trip' ? selection.id : state.tripOfDriver.get(selection.id);
    if (id === undefined) return null;
    return state.trips.get(id) ?? (stored?.id === id ? stored : null);
  }

  /** @param {CanvasRenderingContext2D} g @param {import('./view.js').View} at */
  function drawGraticule(g, at) {
    const step = graticuleStep(at.scale / 360, 110);
    const digits = Math.max(0, Math.ceil(-Math.log10(step)));
    g.strokeStyle = theme.grid;
    g.fillStyle = theme.gridText;
    g.lineWidth = 1;
    g.font = '10px system-ui, sans-serif';
    g.beginPath();
    const east = lngOf((at.left + at.width) / at.scale);
    for (let n = Math.ceil(lngOf(at.left / at.scale) / step); n * step <= east; n++) {
      const x = Math.round(worldX(n * step) * at.scale - at.left) + 0.5;
      g.moveTo(x, 0);
      g.lineTo(x, at.height);
      g.fillText(`${(n * step).toFixed(digits)}°`, x + 4, at.height - 6);
    }
    const south = latOf((at.top + at.height) / at.scale);
    const north = latOf(at.top / at.scale);
    for (let n = Math.ceil(south / step); n * step <= north; n++) {
      const y = Math.round(worldY(n * step) * at.scale - at.top) + 0.5;
      g.moveTo(0, y);
      g.lineTo(at.width, y);
      g.fillText(`${(n * step).toFixed(digits)}°`, at.width / 2, y - 4);
    }
    g.stroke();
  }

  /** @param {import('./state.js').Driver} driver @param {import('./view.js').View} at @param {number} time */
  function placeOf(driver, at, time) {
    const { motion } = driver;
    const share = shareDone(motion, time);
    return {
      x: (motion.fromX + (motion.toX - motion.fromX) * share) * at.scale - at.left,
      y: (motion.fromY + (motion.toY - motion.fromY) * share) * at.scale - at.top,
    };
  }

  map.on('move zoom zoomanim viewreset resize', schedule);

  return {
    drawn,
    schedule,
    /** Draw the lines again too: filter or selection changed. */
    refresh() {
      linesKey = '';
      schedule();
    },
    /** Light or dark changed. */
    restyle() {
      theme = readTheme(document.documentElement);
      sprites = createSprites(theme, pixelRatio);
      linesKey = '';
      schedule();
      return theme;
    },
    /** @param {import('./wire.js').Trip} trip the selected one as it was read */
    store(trip) {
      stored = { ...trip, touchedAt: 0, closedAt: null };
      schedule();
    },
    /** @param {Selection} next */
    select(next) {
      selection = next;
      linesKey = '';
      schedule();
    },
    /**
     * What is at a place of the map container, CSS pixels: the nearest driver, else the nearest trip.
     * @param {number} px @param {number} py @returns {Selection}
     */
    pick(px, py) {
      const at = view.current();
      const time = now();
      let best = DRIVER_REACH ** 2;
      /** @type {Selection} */
      let found = null;
      for (const driver of state.drivers.values()) {
        if (hidden.has(driverCondition(state, driver, time))) continue;
        const { x, y } = placeOf(driver, at, time);
        const d = (x - px) ** 2 + (y - py) ** 2;
        if (d < best) {
          best = d;
          found = { kind: 'driver', id: driver.id };
        }
      }
      if (found !== null) return found;
      best = TRIP_REACH ** 2;
      for (const trip of state.trips.values()) {
        if (trip.closedAt !== null || hidden.has(trip.status)) continue;
        const d = tripDistanceSquared(trip, at, px, py);
        if (d < best) {
          best = d;
          found = { kind: 'trip', id: trip.id };
        }
      }
      return found;
    },
    /** Where a driver is on the screen now; null when it is not known. @param {string} id */
    pointOfDriver(id) {
      const driver = state.drivers.get(id);
      return driver === undefined ? null : placeOf(driver, view.current(), now());
    },
  };
}
