/** Ratings over REST and the streams, each answer held against the API's document. */
import t from 'tap';
import { connect } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';
import { assignedRide, type Member, member } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t);
const { rest } = checkedRest(s);
const rate = (id: string, who: Member | undefined, body: unknown, headers = {}) =>
  rest('POST', `/api/v1/trips/${id}/rating`, who?.token, body, headers);

t.test('a rider rates his driver, the driver his rider; each once', async (t) => {
  const ride = await assignedRide(t, s);
  const { rider, driver } = ride;
  t.hasStrict(await rate(ride.id, rider, { stars: 5 }), {
    status: 409,
    body: { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'assigned' } },
  });
  const during = (await rest('GET', `/api/v1/users/${driver.id}/rating`, rider.token)).body;
  t.same(during, {
    user_id: driver.id,
    as_rider: { count: 0, average: null },
    as_driver: { count: 0, average: null },
  });
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);

  const admin = await member(s, 'admin');
  const desk = await connect(t, s.at, 'websocket-json', admin.token, { path: '/ws/admin' });
  await desk.ask({ subscribe: { topic: 'city:testville' } });
  const own = await connect(t, s.at, 'websocket-json', driver.token);
  const body = { stars: 4, comment: 'a calm ride' };
  const first = await rate(ride.id, rider, body, { 'idempotency-key': 'k' });
  t.equal(first.status, 201);
  t.hasStrict(first.body, {
    trip_id: ride.id,
    rater_id: rider.id,
    subject_id: driver.id,
    subject_role: 'driver',
    ...body,
  });
  t.equal((await rate(ride.id, rider, body, { 'idempotency-key': 'k' })).status, 200);
  t.equal((await rate(ride.id, rider, { stars: 1 }, { 'idempotency-key': 'k' })).status, 422);
  t.hasStrict(await rate(ride.id, rider, { stars: 1 }), { status: 409, body: { facts: { stars: 4 } } });
  const { rating_given: told } = await desk.inbox.find((m) => m.rating_given?.trip_id === ride.id, 'the rating');
  t.hasStrict(told, { rater_role: 'rider', stars: 4, comment: 'a calm ride' });
  t.equal((await rate(ride.id, driver, { stars: 3 })).status, 201);

  const reputation = async () => (await rest('GET', `/api/v1/users/${driver.id}/rating`, driver.token)).body.as_driver;
  t.same(await reputation(), { count: 1, average: 4 });
  await own.ask({ heartbeat: {} });
  t.notOk(
    own.inbox.all.some((m) => m.rating_given),
    'the driver is not told who said it',
  );
  const read = async (who: Member) => (await rest('GET', `/api/v1/trips/${ride.id}/rating`, who.token)).body.items;
  t.match(await read(rider), [{ stars: 4 }]);
  t.match(await read(driver), [{ stars: 3 }]);
  t.equal((await read(admin)).length, 2);
});

t.test('refusals', async (t) => {
  const ride = await assignedRide(t, s);
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  const stranger = await member(s, 'rider');
  t.equal((await rate(ride.id, undefined, { stars: 5 })).status, 401);
  t.hasStrict(await rate(ride.id, stranger, { stars: 5 }), { status: 403, body: { field: 'trip_id' } });
  t.equal((await rate(ride.id, await member(s, 'admin'), { stars: 5 })).status, 403);
  t.equal((await rate('trip_none', ride.rider, { stars: 5 })).status, 404);
  for (const body of [{}, { stars: 0 }, { stars: 6 }, { stars: 4.5 }, { stars: '5' }, { stars: 5, tip: 1 }])
    t.equal((await rate(ride.id, ride.rider, body)).status, 400, JSON.stringify(body));
  t.equal((await rate(ride.id, ride.rider, { stars: 5, comment: '' })).status, 400);
  t.equal((await rest('GET', `/api/v1/trips/${ride.id}/rating`, stranger.token)).status, 403);
  t.equal((await rest('GET', `/api/v1/users/${ride.driver.id}/rating`, stranger.token)).status, 403);
  await until(async () => (await ride.read()).status === 'completed', 'nothing changed');
});

t.test('a passenger of a departure rates its driver, who rates nobody', async (t) => {
  const driver = await member(s, 'driver');
  const passenger = await member(s, 'rider');
  const post = (path: string, who: Member, body?: unknown) => rest('POST', `/api/v1/${path}`, who.token, body);
  const now = Date.now();
  const published = await post('departures', driver, {
    pickup: { lat: -75, lng: 20 },
    dropoff: { lat: -75.4, lng: 20 },
    departure_time: now + 660_000,
    seats: 2,
    seat_fare_minor: 900,
  });
  t.equal(published.status, 201, JSON.stringify(published.body));
  const { id } = published.body;
  const booked = await post(`departures/${id}/bookings`, passenger, { seats: 1 });
  t.equal(booked.status, 201, JSON.stringify(booked.body));
  t.equal((await rate(id, passenger, { stars: 5 })).status, 403, 'he is not on board yet');
  const steps = [`departures/${id}/arrive`, `bookings/${booked.body.id}/board`, `departures/${id}/start`];
  for (const path of [...steps, `departures/${id}/complete`]) {
    const answer = await post(path, driver);
    t.equal(answer.status, 200, `${path}: ${JSON.stringify(answer.body)}`);
  }
  t.hasStrict(await rate(id, passenger, { stars: 5 }), { status: 201, body: { subject_id: driver.id } });
  t.equal((await rate(id, driver, { stars: 5 })).status, 403);
});
t.end();
