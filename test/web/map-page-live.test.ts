/** The map page on the whole server: real drivers, a real trip, from request to completion as an operator sees it. */
import t from 'tap';
import { build } from '../helper.ts';
import { assignedRide, locate, lookingDriver, member, north, requestedTrip, somewhere } from '../scene.ts';
import { browserAvailable, openBrowser, openPage, skipReason } from './browser.ts';
import { drawn, driverColour, ready, shows, textIs } from './probe.ts';

const missing = !browserAvailable && process.env.CI !== 'true';

t.test('the whole server', async (t) => {
  const server = await build(t);

  await t.test('an operator follows a city', { skip: missing && skipReason }, async (t) => {
    if (!browserAvailable) return t.fail(skipReason);
    const browser = await openBrowser();
    t.teardown(() => browser.close());
    const ride = await assignedRide(t, server);
    const { page, faults } = await openPage(browser.context, `http://${server.at.http}/map/`);
    await ready(page);
    await textIs(page, '#trips-active', '1');
    await textIs(page, '#drivers-online', '1');

    const places = [ride.at, north(ride.at, 400), north(ride.at, 800)];
    const idle = await lookingDriver(t, server, places[1]!);
    await lookingDriver(t, server, places[2]!);
    await locate(server, ride.driver, places[0]!);
    await drawn(page, 3);
    await textIs(page, '[data-status="available"] .n', '2');
    await textIs(page, '[data-status="on_trip"] .n', '1');
    t.not(await driverColour(page, ride.driver.id), await driverColour(page, idle.id), 'on trip and available differ');

    // The map was opened in the middle of the trip: its history comes from the store.
    await page.locator('#query').fill(ride.id.slice(-8));
    await page.keyboard.press('Enter');
    await page.locator('#detail .timeline li').nth(2).waitFor();
    t.same(await page.locator('#detail .timeline b').allTextContents(), ['Requested', 'Offered', 'Assigned']);
    t.match(await page.locator('#detail .facts').textContent(), ride.driver.id);
    for (const step of ['arrive', 'start'] as const) await ride.step(step);
    await textIs(page, '#detail .pill', 'In progress');
    ride.driver.peer.send({
      location_update: { ...places[0], recorded_at_ms: String(Date.now()), trip_id: ride.id, speed_mps: 10 },
    });
    await page.getByText(/old, 36 km\/h/).waitFor();
    await ride.step('complete');
    await textIs(page, '#detail .pill', 'Completed');
    await textIs(page, '#trips-active', '0');
    await textIs(page, '#closed-completed', '1');

    const rider = await member(server, 'rider');
    await requestedTrip(server, rider, somewhere());
    await textIs(page, '#trips-waiting', '1');
    await shows(page, 'the places of the new trip', (map) => map.unresolved === 0);
    t.match(await page.locator('#delay-median').textContent(), /^\d+ ms$/);
    t.match(await page.locator('#feed-list').textContent(), /Completed.*Started.*At pickup/s);
    t.equal((await page.locator('#connection').textContent())?.trim(), 'Live');
    t.same(faults, [], 'no outside request, no console error');
  });

  await t.test('what it sends with the page', async (t) => {
    const page = await server.rest('GET', '/map/');
    t.equal(page.status, 200);
    t.match(
      page.headers.get('content-security-policy'),
      /^default-src 'none'/,
      'the page’s own policy, not the server’s',
    );
    const { body } = await server.rest('GET', '/map/config.json');
    t.match(body, { city: 'testville', region: 'test', development: true, freshness_ms: 60_000, clock_speed: 1 });
    t.equal((await server.rest('GET', '/map/nothing')).body.code, 'RIDE_NOT_FOUND');
  });
});
