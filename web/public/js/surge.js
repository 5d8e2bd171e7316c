// Surge on the map: a polygon for each zone that has one, darker where it is dearer, read while the reader wants to see it. Drawn by
// Leaflet under the canvases of drivers and trips.

import { byId, h } from './dom.js';

/** The server computes it every ten seconds or so. */
const READ_MS = 10_000;
/** From this factor on the colour is the fullest, thousandths. */
const FULL_PERMILLE = 2_500;

/** @param {number} permille */
const times = (permille) => `×${(permille / 1000).toFixed(2)}`;

/** How full the colour of a zone is, 0.08 to 0.5. @param {number} permille */
export function fillOf(permille) {
  const share = Math.min(1, Math.max(0, (permille - 1000) / (FULL_PERMILLE - 1000)));
  return 0.08 + 0.42 * share;
}

/** What a zone's tip says: the factor, and what it came from. @param {any} p properties of a zone
 * @returns {[string, string]} */
export function zoneText(p) {
  const lost = p.lost > 0 ? `, ${p.lost} found no driver` : '';
  return [
    `Surge ${times(p.multiplier_permille)}, going to ${times(p.target_permille)}`,
    `${p.waiting} waiting${lost}, ${p.drivers} free drivers; with the zones around ${p.demand} to ${p.supply}`,
  ];
}

/**
 * @param {import('leaflet').Map} map
 * @param {{get: (path: string) => Promise<any>, city: string, onProblem: (text: string) => void}} options `get` reads JSON
 */
export function createSurge(map, { get, city, onProblem }) {
  const button = byId('surge');
  const path = `api/v1/surge/zones?city=${encodeURIComponent(city)}`;
  const drawn = { zones: 0, dear: 0 };
  /** @type {import('leaflet').GeoJSON | null} */
  let layer = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  let shown = false;

  function colour() {
    return getComputedStyle(document.documentElement).getPropertyValue('--surge').trim();
  }

  /** @param {any} [feature] */
  function styleOf(feature) {
    const permille = Number(feature?.properties?.multiplier_permille ?? 1000);
    const dear = permille > 1000;
    return {
      color: colour(),
      weight: dear ? 1 : 0.5,
      opacity: dear ? 0.7 : 0.3,
      fillColor: colour(),
      fillOpacity: dear ? fillOf(permille) : 0.02,
    };
  }

  function clear() {
    layer?.remove();
    layer = null;
    drawn.zones = 0;
    drawn.dear = 0;
  }

  /** @param {any} zones the server's GeoJSON */
  function draw(zones) {
    clear();
    layer = L.geoJSON(zones, {
      style: styleOf,
      onEachFeature(feature, polygon) {
        const [title, text] = zoneText(feature.properties);
        polygon.bindTooltip(h('div', {}, [h('b', { text: title }), h('br'), h('span', { text })]), { sticky: true });
        drawn.zones++;
        if (feature.properties.multiplier_permille > 1000) drawn.dear++;
      },
    }).addTo(map);
  }

  async function read() {
    try {
      const zones = await get(path);
      // It was switched off meanwhile.
      if (shown) draw(zones);
    } catch (error) {
      // What is not known must not look like what is.
      clear();
      onProblem(`The surge zones could not be read: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** @param {boolean} on */
  function show(on) {
    shown = on;
    button.setAttribute('aria-pressed', String(on));
    clearInterval(timer);
    if (!on) {
      clear();
      return;
    }
    timer = setInterval(read, READ_MS);
    read();
  }

  button.addEventListener('click', () => show(!shown));

  return {
    drawn,
    /** Light or dark changed. */
    restyle: () => layer?.setStyle(styleOf),
  };
}
