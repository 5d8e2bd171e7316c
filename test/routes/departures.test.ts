/** The routes of departures and bookings on two nodes, every answer held against the API's document. */
import t, { type Test } from 'tap';
import type { Message } from '../clients/inbox.ts';
import { checkedRest } from '../contracts/answers.ts';
import { firstDeparture } from '../e2e/first-departure.ts';
import type { Rest } from '../helper.ts';
import { twoNodes } from '../properties/two-nodes.ts';
import { type Member, member, north, somewhere } from '../scene.ts';

const [s, other] = await twoNodes(t);
const { rest } = checkedRest(s);
const departures = '/api/v1/departures';
const MINUTE = 60_000;

const post = (path: string, who: Member, body?: unknown, headers = {}): Promise<Rest> =>
  rest('POST', path, who.token, body, headers);
const get = (path: string, who: Member): Promise<Rest> => rest('GET', path, who.token);

const journey = (more: object = {}) => {
  const pickup = somewhere();
  const departure_time = Date.now() + 30 * MINUTE;
  return { pickup, dropoff: north(pickup, 9000), departure_time, seats: 2, seat_fare_minor: 700, ...more };
};

async function published(driver: Member, more: object = {}) {
  const { status, body } = await post(departures, driver, journey(more));
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

t.test('a departure from end to end, its passengers on two nodes', async (t) => {
  await firstDeparture(t, s, other, rest);
});

t.test('who may publish, for whom, and what is refused by field and rule', async (t) => {
  const driver = await member(s, 'driver', { vehicle_class: 'xl', city: 'springfield' });
  const made = await post(departures, driver, journey());
  t.equal(made.headers.get('location'), `${departures}/${made.body.id}`);
  t.equal(made.headers.get('etag'), '"1"');
  t.hasStrict(made.body, { vehicle_class: 'xl', pickup: { city: 'springfield' }, dropoff: { city: 'springfield' } });
  t.same(
    (await get(`${departures}/${made.body.id}`, await member(s, 'rider'))).body,
    made.body,
    'anybody reads the same',
  );
  const desk = await member(s, 'dispatcher');
  t.hasStrict(await post(departures, desk, journey()), { status: 400, body: { field: 'driver_id' } });
  t.equal((await post(departures, desk, journey({ driver_id: driver.id }))).body.driver_id, driver.id);
  t.hasStrict(await post(departures, driver, journey({ driver_id: 'another' })), {
    status: 403,
    body: { field: 'driver_id', rule: 'the id of the caller' },
  });
  t.equal((await post(departures, await member(s, 'rider'), journey())).status, 403);
  const cases: [object, string][] = [
    [{ seats: 0 }, 'seats'],
    [{ seats: 61 }, 'seats'],
    [{ seat_fare_minor: -1 }, 'seat_fare_minor'],
    [{ departure_time: Date.now() - 1 }, 'departure_time'],
    [{ departure_time: Date.now() + 91 * 86_400_000 }, 'departure_time'],
    [{ dropoff: undefined }, 'dropoff'],
    [{ wheels: 4 }, 'wheels'],
  ];
  for (const [more, field] of cases)
    t.hasStrict(await post(departures, driver, journey(more)), { status: 400, body: { field } }, field);
  const rider = await member(s, 'rider');
  for (const [query, field] of [
    ['lat=1', 'lng'],
    ['to_lng=1', 'to_lat'],
    ['lat=1&lng=1&radius_m=50001', 'radius_m'],
    ['seats=0', 'seats'],
    ['page_token=x', 'page_token'],
    ['from=noon', 'from'],
  ] as const)
    t.hasStrict(await get(`${departures}?${query}`, rider), { status: 400, body: { field } }, query);
  t.equal((await get(`${departures}?status=cancelled`, rider)).status, 403);
  t.equal((await get(`${departures}?status=cancelled&driver_id=${driver.id}`, driver)).status, 200);
  t.equal((await get(`${departures}/nope`, rider)).status, 404);
});

t.test('booking: who, for whom, once, and by which version it is cancelled', async (t) => {
  const driver = await member(s, 'driver');
  const { id } = await published(driver);
  const rider = await member(s, 'rider');
  const path = `${departures}/${id}/bookings`;
  const key = { 'idempotency-key': 'seat' };
  const answers = await Promise.all(Array.from({ length: 6 }, () => post(path, rider, { seats: 1, note: 'bag' }, key)));
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1, 'six at once are one booking');
  t.same(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 201]);
  const booking = answers[0]!.body;
  t.hasStrict(booking, {
    trip_id: id,
    status: 'confirmed',
    seats: 1,
    fare_minor: 700,
    passenger_id: rider.id,
    note: 'bag',
  });
  t.equal(booking.cancellation.length, 3, 'with what a cancellation costs');
  t.hasStrict(await post(path, rider, { seats: 2 }, key), { status: 422, body: { code: 'RIDE_IDEMPOTENCY_MISMATCH' } });
  t.hasStrict(await post(path, rider, { seats: 1 }), { status: 409, body: { facts: { booking_id: booking.id } } });
  t.equal((await post(path, driver, { seats: 1 })).status, 403, 'a driver books nothing');
  t.equal((await post(path, rider, { seats: 1, passenger_id: 'another' })).body.field, 'passenger_id');
  t.equal((await post(`${departures}/nope/bookings`, rider, { seats: 1 })).status, 404);
  const desk = await member(s, 'service');
  const guest = await post(path, desk, { seats: 1, passenger_id: 'guest' });
  t.equal(guest.body.passenger_id, 'guest');
  t.hasStrict(await post(path, await member(s, 'rider'), { seats: 1 }), {
    status: 409,
    body: {
      facts: { winner_booking_id: guest.body.id, winner_version: 3, version: 3, seats_free: 0, status: 'scheduled' },
    },
  });

  const stranger = await member(s, 'rider');
  t.equal((await get(`/api/v1/bookings/${booking.id}`, stranger)).status, 403);
  t.equal((await get(`${path}`, stranger)).status, 403);
  t.equal((await get(`${departures}/${id}/events`, stranger)).status, 403);
  t.equal(
    (await get('/api/v1/bookings?passenger_id=guest', stranger)).body.items.length,
    0,
    'a passenger lists his own',
  );
  t.equal((await get('/api/v1/bookings?passenger_id=guest', desk)).body.items.length, 1);
  t.equal((await get('/api/v1/bookings/nope', rider)).status, 404);
  t.equal((await get(`/api/v1/bookings/${booking.id}`, rider)).headers.get('etag'), '"1"');
  const cancel = `/api/v1/bookings/${booking.id}/cancel`;
  t.hasStrict(await post(cancel, rider, undefined, { 'if-match': '"7"' }), {
    status: 412,
    body: { field: 'If-Match', facts: { booking_version: 1, booking_status: 'confirmed' } },
  });
  t.equal((await post(cancel, stranger)).status, 403);
  const refused = await post(cancel, driver, { reason: 'no room for the bag' });
  t.hasStrict(refused.body, { status: 'cancelled', fee_minor: 0, cancelled_by: driver.id });
  t.equal((await post(cancel, rider)).status, 409);
  t.equal((await post(cancel, driver)).status, 200, 'a repeat');
  await whyIsHisOwn(t, id, { driver, rider, other: { id: 'guest', token: await s.token('rider', 'guest') } });
});

/** Why the driver cancelled the booking of `rider` is told to him, and to nobody else who has a seat. */
async function whyIsHisOwn(t: Test, id: string, who: Record<'driver' | 'rider' | 'other', Member>): Promise<void> {
  const why = 'no room for the bag';
  for (const [one, reason] of [
    [who.other, undefined],
    [who.driver, why],
    [await member(s, 'admin'), why],
  ] as const) {
    const { items } = (await get(`${departures}/${id}/events`, one)).body;
    t.equal(items.find((event: Message) => event.type === 'booking_cancelled').reason, reason, one.id);
  }
  const his = await s.ws('/ws/client', who.rider.token);
  const own = await his.next((m) => m.trip_event?.type === 'booking_cancelled', 'what befell him');
  t.equal(own.trip_event.reason, why);
  const others = await s.ws('/ws/client', who.other.token);
  await others.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
  const isTold = (m: Message) => m.topic === `trip:${id}` && m.trip_event?.type === 'booking_cancelled';
  const told = await others.inbox.find(isTold, 'what befell another');
  t.equal(told.trip_event.booking_id, own.trip_event.booking_id);
  t.notOk(told.trip_event.reason);
}

t.test('the driver’s steps: in order, by him, at the version he knows', async (t) => {
  const driver = await member(s, 'driver');
  const early = await published(driver, { departure_time: Date.now() + 300 * MINUTE });
  const { id } = await published(driver);
  const step = (name: string, who = driver, headers = {}) =>
    post(`${departures}/${id}/${name}`, who, undefined, headers);
  t.equal((await step('start')).status, 409);
  t.equal((await step('arrive', await member(s, 'rider'))).status, 403);
  t.equal((await step('arrive', await member(s, 'driver'))).status, 403);
  t.equal((await step('arrive', driver, { 'if-match': '"9"' })).status, 412);
  t.hasStrict(await post(`${departures}/${early.id}/arrive`, driver), {
    status: 409,
    body: { facts: { opens_at_ms: early.boarding_from } },
  });
  t.equal((await step('arrive', driver, { 'if-match': '"1"' })).body.status, 'driver_arrived');
  const rival = await published(driver);
  t.hasStrict(await post(`${departures}/${rival.id}/arrive`, driver), {
    status: 409,
    body: { code: 'RIDE_DRIVER_BUSY', facts: { active_trip_id: id } },
  });
  t.equal(
    (await post(`${departures}/${rival.id}/cancel`, driver, { reason: 'one is enough' })).body.status,
    'cancelled',
  );
  t.equal((await step('start')).body.status, 'in_progress');
  t.equal((await step('cancel')).status, 409, 'not on the way');
  t.equal((await step('complete')).body.status, 'completed');
  t.equal((await step('complete')).status, 200);
  t.equal((await post(`${departures}/${id}/cancel`, await member(s, 'admin'))).status, 409);
  t.equal((await get(`/api/v1/trips/${id}`, driver)).status, 404, 'it is no on-demand trip');
  t.equal((await post('/api/v1/bookings/nope/no-show', driver)).status, 404);
  t.equal((await get('/api/v1/trips', driver)).body.items.length, 0);
});

t.test('who loses his seat stops hearing of the departure, wherever he listens', async (t) => {
  const driver = await member(s, 'driver');
  const { id } = await published(driver);
  const rider = await member(s, 'rider');
  const { body } = await post(`${departures}/${id}/bookings`, rider, { seats: 1 });
  const app = await other.ws('/ws/client', rider.token);
  await app.ask({ subscribe: { topic: `trip:${id}` } });
  await post(`/api/v1/bookings/${body.id}/cancel`, driver);
  const gone = await app.next(
    (m) => m.topic === `user:${rider.id}` && m.trip_event?.type === 'booking_cancelled',
    'his own',
  );
  t.hasStrict(gone.trip_event, { trip_id: id, booking_id: body.id, rider_id: rider.id });
  await post(`${departures}/${id}/cancel`, driver);
  await post(`${departures}/${(await published(driver)).id}/cancel`, driver);
  // Whatever comes to him after this came after the cancellation of the departure.
  const next = await published(driver);
  await post(`${departures}/${next.id}/bookings`, rider, { seats: 1 });
  await app.next((m) => m.trip_event?.trip_id === next.id, 'what comes later');
  t.notOk(
    app.inbox.all.some((m) => m.topic === `trip:${id}` && m.trip_event?.type === 'cancelled'),
    'and nothing of it',
  );
});
t.end();
