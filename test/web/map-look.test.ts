/** The map page in a real browser: how it looks and is used, on any screen, by keyboard, with thousands of drivers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DRIVERS, inBrowser, openMap } from './map-cases.ts';
import { makeTrip } from './map-server.ts';
import { colourOf, drawn, driverColour, ready, shows, textIs, until } from './probe.ts';

await inBrowser('how the map page looks and is used', async (t, context) => {
  t.test('hostile text is text', async (t) => {
    const evil = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=2</script>';
    const trip = makeTrip({
      id: `trip${evil}`,
      rider_id: evil,
      status: 'requested',
      pickup: { lat: 40.75, lng: -73.99, address: evil },
      vehicle_class: evil,
      note: evil,
      estimate: { distance_m: 1, duration_s: 1, fare_minor: 1, currency: evil },
    });
    const { server, page, faultless } = await openMap(t, context, { region: evil });
    await ready(page);
    server.positions([{ ...DRIVERS[0]!, driverId: evil, status: evil }]);
    server.tripEvent(trip, 'requested', 'requested');
    server.tripEvent(trip, evil, 'offered', { driverId: evil, reason: evil });
    server.tripEvent(trip, 'assigned', 'assigned', { driverId: evil, reason: evil });
    await page.locator('#feed-list button').first().click();
    await page.locator('#detail .timeline li').nth(2).waitFor();
    t.ok((await page.locator('#detail').textContent())?.includes(evil), 'shown as it is written');
    t.ok((await page.locator('#place').textContent())?.includes(evil));
    await page.locator('#detail .facts .link').click();
    await page.locator('#detail .pill').waitFor();
    await page.locator('#query').fill('img src');
    await page.locator('#results button').first().waitFor();
    t.equal(await page.locator('img, body script').count(), 0);
    t.equal(await page.evaluate('globalThis.pwned'), undefined);
    faultless();
  });

  t.test('filters hide on the map and leave the counts', async (t) => {
    const { server, page, faultless } = await openMap(t, context);
    await ready(page);
    server.positions(DRIVERS);
    await drawn(page, 3);
    await page.locator('[data-status="stale"]').click();
    await drawn(page, 2);
    t.equal(await page.locator('[data-status="stale"]').getAttribute('aria-pressed'), 'false');
    await textIs(page, '[data-status="stale"] .n', '1');
    await page.locator('[data-status="stale"]').click();
    await drawn(page, 3);
    faultless();
  });

  t.test('by keyboard alone: search, open, follow a link, close, fit', async (t) => {
    const trip = makeTrip();
    const { server, page, faultless } = await openMap(t, context);
    await ready(page);
    server.tripEvent(trip, 'requested', 'requested');
    server.tripEvent(trip, 'assigned', 'assigned', { driverId: 'driver-free' });
    server.positions(DRIVERS);
    await drawn(page, 3);
    await page.keyboard.press('/');
    await page.keyboard.type('driver-fr');
    await page.locator('#results button').waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('#detail .facts .link').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    t.match(String(await page.evaluate('document.activeElement.textContent')), trip.id);
    await page.keyboard.press('Enter');
    await page.locator('#detail .timeline li').nth(1).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#detail').waitFor({ state: 'hidden' });
    t.equal(await page.evaluate('document.activeElement.id'), 'map');
    await until(
      async () => {
        await page.keyboard.press('-');
        return (await ready(page)).zoom;
      },
      (zoom) => zoom <= 8,
      'zoomed out',
    );
    await page.keyboard.press('f');
    await shows(page, 'fitted', (map) => map.zoom > 10);
    faultless();
  });

  t.test('thousands of drivers cost no DOM nodes, and a frame stays short', async (t) => {
    const fleet = Array.from({ length: 3_000 }, (_, i) => ({
      driverId: `fleet-${i}`,
      lat: 40.7 + (i % 60) / 600,
      lng: -74 + Math.floor(i / 60) / 600,
      headingDeg: (i * 37) % 360,
      status: i % 3 === 0 ? 'on_trip' : 'available',
    }));
    const { server, page, faultless } = await openMap(t, context);
    await ready(page);
    server.positions(fleet);
    await drawn(page, 3_000);
    const nodes = await page.locator('*').count();
    t.ok(nodes < 400, `${nodes} nodes`);
    const { frames } = (await ready(page)).drawn;
    let step = 0;
    const after = await until(
      () => {
        step++;
        server.positions(fleet.map((driver) => ({ ...driver, lat: driver.lat + 0.0002 * step })));
        return ready(page);
      },
      (map) => map.drawn.frames > frames + 30,
      'thirty frames of movement',
    );
    t.equal(after.drawn.drivers, 3_000);
    t.comment(`3,000 moving drivers: ${after.drawn.frameMs.toFixed(1)} ms of script a frame`);
    t.ok(after.drawn.frameMs < 250, 'no frame hangs, even on a busy machine without a graphics card');
    await textIs(page, '[data-status="on_trip"] .n', '1,000');
    faultless();
  });

  t.test('light, dark and phone: colours follow, nothing overflows, the sheet opens', async (t) => {
    const { server, page, faultless } = await openMap(t, context);
    await ready(page);
    server.positions(DRIVERS);
    await drawn(page, 3);
    const light = await driverColour(page, 'driver-free');
    for (const [colorScheme, wanted] of [
      ['dark', (colour: string) => colour !== light && colour !== 'none'],
      ['light', (colour: string) => colour === light],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await until(() => driverColour(page, 'driver-free'), wanted, `the canvas in ${colorScheme} colours`);
    }

    await page.setViewportSize({ width: 360, height: 720 });
    await page.locator('#tab-feed').waitFor();
    for (const element of await page.locator('button:visible, input:visible, h2:visible, .card:visible').all()) {
      const box = (await element.boundingBox())!;
      t.ok(
        box.x >= 0 && box.x + box.width <= 360.5,
        `${await element.getAttribute('id')} from ${box.x} to ${box.x + box.width}`,
      );
    }
    t.equal(await page.locator('#feed').isVisible(), false);
    await page.locator('#tab-feed').click();
    t.equal(await page.locator('#feed').isVisible(), true);
    t.equal(await page.locator('#overview').isVisible(), false);
    await page.locator('#sheet-toggle').click();
    t.equal(await page.locator('#sheet-toggle').getAttribute('aria-expanded'), 'true');
    faultless();
  });

  t.test('a base map is drawn and its maker named', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ridestream-map-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const basemapFile = `${folder}/base.geojson`;
    const ring = [
      [-74.1, 40.6],
      [-73.8, 40.6],
      [-73.8, 40.9],
      [-74.1, 40.9],
      [-74.1, 40.6],
    ];
    const feature = { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } };
    const attribution = '<b>Survey</b> office';
    writeFileSync(basemapFile, JSON.stringify({ type: 'FeatureCollection', features: [feature], attribution }));
    const { page, faultless } = await openMap(t, context, { basemapFile });
    await ready(page);
    await textIs(page, '#credit', attribution);
    await until(
      () => colourOf(page, '.leaflet-overlay-pane canvas', { x: 1408, y: 880 }),
      (colour) => colour !== 'none',
      'land',
    );
    faultless();
  });
});
