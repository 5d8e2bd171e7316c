// Where things are on the screen at a moment: Web Mercator, movement between two known positions, the map's zoom curve.
// Pure arithmetic, no DOM: the canvas layer calls these for every driver and frame.

/** Largest latitude of Web Mercator, degrees. */
const MAX_LAT = 85.0511287798;

/** A gap between two positions longer than this is not bridged by a movement that nobody measured, milliseconds. */
export const LONGEST_BRIDGE_MS = 15_000;

/** World coordinate 0..1, west to east. @param {number} lng degrees */
export function worldX(lng) {
  return lng / 360 + 0.5;
}

/** World coordinate 0..1, north to south. @param {number} lat degrees */
export function worldY(lat) {
  const sin = Math.sin((Math.max(-MAX_LAT, Math.min(MAX_LAT, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
}

/** Latitude in degrees of a world coordinate. @param {number} y */
export function latOf(y) {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
}

/** Longitude in degrees of a world coordinate. @param {number} x */
export function lngOf(x) {
  return (x - 0.5) * 360;
}

/**
 * A movement from one world position to the next; `headingDeg` is null when nobody knows it.
 * @typedef {{fromX: number, fromY: number, toX: number, toY: number, fromDeg: number | null, toDeg: number | null,
 *   startedAt: number, tookMs: number, updatedAt: number}} Motion
 */

/** Stands still. @param {number} x @param {number} y @param {number | null} deg @param {number} now @returns {Motion} */
export function still(x, y, deg, now) {
  return { fromX: x, fromY: y, toX: x, toY: y, fromDeg: deg, toDeg: deg, startedAt: now, tookMs: 0, updatedAt: now };
}

/**
 * Goes on from where the motion is now to a newly reported position. The movement takes about as long as the report was
 * awaited, so that the marker arrives when the next one comes; after a long silence it jumps: a path that was not measured
 * is not drawn.
 * @param {Motion} motion changed in place @param {number} x @param {number} y
 * @param {number | null} deg reported heading; when null, the direction of the movement is taken
 * @param {number} now milliseconds, the same clock as everywhere in this file
 * @param {boolean} jump no movement at all, for readers who asked for reduced motion
 */
export function moveTo(motion, x, y, deg, now, jump = false) {
  const gap = now - motion.updatedAt;
  const at = shareDone(motion, now);
  const fromX = motion.fromX + (motion.toX - motion.fromX) * at;
  const fromY = motion.fromY + (motion.toY - motion.fromY) * at;
  const bridged = !jump && gap <= LONGEST_BRIDGE_MS;
  const moved = x !== motion.toX || y !== motion.toY;
  const course = deg ?? (moved ? bearing(motion.toX, motion.toY, x, y) : motion.toDeg);
  motion.fromDeg = bridged ? (headingAt(motion, now) ?? course) : course;
  motion.fromX = bridged ? fromX : x;
  motion.fromY = bridged ? fromY : y;
  motion.toX = x;
  motion.toY = y;
  motion.toDeg = course;
  motion.startedAt = now;
  motion.tookMs = bridged ? Math.max(150, Math.min(5_000, gap * 1.05)) : 0;
  motion.updatedAt = now;
}

/** Share of the movement that is done, 0 to 1. @param {Motion} motion @param {number} now */
export function shareDone(motion, now) {
  if (motion.tookMs <= 0) return 1;
  const share = (now - motion.startedAt) / motion.tookMs;
  return share <= 0 ? 0 : share >= 1 ? 1 : share;
}

/** Heading in degrees now, turning the shorter way round; null when unknown. @param {Motion} motion @param {number} now */
export function headingAt(motion, now) {
  const { fromDeg, toDeg } = motion;
  if (toDeg === null) return null;
  if (fromDeg === null) return toDeg;
  const turn = ((((toDeg - fromDeg) % 360) + 540) % 360) - 180;
  // A turn is quicker than the drive: cars turn at the corner, not all along the block.
  return fromDeg + turn * Math.min(1, shareDone(motion, now) * 3);
}

/** Direction of a movement on the world square, degrees clockwise from north.
 * @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
export function bearing(x0, y0, x1, y1) {
  return ((Math.atan2(x1 - x0, y0 - y1) * 180) / Math.PI + 360) % 360;
}

/** The easing of Leaflet's zoom animation, cubic-bezier(0, 0, 0.25, 1). @param {number} share 0 to 1 */
export function zoomEase(share) {
  if (share <= 0) return 0;
  if (share >= 1) return 1;
  let low = 0;
  let high = 1;
  let t = share;
  for (let i = 0; i < 24; i++) {
    const x = 0.75 * (1 - t) * t * t + t * t * t;
    if (x < share) low = t;
    else high = t;
    t = (low + high) / 2;
  }
  return 3 * (1 - t) * t * t + t * t * t;
}

/**
 * Distance in degrees between two lines of a grid, a round figure that keeps them at least `minPx` apart.
 * @param {number} pxPerDeg @param {number} minPx
 */
export function graticuleStep(pxPerDeg, minPx) {
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 90];
  return steps.find((step) => step * pxPerDeg >= minPx) ?? 90;
}

/** Squared distance of a point from a segment. @param {number} px @param {number} py @param {number} ax @param {number} ay
 * @param {number} bx @param {number} by */
export function segmentDistanceSquared(px, py, ax, ay, bx, by) {
  const dx = bx - ax;
  const dy = by - ay;
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / length));
  const x = ax + dx * share - px;
  const y = ay + dy * share - py;
  return x * x + y * y;
}

/**
 * Bounds that hold the middle of the points and leave out the farthest few, so that one bad position does not zoom the map
 * out to the ocean. Null without points.
 * @param {readonly {lat: number, lng: number}[]} points
 */
export function sensibleBounds(points) {
  if (points.length === 0) return null;
  const cut = points.length >= 20 ? Math.max(1, Math.floor(points.length * 0.02)) : 0;
  const lats = points.map((p) => p.lat).sort((a, b) => a - b);
  const lngs = points.map((p) => p.lng).sort((a, b) => a - b);
  const last = points.length - 1 - cut;
  return { south: lats[cut] ?? 0, north: lats[last] ?? 0, west: lngs[cut] ?? 0, east: lngs[last] ?? 0 };
}
