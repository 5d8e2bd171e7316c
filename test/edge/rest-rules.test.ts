/** Requests that break a rule: each is refused by field and rule in a problem document, and leaves no trace. */
import t from 'tap';
import { build, type Rest } from '../helper.ts';
import { type Member, member, somewhere } from '../scene.ts';
import { nothingWritten } from './streams.ts';

const s = await build(t, { env: { MAX_PAYLOAD_BYTES: '4096', LOCATION_BATCH_MAX: '3' } });

const fix = (more: object) => ({ lat: 1, lng: 2, recorded_at_ms: Date.now(), ...more });

t.test('by field and rule', async (t) => {
  const driver = await member(s, 'driver');
  const rider = await member(s, 'rider');
  const here = { lat: 10, lng: 20 };
  const there = { lat: 10.02, lng: 20 };
  const refused = (answer: Rest, status: number, code: string, field: string, rule: string | RegExp, what: string) => {
    t.equal(answer.status, status, what);
    t.hasStrict(answer.body, { code, field }, what);
    t.match(answer.body.rule, rule, what);
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/, what);
  };
  const trip = (pickup: unknown, more: object = {}) => ({ pickup, dropoff: there, ...more });
  const trips: [name: string, body: unknown, field: string, rule: string | RegExp][] = [
    ['off the earth', trip({ lat: 91, lng: 0 }), 'pickup.lat', '<= 90'],
    ['"NaN"', trip({ lat: 'NaN', lng: 0 }), 'pickup.lat', 'number'],
    ['a number as text', trip({ lat: '10', lng: 0 }), 'pickup.lat', 'number'],
    ['null', trip({ lat: null, lng: 0 }), 'pickup.lat', 'number'],
    ['true', trip({ lat: 1, lng: true }), 'pickup.lng', 'number'],
    ['no longitude', trip({ lat: 1 }), 'pickup.lng', 'given'],
    ['an unknown field', trip(here, { pickup_when: 'noon' }), 'pickup_when', 'left out: there is no such field'],
    ['an unknown class', trip(here, { vehicle_class: 'tank' }), 'vehicle_class', 'one of standard, xl, premium, moto'],
    ['a bad city', trip(here, { city: 'New York' }), 'city', '1 to 32 lower-case letters, digits or hyphens'],
    ['a long note', trip(here, { note: 'n'.repeat(501) }), 'note', /500 characters/],
    ['from here to here', { pickup: here, dropoff: here }, 'dropoff', 'at least 10 m from the pick-up'],
    [
      'around the world',
      { pickup: here, dropoff: { lat: -10, lng: -160 } },
      'dropoff',
      'at most 1000000 m from the pick-up',
    ],
  ];
  for (const [name, body, field, rule] of trips) {
    const answer = await s.rest('POST', '/api/v1/trips', rider.token, body);
    refused(answer, 400, 'RIDE_INVALID_INPUT', field, rule, name);
  }
  const batches: [name: string, updates: unknown[], field: string, rule: string | RegExp][] = [
    ['off the earth', [fix({}), fix({ lng: 181 })], 'updates[1].lng', '<= 180'],
    ['"NaN"', [fix({ lat: 'NaN' })], 'updates[0].lat', 'number'],
    ['a time to come', [fix({ recorded_at_ms: Date.now() + 3_600_000 })], 'updates[0].recorded_at_ms', /ahead/],
    ['too many', [fix({}), fix({}), fix({}), fix({})], 'updates', 'a list of 1 to 3 positions'],
    ['none', [], 'updates', /fewer than 1/],
  ];
  for (const [name, updates, field, rule] of batches) {
    const answer = await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, { updates });
    refused(answer, 400, 'RIDE_INVALID_INPUT', field, rule, name);
  }
  const near = '/api/v1/drivers/nearby';
  for (const [query, field, rule] of [
    ['lat=NaN&lng=0', 'lat', 'number'],
    ['lat=91&lng=0', 'lat', '<= 90'],
    ['lat=1', 'lng', 'given'],
    ['lat=1&lng=1&radius_m=1e9', 'radius_m', '<= 100000'],
    ['lat=1&lng=1&limit=0', 'limit', '>= 1'],
    ['lat=1&lng=1&depth=3', 'depth', 'left out: there is no such field'],
  ] as const) {
    refused(await s.rest('GET', `${near}?${query}`, rider.token), 400, 'RIDE_INVALID_INPUT', field, rule, query);
  }
  const long = trip(here, { note: 'n'.repeat(5000) });
  const large = await s.rest('POST', '/api/v1/trips', rider.token, long);
  refused(large, 413, 'RIDE_PAYLOAD_TOO_LARGE', 'body', 'at most 4096 bytes', 'oversized');
  for (const [who, method, path, body] of [
    [driver, 'POST', '/api/v1/trips', trip(here)],
    [driver, 'GET', `${near}?lat=1&lng=1`, undefined],
    [rider, 'POST', '/api/v1/drivers/me/locations', { updates: [fix({})] }],
    [rider, 'PUT', '/api/v1/drivers/me/status', { status: 'looking' }],
    [rider, 'GET', '/api/v1/drivers/me', undefined],
    [rider, 'POST', '/api/v1/trips/x/arrive', undefined],
    [rider, 'POST', '/api/v1/trips/x/offers/y/accept', undefined],
    [rider, 'GET', '/admin/stats', undefined],
    [driver, 'GET', '/admin/stats', undefined],
  ] as [Member, string, string, unknown][]) {
    const answer = await s.rest(method, path, who.token, body);
    refused(answer, 403, 'RIDE_FORBIDDEN', 'authorization', /^a token of a /, `${who.id}: ${method} ${path}`);
  }
});

t.test('a refused trip leaves its idempotency key free', async (t) => {
  const rider = await member(s, 'rider');
  const key = { 'idempotency-key': 'once' };
  const here = somewhere();
  const refused = await s.rest('POST', '/api/v1/trips', rider.token, { pickup: here, dropoff: here }, key);
  t.equal(refused.status, 400);
  const body = { pickup: here, dropoff: { ...here, lng: here.lng + 0.01 } };
  t.equal((await s.rest('POST', '/api/v1/trips', rider.token, body, key)).status, 201);
});

t.test('an operator names people by the rule of user ids, or nobody could sign in as them', async (t) => {
  const desk = await member(s, 'service');
  const driver = await member(s, 'driver');
  const journey = { pickup: { lat: 10, lng: 20 }, dropoff: { lat: 10.02, lng: 20 } };
  const contact = { name: 'Ada', phone: '+12125550100' };
  const departs = { ...journey, departure_time: Date.now() + 7_200_000, seats: 2, seat_fare_minor: 100 };
  const departure = await s.rest('POST', '/api/v1/departures', driver.token, departs);
  t.equal(departure.status, 201);
  const routes: [path: string, body: object, field: string][] = [
    ['quotes', journey, 'rider_id'],
    ['trips', journey, 'rider_id'],
    [
      'deliveries',
      { ...journey, pickup_contact: contact, dropoff_contact: contact, parcel: { description: 'x', weight_g: 1 } },
      'rider_id',
    ],
    ['departures', departs, 'driver_id'],
    [`departures/${departure.body.id}/bookings`, { seats: 1 }, 'passenger_id'],
  ];
  for (const [path, body, field] of routes) {
    for (const id of ['', 'two words', 'nul\u0000', 'line\n', 'zoë', 'x{y}', '\ud800', 'x'.repeat(181)]) {
      const answer = await s.rest('POST', `/api/v1/${path}`, desk.token, { ...body, [field]: id });
      t.equal(answer.status, 400, `${path} ${JSON.stringify(id)}`);
      t.hasStrict(answer.body, { field, rule: '1 to 180 printable ASCII characters without a space or a brace' });
    }
    const longest = await s.rest('POST', `/api/v1/${path}`, desk.token, { ...body, [field]: 'x'.repeat(180) });
    t.equal(longest.status, 201, `${path}: as long as a token’s`);
  }
});

t.test('nothing of all this was written but the good trips', (t) => nothingWritten(t, s, 3));
t.end();
