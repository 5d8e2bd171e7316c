/** Real answers are as the API's document says, on every route: status, body and headers; and what it says they send, they send. */
import t from 'tap';
import { firstDelivery } from '../e2e/first-delivery.ts';
import { firstDeparture } from '../e2e/first-departure.ts';
import { build } from '../helper.ts';
import { assignedRide, member, north, offeredRide, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';
import { checkedRest, type Document } from './answers.ts';

// Seats may be booked to the last, so that somebody can miss a departure at once.
const s = await build(t, { env: { BOOKING_CLOSES: '0s', FARE_WAITING_FREE: '0s' } });
const document = s.server.app.swagger() as Document;

t.test('real answers are as documented, on every route', async (t) => {
  const { rest, contract } = checkedRest(s);
  const rider = await member(s, 'rider');
  const operator = await member(s, 'admin');
  const api = '/api/v1';
  const get = (path: string, who = rider) => rest('GET', path, who.token);
  const post = (path: string, who = rider, body?: unknown, headers = {}) =>
    rest('POST', path, who.token, body, headers);

  for (const probe of ['/livez', '/readyz', '/startupz']) await rest('GET', probe);
  await rest('POST', `${api}/auth/token`, undefined, { role: 'rider' });
  await rest('POST', `${api}/auth/token`, undefined, { role: 'pilot' });
  const key = { 'idempotency-key': 'k' };
  const here = somewhere();
  const body = { pickup: { ...here, address: 'Main St 1' }, dropoff: north(here, 900), note: 'two bags' };
  const { id } = (await post(`${api}/trips`, rider, body, key)).body;
  t.equal((await post(`${api}/trips`, rider, body, key)).status, 200);
  t.equal((await post(`${api}/trips`, rider, { ...body, note: 'no bags' }, key)).status, 422);
  await post(`${api}/trips/${id}/cancel`, rider, { reason: 'x' });
  await post(`${api}/trips/${id}/cancel`, operator);
  await post(`${api}/trips/${id}/cancel`, rider, undefined, { 'if-match': '"1"' });
  await get(`${api}/trips?page_size=1`, operator);
  await get(`${api}/trips?status=flying`);
  await get(`${api}/trips/${id}`);
  await get(`${api}/trips/nope`);
  await get(`${api}/trips/${'x'.repeat(150)}`);
  await get(`${api}/trips/${id}/events`);
  await get(`${api}/trips/${id}/location`);

  const quote = await post(`${api}/quotes`, rider, { pickup: here, dropoff: north(here, 900) });
  t.equal(quote.status, 201);
  await post(`${api}/quotes`, rider, { pickup: here });
  await get(`${api}/trips/${id}/fare`);
  await get(`${api}/trips/nope/fare`);
  await get(`${api}/surge/zones`);

  const offered = await offeredRide(t, s);
  const { driver } = offered;
  await get(`${api}/drivers/me`, driver);
  await get(`${api}/drivers/me`);
  await rest('PUT', `${api}/drivers/me/status`, driver.token, { status: 'looking', vehicle_class: 'standard' });
  await rest('PUT', `${api}/drivers/me/status`, driver.token, { status: 'asleep' });
  await get(`${api}/drivers/nearby?lat=${offered.at.lat}&lng=${offered.at.lng}`);
  await get(`${api}/drivers/nearby?lat=here`);
  t.equal(
    (await post(`${api}/trips/${offered.id}/offers/${offered.offerId}/reject`, driver, { reason: 'far' })).status,
    204,
  );
  await post(`${api}/trips/${offered.id}/offers/${offered.offerId}/accept`, driver);
  const ride = await offeredRide(t, s);
  await post(`${api}/trips/${ride.id}/offers/${ride.offerId}/accept`, ride.driver, {});
  const said = { chat_send: { trip_id: ride.id, message_id: 'm1', text: 'hello' } };
  t.ok((await ride.driver.peer.ask(said)).ack);
  const updates = [{ ...north(ride.at, 5), recorded_at_ms: Date.now(), speed_mps: 3, trip_id: ride.id }];
  await post(`${api}/drivers/me/locations`, ride.driver, { updates });
  const where = await get(`${api}/trips/${ride.id}/location`, ride.rider);
  const tag = { 'if-none-match': where.headers.get('etag')! };
  t.equal((await rest('GET', `${api}/trips/${ride.id}/location`, ride.rider.token, undefined, tag)).status, 304);
  for (const step of ['complete', 'arrive', 'start', 'complete'])
    await post(`${api}/trips/${ride.id}/${step}`, ride.driver);
  await get(`${api}/trips/${ride.id}`, ride.rider);
  await get(`${api}/trips/${ride.id}/events`, ride.rider);
  await post(`${api}/trips/${ride.id}/rating`, ride.rider, { stars: 5 });
  await post(`${api}/trips/${ride.id}/rating`, ride.rider, { stars: 1 });
  await post(`${api}/trips/${ride.id}/rating`, rider, { stars: 5 });
  await get(`${api}/trips/${ride.id}/rating`, ride.rider);
  await get(`${api}/users/${ride.driver.id}/rating`, ride.driver);
  await get(`${api}/trips/${ride.id}/track`, ride.rider);
  await get(`${api}/trips/${ride.id}/track/polyline?page_token=x`, ride.rider);
  await get(`${api}/trips/${ride.id}/track/polyline`, ride.rider);
  const help = { round: 0, is_safe: false };
  await get(`${api}/trips/${ride.id}/check-in`, ride.rider);
  await post(`${api}/trips/${ride.id}/check-in/answer`, ride.rider, { ...help, is_safe: true });
  await post(`${api}/trips/${ride.id}/check-in/answer`, ride.rider, help);
  await get(`${api}/trips/${ride.id}/check-in`, ride.rider);
  await get('/admin/check-ins', operator);
  await until(async () => (await get('/admin/sos?status=active', operator)).body.items.length > 0, 'an alert');
  const [alert] = (await get('/admin/sos', operator)).body.items;
  await get(`/admin/sos/${alert.id}`, operator);
  await post(`/admin/sos/${alert.id}/resolve`, operator, { note: 'all is well' }, { 'if-match': '"9"' });
  await post(`/admin/sos/${alert.id}/resolve`, operator, { note: 'all is well' });
  await get('/admin/sos/nope', operator);
  await get('/admin/sos');
  const place = (await get(`${api}/places/at?lat=${ride.at.lat}&lng=${ride.at.lng}`)).body;
  await get(`${api}/zones/${place.zone}`);
  const { lat, lng } = ride.at;
  const triangle = [
    [lng, lat],
    [lng + 0.01, lat],
    [lng, lat + 0.01],
    [lng, lat],
  ];
  const fence = { name: 'corner', city: 'testville', geometry: { type: 'Polygon', coordinates: [triangle] } };
  const drawn = (await post('/admin/geofences', operator, fence)).body;
  await get('/admin/geofences', operator);
  await get(`/admin/geofences/${drawn.id}`, operator);
  await get(`/admin/geofences/${drawn.id}/crossings`, operator);
  await rest('PUT', `/admin/geofences/${drawn.id}`, operator.token, fence);
  await rest('DELETE', `/admin/geofences/${drawn.id}`, operator.token);
  const jumpy = await member(s, 'driver');
  const jumps = Array.from({ length: 60 }, (_, i) => ({
    ...north(ride.at, i % 3 === 2 ? 90_000 + 3000 * i : 20 * i),
    recorded_at_ms: Date.now() - 400_000 + 5000 * i,
  }));
  await post(`${api}/drivers/me/locations`, jumpy, { updates: jumps });
  await until(async () => (await get('/admin/anomalies', operator)).body.items.length > 0, 'a flag');
  await get(`/admin/anomalies/spoofed_gps:${jumpy.id}`, operator);
  await post(`/admin/anomalies/spoofed_gps:${jumpy.id}/review`, operator, { verdict: 'dismissed' });
  await get(`${api}/trips/${ride.id}/fare`, ride.rider);
  await until(async () => (await get(`${api}/trips/${ride.id}/payment`, ride.rider)).status === 200, 'its payment');
  await get(`${api}/trips/${ride.id}/payment`, ride.driver);
  await get(`${api}/trips/${id}/payment`);
  const unpaid = await assignedRide(t, s, 'refused-1');
  for (const step of ['arrive', 'start', 'complete'] as const) await unpaid.step(step);
  const failed = async () => (await get('/admin/payments?status=failed', operator)).body.items;
  await until(async () => (await failed()).length > 0, 'a payment to fail');
  await post(`/admin/payments/${(await failed())[0].id}/retry`, operator);
  await post('/admin/payments/nope/retry', operator);
  await firstDelivery(t, s, s, rest);
  await get(`${api}/deliveries`, operator);
  const departed = await firstDeparture(t, s, s, rest);
  await get(`${api}/departures/${departed.id}`);
  await get(`${api}/bookings/${departed.bookingId}`, operator);
  const seatsPaid = `${api}/bookings/${departed.bookingId}/payment`;
  await until(async () => (await get(seatsPaid, operator)).status === 200, 'the payment of his seats');
  for (const who of [rider, ride.driver]) t.equal((await get(seatsPaid, who)).status, 403);
  await get(`${api}/bookings/nope/payment`);
  const leaving = await member(s, 'driver');
  let departure = { id: '', departure_time: 0 };
  let missed = { status: 0, body: { id: '' } };
  // Soon, but not before it is booked, however slow the machine is.
  for (let waitMs = 1000; missed.status !== 201 && waitMs < 60_000; waitMs *= 2) {
    const departure_time = Date.now() + waitMs;
    const wish = { pickup: here, dropoff: north(here, 900), departure_time, seats: 1, seat_fare_minor: 100 };
    departure = (await post(`${api}/departures`, leaving, wish)).body;
    missed = await post(`${api}/departures/${departure.id}/bookings`, rider, { seats: 1 });
  }
  await post(`${api}/departures/${departure.id}/arrive`, leaving);
  await until(async () => Date.now() > departure.departure_time, 'the time to leave', 60_000);
  t.equal((await post(`${api}/bookings/${missed.body.id}/no-show`, leaving)).body.fee_minor, 100);
  t.equal((await post(`${api}/departures/${departure.id}/cancel`, leaving)).status, 200);
  await get('/admin/stats', operator);
  await ride.driver.peer.ask({ heartbeat: { battery_ratio: 0.5, signal_dbm: -90 } });
  await get(`/admin/drivers/${ride.driver.id}`, operator);
  await get('/admin/drivers/nobody', operator);
  await get('/admin/stats');
  await get(`/admin/trips/${ride.id}/dispatch`, operator);
  await get('/admin/trips/nope/dispatch', operator);
  await get(`/admin/trips/${ride.id}/dispatch`, ride.rider);
  await get(`/admin/topics/trip:${ride.id}/members`, operator);
  await get('/admin/topics/nonsense/members', operator);
  await get(`${api}/users/${rider.id}/presence`);
  await get(`${api}/users/${ride.driver.id}/presence`);
  await rest('GET', `${api}/trips`);

  for (const [resource, who] of [
    [`trips/${ride.id}`, ride.rider],
    [`bookings/${departed.bookingId}`, operator],
  ] as const) {
    const path = `${api}/${resource}`;
    await get(`${path}/messages`, who);
    t.equal((await get(`${path}/messages`, leaving)).status, 403);
    const streamed = new AbortController();
    const stream = await fetch(`http://${s.at.http}${path}/events/stream`, {
      headers: { authorization: `Bearer ${who.token}` },
      signal: streamed.signal,
    });
    const { status, headers } = stream;
    t.equal(contract.check('GET', `${path}/events/stream`, { status, headers, body: '' }), null);
    t.equal(status, 200);
    streamed.abort();
  }

  const succeeded = new Set(
    [...contract.seen].filter((pair) => / 2\d\d$/.test(pair)).map((pair) => pair.split(' ')[0]),
  );
  t.same(
    contract.operations.map((o) => o.id).filter((name) => !succeeded.has(name)),
    [],
    'each was seen to succeed',
  );
  // What is sent and not documented the contract refuses; what is documented has to be sent.
  const promised = contract.operations.flatMap(({ id, method, path }) =>
    Object.entries(document.paths[path][method.toLowerCase()].responses as Document)
      .filter(([status]) => Number(status) < 400 && contract.seen.has(`${id} ${status}`))
      .flatMap(([status, { headers }]) => Object.keys(headers).map((name) => `${id} ${status} ${name}`)),
  );
  t.same(
    promised.filter((triple) => !contract.sent.has(triple)),
    [],
    'each header was seen',
  );
});

t.test('the check of answers does see what is wrong', async (t) => {
  const { contract } = checkedRest(s);
  const rider = await member(s, 'rider');
  const trip = await requestedTrip(s, rider, somewhere());
  const headers = new Headers({ 'content-type': 'application/json' });
  const path = `/api/v1/trips/${trip.id}`;
  t.equal(contract.check('GET', path, { status: 200, headers, body: trip }), null);
  t.match(contract.check('GET', path, { status: 200, headers, body: { ...trip, version: '1' } }), /must be integer/);
  t.match(contract.check('GET', path, { status: 200, headers, body: { ...trip, status: 'lost' } }), /must be equal/);
  const told = new Headers({ ...Object.fromEntries(headers), location: path });
  t.match(contract.check('GET', path, { status: 200, headers: told, body: trip }), /does not document Location/);
  t.match(contract.check('GET', path, { status: 418, headers, body: trip }), /does not document 418/);
  const html = new Headers({ 'content-type': 'text/html' });
  t.match(contract.check('GET', path, { status: 200, headers: html, body: trip }), /does not document text\/html/);
  t.match(contract.check('GET', '/api/v1/planes', { status: 200, headers, body: {} }), /is not documented/);
});
t.end();
