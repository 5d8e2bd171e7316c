/** The drivers' routes: duty, positions in batches, and who is near. */
import t from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { beside, build, type Rest, type TestServer } from '../helper.ts';
import { assignedRide, locate, lookingDriver, type Member, member, north, type Place, somewhere } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t, { env: { LOCATION_BATCH_MAX: '5' } });
const shared = beside(s);
const { rest } = checkedRest(s);
const me = '/api/v1/drivers/me';

const put = (who: Member, body: object): Promise<Rest> => rest('PUT', `${me}/status`, who.token, body);
const send = (who: Member, updates: object[]): Promise<Rest> => rest('POST', `${me}/locations`, who.token, { updates });
const at = (place: Place, recorded_at_ms = Date.now(), more = {}) => ({ ...place, recorded_at_ms, ...more });

async function near(place: Place, query = '', node: TestServer = s): Promise<Message[]> {
  const rider = await member(s, 'rider');
  const path = `/api/v1/drivers/nearby?lat=${place.lat}&lng=${place.lng}${query}`;
  const { status, body } = await node.rest('GET', path, rider.token);
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.items;
}
const idsNear = async (...args: Parameters<typeof near>): Promise<string[]> =>
  (await near(...args)).map(({ driver_id }) => driver_id);

t.test('a driver is there from his first question on, and is what he said last', async (t) => {
  const driver = await member(s, 'driver', { vehicle_class: 'moto', city: 'springfield' });
  const first = (await rest('GET', me, driver.token)).body;
  t.hasStrict(first, {
    id: driver.id,
    status: 'offline',
    city: 'springfield',
    vehicle_class: 'moto',
    active_trip_id: null,
    version: 1,
  });
  t.same((await rest('GET', me, driver.token)).body, first, 'asking changes nothing');
  const looking = await put(driver, { status: 'looking' });
  t.hasStrict(looking.body, { status: 'looking', vehicle_class: 'moto', city: 'springfield', version: 2 });
  const busy = await put(driver, { status: 'busy', vehicle_class: 'xl', city: 'shelbyville' });
  t.hasStrict(busy.body, { status: 'busy', vehicle_class: 'xl', city: 'shelbyville' });
  t.same((await rest('GET', me, driver.token)).body, busy.body);
  for (const [body, field] of [
    [{ status: 'asleep' }, 'status'],
    [{}, 'status'],
    [{ status: 'looking', vehicle_class: 'tank' }, 'vehicle_class'],
    [{ status: 'looking', city: 'Not A Slug' }, 'city'],
    [{ status: 'looking', rating: 5 }, 'rating'],
  ] as const) {
    const answer = await put(driver, body);
    t.equal(answer.status, 400, JSON.stringify(body));
    t.equal(answer.body.field, field);
  }
  t.same((await rest('GET', me, driver.token)).body, busy.body, 'what was refused changed nothing');
});

t.test('a batch is taken whole or not at all', async (t) => {
  const driver = await member(s, 'driver');
  const here = somewhere();
  await put(driver, { status: 'looking' });
  const now = Date.now();
  const refusals: [object[], string][] = [
    [[at(here), at({ ...here, lat: 90.5 })], 'updates[1].lat'],
    [[at(here), at(here, now + 600_000)], 'updates[1].recorded_at_ms'],
    [[at(here), at(here, 0)], 'updates[1].recorded_at_ms'],
    [[at(here), at(here, now, { speed_mps: 151 })], 'updates[1].speed_mps'],
    [[at(here), at(here, now, { trip_id: 'nope' })], 'updates[1].trip_id'],
    [[at(here), at(here, now, { altitude_m: 3 })], 'updates[1].altitude_m'],
    [[at(here), {}], 'updates[1].lat'],
    [Array.from({ length: 6 }, () => at(here)), 'updates'],
    [[], 'updates'],
  ];
  for (const [updates, field] of refusals) {
    const answer = await send(driver, updates);
    t.ok(answer.status === 400 || answer.status === 404, field);
    t.equal(answer.body.field, field);
    t.same(await idsNear(here), [], `${field}: nothing of it is there`);
  }
  const taken = await send(driver, [at(north(here, 10), now - 2), at(north(here, 20), now - 1), at(here, now)]);
  t.hasStrict(taken.body, { accepted: 3, late: 0 });
  t.ok(Math.abs(taken.body.server_time_ms - Date.now()) < 5000);
  await until(async () => (await idsNear(here)).includes(driver.id), 'him to be seen');
});

t.test('what is older than what is there is late, on every node', async (t) => {
  const second = await build(t, { env: shared });
  const ride = await assignedRide(t, s);
  const now = Date.now();
  const trip = { trip_id: ride.id };
  const newest = north(ride.at, 300);
  t.hasStrict((await send(ride.driver, [at(newest, now, trip)])).body, { accepted: 1, late: 0 });
  const where = async (node: TestServer): Promise<Place> =>
    (await node.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token)).body;
  t.hasStrict(await where(second), { ...newest, driver_id: ride.driver.id, source: 'rest' }, 'readable on the other');
  const sendTo = (node: TestServer, updates: object[]) =>
    node.rest('POST', `${me}/locations`, ride.driver.token, { updates });
  const late = await sendTo(second, [at(north(ride.at, 10), now - 1000, trip), at(north(ride.at, 20), now - 1, trip)]);
  t.hasStrict(late.body, { accepted: 0, late: 2 }, 'the other node refuses what is older');
  t.hasStrict(await where(s), newest);
  const mixed = await sendTo(second, [at(ride.at, now - 5, trip), at(north(ride.at, 400), now + 5, trip)]);
  t.hasStrict(mixed.body, { accepted: 1, late: 1 });
  t.hasStrict(await where(s), north(ride.at, 400));
  const stream = await connect(t, second.at, 'grpc', ride.driver.token);
  const answer = await stream.ask({ location_update: at(ride.at, now - 3, trip) });
  t.equal(answer.ack.late, 1, 'by stream as by REST');
});

t.test('nearby: nearest first, within the radius, as many as were asked for', async (t) => {
  const here = somewhere();
  const drivers: Member[] = [];
  for (const metres of [2500, 500, 1500]) drivers.push(await lookingDriver(t, s, north(here, metres)));
  const [far, close, middle] = drivers as [Member, Member, Member];
  await until(async () => (await idsNear(here)).length === 3, 'three drivers');
  const found = await near(here);
  t.same(
    found.map(({ driver_id }) => driver_id),
    [close.id, middle.id, far.id],
  );
  for (const [index, metres] of [500, 1500, 2500].entries()) {
    const one = found[index]!;
    t.ok(Math.abs(one.distance_m - metres) < 10, `${metres} m: ${one.distance_m}`);
    t.ok(one.eta_s > 0 && one.age_ms >= 0 && one.stale === false && one.source === 'rest');
    t.equal(one.eta_source, 'straight_line');
  }
  t.same(await idsNear(here, '&limit=2'), [close.id, middle.id], 'limit');
  t.same(await idsNear(here, '&radius_m=1000'), [close.id], 'radius');
  t.same(await idsNear(north(here, 50_000)), [], 'elsewhere');
});

t.test('nearby: only who is available, fresh and of the class', async (t) => {
  const here = somewhere();
  const [idle, xl, offline, busy, stale] = await Promise.all([
    lookingDriver(t, s, here),
    member(s, 'driver', { vehicle_class: 'xl' }),
    member(s, 'driver'),
    member(s, 'driver'),
    member(s, 'driver'),
  ]);
  for (const one of [xl, offline, busy, stale]) {
    await locate(s, one, here, one === stale ? Date.now() - 61_000 : Date.now());
    await put(one, { status: 'looking' });
  }
  await put(offline, { status: 'offline' });
  await put(busy, { status: 'busy' });
  const fresh = async (): Promise<string[]> => {
    for (const one of [idle, xl, offline, busy]) await locate(s, one, here);
    return (await idsNear(here)).sort();
  };
  t.same(await fresh(), [idle.id, xl.id].sort(), 'neither who is off duty nor who is stale');
  t.same(await idsNear(here, '&vehicle_class=xl'), [xl.id], 'by class');
  t.same(await idsNear(here, '&vehicle_class=moto'), []);
  await put(offline, { status: 'looking' });
  await until(async () => (await fresh()).includes(offline.id), 'who is on duty again');
  const strict = await build(t, { env: { ...shared, LOCATION_FRESHNESS: '1s' } });
  await until(
    async () => !(await idsNear(here, '', strict)).includes(idle.id),
    'who says nothing for LOCATION_FRESHNESS to fade',
  );
});

t.test('nearby: who has a trip is not available, and is again after it', async (t) => {
  const ride = await assignedRide(t, s);
  const here = north(ride.at, 100);
  await locate(s, ride.driver, here);
  t.same(await idsNear(here), []);
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  await until(async () => {
    await locate(s, ride.driver, here);
    return (await idsNear(here)).includes(ride.driver.id);
  }, 'him to be available again');
});

t.end();
