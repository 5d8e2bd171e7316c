/**
 * The map page in a real browser. Every case ends with the same two facts: nothing was asked of another host, and the console
 * has no error.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import t, { type Test } from 'tap';
import { browserAvailable, openBrowser, openPage, skipReason } from './browser.ts';
import { CITY, type MapServer, makeTrip, startMapServer } from './map-server.ts';
import { colourOf, drawn, driverColour, pointOf, ready, shows, textIs, until, watchMovement } from './probe.ts';

const DRIVERS = [
  { driverId: 'driver-free', lat: 40.76, lng: -73.98, headingDeg: 45, status: 'available' },
  { driverId: 'driver-busy', lat: 40.74, lng: -73.99, status: 'on_trip' },
  { driverId: 'driver-old', lat: 40.75, lng: -73.96, status: 'available', ageMs: 120_000 },
];

async function cases(t: Test, context: BrowserContext) {
  /** A server and a page on it, both gone at the end of the case, which fails on any fault of the page. */
  async function open(t: Test, options: Parameters<typeof startMapServer>[0] = {}, arrange?: (s: MapServer) => void) {
    const server = await startMapServer(options);
    t.teardown(() => server.close());
    arrange?.(server);
    const expected = { console: (_text: string) => false };
    const { page, faults } = await openPage(context, `${server.origin}/map/`, (text) => expected.console(text));
    t.teardown(() => page.close());
    const faultless = () => t.same(faults, [], 'no outside request, no console error');
    return { server, page, expected, faultless };
  }

  t.test('drivers, trips and counters appear and follow the stream', async (t) => {
    const active = makeTrip({ status: 'in_progress', driver_id: 'driver-busy', event_seq: 5, version: 5 });
    const waiting = makeTrip({ status: 'requested', event_seq: 1, version: 1 });
    const { server, page, faultless } = await open(t, {}, (s) => {
      for (const trip of [active, waiting]) s.trips.set(trip.id, trip);
      s.control.stats = {
        sessions: { by_role: { driver: 3 } },
        trips: { completed: 41, cancelled: 7, expired: 1 },
        drivers: { available: 1 },
      };
    });
    await ready(page);
    server.positions(DRIVERS);
    await drawn(page, 3);
    await textIs(page, '[data-status="stale"] .n', '1');
    await textIs(page, '[data-status="available"] .n', '1');
    await textIs(page, '[data-status="on_trip"] .n', '1');
    await textIs(page, '#drivers-online', '3');
    await textIs(page, '#trips-waiting', '1');
    await textIs(page, '#trips-active', '1');
    await textIs(page, '#closed-completed', '41');
    const before = await shows(page, 'two trips drawn', (map) => map.drawn.trips === 2);
    t.equal(before.zoom > 10, true, 'the view was fitted to the data');

    const colours = await Promise.all(DRIVERS.map((driver) => driverColour(page, driver.driverId)));
    t.equal(new Set(colours).size, 3, `available, on trip and stale differ on the canvas: ${colours.join(' ')}`);
    t.notOk(colours.includes('none'));

    server.tripEvent(active, 'completed', 'completed');
    server.tripEvent(waiting, 'offered', 'offered', { driverId: 'driver-free' });
    server.tripEvent(makeTrip(), 'requested', 'requested');
    await textIs(page, '#trips-waiting', '2');
    await textIs(page, '#trips-active', '0');
    await textIs(page, '#closed-completed', '42');
    await shows(page, 'places known', (map) => map.unresolved === 0);
    await page.locator('#feed-list li').nth(2).waitFor();
    t.match(await page.locator('#feed-list li').first().textContent(), /Requested/);
    t.match(await page.locator('#delay-median').textContent(), /^\d+ ms$/);
    faultless();
  });

  t.test('a marker moves smoothly between two positions', async (t) => {
    const { server, page, faultless } = await open(t);
    await ready(page);
    server.positions([DRIVERS[0]!]);
    await drawn(page, 1);
    const places = watchMovement(page, 'driver-free');
    server.positions([{ ...DRIVERS[0]!, lng: -73.978 }]);
    const xs = await places;
    // How many frames a busy machine draws is its own affair; a jump would be one.
    t.ok(xs.length > 3, `${xs.length} frames`);
    t.ok(
      xs.every((x, i) => i === 0 || x >= xs[i - 1]!),
      'always forward',
    );
    faultless();
  });

  t.test('a click on a driver and on an event opens the panel with the history', async (t) => {
    const trip = makeTrip({ note: 'two bags' });
    const { server, page, faultless } = await open(t);
    await ready(page);
    server.tripEvent(trip, 'requested', 'requested');
    server.tripEvent(trip, 'offered', 'offered', { driverId: 'driver-free' });
    server.tripEvent(trip, 'assigned', 'assigned', { driverId: 'driver-free' });
    server.positions(DRIVERS);
    await drawn(page, 3);

    const at = await pointOf(page, 'driver-free');
    await page.mouse.move(at.x, at.y);
    await page.locator('#tip').waitFor();
    t.match(await page.locator('#tip').textContent(), /driver-free.*On trip, position/);
    await page.mouse.click(at.x, at.y);
    await textIs(page, '#detail h2', 'Driver driver-free');
    await page.locator('#detail .facts .link').click();
    await page.locator('#detail .timeline li').nth(2).waitFor();
    t.same(await page.locator('#detail .timeline b').allTextContents(), ['Requested', 'Offered', 'Assigned']);
    t.match(await page.locator('#detail .facts').textContent(), /rider-\d+.*\$14\.80.*two bags/);
    t.ok(server.received.some((m) => m.kind === 'subscribe' && m.topic === `trip:${trip.id}`));

    server.publish(`trip:${trip.id}`, {
      case: 'etaRefresh',
      value: { tripId: trip.id, etaS: 95, distanceM: 1200, leg: 'pickup', source: 'straight_line' },
    });
    await page.getByText('pickup in 1 min 35 s, 1.2 km away').waitFor();
    server.tripEvent(trip, 'driver_arrived', 'driver_arrived');
    await page.locator('#detail .timeline li').nth(3).waitFor();
    t.equal(await page.locator('#feed-list li').count(), 4, 'an event that came on two topics is shown once');

    await page.keyboard.press('Escape');
    await page.locator('#detail').waitFor({ state: 'hidden' });
    await page.locator('#feed-list button').last().click();
    await page.locator('#detail .timeline li').first().waitFor();
    faultless();
  });

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
    const { server, page, faultless } = await open(t, { region: evil });
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

  t.test('the stream comes back after the server closed it, and the picture is made true again', async (t) => {
    const gone = makeTrip({ status: 'requested', event_seq: 1, version: 1 });
    const { server, page, expected, faultless } = await open(t, {}, (s) => s.trips.set(gone.id, gone));
    await ready(page);
    await textIs(page, '#trips-waiting', '1');
    server.positions(DRIVERS);
    expected.console = (text) => /WebSocket connection to .*failed/.test(text);
    server.control.accepting = false;
    server.closeSockets(1012, 'restart');
    await page.locator('#banner').waitFor();
    t.match(await page.locator('#banner').textContent(), /Not live since .*last known picture/);
    t.equal(await page.locator('body').getAttribute('class'), 'not-live');
    await textIs(page, '#connection', 'Offline');
    gone.status = 'cancelled';
    server.control.accepting = true;
    await page.locator('#banner-action').dispatchEvent('click');
    await ready(page);
    await textIs(page, '#trips-waiting', '0');
    await page.locator('#banner').waitFor({ state: 'hidden' });
    t.match(await page.locator('#feed-list .gap').textContent(), /Connection lost/);
    t.equal(server.control.opened, 2);
    faultless();
  });

  t.test('a server that falls silent is noticed', async (t) => {
    const { server, page, faultless } = await open(t, { heartbeatMs: 100 });
    await ready(page);
    await until(
      async () => server.received.filter((message) => message.kind === 'heartbeat').length,
      (heartbeats) => heartbeats > 3,
      'heartbeats',
    );
    server.control.answering = false;
    await shows(page, 'not live', (map) => map.phase === 'waiting');
    server.control.answering = true;
    await ready(page);
    t.ok(server.control.opened >= 2);
    faultless();
  });

  t.test(
    'without development mode it asks for a token, refuses a wrong one, keeps a right one for the tab',
    async (t) => {
      const { server, page, expected, faultless } = await open(t, { development: false });
      expected.console = (text) => /401|WebSocket connection/.test(text);
      await page.locator('#sign-in[open]').waitFor();
      t.equal(server.control.opened, 0);
      t.equal(await page.locator('#sign-in-error').textContent(), '', 'no error before the first try');
      t.equal(await page.locator('#trips-waiting').textContent(), '–', 'what is not known is not nought');
      await page.locator('#token').fill('wrong');
      await page.keyboard.press('Enter');
      await textIs(page, '#sign-in-error', 'Sign-in is missing or not valid');
      await page.locator('#token').fill('good-token');
      await page.keyboard.press('Enter');
      await ready(page);
      t.notOk(await page.locator('#sign-in').isVisible());
      await page.reload();
      await ready(page);
      server.control.tokens.clear();
      server.closeSockets(4501, 'revoked');
      await page.locator('#sign-in[open]').waitFor();
      t.equal(await page.evaluate('sessionStorage.length'), 0, 'a refused token is forgotten');
      faultless();
    },
  );

  t.test('filters hide on the map and leave the counts', async (t) => {
    const { server, page, faultless } = await open(t);
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
    const { server, page, faultless } = await open(t);
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
    const { server, page, faultless } = await open(t);
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
    const { server, page, faultless } = await open(t);
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
    const { page, faultless } = await open(t, { basemapFile });
    await ready(page);
    await textIs(page, '#credit', attribution);
    await until(
      () => colourOf(page, '.leaflet-overlay-pane canvas', { x: 1408, y: 880 }),
      (colour) => colour !== 'none',
      'land',
    );
    faultless();
  });

  t.test('reads that fail are said and tried again', async (t) => {
    const { server, page, expected, faultless } = await open(t, {}, (s) => {
      s.control.listStatus = 503;
      const trip = makeTrip({ event_seq: 1 });
      s.trips.set(trip.id, trip);
    });
    expected.console = (text) => /503/.test(text);
    await page.getByText('Some data could not be read: A part is away').waitFor();
    server.control.listStatus = 0;
    await ready(page);
    await textIs(page, '#trips-waiting', '1');
    await page.locator('#banner').waitFor({ state: 'hidden' });
    t.equal(await page.title(), `${CITY} live map · Ridestream`);
    faultless();
  });
}

if (browserAvailable) {
  const browser = await openBrowser();
  t.teardown(() => browser.close());
  await cases(t, browser.context);
} else if (process.env.CI === 'true') {
  t.fail(skipReason);
} else {
  t.test('the map page in a browser', { skip: skipReason }, async () => {});
}
