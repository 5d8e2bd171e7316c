// From world coordinates to the screen at this very moment, also in the middle of Leaflet's zoom animation: Leaflet moves its
// own panes by CSS then, and a canvas that is drawn anew each frame has to follow the same curve.

import { worldX, worldY, zoomEase } from './motion.js';

/** Duration of Leaflet's zoom animation (its style sheet), milliseconds. */
const ZOOM_MS = 250;

/**
 * Screen position of a world coordinate (0..1): `x * scale - left`, `y * scale - top`, in CSS pixels of the map container.
 * @typedef {{scale: number, left: number, top: number, width: number, height: number, zoom: number}} View
 */

/** @param {import('leaflet').Map} map @param {() => number} now */
export function createView(map, now) {
  /** @type {{from: View, to: View, startedAt: number} | null} */
  let animation = null;

  /** @returns {View} */
  function settled() {
    const min = /** @type {import('leaflet').Point} */ (map.getPixelBounds().min);
    const size = map.getSize();
    const zoom = map.getZoom();
    return { scale: 256 * 2 ** zoom, left: min.x, top: min.y, width: size.x, height: size.y, zoom };
  }

  map.on('zoomanim', (event) => {
    const { center, zoom } = /** @type {import('leaflet').ZoomAnimEvent} */ (event);
    const size = map.getSize();
    const scale = 256 * 2 ** zoom;
    const to = {
      scale,
      left: worldX(center.lng) * scale - size.x / 2,
      top: worldY(center.lat) * scale - size.y / 2,
      width: size.x,
      height: size.y,
      zoom,
    };
    animation = { from: settled(), to, startedAt: now() };
  });
  map.on('zoomend viewreset', () => {
    animation = null;
  });

  return {
    /** @returns {View} */
    current() {
      if (animation === null) return settled();
      const share = zoomEase((now() - animation.startedAt) / ZOOM_MS);
      const { from, to } = animation;
      const mix = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * share;
      return {
        ...to,
        scale: mix(from.scale, to.scale),
        left: mix(from.left, to.left),
        top: mix(from.top, to.top),
        zoom: mix(from.zoom, to.zoom),
      };
    },
    get animating() {
      return animation !== null;
    },
  };
}
