/** The trips' routes: requests, idempotency, versions, pages and filters. The steps of a trip are in trip-steps.test.ts. */
import t from 'tap';
import { checkedRest } from '../contracts/answers.ts';
import { beside, build, type Rest } from '../helper.ts';
import { assignedRide, type Member, member, north, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t);
const { rest } = checkedRest(s);
const trips = '/api/v1/trips';

const post = (path: string, who: Member, body?: unknown, headers = {}): Promise<Rest> =>
  rest('POST', path, who.token, body, headers);
const get = (path: string, who: Member): Promise<Rest> => rest('GET', path, who.token);

const journey = (from = somewhere()) => ({ pickup: from, dropoff: north(from, 2500) });

t.test('a request answers with the whole trip, its place and its version', async (t) => {
  const rider = await member(s, 'rider', { city: 'elsewhere' });
  const body = { ...journey(), vehicle_class: 'xl', note: 'two bags', city: 'springfield' };
  const before = Date.now();
  const { status, headers, body: trip } = await post(trips, rider, body);
  t.equal(status, 201);
  t.equal(headers.get('location'), `${trips}/${trip.id}`);
  t.equal(headers.get('etag'), `"${trip.version}"`);
  t.match(trip.id, /^trip_test_[0-9a-hjkmnp-tv-z]{26}$/);
  t.hasStrict(trip, {
    kind: 'ride',
    status: 'requested',
    version: 1,
    event_seq: 1,
    rider_id: rider.id,
    driver_id: null,
    vehicle_class: 'xl',
    city: 'springfield',
    region: 'test',
    pickup: body.pickup,
    dropoff: body.dropoff,
    note: 'two bags',
    estimate: { currency: 'USD' },
  });
  t.ok(trip.created_at >= before && trip.created_at <= Date.now());
  t.ok(Math.abs(trip.estimate.distance_m - 2500 * 1.35) < 10, 'metres by road');
  t.ok(trip.estimate.duration_s > 0 && Number.isInteger(trip.estimate.fare_minor));
  t.same((await get(`${trips}/${trip.id}`, rider)).body, trip, 'and reads the same');
  const plain = (await post(trips, rider, journey())).body;
  t.hasStrict(plain, { vehicle_class: 'standard', city: 'elsewhere' }, 'what is left out comes from the caller');
});

t.test('who may request for whom', async (t) => {
  const rider = await member(s, 'rider');
  const other = await member(s, 'rider');
  t.equal((await post(trips, rider, { ...journey(), rider_id: rider.id })).status, 201, 'a rider for himself');
  const foreign = await post(trips, rider, { ...journey(), rider_id: other.id });
  t.equal(foreign.status, 403);
  t.hasStrict(foreign.body, { field: 'rider_id', rule: 'the id of the caller' });
  for (const role of ['service', 'admin', 'dispatcher']) {
    const answer = await post(trips, await member(s, role), { ...journey(), rider_id: other.id });
    t.equal(answer.status, 201, `a ${role} for a rider`);
    t.equal(answer.body.rider_id, other.id);
  }
  t.equal((await get(trips, other)).body.items.length, 3, 'and they are his');
});

t.test('idempotency: the same key and body make one trip, whoever is first', async (t) => {
  const rider = await member(s, 'rider');
  const key = { 'idempotency-key': 'order-1' };
  const body = journey();
  const answers = await Promise.all(Array.from({ length: 12 }, () => post(trips, rider, body, key)));
  const ids = new Set(answers.map((answer) => answer.body.id));
  t.equal(ids.size, 1, 'twelve at once');
  t.equal(answers.filter((answer) => answer.status === 201).length, 1, 'one of them made it');
  t.equal(answers.filter((answer) => answer.status === 200).length, 11);
  const again = await post(trips, rider, body, key);
  t.equal(again.status, 200, 'and later');
  t.equal(again.body.id, answers[0]!.body.id);
  t.equal((await get(trips, rider)).body.items.length, 1);

  const mismatch = await post(trips, rider, { ...body, note: 'another' }, key);
  t.equal(mismatch.status, 422);
  t.hasStrict(mismatch.body, { code: 'RIDE_IDEMPOTENCY_MISMATCH', field: 'Idempotency-Key' });
  const other = await member(s, 'rider');
  t.equal((await post(trips, other, body, key)).status, 201, 'a key is its caller’s own');
  t.equal((await post(trips, rider, body)).status, 201, 'without a key each request is a new one');
  const long = await post(trips, rider, body, { 'idempotency-key': 'k'.repeat(129) });
  t.equal(long.status, 400);
  t.equal(long.body.field, 'idempotency-key');
  t.equal((await post(trips, rider, body, { 'idempotency-key': 'k'.repeat(128) })).status, 201);
});

t.test('idempotency over two nodes', async (t) => {
  const second = await build(t, { env: beside(s) });
  const rider = await member(s, 'rider');
  const body = journey();
  const both = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      (n % 2 ? s : second).rest('POST', trips, rider.token, body, { 'idempotency-key': 'two-nodes' }),
    ),
  );
  t.equal(new Set(both.map((answer) => answer.body.id)).size, 1);
  t.equal(both.filter((answer) => answer.status === 201).length, 1);
});

t.test('a version that is not the current one changes nothing', async (t) => {
  const ride = await assignedRide(t, s);
  const { version } = await ride.read();
  const arrive = (tag: string) => post(`${trips}/${ride.id}/arrive`, ride.driver, undefined, { 'if-match': tag });
  const old = await arrive(`"${version - 1}"`);
  t.equal(old.status, 412);
  t.hasStrict(old.body, {
    code: 'RIDE_PRECONDITION_FAILED',
    field: 'If-Match',
    rule: 'the current version',
    facts: { version, status: 'assigned' },
  });
  for (const tag of ['3', '"x"', '""', 'W/"3"']) t.equal((await arrive(tag)).status, 400, `${tag} is no version`);
  t.equal((await ride.read()).version, version);
  const done = await arrive(`"${version}"`);
  t.equal(done.status, 200);
  t.equal(done.headers.get('etag'), `"${version + 1}"`);
  const cancel = await post(`${trips}/${ride.id}/cancel`, ride.rider, {}, { 'if-match': `"${version}"` });
  t.equal(cancel.status, 412, 'the rider decided on what was before');
});

t.test('pages: all of it once, in order, whatever is added meanwhile', async (t) => {
  const rider = await member(s, 'rider');
  const made: string[] = [];
  for (let n = 0; n < 7; n++) made.push((await requestedTrip(s, rider, somewhere())).id);
  const pageThrough = async (query: string): Promise<string[]> => {
    const ids: string[] = [];
    let token = '';
    for (;;) {
      const { body } = await get(`${trips}?page_size=3${query}${token}`, rider);
      t.ok(body.items.length <= 3);
      ids.push(...body.items.map((trip: { id: string }) => trip.id));
      if (body.next_page_token === undefined) return ids;
      // A new one at the newest end does not disturb the rest.
      if (ids.length === 3 && query === '') made.push((await requestedTrip(s, rider, somewhere())).id);
      token = `&page_token=${encodeURIComponent(body.next_page_token)}`;
    }
  };
  t.same(await pageThrough(''), made.slice(0, 7).reverse(), 'newest first');
  t.same(await pageThrough('&order=asc'), made, 'oldest first');
  for (const query of ['page_size=0', 'page_size=1001', 'page_size=many', 'page_token=', 'order=random', 'limit=5']) {
    t.equal((await get(`${trips}?${query}`, rider)).status, 400, query);
  }
  const garbage = await get(`${trips}?page_token=garbage`, rider);
  t.equal(garbage.status, 400);
  t.hasStrict(garbage.body, { code: 'RIDE_INVALID_INPUT', field: 'page_token' });
});

t.test('filters, within what the caller may see', async (t) => {
  const city = 'filterville';
  const rider = await member(s, 'rider', { city });
  const operator = await member(s, 'dispatcher');
  const ride = await assignedRide(t, s);
  const open = await requestedTrip(s, rider, somewhere());
  const gone = await requestedTrip(s, rider, somewhere());
  await post(`${trips}/${gone.id}/cancel`, rider);
  const ids = async (query: string, who: Member): Promise<string[]> =>
    (await get(`${trips}?page_size=1000&${query}`, who)).body.items.map((trip: { id: string }) => trip.id).sort();
  t.same(await ids(`city=${city}`, operator), [open.id, gone.id].sort());
  t.same(await ids(`city=${city}&status=cancelled`, operator), [gone.id]);
  t.same(await ids(`rider_id=${rider.id}&status=requested`, operator), [open.id]);
  t.same(await ids(`driver_id=${ride.driver.id}`, operator), [ride.id]);
  t.same(await ids('', ride.driver), [ride.id], 'a driver sees his own');
  t.same(await ids('', ride.rider), [ride.id], 'a rider too');
  t.same(await ids(`rider_id=${rider.id}`, ride.rider), [ride.id], 'whoever he asks for');
  t.ok((await ids('', operator)).length > 3, 'an operator sees all');
});

t.test('searches by when it was requested and where the pick-up is', async (t) => {
  const operator = await member(s, 'dispatcher');
  const rider = await member(s, 'rider');
  const center = somewhere();
  const made: { id: string; created_at: number }[] = [];
  for (const metres of [0, 900, 1800, 2700, 20_000]) {
    const { body } = await post(trips, rider, journey(north(center, metres)));
    made.push(body);
    // So that each is of an instant of its own.
    await until(() => Date.now() > body.created_at, 'the next millisecond');
  }
  const find = async (query: string, who = operator): Promise<number[]> => {
    const { status, body } = await get(`${trips}?page_size=1000&rider_id=${rider.id}&order=asc&${query}`, who);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.items.map(({ id }: { id: string }) => made.findIndex((one) => one.id === id));
  };
  const at = (i: number) => made[i]!.created_at;
  t.same(await find(`from=${at(1)}`), [1, 2, 3, 4], 'from it on');
  t.same(await find(`before=${at(1)}`), [0], 'before it, not at it');
  t.same(await find(`from=${at(1)}&before=${at(3)}`, rider), [1, 2]);
  const around = `lat=${center.lat}&lng=${center.lng}`;
  t.same(await find(`${around}&radius_m=1000`), [0, 1]);
  t.same(await find(around), [0, 1, 2], 'within 2 km, if not said otherwise');
  t.same(await find(`${around}&radius_m=50000`), [0, 1, 2, 3, 4]);
  t.same(await find(`${around}&radius_m=3000&from=${at(1)}&before=${at(4)}&kind=ride`), [1, 2, 3]);
  t.same(await find(`${around}&status=completed`), []);
  t.same(await find(`${around}&kind=delivery`), []);
  t.same(await find(around, await member(s, 'rider')), [], 'and of nobody else');

  const walked: string[] = [];
  for (let token = '', pages = 0; pages < 20; pages++) {
    const { body } = await get(`${trips}?page_size=2&${around}&radius_m=3000&order=asc${token}`, rider);
    walked.push(...body.items.map(({ id }: { id: string }) => id));
    if (body.next_page_token === undefined) break;
    token = `&page_token=${encodeURIComponent(body.next_page_token)}`;
  }
  t.same(
    walked,
    made.slice(0, 4).map(({ id }) => id),
    'page by page, every one once',
  );
  for (const [query, field, rule] of [
    ['lat=1', 'lng', 'given'],
    ['lng=1', 'lat', 'given'],
    ['radius_m=500', 'lat', 'given'],
    ['from=5&before=5', 'before', 'later than from'],
    ['lat=91&lng=1', 'lat', undefined],
    ['lat=1&lng=1&radius_m=50001', 'radius_m', undefined],
    ['from=noon', 'from', undefined],
    ['before=-1', 'before', undefined],
  ] as const)
    for (const path of [trips, '/api/v1/deliveries'])
      t.hasStrict(
        await get(`${path}?${query}`, rider),
        { status: 400, body: { field, ...(rule ? { rule } : {}) } },
        `${path}?${query}`,
      );
});

t.test('ids that are none', async (t) => {
  const rider = await member(s, 'rider');
  for (const [path, status] of [
    ['trip_test_01jd0000000000000000000000', 404],
    ['nope', 404],
    ['%00', 404],
    ['..%2f..%2fetc', 404],
    ['x'.repeat(129), 400],
    ['x'.repeat(250), 400],
    ['%zz', 400],
    ['%ff', 400],
  ] as const) {
    for (const read of ['', '/events', '/location']) {
      const answer = await s.rest('GET', `${trips}/${path}${read}`, rider.token);
      t.equal(answer.status, status, `${path.slice(0, 20)}${read}`);
      t.match(answer.headers.get('content-type'), /^application\/problem\+json/);
      t.equal(answer.headers.get('x-correlation-id'), answer.body.corr_id, 'and can be asked about');
    }
  }
});
t.end();
