// Trips on the canvas: an arc from pickup to dropoff in the colour of the status, its two ends, and the way to them by the
// driver. Forms differ as well as colours: waiting trips are dashed, a pickup is a ring, a dropoff a square.

import { segmentDistanceSquared, worldX, worldY } from './motion.js';
import { FADE_MS } from './state.js';

/**
 * @typedef {import('./state.js').MapTrip} MapTrip
 * @typedef {import('./view.js').View} View
 * @typedef {{ax: number, ay: number, cx: number, cy: number, bx: number, by: number}} Arc screen points: from, control, to
 */

/** How far an arc bends off its chord, as a share of its length. */
const BEND = 0.14;
/** Points closer than this are drawn as one, CSS pixels. */
const MARGIN = 40;

/** The arc of a trip on the screen; null while its places are not known. @param {MapTrip} trip @param {View} view
 * @returns {Arc | null} */
export function arcOf(trip, view) {
  if (trip.pickup === null || trip.dropoff === null) return null;
  const ax = worldX(trip.pickup.lng) * view.scale - view.left;
  const ay = worldY(trip.pickup.lat) * view.scale - view.top;
  const bx = worldX(trip.dropoff.lng) * view.scale - view.left;
  const by = worldY(trip.dropoff.lat) * view.scale - view.top;
  return { ax, ay, cx: (ax + bx) / 2 - (by - ay) * BEND, cy: (ay + by) / 2 + (bx - ax) * BEND, bx, by };
}

/** @param {Arc} arc @param {View} view */
function visible(arc, view) {
  return (
    Math.max(arc.ax, arc.bx, arc.cx) > -MARGIN &&
    Math.max(arc.ay, arc.by, arc.cy) > -MARGIN &&
    Math.min(arc.ax, arc.bx, arc.cx) < view.width + MARGIN &&
    Math.min(arc.ay, arc.by, arc.cy) < view.height + MARGIN
  );
}

/** @param {string} status */
const isWaiting = (status) => status === 'requested' || status === 'offered';

/**
 * All trips that the filter shows.
 * @param {CanvasRenderingContext2D} g @param {Iterable<MapTrip>} trips @param {View} view
 * @param {{theme: import('./theme.js').Theme, hidden: ReadonlySet<string>, now: number, dimmed: boolean}} options
 *   `dimmed`: something is selected, the rest steps back
 * @returns {{drawn: number, fading: boolean}}
 */
export function drawTrips(g, trips, view, { theme, hidden, now, dimmed }) {
  /** @type {Map<string, {arc: Arc, trip: MapTrip}[]>} */
  const groups = new Map();
  let drawn = 0;
  let fading = false;
  for (const trip of trips) {
    if (hidden.has(trip.status) && trip.closedAt === null) continue;
    const arc = arcOf(trip, view);
    if (arc === null || !visible(arc, view)) continue;
    if (trip.closedAt !== null) {
      fading = true;
      drawFading(g, arc, trip, theme, now, dimmed ? 0.4 : 0.9);
      continue;
    }
    drawn++;
    const group = groups.get(trip.status);
    if (group) group.push({ arc, trip });
    else groups.set(trip.status, [{ arc, trip }]);
  }
  // Many lines together are a carpet: the more there are, the thinner each.
  const crowd = drawn > 600 ? 0.35 : drawn > 200 ? 0.6 : 1;
  for (const [status, group] of groups) {
    const colour = theme.trips[status] ?? theme.gridText;
    g.globalAlpha = (dimmed ? 0.22 : isWaiting(status) ? 0.85 : 0.7) * crowd;
    g.strokeStyle = colour;
    g.lineWidth = crowd < 1 ? 1.25 : 1.75;
    g.setLineDash(isWaiting(status) ? [5, 5] : []);
    g.beginPath();
    for (const { arc } of group) {
      g.moveTo(arc.ax, arc.ay);
      g.quadraticCurveTo(arc.cx, arc.cy, arc.bx, arc.by);
    }
    g.stroke();
    g.setLineDash([]);
    g.globalAlpha = dimmed ? 0.3 : 1;
    for (const { arc } of group) drawEnds(g, arc, colour, theme.outline, crowd < 1 && view.zoom < 13);
  }
  g.globalAlpha = 1;
  return { drawn, fading };
}

/** @param {CanvasRenderingContext2D} g @param {Arc} arc @param {string} colour @param {string} inner @param {boolean} small */
function drawEnds(g, arc, colour, inner, small) {
  const radius = small ? 2 : 3.5;
  g.lineWidth = small ? 1.25 : 2;
  g.strokeStyle = colour;
  g.fillStyle = inner;
  g.beginPath();
  g.arc(arc.ax, arc.ay, radius, 0, 2 * Math.PI);
  g.fill();
  g.stroke();
  if (small) return;
  g.fillStyle = colour;
  g.fillRect(arc.bx - 3.5, arc.by - 3.5, 7, 7);
  g.fillStyle = inner;
  g.fillRect(arc.bx - 1.25, arc.by - 1.25, 2.5, 2.5);
}

/** @param {CanvasRenderingContext2D} g @param {Arc} arc @param {MapTrip} trip @param {import('./theme.js').Theme} theme
 * @param {number} now @param {number} alpha at first */
function drawFading(g, arc, trip, theme, now, alpha) {
  const share = 1 - (now - (trip.closedAt ?? now)) / FADE_MS;
  if (share <= 0) return;
  const colour = theme.trips[trip.status] ?? theme.gridText;
  g.globalAlpha = alpha * share;
  g.strokeStyle = colour;
  g.lineWidth = 2;
  g.beginPath();
  g.moveTo(arc.ax, arc.ay);
  g.quadraticCurveTo(arc.cx, arc.cy, arc.bx, arc.by);
  g.stroke();
  g.beginPath();
  g.arc(arc.bx, arc.by, 4 + 10 * (1 - share), 0, 2 * Math.PI);
  g.stroke();
  g.globalAlpha = 1;
}

/**
 * One trip, in front of the others.
 * @param {CanvasRenderingContext2D} g @param {MapTrip} trip @param {View} view @param {import('./theme.js').Theme} theme
 */
export function drawSelectedTrip(g, trip, view, theme) {
  const arc = arcOf(trip, view);
  if (arc === null) return;
  const colour = theme.trips[trip.status] ?? theme.gridText;
  g.beginPath();
  g.moveTo(arc.ax, arc.ay);
  g.quadraticCurveTo(arc.cx, arc.cy, arc.bx, arc.by);
  g.strokeStyle = theme.outline;
  g.lineWidth = 7;
  g.stroke();
  g.strokeStyle = colour;
  g.lineWidth = 3.5;
  g.setLineDash(isWaiting(trip.status) ? [7, 5] : []);
  g.stroke();
  g.setLineDash([]);
  drawEnds(g, arc, colour, theme.outline, false);
}

/**
 * The way of a driver to the next place of its trip: the pickup, or from there the dropoff.
 * @param {CanvasRenderingContext2D} g @param {MapTrip} trip @param {number} x @param {number} y @param {View} view
 */
export function traceWay(g, trip, x, y, view) {
  const next = trip.status === 'in_progress' ? trip.dropoff : trip.pickup;
  if (next === null) return;
  g.moveTo(x, y);
  g.lineTo(worldX(next.lng) * view.scale - view.left, worldY(next.lat) * view.scale - view.top);
}

/** Squared distance of a screen point from a trip; its ends count as nearer than its line. @param {MapTrip} trip
 * @param {View} view @param {number} px @param {number} py */
export function tripDistanceSquared(trip, view, px, py) {
  const arc = arcOf(trip, view);
  if (arc === null) return Number.POSITIVE_INFINITY;
  const ends = Math.min((arc.ax - px) ** 2 + (arc.ay - py) ** 2, (arc.bx - px) ** 2 + (arc.by - py) ** 2);
  let best = ends / 4;
  let x0 = arc.ax;
  let y0 = arc.ay;
  for (let i = 1; i <= 12; i++) {
    const t = i / 12;
    const x = (1 - t) ** 2 * arc.ax + 2 * t * (1 - t) * arc.cx + t * t * arc.bx;
    const y = (1 - t) ** 2 * arc.ay + 2 * t * (1 - t) * arc.cy + t * t * arc.by;
    best = Math.min(best, segmentDistanceSquared(px, py, x0, y0, x, y));
    x0 = x;
    y0 = y;
  }
  return best;
}
