/** The map page in a real browser: check-ins and flags, from the reads and from the stream, for eye, ear and keyboard. */
import { DRIVERS, inBrowser, openMap } from './map-cases.ts';
import { CITY, type MapServer, makeTrip } from './map-server.ts';
import { drawn, ready, shows, textIs } from './probe.ts';

const asked = (server: MapServer, tripId: string, more: object = {}) =>
  server.publish(`city:${CITY}`, {
    case: 'checkIn',
    value: {
      ...{ tripId, type: 'asked', status: 'asked', hazards: ['long_stop'], hazard: 'long_stop', round: 1 },
      ...{ riderId: 'rider-1', driverId: 'driver-busy', atMs: BigInt(Date.now()) },
      deadlineMs: BigInt(Date.now() + 600_000),
      ...more,
    },
  });

const flag = (subjectId: string, subjectRole: string, score: number) => ({
  id: `cancellation_abuse:${subjectId}`,
  kind: 'cancellation_abuse',
  subject_id: subjectId,
  subject_role: subjectRole,
  city: CITY,
  status: 'open',
  score,
  last_at: Date.now(),
  evidence: [{ at: 1, score, facts: { cancelled: 6, of: 9 } }],
});

await inBrowser('safety on the map page', async (t, context) => {
  t.test('a question, its SOS, and its end', async (t) => {
    const trip = makeTrip({ status: 'in_progress', driver_id: 'driver-busy', event_seq: 5, version: 5 });
    const { server, page, faultless } = await openMap(t, context, {}, (s) => s.trips.set(trip.id, trip));
    await ready(page);
    await shows(page, 'safety known', (map) => map.safety.known);
    await page.locator('#safety-empty').waitFor();
    await textIs(page, '#check-ins-open', '0');
    server.positions(DRIVERS);
    await drawn(page, 3);

    // The page tells domain time by what the stream says.
    server.tripEvent(trip, 'proof_refused', 'in_progress');
    asked(server, trip.id);
    const row = page.locator('#check-in-list button');
    await row.waitFor();
    t.match(await row.textContent(), /^Long stop · .{6}(9 min \d+ s|10 min) left$/);
    await textIs(page, '#check-ins-open', '1');
    await shows(page, 'a ring around the driver', (map) => map.drawn.alarms === 1);
    t.equal(await page.locator('#safety-empty').isVisible(), false);
    t.equal(await page.locator('#safety-news').textContent(), '');

    asked(server, trip.id, { type: 'escalated', status: 'escalated', deadlineMs: 0n, atMs: BigInt(Date.now() + 1) });
    await textIs(page, '#check-in-list .n', 'SOS');
    t.match(await page.locator('#safety-news').textContent(), /a check-in became an SOS/);
    t.equal(await page.locator('#safety-news').getAttribute('role'), 'alert');
    t.match(await page.locator('#safety').getAttribute('class'), /\balarm\b/);
    await row.focus();
    await page.keyboard.press('Enter');
    // Its heading is there before what is read about it.
    await page.locator('#detail', { hasText: trip.id }).waitFor();

    asked(server, trip.id, { type: 'closed', status: 'calm', deadlineMs: 0n, atMs: BigInt(Date.now() + 2) });
    await textIs(page, '#check-ins-open', '0');
    await shows(page, 'no ring', (map) => map.drawn.alarms === 0);
    t.notMatch(await page.locator('#safety').getAttribute('class'), /\balarm\b/);
    faultless();
  });

  t.test('what was there before the page was opened, the worst first; a flag opens its driver', async (t) => {
    const { server, page, faultless } = await openMap(t, context, {}, (s) => {
      s.control.checkIns = Array.from({ length: 8 }, (_, i) => ({
        ...{ trip_id: `trip-${i}`, status: i === 7 ? 'escalated' : 'asked', city: CITY, hazards: ['overspeed'] },
        ...{ rider_id: 'r', driver_id: `d-${i}`, deadline: i === 7 ? null : 1000 - i, updated_at: 1 },
      }));
      s.control.checkIns.push({ trip_id: 'far', status: 'asked', city: 'elsewhere', hazards: [], updated_at: 1 });
      s.control.anomalies = [flag('driver-free', 'driver', 0.4), flag('rider-9', 'rider', 0.9)];
    });
    await ready(page);
    server.positions(DRIVERS);
    await textIs(page, '#check-ins-open', '8');
    await textIs(page, '#flags-open', '2');
    t.equal(await page.locator('#safety-news').textContent(), '', 'what is old is no news');
    const rows = await page.locator('#check-in-list .name').allTextContents();
    t.same(rows.slice(0, 3), ['Too fast · trip-7', 'Too fast · trip-6', 'Too fast · trip-5']);
    t.equal(await page.locator('#check-in-list .note').textContent(), 'and 2 more');
    t.same(await page.locator('#flag-list .name').allTextContents(), [
      'Cancellation abuse · rider-9',
      'Cancellation abuse · driver-free',
    ]);
    t.match(await page.locator('#flag-list .row').getAttribute('title'), /of rider rider-9: \{"cancelled":6,"of":9\}/);
    await page.locator('#flag-list button').click();
    await textIs(page, '#detail h2', 'Driver driver-free');
    // On a phone it is among the other cards.
    await page.setViewportSize({ width: 390, height: 760 });
    await page.locator('#sheet-toggle').click();
    await page.locator('#tab-overview').click();
    await page.locator('#safety').scrollIntoViewIfNeeded();
    t.equal(await page.locator('#flag-list button').isVisible(), true);
    const { x, width } = (await page.locator('#safety').boundingBox())!;
    t.ok(x >= 0 && x + width <= 390, `within the screen: ${x} to ${x + width}`);
    faultless();
  });

  t.test('hostile text is text', async (t) => {
    const evil = '<img src=x onerror="globalThis.pwned=1">';
    const { server, page, faultless } = await openMap(t, context, {}, (s) => {
      s.control.anomalies = [{ ...flag(evil, 'driver', 0.5), kind: evil }];
    });
    await ready(page);
    asked(server, evil, { hazards: [evil], status: 'escalated', driverId: evil });
    await page.locator('#check-in-list button').waitFor();
    await page.locator('#flag-list button').waitFor();
    t.equal(await page.locator('img').count(), 0);
    t.equal(await page.evaluate('globalThis.pwned'), undefined);
    faultless();
  });
});
