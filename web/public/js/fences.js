// The city's geofences under the drivers: read when the page begins and with each full read. A city's own outline is a line only.

/** @param {{type: string, properties: {purpose: string, name: string}}} feature @param {import('./theme.js').Theme} theme */
function styleOf({ properties: { purpose } }, theme) {
  const colour = purpose === 'restricted' ? theme.trips.cancelled : theme.select;
  return {
    color: colour,
    weight: 1.5,
    opacity: 0.7,
    fillColor: colour,
    fillOpacity: purpose === 'city' ? 0 : 0.08,
    interactive: false,
  };
}

/**
 * @param {import('leaflet').Map} map
 * @param {{get: (path: string) => Promise<any>, city: string, theme: () => import('./theme.js').Theme}} options
 */
export function createFences(map, { get, city, theme }) {
  const layer = L.geoJSON(undefined, { style: (feature) => styleOf(/** @type {any} */ (feature), theme()) }).addTo(map);
  /** What is drawn: geofences and their versions. */
  let drawn = '';

  return {
    /** Draws them anew when any changed. Rejects as the read does. */
    async refresh() {
      /** @type {any[]} */
      const features = [];
      let token = '';
      do {
        const next = token === '' ? '' : `&page_token=${encodeURIComponent(token)}`;
        const page = await get(`admin/geofences?city=${encodeURIComponent(city)}&page_size=200${next}`);
        features.push(...page.features);
        token = page.next_page_token ?? '';
      } while (token !== '');
      const state = features.map(({ id, properties }) => `${id} ${properties.version}`).join();
      if (state === drawn) return;
      drawn = state;
      layer.clearLayers();
      for (const feature of features) layer.addData(feature);
    },
    /** After the theme changed. */
    restyle() {
      layer.setStyle((feature) => styleOf(/** @type {any} */ (feature), theme()));
    },
  };
}
