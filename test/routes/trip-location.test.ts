/** Polling a trip's location with an entity tag. */
import t from 'tap';
import { connect } from '../clients/peer.ts';
import { beside, build } from '../helper.ts';
import { assignedRide, lookingDriver, member, north, type Ride, somewhere } from '../scene.ts';
import { until } from '../until.ts';

t.test('a poller with the tag of what he has gets 304 until the driver moves', async (t) => {
  const a = await build(t);
  const b = await build(t, { env: beside(a) });
  const ride = await assignedRide(t, a);
  const path = `/api/v1/trips/${ride.id}/location`;
  const report = async (at: { lat: number; lng: number }, recordedAt: number) => {
    const update = { ...at, recorded_at_ms: recordedAt, trip_id: ride.id };
    const { status } = await a.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
    t.equal(status, 200);
  };
  const poll = (on: typeof a, tag: string) =>
    on.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': tag });
  const now = Date.now();
  await report(ride.at, now - 2000);

  const first = await a.rest('GET', path, ride.rider.token);
  t.equal(first.status, 200);
  const tag = first.headers.get('etag')!;
  t.match(tag, /^"[\w-]{20,}"$/, 'a strong tag');
  t.equal(first.headers.get('cache-control'), 'private, no-cache');

  for (const header of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
    for (const node of [a, b]) {
      const again = await poll(node, header);
      t.equal(again.status, 304, header);
      t.equal(again.body, '', 'no body');
      t.equal(again.headers.get('etag'), tag);
      t.equal(again.headers.get('cache-control'), 'private, no-cache');
    }
  }
  t.equal((await poll(a, '"other"')).status, 200);
  t.equal((await poll(a, tag.slice(1, -1))).status, 200, 'a tag without its quotes is none');

  await report(north(ride.at, 50), now - 1000);
  const moved = await poll(b, tag);
  t.equal(moved.status, 200, 'he moved');
  t.equal(moved.body.lat, north(ride.at, 50).lat);
  t.not(moved.headers.get('etag'), tag);

  await report(north(ride.at, 50), now);
  t.equal((await poll(b, moved.headers.get('etag')!)).status, 200, 'still there, and measured later: fresher');
});

t.test('a position that went stale is told again, though the driver did not move', async (t) => {
  const a = await build(t);
  const ride = await assignedRide(t, a);
  const env = { ...beside(a), LOCATION_FRESHNESS: '3s' };
  const s = await build(t, { env });
  // His clock runs ahead, so that there is time to see it fresh.
  const update = { ...ride.at, recorded_at_ms: Date.now() + 3000, trip_id: ride.id };
  await s.rest('POST', '/api/v1/drivers/me/locations', ride.driver.token, { updates: [update] });
  const path = `/api/v1/trips/${ride.id}/location`;
  const fresh = await s.rest('GET', path, ride.rider.token);
  t.equal(fresh.body.stale, false);
  const poll = () => s.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': fresh.headers.get('etag')! });
  t.equal((await poll()).status, 304);
  let answer = await poll();
  await until(async () => {
    answer = await poll();
    return answer.status === 200;
  }, 'an answer other than 304');
  t.hasStrict(answer.body, { stale: true, stale_reason: 'silent', recorded_at_ms: update.recorded_at_ms });
  t.equal(fresh.body.stale_reason, undefined);

  await ride.driver.peer.ask({ heartbeat: { battery_ratio: 0.04, signal_dbm: -95, app_version: '7.1' } });
  await until(async () => (await poll()).body.stale_reason === 'battery_low', 'what his device said');
  // Nobody asks about this one, and the server has just spoken: it is heard all the same.
  ride.driver.peer.send({ heartbeat: { signal_dbm: -120 } });
  await until(async () => (await poll()).body.stale_reason === 'no_signal', 'what it said then');
  const follower = await connect(t, s.at, 'websocket-json', ride.rider.token);
  await follower.ask({ subscribe: { topic: `trip:${ride.id}` } });
  const { location } = await follower.next((m) => m.location, 'where he was');
  t.hasStrict(location, { stale: true, stale_reason: 'no_signal' });
});

t.test('operators see a driver with his position and his device', async (t) => {
  const s = await build(t);
  const driver = await lookingDriver(t, s, somewhere());
  const operator = await member(s, 'dispatcher');
  const see = async (id = driver.id, { token } = operator) => s.rest('GET', `/admin/drivers/${id}`, token);
  const before = await see();
  t.equal(before.status, 200);
  t.hasStrict(before.body, {
    driver: { id: driver.id, status: 'looking' },
    position: { stale: false },
    telematics: null,
  });
  await driver.peer.ask({ heartbeat: { battery_ratio: 0.5, in_background: true } });
  await until(async () => (await see()).body.telematics !== null, 'what his device said');
  const said = { battery_ratio: 0.5, in_background: true };
  t.hasStrict((await see()).body.telematics, said);
  await driver.peer.ask({ heartbeat: {} });
  t.hasStrict((await see()).body.telematics, said, 'a heartbeat that says nothing takes nothing away');
  t.equal((await see(driver.id, driver)).status, 403);
  t.equal((await see('driver-nobody')).status, 404);
});

t.test('what is refused without a tag is refused with one', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  const path = `/api/v1/trips/${ride.id}/location`;
  const any = { 'if-none-match': '*' };
  t.equal((await s.rest('GET', path, ride.rider.token, undefined, any)).status, 404, 'no position yet');
  const stranger = await member(s, 'rider');
  t.equal((await s.rest('GET', path, stranger.token, undefined, any)).status, 403);
  t.equal((await s.rest('GET', path, undefined, undefined, any)).status, 401);
  t.equal((await s.rest('GET', path, ride.rider.token, undefined, { 'if-none-match': 'x'.repeat(1025) })).status, 400);
});

/** Two nodes, and a ride whose driver has said where he is. */
async function followedRide(t: Parameters<typeof build>[0]) {
  const a = await build(t);
  const b = await build(t, { env: beside(a) });
  const ride = await assignedRide(t, a);
  const report = async ({ driver, at }: Pick<Ride, 'driver' | 'at'>) => {
    const update = { ...at, recorded_at_ms: Date.now(), trip_id: ride.id };
    return a.rest('POST', '/api/v1/drivers/me/locations', driver.token, { updates: [update] });
  };
  const poll = (on: typeof a, token: string) => on.rest('GET', `/api/v1/trips/${ride.id}/location`, token);
  const giveUp = () => a.rest('POST', `/api/v1/trips/${ride.id}/cancel`, ride.driver.token, { reason: 'flat tyre' });
  return { a, b, ride, report, poll, giveUp };
}

t.test('a driver who gave the trip up may not read on, and is not where its driver is', async (t) => {
  const { a, b, ride, report, poll, giveUp } = await followedRide(t);
  t.equal((await report(ride)).status, 200);
  const operator = await member(a, 'dispatcher');
  for (const node of [a, b]) {
    for (const { token } of [ride.rider, ride.driver, operator, ride.rider])
      t.equal((await poll(node, token)).status, 200);
  }
  t.equal((await giveUp()).status, 200);
  const gaveUpAt = performance.now();
  // At once, on every node: a driver is never answered from memory.
  for (const node of [a, b]) t.equal((await poll(node, ride.driver.token)).status, 403);
  // Who wrote the change knows it at once.
  for (const { token } of [ride.rider, operator]) t.equal((await poll(a, token)).status, 404);
  // A node that no event of the trip reaches may be behind by a second.
  await until(async () => (await poll(b, ride.rider.token)).status === 404, 'the other node to know');
  t.ok(performance.now() - gaveUpAt < 2000, 'soon');
  t.equal((await poll(b, operator.token)).status, 404);
  t.equal((await report(ride)).status, 403, 'nor may he go on to report');
});

t.test('what was remembered of the driver before hides nothing of the next one', async (t) => {
  const { a, b, ride, report, poll, giveUp } = await followedRide(t);
  await report(ride);
  t.equal((await giveUp()).status, 200);
  const next = await lookingDriver(t, a, north(ride.at, 300));
  const offered = await next.peer.inbox.find((m) => m.job_offer?.trip_id === ride.id, 'offer');
  // The other node is asked all the time, so that it has always just looked.
  let polling = true;
  const poller = (async () => {
    while (polling) {
      const { status, body } = await poll(b, ride.rider.token);
      if (status === 200 && ![ride.driver.id, next.id].includes(body.driver_id)) throw new Error(body.driver_id);
      if (status !== 200 && status !== 404) throw new Error(`${status}`);
    }
  })();
  const accepted = await a.rest(
    'POST',
    `/api/v1/trips/${ride.id}/offers/${offered.job_offer.offer_id}/accept`,
    next.token,
  );
  t.equal(accepted.status, 200);
  t.equal((await report({ driver: next, at: north(ride.at, 300) })).status, 200, 'acknowledged');
  for (const node of [b, a]) {
    const { status, body } = await poll(node, ride.rider.token);
    t.equal(status, 200);
    t.equal(body.driver_id, next.id, 'so every node tells it');
  }
  polling = false;
  await poller;
});

t.test('no refusal is remembered, and no yes for another', async (t) => {
  const { a, ride, report, poll } = await followedRide(t);
  const stranger = await member(a, 'rider');
  const service = await member(a, 'service');
  t.equal((await poll(a, ride.rider.token)).status, 404, 'no position yet');
  await report(ride);
  t.equal((await poll(a, ride.rider.token)).status, 200, 'at once when there is one');
  for (let n = 0; n < 3; n++) {
    t.equal((await poll(a, stranger.token)).status, 403);
    t.equal((await poll(a, ride.rider.token)).status, 200);
    t.equal((await poll(a, service.token)).status, 200);
  }
  const missing = await a.rest('GET', '/api/v1/trips/trip_test_none/location', ride.rider.token);
  t.equal(missing.status, 404);
});

t.test('many polls at once each get their own trip', async (t) => {
  const s = await build(t);
  const rides = await Promise.all([1, 2, 3].map(() => assignedRide(t, s)));
  for (const { id, at, driver } of rides) {
    const update = { ...at, recorded_at_ms: Date.now(), trip_id: id };
    await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, { updates: [update] });
  }
  const asked = Array.from({ length: 60 }, (_, n) => rides[n % rides.length]!);
  const answers = await Promise.all(
    asked.map(({ id, rider }) => s.rest('GET', `/api/v1/trips/${id}/location`, rider.token)),
  );
  t.same(
    answers.map(({ status, body }) => [status, body.trip_id, body.driver_id, body.lat]),
    asked.map(({ id, driver, at }) => [200, id, driver.id, at.lat]),
  );
});
