/**
 * The map page in a real browser: what it shows follows the stream. Every case ends with the same two facts: nothing was asked of
 * another host, and the console has no error.
 */
import { DRIVERS, inBrowser, openMap } from './map-cases.ts';
import { CITY, makeTrip } from './map-server.ts';
import { drawn, driverColour, pointOf, ready, shows, textIs, until, watchMovement } from './probe.ts';

await inBrowser('the map page follows the stream', async (t, context) => {
  t.test('drivers, trips and counters appear and follow the stream', async (t) => {
    const active = makeTrip({ status: 'in_progress', driver_id: 'driver-busy', event_seq: 5, version: 5 });
    const waiting = makeTrip({ status: 'requested', event_seq: 1, version: 1 });
    const { server, page, faultless } = await openMap(t, context, {}, (s) => {
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
    const { server, page, faultless } = await openMap(t, context);
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
    const { server, page, faultless } = await openMap(t, context);
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
    await page.getByText('12 s ago, battery 42 %, signal -97 dBm').waitFor();
    await page.getByText('±6 m, by stream').waitFor();
    await page.locator('#detail .facts .link').click();
    await page.locator('#detail .timeline li').nth(2).waitFor();
    t.same(await page.locator('#detail .timeline b').allTextContents(), ['Requested', 'Offered', 'Assigned']);
    t.match(await page.locator('#detail .facts').textContent(), /rider-\d+.*\$14\.80.*two bags/);
    t.ok(server.received.some((m) => m.kind === 'subscribe' && m.topic === `trip:${trip.id}`));

    server.publish(`trip:${trip.id}`, {
      case: 'etaRefresh',
      value: {
        tripId: trip.id,
        etaS: 95,
        distanceM: 1200,
        leg: 'pickup',
        source: 'straight_line',
        ageMs: 7_200_000n,
        staleReason: 'background',
      },
    });
    const old = 'from a position 2 h old (stale: the app was in the background)';
    await page.getByText(`pickup in 1 min 35 s, 1.2 km away, by straight line ${old}`).waitFor();
    server.tripEvent(trip, 'driver_arrived', 'driver_arrived');
    await page.locator('#detail .timeline li').nth(3).waitFor();
    t.equal(await page.locator('#feed-list li').count(), 4, 'an event that came on two topics is shown once');

    await page.keyboard.press('Escape');
    await page.locator('#detail').waitFor({ state: 'hidden' });
    await page.locator('#feed-list button').last().click();
    await page.locator('#detail .timeline li').first().waitFor();
    faultless();
  });

  t.test('the stream comes back after the server closed it, and the picture is made true again', async (t) => {
    const gone = makeTrip({ status: 'requested', event_seq: 1, version: 1 });
    const { server, page, expected, faultless } = await openMap(t, context, {}, (s) => s.trips.set(gone.id, gone));
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
    const { server, page, faultless } = await openMap(t, context, { heartbeatMs: 100 });
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
      const { server, page, expected, faultless } = await openMap(t, context, { development: false });
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

  t.test('reads that fail are said and tried again', async (t) => {
    const { server, page, expected, faultless } = await openMap(t, context, {}, (s) => {
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
});
