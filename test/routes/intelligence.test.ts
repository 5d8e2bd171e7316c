/** Tracks, geofences, places, check-ins and flags over REST and the streams, as documented and for whom. */
import t, { type Test } from 'tap';
import { decodePolyline } from '../../src/domain/polyline.ts';
import { connect, transports } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build, type Rest } from '../helper.ts';
import { assignedRide, locate, member, north, type Place, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t, {
  env: { LONG_STOP: '10s', CHECK_IN_ANSWER: '1s', WATCH_INTERVAL: '50ms', TRACK_FLUSH: '100ms' },
});
const { rest } = checkedRest(s);
const api = '/api/v1';
const admin = await member(s, 'admin');
const dispatcher = await member(s, 'dispatcher');
const stranger = await member(s, 'rider');

function square({ lat, lng }: Place, degrees: number) {
  const corner = (x: number, y: number) => [lng + x * degrees, lat + y * degrees];
  return {
    type: 'Polygon',
    coordinates: [[corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1), corner(-1, -1)]],
  };
}

t.test('geofences: drawn by admins, seen by dispatchers, crossed by drivers', async (t) => {
  const at = somewhere();
  const input = {
    name: 'Airport',
    city: 'testville',
    purpose: 'airport',
    exit_margin_m: 20,
    geometry: square(at, 0.01),
  };
  const paths = '/admin/geofences';
  t.equal((await rest('POST', paths, dispatcher.token, input)).status, 403);
  t.equal((await rest('GET', paths, stranger.token)).status, 403);
  const open = { ...input, geometry: { type: 'Polygon', coordinates: [square(at, 0.01).coordinates[0]!.slice(0, 4)] } };
  const refused = await rest('POST', paths, admin.token, open);
  t.equal(refused.status, 400);
  t.hasStrict(refused.body, { field: 'geometry', code: 'RIDE_INVALID_INPUT' });
  t.equal((await rest('POST', paths, admin.token, { ...input, geometry: square(at, 5) })).status, 400, 'too large');

  const drawn = await rest('POST', paths, admin.token, input);
  t.equal(drawn.status, 201);
  const path = drawn.headers.get('location')!;
  t.equal(drawn.body.geometry.type, 'MultiPolygon');
  t.same((await rest('GET', path, dispatcher.token)).body, drawn.body);
  const desk = await connect(t, s.at, 'websocket-json', admin.token, { path: '/ws/admin' });
  await desk.ask({ subscribe: { topic: 'city:testville' } });
  const driver = await member(s, 'driver');
  const own = await connect(t, s.at, 'websocket-json', driver.token);
  const now = Date.now();
  await locate(s, driver, north(at, 3000), now - 200_000);
  await locate(s, driver, north(at, 500), now - 100_000);
  for (const peer of [desk, own]) {
    const { geofence_event: event } = await peer.inbox.find(
      (m) => m.geofence_event?.driver_id === driver.id,
      'the entry',
    );
    t.hasStrict(event, { geofence_id: drawn.body.id, name: 'Airport', purpose: 'airport', type: 'entered' });
  }
  await locate(s, driver, north(at, 2500), now);
  await desk.inbox.find((m) => m.geofence_event?.type === 'exited', 'the exit');
  const { items } = (await rest('GET', `${path}/crossings`, dispatcher.token)).body;
  t.match(items, [{ type: 'exited', inside_ms: 100_000 }, { type: 'entered' }]);

  const stale = { 'if-match': '"9"' };
  t.equal((await rest('PUT', path, admin.token, input, stale)).status, 412);
  const moved = await rest('PUT', path, admin.token, { ...input, name: 'Old airport' }, { 'if-match': '"1"' });
  t.equal(moved.headers.get('etag'), '"2"');
  t.equal((await rest('DELETE', path, admin.token, undefined, stale)).status, 412);
  t.equal((await rest('DELETE', path, admin.token)).status, 204);
  t.equal((await rest('GET', path, admin.token)).status, 404);
});

t.test('a geofence is drawn once for an idempotency key', async (t) => {
  const path = '/admin/geofences';
  const input = { name: 'Mall', city: 'onceville', purpose: 'airport', geometry: square(somewhere(), 0.01) };
  const key = { 'idempotency-key': 'mall' };
  const draw = (body: object, headers: Record<string, string> = key) => rest('POST', path, admin.token, body, headers);
  t.equal((await draw({ ...input, geometry: square(somewhere(), 5) })).status, 400, 'a refusal uses up no key');
  const answers = await Promise.all(Array.from({ length: 6 }, () => draw(input)));
  t.same(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 201]);
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
  const { id } = answers[0]!.body;
  t.equal((await rest('GET', `${path}?city=onceville`, admin.token)).body.features.length, 1);
  t.hasStrict(await draw({ ...input, name: 'Another' }), { status: 422, body: { code: 'RIDE_IDEMPOTENCY_MISMATCH' } });
  t.not((await draw(input, {})).body.id, id, 'without a key each is a new one');
  await rest('DELETE', `${path}/${id}`, admin.token);
  const again = await draw(input);
  t.same([again.status, again.body.id], [200, id], 'a repeat draws nothing, also when it was removed');
  t.equal((await rest('GET', `${path}/${id}`, admin.token)).status, 404);
});

/** Around `at` the city is portville. */
async function tripsLieInCities(t: Test, at: Place): Promise<void> {
  const rider = await member(s, 'rider');
  const driver = await member(s, 'driver');
  const way = { pickup: at, dropoff: north(at, 9000) };
  const contact = { name: 'Ann', phone: '+12025550123' };
  const parcel = { pickup_contact: contact, dropoff_contact: contact, parcel: { description: 'books', weight_g: 900 } };
  const seats = { departure_time: Date.now() + 3_600_000, seats: 2, seat_fare_minor: 100 };
  for (const [path, who, body, cityOf] of [
    ['trips', rider, way, (made: Rest['body']) => made.city],
    ['quotes', rider, way, (made: Rest['body']) => made.city],
    ['deliveries', rider, { ...way, ...parcel }, (made: Rest['body']) => made.city],
    ['departures', driver, { ...way, ...seats }, (made: Rest['body']) => made.pickup.city],
  ] as const) {
    const post = (more: object) => rest('POST', `${api}/${path}`, who.token, { ...body, ...more });
    const made = await post({});
    t.equal(made.status, 201, JSON.stringify(made.body));
    t.equal(cityOf(made.body), 'portville', `${path}: where it begins, whatever the caller's is`);
    t.equal(cityOf((await post({ city: 'portville' })).body), 'portville');
    const elsewhere = await post({ city: 'testville' });
    t.hasStrict(elsewhere, { status: 400, body: { code: 'RIDE_INVALID_INPUT', field: 'city' } });
    t.match(elsewhere.body.rule, /portville/);
    const outside = { pickup: north(at, 9000), dropoff: at };
    t.equal(
      cityOf((await post({ ...outside, city: 'farville' })).body),
      'farville',
      'where no city is drawn, as stated',
    );
    t.equal(cityOf((await post(outside)).body), 'testville', 'or as the caller is');
  }
  const seen = await rest('POST', `${api}/departures`, driver.token, {
    ...way,
    ...seats,
    pickup: north(at, 9000),
    dropoff: at,
  });
  t.same(
    [seen.body.pickup.city, seen.body.dropoff.city],
    ['testville', 'portville'],
    'each end of a departure lies somewhere',
  );
  const wrong = { ...way, ...seats, dropoff: { ...north(at, 3000), city: 'testville' } };
  t.hasStrict(await rest('POST', `${api}/departures`, driver.token, wrong), {
    status: 400,
    body: { field: 'dropoff.city' },
  });
}

t.test('a place has its zone, its city and its geofences; a zone has an outline', async (t) => {
  const at = somewhere();
  const draw = (name: string, purpose: string, degrees: number) =>
    rest('POST', '/admin/geofences', admin.token, { name, city: 'portville', purpose, geometry: square(at, degrees) });
  await draw('the city', 'city', 0.05);
  await draw('the harbour', 'restricted', 0.01);
  const read = async ({ lat, lng }: Place) =>
    (await rest('GET', `${api}/places/at?lat=${lat}&lng=${lng}`, stranger.token)).body;
  const middle = await read(at);
  t.equal(middle.city, 'portville');
  t.same(middle.geofences.map((one: { name: string }) => one.name).sort(), ['the city', 'the harbour']);
  t.hasStrict(await read(north(at, 3000)), { city: 'portville' });
  t.hasStrict(await read(north(at, 9000)), { city: null, geofences: [] });
  await tripsLieInCities(t, at);
  const zone = await rest('GET', `${api}/zones/${middle.zone}`, stranger.token);
  t.equal(zone.headers.get('content-type')?.split(';')[0], 'application/geo+json');
  t.equal(zone.body.properties.neighbours.length, 6);
  const ring = zone.body.geometry.coordinates[0];
  t.same(ring[0], ring.at(-1), 'closed, as GeoJSON wants it');
  t.equal((await rest('GET', `${api}/zones/nonsense`, stranger.token)).status, 400);
  const page = (await rest('GET', '/admin/geofences?city=portville&page_size=1', admin.token)).body;
  t.equal(page.features.length, 1);
  const next = `/admin/geofences?city=portville&page_size=1&page_token=${page.next_page_token}`;
  t.not((await rest('GET', next, admin.token)).body.features[0].id, page.features[0].id);
});

t.test(
  'a ride: its track as GeoJSON and polyline, a stop that is asked about, and an alarm that nobody stopped',
  async (t) => {
    const ride = await assignedRide(t, s);
    const rider = await connect(t, s.at, 'grpc', ride.rider.token);
    const desk = await connect(t, s.at, 'websocket-json', admin.token, { path: '/ws/admin' });
    await desk.ask({ subscribe: { topic: 'sos:alerts' } });
    await ride.step('arrive');
    await ride.step('start');
    const path = `${api}/trips/${ride.id}`;
    t.equal((await rest('GET', `${path}/check-in`, ride.rider.token)).status, 404);
    // After what the driver has said before, and no farther ahead than a clock may be.
    let at = Date.now();
    const report = async (places: readonly Place[]): Promise<void> => {
      const updates = places.map((place, i) => ({ ...place, recorded_at_ms: at + 1000 * (i + 1), trip_id: ride.id }));
      at += 1000 * places.length;
      const { status } = await rest('POST', `${api}/drivers/me/locations`, ride.driver.token, { updates });
      t.equal(status, 200);
    };
    await report([ride.at]);
    // The watch reads what is known of a ride before it looks at it.
    await report(Array.from({ length: 8 }, (_, i) => north(ride.at, 45 * i)));
    await report([north(ride.at, 50_000)]);
    await until(async () => {
      if (at < Date.now() + 60_000) await report([north(ride.at, 315)]);
      return (await rest('GET', `${path}/check-in`, ride.rider.token)).status === 200;
    }, 'a check-in');
    const asked = await rider.inbox.find((m) => m.check_in?.type === 'asked', 'the question');
    t.hasStrict(asked.check_in, { trip_id: ride.id, hazard: 'long_stop', round: 1, status: 'asked' });
    const alert = await desk.inbox.find((m) => m.sos_alert?.trip_id === ride.id, 'the alert');
    t.hasStrict(alert.sos_alert, { user_id: ride.rider.id });
    t.match(alert.sos_alert.note, /unanswered/);
    const state = (await rest('GET', `${path}/check-in`, ride.driver.token)).body;
    t.equal(state.status, 'escalated');
    t.equal((await rest('GET', `${path}/check-in`, stranger.token)).status, 403);
    const says = { round: 1, is_safe: true };
    const other = { 'if-match': '"999"' };
    t.equal((await rest('POST', `${path}/check-in/answer`, ride.rider.token, says, other)).status, 412);
    const answer = await rest('POST', `${path}/check-in/answer`, ride.rider.token, says);
    t.equal(answer.body.status, 'escalated', 'only operators close an alarm');
    await until(async () => (await rest('GET', `${path}/check-in`, ride.driver.token)).body.alert_id, 'its SOS');
    const list = (await rest('GET', '/admin/check-ins?status=escalated', dispatcher.token)).body.items;
    t.ok(list.some((one: { trip_id: string }) => one.trip_id === ride.id));
    t.equal((await rest('GET', '/admin/check-ins', stranger.token)).status, 403);

    const resolve = `/admin/sos/${alert.sos_alert.alert_id}/resolve`;
    t.equal((await rest('POST', resolve, ride.rider.token)).status, 403);
    t.equal((await rest('POST', resolve, dispatcher.token)).status, 200);
    const closed = await rider.inbox.find((m) => m.check_in?.type === 'closed', 'the end of the alarm');
    t.hasStrict(closed.check_in, { trip_id: ride.id, status: 'calm' });
    t.hasStrict((await rest('GET', `${path}/check-in`, ride.driver.token)).body, { status: 'calm', alert_id: null });

    const line = (await rest('GET', `${path}/track`, ride.rider.token)).body;
    t.equal(line.geometry.type, 'LineString');
    t.equal(line.geometry.coordinates.length, line.properties.points);
    t.equal(line.properties.dropped.jump, 1);
    t.same(line.properties.times_ms, line.properties.times_ms.toSorted());
    const raw = (await rest('GET', `${path}/track?raw=true`, admin.token)).body;
    t.equal(raw.properties.points, line.properties.points + 1);
    const short = (await rest('GET', `${path}/track/polyline`, ride.driver.token)).body;
    const points = decodePolyline(short.polyline);
    t.equal(points.length, line.geometry.coordinates.length);
    t.ok(points.every(({ lat }, i) => Math.abs(lat - line.geometry.coordinates[i][1]) < 1e-5));
    const first = (await rest('GET', `${path}/track/polyline?page_size=3`, ride.rider.token)).body;
    t.equal(first.points, 3);
    const second = await rest('GET', `${path}/track?page_size=3&page_token=${first.next_page_token}`, ride.rider.token);
    t.ok(second.body.properties.from_ms > first.to_ms);
    t.equal((await rest('GET', `${path}/track`, stranger.token)).status, 403);
    t.equal((await rest('GET', `${path}/track?page_token=x`, ride.rider.token)).status, 400);
  },
);

t.test('a rider asks for help on the stream: an SOS at once', async (t) => {
  const ride = await assignedRide(t, s);
  const rider = await connect(t, s.at, 'websocket-protobuf', ride.rider.token);
  const desk = await connect(t, s.at, 'websocket-json', admin.token, { path: '/ws/admin' });
  await desk.ask({ subscribe: { topic: 'sos:alerts' } });
  const { error } = await rider.ask({ check_in_reply: { trip_id: ride.id, round: 0, is_safe: true } });
  t.equal(error.code, 'RIDE_NOT_FOUND', 'nothing was asked');
  const { ack } = await rider.ask({ check_in_reply: { trip_id: ride.id, round: 0, is_safe: false } });
  t.equal(ack.id, ride.id);
  const alert = await desk.inbox.find((m) => m.sos_alert?.trip_id === ride.id, 'the alert');
  t.hasStrict(alert.sos_alert, { user_id: ride.rider.id, role: 'rider' });
  const nameless = await rider.ask({ check_in_reply: { is_safe: true } });
  t.equal(nameless.error.field, 'trip_id');
});

t.test('positions that an app made up are known by every way they come', async (t) => {
  const flagOf = (id: string) => rest('GET', `/admin/anomalies?subject_id=${id}&kind=spoofed_gps`, admin.token);
  const flagged = async (id: string, way: string) => {
    await until(async () => (await flagOf(id)).body.items.length === 1, `the flag of ${way}`);
    t.equal((await flagOf(id)).body.items[0].evidence[0].facts.sign, 'mock_provider', way);
  };
  const mocked = { ...somewhere(), recorded_at_ms: Date.now(), is_mock: true };
  for (const transport of transports) {
    const driver = await member(s, 'driver');
    const peer = await connect(t, s.at, transport, driver.token);
    t.ok((await peer.ask({ location_update: mocked })).ack, transport);
    await flagged(driver.id, transport);
  }
  const driver = await member(s, 'driver');
  const updates = [mocked];
  t.equal((await rest('POST', `${api}/drivers/me/locations`, driver.token, { updates })).status, 200);
  await flagged(driver.id, 'REST');
});

t.test('flags: listed, read and reviewed by operators', async (t) => {
  const driver = await member(s, 'driver');
  const at = somewhere();
  const now = Date.now() - 400_000;
  for (let i = 0; i < 60; i++)
    await locate(s, driver, north(at, i % 3 === 2 ? 90_000 + 3000 * i : 20 * i), now + 5000 * i);
  const list = `/admin/anomalies?subject_id=${driver.id}&kind=spoofed_gps&status=open`;
  await until(async () => (await rest('GET', list, admin.token)).body.items.length === 1, 'the flag');
  const [flag] = (await rest('GET', list, admin.token)).body.items;
  t.hasStrict(flag, { kind: 'spoofed_gps', subject_role: 'driver', status: 'open' });
  t.equal(flag.evidence[0].facts.sign, 'jumps');
  const path = `/admin/anomalies/${flag.id}`;
  const read = await rest('GET', path, dispatcher.token);
  const verdict = { verdict: 'confirmed', note: 'an app that mocks' };
  t.equal((await rest('POST', `${path}/review`, admin.token, verdict, { 'if-match': '"99"' })).status, 412);
  const tag = { 'if-match': read.headers.get('etag')! };
  const reviewed = await rest('POST', `${path}/review`, admin.token, verdict, tag);
  t.hasStrict(reviewed.body, { status: 'confirmed', reviewed_by: admin.id, note: 'an app that mocks' });
  t.equal((await rest('GET', '/admin/anomalies/none', admin.token)).status, 404);
  t.equal((await rest('GET', '/admin/anomalies', stranger.token)).status, 403);
});
t.end();
