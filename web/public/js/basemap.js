// The ground under the moving things: a GeoJSON file of the operator's (no tiles, no outside host), drawn once by Leaflet's
// canvas renderer. Without one, the layer draws a graticule.

/**
 * How a feature is drawn: areas as land, lines as roads, wider for the classes of OpenStreetMap's `highway` that carry most.
 * @param {any} feature @param {import('./theme.js').Theme} theme
 */
function styleOf(feature, theme) {
  const type = feature?.geometry?.type ?? '';
  if (type.endsWith('Polygon')) {
    return { fill: true, fillColor: theme.land, fillOpacity: 1, color: theme.landLine, weight: 0.8, opacity: 1 };
  }
  const major = /^(motorway|trunk|primary|secondary)/.test(String(feature?.properties?.highway ?? ''));
  return { fill: false, color: major ? theme.roadMajor : theme.road, weight: major ? 2 : 1, opacity: 1 };
}

/**
 * Reads and draws the file. @param {import('leaflet').Map} map @param {URL} url @param {import('./theme.js').Theme} theme
 * @throws {Error} when the file cannot be read
 */
export async function addBasemap(map, url, theme) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const data = await response.json();
  const layer = L.geoJSON(data, {
    interactive: false,
    // A point would become a picture in the DOM.
    pointToLayer: (_feature, at) => L.circleMarker(at, { radius: 1.5, interactive: false }),
    style: (feature) => ({ ...styleOf(feature, theme), interactive: false }),
  });
  layer.addTo(map);
  return {
    bounds: layer.getBounds(),
    /** Who made the data, to be named on the map; '' when the file does not say. */
    credit: typeof data.attribution === 'string' ? data.attribution : '',
    /** @param {import('./theme.js').Theme} next */
    restyle(next) {
      layer.setStyle((feature) => styleOf(feature, next));
    },
  };
}
