/** Any call that changes something may be repeated under its Idempotency-Key; those that make a trip, a seat and the like are with their routes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { createSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { callCollection, createCalls } from '../../src/domain/idempotency/calls.ts';
import { RideError } from '../../src/errors.ts';
import { errorsPlugin } from '../../src/plugins/errors.ts';
import { takesIdempotencyKeys } from '../../src/routes/idempotency.ts';
import { checkedRest } from '../contracts/answers.ts';
import { manualClock } from '../domain/stack.ts';
import { beside, build, type Rest } from '../helper.ts';
import { assignedRide, type Member, member, north, somewhere } from '../scene.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
const s = await build(t, { env: { REDIS_URL: redis.url } });
const { rest } = checkedRest(s);
const api = '/api/v1';
const status = `${api}/drivers/me/status`;
const locations = `${api}/drivers/me/locations`;

const keyed = (key: string) => ({ 'idempotency-key': key });
const put = (who: Member, body: object, key?: string): Promise<Rest> =>
  rest('PUT', status, who.token, body, key ? keyed(key) : {});
const versionOf = ({ headers }: Rest): string | null => headers.get('etag');
const wire = ({ status, headers, body }: Rest) => ({
  status,
  body,
  ...Object.fromEntries(['content-type', 'etag', 'location', 'cache-control'].map((name) => [name, headers.get(name)])),
});

t.test('the same key and body are answered the same, whatever happened since', async (t) => {
  const driver = await member(s, 'driver');
  const looking = await put(driver, { status: 'looking' }, 'on');
  t.equal(looking.status, 200);
  t.ok(versionOf(looking));
  const busy = await put(driver, { status: 'busy' });
  t.same(wire(await put(driver, { status: 'looking' }, 'on')), wire(looking));
  t.equal(versionOf(await rest('GET', `${api}/drivers/me`, driver.token)), versionOf(busy), 'and nothing was done');

  const another = await put(driver, { status: 'offline' }, 'on');
  t.hasStrict(another, { status: 422, body: { code: 'RIDE_IDEMPOTENCY_MISMATCH', field: 'Idempotency-Key' } });
  t.equal((await put(driver, { status: 'offline' }, 'off')).body.status, 'offline', 'another key is another call');
  t.equal((await put(await member(s, 'driver'), { status: 'busy' }, 'on')).body.status, 'busy', 'so is another caller');
  const rider = await s.token('rider', driver.id);
  t.equal((await rest('PUT', status, rider, { status: 'looking' }, keyed('on'))).status, 403, 'or one in another role');
  const at = { ...somewhere(), recorded_at_ms: Date.now() };
  const elsewhere = await rest('POST', locations, driver.token, { updates: [at] }, keyed('on'));
  t.hasStrict(elsewhere, { status: 200, body: { accepted: 1 } }, 'or another route');
  for (const key of ['', 'k'.repeat(129)])
    t.equal((await rest('PUT', status, driver.token, { status: 'busy' }, { 'idempotency-key': key })).status, 400);
});

t.test('what was made is the answer to a repeat, also when its city was drawn anew since', async (t) => {
  const [rider, driver] = [await member(s, 'rider'), await member(s, 'driver')];
  const admin = await member(s, 'admin');
  const at = somewhere();
  const way = { pickup: at, dropoff: north(at, 2000) };
  const edge = (x: number, y: number) => [at.lng + x, at.lat + y];
  const coordinates = [
    [edge(-0.05, -0.05), edge(0.05, -0.05), edge(0.05, 0.05), edge(-0.05, 0.05), edge(-0.05, -0.05)],
  ];
  const draw = { name: 'a city', purpose: 'city', geometry: { type: 'Polygon', coordinates } };
  const city = await rest('POST', '/admin/geofences', admin.token, { ...draw, city: 'oldville' });
  const contact = { name: 'Ann', phone: '+12025550123' };
  const parcel = { pickup_contact: contact, dropoff_contact: contact, parcel: { description: 'books', weight_g: 900 } };
  const seats = { departure_time: Date.now() + 3_600_000, seats: 2, seat_fare_minor: 100 };
  const quote = (await rest('POST', `${api}/quotes`, rider.token, way)).body;
  const wishes = [
    ['trips', rider, { ...way, city: 'oldville' }],
    ['trips', rider, { ...way, quote_id: quote.id }],
    ['deliveries', rider, { ...way, ...parcel, city: 'oldville' }],
    ['departures', driver, { ...way, ...seats, city: 'oldville' }],
  ] as const;
  const post = (n: number, key: string, more: object = {}) => {
    const [path, who, body] = wishes[n]!;
    return rest('POST', `${api}/${path}`, who.token, { ...body, ...more }, keyed(key));
  };
  const made = await Promise.all(wishes.map((_, n) => post(n, `city-${n}`)));
  t.same(
    made.map(({ status }) => status),
    [201, 201, 201, 201],
  );
  const path = city.headers.get('location')!;
  t.equal((await rest('PUT', path, admin.token, { ...draw, city: 'newville' })).status, 200);
  for (const [n, [kind]] of wishes.entries()) {
    t.hasStrict(await post(n, `city-${n}`), { status: 200, body: { id: made[n]!.body.id } }, `${kind} ${n}`);
    const { status, body } = await post(n, `later-${n}`);
    // A quote would hold in its city, were that drawn anywhere.
    const refusal = n === 1 ? [409, 'RIDE_QUOTE_EXPIRED'] : [400, 'RIDE_INVALID_INPUT'];
    t.hasStrict([status, body.code], refusal, `${kind} ${n}: what is asked now is refused`);
    const other = await post(n, `city-${n}`, { note: 'another' });
    t.equal(other.status, 422, `${kind} ${n}: of another body the key says so first`);
  }
});

t.test('also while the first is under way, on whichever node', async (t) => {
  const second = await build(t, { env: beside(s) });
  const driver = await member(s, 'driver');
  const body = { updates: [{ ...somewhere(), recorded_at_ms: Date.now() }] };
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      (n % 2 ? s : second).rest('POST', locations, driver.token, body, keyed('together')),
    ),
  );
  t.hasStrict(answers[0], { status: 200, body: { accepted: 1 } });
  for (const answer of answers) t.same(wire(answer), wire(answers[0]!), 'down to the millisecond');
  const toldAt = answers[0]!.body.server_time_ms;
  await until(() => Date.now() > toldAt, 'another millisecond');
  t.ok((await rest('POST', locations, driver.token, body)).body.server_time_ms > toldAt, 'unlike a call of its own');
});

t.test('what was refused, or failed, may be asked again with its key', async (t) => {
  const ride = await assignedRide(t, s);
  const step = (name: string) =>
    rest('POST', `${api}/trips/${ride.id}/${name}`, ride.driver.token, undefined, keyed(name));
  t.equal((await step('start')).status, 409);
  t.equal((await step('arrive')).status, 200);
  const started = await step('start');
  t.equal(started.body.status, 'in_progress');
  t.same(wire(await step('start')), wire(started));
  await ride.step('complete');
  t.same(wire(await step('start')), wire(started), 'as it was answered, not as it is now');

  const operator = connectRedis({ url: redis.url }, () => {});
  t.after(() => operator.disconnect());
  const driver = await member(s, 'driver');
  const body = { updates: [{ ...somewhere(), recorded_at_ms: Date.now() }] };
  const send = (more = body) => rest('POST', locations, driver.token, more, keyed('later'));
  await operator.config('SET', 'maxmemory', '1');
  t.equal((await send()).status, 503);
  await operator.config('SET', 'maxmemory', '0');
  const taken = await send();
  t.hasStrict(taken, { status: 200, body: { accepted: 1 } });
  t.same(wire(await send()), wire(taken));
  t.equal((await send({ updates: [] })).status, 400, 'what is no request is not looked up');
});

t.test('answers without a body, of any type, and those that nobody may keep', async (t) => {
  const admin = await member(s, 'admin');
  const { lat, lng } = somewhere();
  const corner = [
    [lng, lat],
    [lng + 0.01, lat],
    [lng, lat + 0.01],
    [lng, lat],
  ];
  const fence = { name: 'corner', city: 'testville', geometry: { type: 'Polygon', coordinates: [corner] } };
  const path = (await rest('POST', '/admin/geofences', admin.token, fence)).headers.get('location')!;
  const redraw = () => rest('PUT', path, admin.token, { ...fence, name: 'round' }, keyed('redraw'));
  const drawn = await redraw();
  t.equal(drawn.body.properties.version, 2);
  t.same(wire(await redraw()), wire(drawn));
  const remove = (headers = {}) => rest('DELETE', path, admin.token, undefined, headers);
  t.hasStrict(await remove(keyed('gone')), { status: 204, body: '' });
  t.hasStrict(await remove(keyed('gone')), { status: 204, body: '' });
  t.equal((await remove()).status, 404, 'as it is for who does not say that he repeats it');

  const rider = await member(s, 'rider');
  const here = somewhere();
  const journey = { pickup: here, dropoff: north(here, 2000) };
  const ask = (key: string) => rest('POST', `${api}/quotes`, rider.token, journey, keyed(key));
  const quote = await ask('price');
  t.equal(quote.headers.get('cache-control'), 'no-store');
  t.same(wire(await ask('price')), wire(quote));
  t.not((await ask('another')).body.id, quote.body.id);
});

t.test('a call for help is taken at once, whatever its key was used for', async (t) => {
  const ride = await assignedRide(t, s);
  const path = `${api}/trips/${ride.id}/check-in`;
  const answer = (is_safe: boolean, more = {}) =>
    rest('POST', `${path}/answer`, ride.rider.token, { round: 0, is_safe }, { ...keyed('one'), ...more });
  t.equal((await answer(true)).status, 404, 'nothing is asked');
  const help = await answer(false, { 'if-match': '"7"' });
  t.hasStrict(help, { status: 200, body: { status: 'escalated' } });
  await until(async () => (await rest('GET', path, ride.rider.token)).body.alert_id, 'its SOS');
  const asked = await rest('GET', path, ride.rider.token);
  t.hasStrict(
    (await answer(false)).body,
    { alert_id: asked.body.alert_id },
    'and a repeat is the same alert, as it is now',
  );
  t.ok(versionOf(asked));
});

t.test('a change of something that has changed is refused, where a version is named', async (t) => {
  const driver = await member(s, 'driver');
  const first = await rest('GET', `${api}/drivers/me`, driver.token);
  const change = (to: string, tag: string) => rest('PUT', status, driver.token, { status: to }, { 'if-match': tag });
  const looking = await change('looking', versionOf(first)!);
  t.equal(looking.status, 200);
  const late = await change('busy', versionOf(first)!);
  t.hasStrict(late.body, { code: 'RIDE_PRECONDITION_FAILED', field: 'If-Match', facts: { status: 'looking' } });
  t.equal(late.status, 412);
  const tag = versionOf(looking)!;
  const race = await Promise.all(['busy', 'offline', 'busy', 'offline'].map((to) => change(to, tag)));
  t.same(race.map((one) => one.status).sort(), [200, 412, 412, 412], 'of several at once one is in time');
  t.equal((await change('looking', 'W/"1"')).status, 400);
});

/** A scope with one route that counts its calls, over a store of its own that can be made to fail. */
async function counter(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-keys-'));
  const store = createSqliteStore({ file: join(folder, 'ride.sqlite') });
  const records = store.collection(callCollection);
  await store.open();
  const clock = manualClock();
  const failing = { isAway: false };
  const collection: typeof records = {
    ...records,
    compareAndSet: async (...change) => {
      if (failing.isAway)
        throw new RideError('RIDE_UNAVAILABLE', 'The store cannot be reached', { retryAfterMs: 1000 });
      return records.compareAndSet(...change);
    },
  };
  const app = Fastify();
  await app.register(errorsPlugin, { payUnfound: async () => {} });
  app.decorateRequest('principal');
  app.addHook('onRequest', async (request) => {
    request.principal = { userId: 'somebody', role: 'rider' } as typeof request.principal;
  });
  takesIdempotencyKeys(app, createCalls(collection, clock, 'test', { repeated() {} }));
  let calls = 0;
  app.put('/thing', async (_request, reply) => {
    calls++;
    return reply.header('etag', `"${calls}"`).send({ calls });
  });
  t.after(async () => {
    await app.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const call = (headers = {}) => app.inject({ method: 'PUT', url: '/thing', headers, payload: {} });
  return { call, clock, failing, records, calls: () => calls };
}

t.test('an answer that cannot be written down is not given: nobody would hear the same again', async (t) => {
  const { call, clock, failing, calls } = await counter(t);
  failing.isAway = true;
  const lost = await call(keyed('k'));
  t.equal(lost.statusCode, 503);
  t.equal(lost.json().code, 'RIDE_UNAVAILABLE');
  t.equal(lost.headers.etag, undefined);
  t.match(lost.headers['content-type'], /problem\+json/);
  failing.isAway = false;
  clock.add(10_000);
  const done = await call(keyed('k'));
  t.same([done.statusCode, done.json(), done.headers.etag], [200, { calls: 2 }, '"2"']);
  const again = await call(keyed('k'));
  t.same([again.statusCode, again.json(), again.headers.etag], [200, { calls: 2 }, '"2"']);
  t.equal(calls(), 2);
});

t.test('without the header nothing is written down', async (t) => {
  const { call, records, calls } = await counter(t);
  await call();
  await call();
  t.equal(calls(), 2);
  t.equal(await records.count({}), 0);
  await call(keyed('k'));
  t.equal(await records.count({}), 1);
});

t.end();
