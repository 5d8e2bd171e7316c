// The Leaflet map itself: its base, the first fit to the data, and the room that the panels leave.

import { addBasemap } from './basemap.js';
import { byId } from './dom.js';
import { sensibleBounds } from './motion.js';

/**
 * @param {import('./state.js').State} state
 * @param {{calm: () => boolean, onBasemap: () => void}} options `calm`: the reader asked for reduced motion
 */
export function createGround(state, { calm, onBasemap }) {
  const map = L.map('map', {
    center: [20, 0],
    zoom: 2,
    minZoom: 2,
    maxZoom: 19,
    zoomSnap: 0.5,
    preferCanvas: true,
    zoomControl: false,
    attributionControl: false,
    zoomAnimation: !calm(),
    // Drawn beyond the edge, so that a drag does not show a blank border.
    renderer: L.canvas({ padding: 0.6 }),
  });
  /** @type {Awaited<ReturnType<typeof addBasemap>> | null} */
  let basemap = null;
  /** The reader moved the map: it stays where they put it. */
  let touched = false;
  let fitted = 0;

  const touch = () => {
    touched = true;
  };
  for (const name of ['wheel', 'keydown', 'touchstart', 'dblclick']) {
    map.getContainer().addEventListener(name, touch, { passive: true });
  }
  map.on('dragstart', touch);

  let zooming = false;
  /** What to do when the zoom under way is over: Leaflet drops a move that comes in the middle of one.
   * @type {(() => void) | null} */
  let next = null;
  map.on('zoomanim', () => {
    zooming = true;
  });
  map.on('zoomend', () => {
    zooming = false;
    const run = next;
    next = null;
    // After Leaflet has finished what it does at the end of a zoom.
    if (run !== null) setTimeout(() => whenStill(run), 0);
  });

  /** @param {() => void} run */
  function whenStill(run) {
    if (zooming) next = run;
    else run();
  }

  /** Room that the panels take, so that data is fitted beside them. */
  function padding() {
    if (matchMedia('(max-width: 760px)').matches) {
      const sheet = byId('panels').offsetHeight;
      return { paddingTopLeft: L.point(24, 84), paddingBottomRight: L.point(24, sheet + 24) };
    }
    const right = byId('feed').offsetWidth;
    return {
      paddingTopLeft: L.point(byId('overview').offsetWidth + 48, 96),
      paddingBottomRight: L.point(right + 48, 40),
    };
  }

  /** @param {import('leaflet').LatLngBounds | null} box @param {boolean} animate */
  function fitTo(box, animate) {
    if (!box?.isValid()) return;
    whenStill(() => map.fitBounds(box, { ...padding(), maxZoom: 15, animate: animate && !calm() }));
  }

  /** Shows all drivers and trips, or the base map when there are none. @param {boolean} [animate] */
  function fit(animate = true) {
    const points = [...state.drivers.values()].map(({ lat, lng }) => ({ lat, lng }));
    for (const { pickup, dropoff } of state.trips.values()) {
      if (pickup !== null) points.push(pickup);
      if (dropoff !== null) points.push(dropoff);
    }
    const box = sensibleBounds(points);
    const bounds = box === null ? null : L.latLngBounds([box.south, box.west], [box.north, box.east]);
    fitTo(bounds ?? basemap?.bounds ?? null, animate);
  }

  return {
    map,
    fit,
    /** Follows the first data until the reader takes the map in hand: again when there is much more to see. */
    fitAtFirst() {
      const known = state.drivers.size + state.trips.size;
      if (touched || known === 0 || known < fitted * 2) return;
      fitted = known;
      fit(false);
    },
    /** Brings places into view. @param {readonly {lat: number, lng: number}[]} places */
    show(places) {
      touch();
      if (places.length === 0) return;
      fitTo(L.latLngBounds(places.map(({ lat, lng }) => /** @type {[number, number]} */ ([lat, lng]))), true);
    },
    /** @param {1 | -1} step */
    zoom(step) {
      touch();
      whenStill(() => map.setZoom(map.getZoom() + step));
    },
    get hasBasemap() {
      return basemap !== null;
    },
    /** Reads and draws the base map. @param {import('./theme.js').Theme} theme @throws {Error} */
    async loadBasemap(theme) {
      basemap = await addBasemap(map, new URL('basemap.geojson', document.baseURI), theme);
      byId('credit').textContent = basemap.credit;
      byId('credit').hidden = basemap.credit === '';
      if (!touched && fitted === 0) fit(false);
      onBasemap();
    },
    /** @param {import('./theme.js').Theme} theme */
    restyle: (theme) => basemap?.restyle(theme),
  };
}
