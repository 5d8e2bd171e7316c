/** The map's surge layer in a real browser: shown when asked for, by factor, with what it came from; refusals are said. */
import { inBrowser, openMap } from './map-cases.ts';
import { ready, shows } from './probe.ts';

/** A square zone of so many thousandths. */
const zone = (id: string, west: number, permille: number) => ({
  type: 'Feature',
  id,
  geometry: {
    type: 'Polygon',
    coordinates: [
      [
        [west, 40.7],
        [west + 0.05, 40.7],
        [west + 0.05, 40.75],
        [west, 40.75],
        [west, 40.7],
      ],
    ],
  },
  properties: {
    city: '<b>testville</b>',
    multiplier_permille: permille,
    target_permille: 2500,
    waiting: 7,
    lost: 2,
    drivers: 1,
    demand: 9,
    supply: 1.5,
  },
});

await inBrowser('surge on the map', async (t, context) => {
  t.test('zones come and go with the button', async (t) => {
    const { server, page, faultless } = await openMap(t, context, {}, (s) => {
      s.control.surge = {
        type: 'FeatureCollection',
        computed_at: 1,
        features: [zone('a', -74, 1850), zone('b', -73.9, 1000)],
      };
    });
    await ready(page);
    server.positions([{ driverId: 'd', lat: 40.72, lng: -73.98, status: 'available' }]);
    await shows(page, 'nothing before it is asked for', (map) => map.surge.zones === 0 && map.drawn.drivers === 1);
    const button = page.locator('#surge');
    await button.click();
    await shows(page, 'two zones, one of them dear', (map) => map.surge.zones === 2 && map.surge.dear === 1);
    t.equal(await button.getAttribute('aria-pressed'), 'true');
    const map = page.locator('#map');
    const box = (await map.boundingBox())!;
    // The driver, around whom the view was fitted, is in the dear zone.
    await page.mouse.move(box.x + box.width / 2 + 40, box.y + box.height / 2 + 60);
    await page.mouse.move(box.x + box.width / 2 + 42, box.y + box.height / 2 + 60);
    await page.getByText('Surge ×1.85, going to ×2.50').waitFor();
    t.match(await page.locator('.leaflet-tooltip').textContent(), /7 waiting, 2 found no driver, 1 free drivers/);
    await button.click();
    await shows(page, 'none', (map) => map.surge.zones === 0);
    t.equal(await button.getAttribute('aria-pressed'), 'false');
    faultless();
  });

  t.test('a refusal is said and leaves nothing on the map', async (t) => {
    const { page, expected, faultless } = await openMap(t, context, {}, (s) => {
      s.control.surge = null;
    });
    expected.console = (text) => /503/.test(text);
    await ready(page);
    await page.locator('#surge').click();
    await page.getByText('The surge zones could not be read: A part is away').waitFor();
    await shows(page, 'nothing', (map) => map.surge.zones === 0);
    faultless();
  });
});
