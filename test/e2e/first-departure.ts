/** A departure end to end: published, found, booked from two nodes at once, followed live, driven, completed. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Clients, Rest } from '../helper.ts';
import { north, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const MINUTE = 60_000;

/** Passengers are on one node, or every other of them on another. `rest` may check answers. */
export async function firstDeparture(t: Test, s: Clients, other: Clients = s, rest: Clients['rest'] = s.rest) {
  const name = randomUUID();
  const driverId = `driver-${name}`;
  const driver = await s.token('driver', driverId);
  const pickup = somewhere();
  const body = {
    pickup: { ...pickup, address: 'Bus station' },
    dropoff: { ...north(pickup, 30_000), city: 'farville' },
    departure_time: Date.now() + 30 * MINUTE,
    seats: 3,
    seat_fare_minor: 1500,
    note: 'no smoking',
  };
  const published = await rest('POST', '/api/v1/departures', driver, body, { 'idempotency-key': name });
  t.equal(published.status, 201);
  const { id } = published.body;
  t.hasStrict(published.body, {
    kind: 'scheduled',
    status: 'scheduled',
    version: 1,
    seats_free: 3,
    driver_id: driverId,
  });
  t.equal((await rest('POST', '/api/v1/departures', driver, body, { 'idempotency-key': name })).status, 200);

  const riders = await Promise.all(
    Array.from({ length: 6 }, (_, i) => (i % 2 ? other : s).token('rider', `rider-${i}-${name}`)),
  );
  const [first] = riders as [string];
  const query = `lat=${pickup.lat + 0.005}&lng=${pickup.lng}&radius_m=1000&to_city=farville&seats=2`;
  const found = await rest('GET', `/api/v1/departures?${query}`, first);
  t.same(
    found.body.items.map((item: { id: string }) => item.id),
    [id],
    'found by place, city and seats',
  );

  const book = (i: number): Promise<Rest> =>
    (i % 2 ? other.rest : rest)('POST', `/api/v1/departures/${id}/bookings`, riders[i]!, { seats: 1 });
  const answers = await Promise.all(riders.map((_, i) => book(i)));
  const won = answers.flatMap((answer, i) => (answer.status === 201 ? [{ i, booking: answer.body }] : []));
  t.equal(won.length, 3, 'three of six have seats');
  for (const { status, body } of answers.filter((answer) => answer.status !== 201)) {
    t.equal(status, 409);
    t.hasStrict(body, { code: 'RIDE_SEATS_TAKEN', field: 'seats', facts: { seats_asked: 1, seats_free: 0 } });
    t.ok(
      won.some(({ booking }) => booking.id === body.facts.winner_booking_id),
      'and who won is one of those who did',
    );
  }

  const [one, two, three] = won as [(typeof won)[0], (typeof won)[0], (typeof won)[0]];
  const app = await s.ws('/ws/client', riders[one.i]!);
  const subscribed = await app.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
  t.equal(subscribed.subscribed?.recovered, true, 'a passenger follows his departure');
  const loser = answers.findIndex(({ status }) => status === 409);
  const outside = await s.ws('/ws/client', riders[loser]!);
  t.equal(
    (await outside.ask({ subscribe: { topic: `trip:${id}` } })).error?.code,
    'RIDE_FORBIDDEN',
    'nobody else does',
  );

  const put = await rest(
    'POST',
    `/api/v1/bookings/${three.booking.id}/cancel`,
    riders[three.i]!,
    { reason: 'ill' },
    {
      'if-match': '"1"',
    },
  );
  t.hasStrict(
    put.body,
    { status: 'cancelled', version: 2, fee_minor: 1500, cancel_reason: 'ill' },
    'late, so for the fare',
  );
  await app.next((m) => m.trip_event?.type === 'booking_cancelled', 'the seat that is free again');

  const step = async (name: string): Promise<void> => {
    const { status, body } = await rest('POST', `/api/v1/departures/${id}/${name}`, driver);
    t.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
  };
  await step('arrive');
  for (const [path, token] of [['/ws/client', riders[two.i]!] as const, ['/ws/driver', driver] as const]) {
    const again = await s.ws(path, token);
    t.same(
      again.inbox.all.find((m) => m.welcome)?.welcome.active_trip_ids,
      [id],
      'who comes back is told where he was',
    );
  }
  for (const { booking } of [one, two])
    t.equal((await rest('POST', `/api/v1/bookings/${booking.id}/board`, driver)).body.status, 'boarded');
  await step('start');
  const updates = [{ ...north(pickup, 100), recorded_at_ms: Date.now(), trip_id: id }];
  t.equal((await rest('POST', '/api/v1/drivers/me/locations', driver, { updates })).status, 200);
  t.equal((await app.next((m) => m.location !== undefined, 'where he is')).location.driver_id, driverId);
  t.equal((await rest('GET', `/api/v1/trips/${id}/location`, riders[two.i]!)).body.driver_id, driverId);
  for (const who of [riders[two.i]!, driver]) {
    const points = async () => (await rest('GET', `/api/v1/trips/${id}/track/polyline`, who)).body.points;
    await until(async () => (await points()) === 1, 'his way to be kept');
  }
  t.equal((await rest('GET', `/api/v1/trips/${id}/track/polyline`, riders[loser]!)).status, 403);
  await step('complete');
  await app.next((m) => m.trip_event?.type === 'completed', 'the end');

  const events = await rest('GET', `/api/v1/departures/${id}/events`, riders[one.i]!);
  const types = events.body.items.map((event: { type: string }) => event.type);
  const lived = app.inbox.all.filter((m) => m.trip_event?.trip_id === id && m.topic === `trip:${id}`);
  t.same(
    lived.map((m) => m.trip_event.type),
    types,
    'the stream and the store tell the same story',
  );
  t.same(types, [
    'published',
    ...['booked', 'booked', 'booked', 'booking_cancelled'],
    ...['driver_arrived', 'boarded', 'boarded', 'started', 'completed'],
  ]);
  const mine = async () => (await rest('GET', '/api/v1/bookings?status=completed', riders[two.i]!)).body.items;
  await until(async () => (await mine()).length > 0, 'his list to follow');
  t.hasStrict(await mine(), [{ id: two.booking.id, trip_id: id, status: 'completed', fare_minor: 1500 }]);
  const manifest = await rest('GET', `/api/v1/departures/${id}/bookings`, driver);
  t.equal(manifest.body.items.length, 3);
  return { id, driver, bookingId: one.booking.id as string, rider: riders[one.i]! };
}
