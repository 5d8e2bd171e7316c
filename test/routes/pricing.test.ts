/** Prices over REST, each answer held against the API's document: quotes, booking, the fare of a trip, surge zones. */
import t from 'tap';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';
import { assignedRide, lookingDriver, type Member, member, north, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t, {
  env: { SURGE_INTERVAL: '500ms', SURGE_HALF_LIFE: '100ms', SURGE_MIN_DEMAND: '3', CANCELLATION_FREE: '0s' },
});
const { rest } = checkedRest(s);
const post = (path: string, who: Member, body?: unknown) => rest('POST', `/api/v1/${path}`, who.token, body);
const get = (path: string, who: Member) => rest('GET', `/api/v1/${path}`, who.token);
const dear = (f: { properties: { multiplier_permille: number } }): boolean => f.properties.multiplier_permille > 1000;
const journey = (from = somewhere()) => ({ pickup: from, dropoff: north(from, 2500) });

t.test('a quote says what it is made of, and holds when it is booked', async (t) => {
  const rider = await member(s, 'rider');
  const body = { ...journey(), vehicle_class: 'xl' };
  const { status, headers, body: quote } = await post('quotes', rider, body);
  t.equal(status, 201);
  t.equal(headers.get('cache-control'), 'no-store');
  t.ok(quote.id.length <= 2048);
  t.hasStrict(quote, { ...body, rider_id: rider.id, city: 'testville' });
  t.hasStrict(quote.surge, { multiplier_permille: 1000 });
  t.same(quote.cancellation, { free_s: 0, fee_minor: 500 });
  t.same(quote.waiting, { free_s: 180, per_minute_minor: 30 });
  t.ok(quote.expires_at > Date.now() + 290_000);
  const lines = quote.fare.lines as { kind: string; amount_minor: number }[];
  t.equal(
    lines.reduce((sum, line) => sum + line.amount_minor, 0),
    quote.fare.total_minor,
  );
  const booked = await post('trips', rider, { ...body, quote_id: quote.id });
  t.equal(booked.status, 201);
  t.equal(booked.body.estimate.fare_minor, quote.fare.total_minor);
  const fare = await get(`trips/${booked.body.id}/fare`, rider);
  t.hasStrict(fare.body, { trip_id: booked.body.id, state: 'estimated', quoted: true, fare: quote.fare });
  const again = await post('trips', rider, { ...body, quote_id: quote.id });
  t.equal(again.status, 409);
  t.hasStrict(again.body, { code: 'RIDE_QUOTE_USED', field: 'quote_id', facts: { trip_id: booked.body.id } });
});

t.test('refusals', async (t) => {
  const rider = await member(s, 'rider');
  const other = await member(s, 'rider');
  const driver = await member(s, 'driver');
  const from = somewhere();
  t.equal((await post('quotes', driver, journey())).status, 403);
  const foreign = await post('quotes', rider, { ...journey(), rider_id: other.id });
  t.hasStrict(foreign, { status: 403, body: { field: 'rider_id' } });
  t.equal((await post('quotes', await member(s, 'service'), { ...journey(), rider_id: other.id })).status, 201);
  t.hasStrict(await post('quotes', rider, { pickup: from, dropoff: from }), {
    status: 400,
    body: { field: 'dropoff' },
  });
  t.hasStrict(await post('quotes', rider, { pickup: from }), { status: 400, body: { field: 'dropoff' } });
  t.hasStrict(await post('quotes', rider, { ...journey(), tip: 1 }), { status: 400, body: { field: 'tip' } });
  t.equal((await rest('POST', '/api/v1/quotes', undefined, journey())).status, 401);
  const { body: quote } = await post('quotes', rider, journey(from));
  const stolen = await post('trips', other, { ...journey(from), quote_id: quote.id });
  t.hasStrict(stolen, { status: 400, body: { field: 'rider_id', rule: 'as it was quoted' } });
  const made = await post('trips', rider, { ...journey(from), quote_id: 'quote_made-up' });
  t.hasStrict(made, { status: 400, body: { field: 'quote_id' } });
  const trip = await requestedTrip(s, rider, somewhere());
  t.equal((await get(`trips/${trip.id}/fare`, other)).status, 403);
  t.equal((await get('trips/none/fare', rider)).status, 404);
});

t.test('a quote holds in its city however cities are drawn anew, until the city is drawn no more', async (t) => {
  const [rider, admin] = [await member(s, 'rider'), await member(s, 'admin')];
  const from = somewhere();
  const square = (center: { lat: number; lng: number }) => {
    const corner = (x: number, y: number) => [center.lng + x / 100, center.lat + y / 100];
    const ring = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1), corner(-1, -1)];
    return { type: 'Polygon', coordinates: [ring] };
  };
  const drawing = (city: string, center = from) => ({ name: city, city, purpose: 'city', geometry: square(center) });
  const drawn = await rest('POST', '/admin/geofences', admin.token, drawing('oldville'));
  const path = drawn.headers.get('location')!;
  const quoted = async () => (await post('quotes', rider, journey(from))).body;
  const quotes = [await quoted(), await quoted(), await quoted(), await quoted()];
  t.same(new Set(quotes.map(({ city }) => city)), new Set(['oldville']));
  const book = (quote: { id: string }, more = {}) =>
    post('trips', rider, { ...journey(from), ...more, quote_id: quote.id });

  t.equal((await rest('PUT', path, admin.token, drawing('oldville', north(from, 9000)))).status, 200);
  t.equal((await rest('POST', '/admin/geofences', admin.token, drawing('newville'))).status, 201);
  t.equal((await quoted()).city, 'newville', 'a quote of now');
  for (const [quote, more] of [
    [quotes[0], {}],
    [quotes[1], { city: 'oldville' }],
  ] as const) {
    const { status, body } = await book(quote, more);
    t.hasStrict({ status, body }, { status: 201, body: { city: 'oldville' } });
    t.equal(body.estimate.fare_minor, quote.fare.total_minor);
  }
  const stated = await book(quotes[2], { city: 'newville' });
  t.hasStrict(stated, { status: 400, body: { field: 'city', rule: 'as it was quoted' } });

  t.equal((await rest('DELETE', path, admin.token)).status, 204);
  const refused = await book(quotes[3]);
  t.hasStrict(refused, {
    status: 409,
    body: { code: 'RIDE_QUOTE_EXPIRED', field: 'quote_id', facts: { city: 'oldville' } },
  });
  t.match(refused.body.detail, /no city oldville any more/);
  const contact = { name: 'Ann', phone: '+12025550123' };
  const parcel = { pickup_contact: contact, dropoff_contact: contact, parcel: { description: 'books', weight_g: 900 } };
  const order = { ...journey(from), ...parcel, vehicle_class: 'standard', quote_id: quotes[3].id };
  t.hasStrict(await post('deliveries', rider, order), { status: 409, body: { code: 'RIDE_QUOTE_EXPIRED' } });
});

t.test('a rider who cancels late pays the fee, line by line', async (t) => {
  const ride = await assignedRide(t, s);
  // The free time is nought, but the fee is for more than that.
  await until(async () => {
    const { matched_at: at } = await ride.read();
    return Date.now() - at > 1000;
  }, 'a second after the match');
  t.equal((await post(`trips/${ride.id}/cancel`, ride.rider)).status, 200);
  const { body } = await get(`trips/${ride.id}/fare`, ride.rider);
  t.hasStrict(body, { state: 'final', quoted: false });
  t.same(body.fare, {
    currency: 'USD',
    total_minor: 500,
    lines: [{ kind: 'cancellation', amount_minor: 500 }],
  });
});

t.test('the payment of a ride, for its rider and operators', async (t) => {
  const rider = await member(s, 'rider');
  const waiting = await requestedTrip(s, rider, somewhere());
  t.hasStrict(await get(`trips/${waiting.id}/payment`, rider), { status: 404, body: { field: 'trip_id' } });
  const ride = await assignedRide(t, s);
  const payment = async (who = ride.rider) => get(`trips/${ride.id}/payment`, who);
  await until(async () => (await payment()).body.status === 'held', 'the hold');
  t.hasStrict((await payment()).body, { trip_id: ride.id, rider_id: ride.rider.id, owed_minor: null, attempts: 0 });
  t.equal((await payment(rider)).status, 403, 'another rider');
  t.equal((await payment(ride.driver)).status, 403, 'the driver');
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  await until(async () => (await payment()).body.status === 'settled', 'the end');
  const { body } = await payment(await member(s, 'admin'));
  const { fare, state } = (await get(`trips/${ride.id}/fare`, ride.rider)).body;
  t.same([state, body.owed_minor, body.captured_minor], ['final', fare.total_minor, fare.total_minor]);
  t.same(
    body.events.map(({ type }: { type: string }) => type),
    ['requested', 'held', 'owed', 'captured', 'settled'],
  );
});

t.test('a rider who is declined: the trip is cancelled and nothing is owed', async (t) => {
  const at = somewhere();
  const driver = await lookingDriver(t, s, at);
  const id = `declined-${driver.id}`;
  const rider = { id, token: await s.token('rider', id) };
  const trip = await requestedTrip(s, rider, at);
  const offered = await driver.peer.inbox.find((m) => m.job_offer?.trip_id === trip.id, 'offer');
  const { offer_id: offer } = offered.job_offer;
  t.equal((await rest('POST', `/api/v1/trips/${trip.id}/offers/${offer}/accept`, driver.token)).status, 200);
  await until(async () => (await get(`trips/${trip.id}`, rider)).body.status === 'cancelled', 'the cancellation');
  t.hasStrict((await get(`trips/${trip.id}`, rider)).body, {
    cancel_reason: 'payment_declined',
    cancelled_by: 'system',
  });
  await until(async () => (await get(`trips/${trip.id}/payment`, rider)).body.owed_minor === 0, 'its payment');
  t.hasStrict((await get(`trips/${trip.id}/payment`, rider)).body, { status: 'declined', unpaid_minor: 0 });
});

t.test('surge zones: GeoJSON with its inputs, and the price follows', async (t) => {
  const rider = await member(s, 'rider');
  const crowd = somewhere();
  const quiet = somewhere();
  await lookingDriver(t, s, quiet);
  for (let i = 0; i < 4; i++) await requestedTrip(s, rider, crowd);
  const zones = async () => (await get('surge/zones?city=testville', rider)).body;
  const busy = (f: { properties: { waiting: number } }) => f.properties.waiting >= 4;
  await until(async () => (await zones()).features.some((f: never) => busy(f) && dear(f)), 'a surge');
  const { body: collection, headers } = await get('surge/zones', rider);
  t.equal(headers.get('content-type')?.split(';')[0], 'application/geo+json');
  t.equal(collection.type, 'FeatureCollection');
  const zone = collection.features.find(busy);
  t.hasStrict(zone.properties, { city: 'testville', waiting: 4, lost: 0, drivers: 0, demand: 4, supply: 0 });
  const [ring] = zone.geometry.coordinates;
  t.same(ring[0], ring.at(-1), 'a closed ring');
  const lngs = ring.map(([lng]: [number]) => lng);
  t.ok(Math.min(...lngs) < crowd.lng && Math.max(...lngs) > crowd.lng, 'longitude first, around the place');
  const { body: quote } = await post('quotes', rider, journey(crowd));
  t.ok(quote.surge.multiplier_permille > 1000);
  t.equal(quote.surge.zone, zone.id);
  t.ok(quote.fare.lines.some(({ kind }: { kind: string }) => kind === 'surge'));
  t.same((await get('surge/zones?city=nowhere', rider)).body.features, []);
  t.ok(collection.features.some((f: { properties: { drivers: number } }) => f.properties.drivers === 1));
  const bad = await get('surge/zones?city=No%20Where', rider);
  t.hasStrict(bad, { status: 400, body: { field: 'city' } });
});

t.end();
