/** Every step of a trip by REST, by role and state: the driver's, cancelling, declining; repeats are no errors. */
import t from 'tap';
import { checkedRest } from '../contracts/answers.ts';
import { build, type Rest } from '../helper.ts';
import { assignedRide, lookingDriver, type Member, member, north, offeredRide, type Ride } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t, { env: { MATCH_RETRY: '500ms' } });
const { rest } = checkedRest(s);
const trips = '/api/v1/trips';

const post = (path: string, who: Member, body?: unknown, headers = {}): Promise<Rest> =>
  rest('POST', path, who.token, body, headers);
const get = (path: string, who: Member): Promise<Rest> => rest('GET', path, who.token);

t.test('the driver’s steps: in order, by him, and safe to repeat', async (t) => {
  const ride = await offeredRide(t, s);
  const { driver } = ride;
  const step = (name: string, who: Member = driver) => post(`${trips}/${ride.id}/${name}`, who);
  const accept = () => post(`${trips}/${ride.id}/offers/${ride.offerId}/accept`, driver, {});

  t.equal((await step('arrive')).status, 403, 'not before it is his');
  const answering = (what: string, tag: string) =>
    post(`${trips}/${ride.id}/offers/${ride.offerId}/${what}`, driver, undefined, { 'if-match': tag });
  for (const what of ['accept', 'reject'])
    t.equal((await answering(what, '"99"')).status, 412, `${what} of another version`);
  const tag = (await get(`${trips}/${ride.id}`, driver)).headers.get('etag')!;
  t.hasStrict((await answering('accept', tag)).body, { status: 'assigned' });
  const accepted = await accept();
  t.hasStrict(accepted.body, { status: 'assigned', driver_id: driver.id });
  t.same((await accept()).body, accepted.body, 'accepting again answers the same');
  const early = await step('start');
  t.equal(early.status, 409);
  t.hasStrict(early.body, {
    code: 'RIDE_ILLEGAL_TRANSITION',
    facts: { status: 'assigned', driver_id: driver.id, version: accepted.body.version },
  });
  t.equal((await step('arrive', ride.rider)).status, 403, 'nor by the rider');
  const stamps = ['matched_at'];
  for (const [name, status, stamp] of [
    ['arrive', 'driver_arrived', 'arrived_at'],
    ['start', 'in_progress', 'started_at'],
    ['complete', 'completed', 'completed_at'],
  ] as const) {
    const first = await step(name);
    t.equal(first.status, 200, name);
    t.equal(first.body.status, status);
    stamps.push(stamp);
    for (const one of stamps) t.ok(first.body[one] >= first.body.created_at, `${name}: ${one}`);
    t.same((await step(name)).body, first.body, `${name} again changes nothing`);
  }
  t.equal((await step('arrive')).status, 409, 'back is no way');
  const { body } = await get(`${trips}/${ride.id}/events`, ride.rider);
  const types = ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'completed'];
  t.same(
    body.items.map((event: { type: string }) => event.type),
    types,
  );
  t.same(
    body.items.map((event: { seq: number }) => event.seq),
    [1, 2, 3, 4, 5, 6],
    'without a gap',
  );
  t.equal(new Set(body.items.map((event: { id: string }) => event.id)).size, 6);
  await until(async () => (await get('/api/v1/drivers/me', driver)).body.active_trip_id === null, 'him to be free');
});

/** Brings a new trip to a state. */
async function rideIn(t: Parameters<typeof build>[0], state: string): Promise<Ride & { offerId?: string }> {
  if (state === 'offered') return offeredRide(t, s);
  const ride = await assignedRide(t, s);
  const steps = { assigned: 0, driver_arrived: 1, in_progress: 2, completed: 3 }[state]!;
  for (const name of (['arrive', 'start', 'complete'] as const).slice(0, steps)) await ride.step(name);
  return ride;
}

t.test('cancelling, by role and state', async (t) => {
  const operator = await member(s, 'admin');
  const body = { reason: 'changed my mind' };
  const rules: [state: string, by: 'rider' | 'driver' | 'operator', status: number, then: string][] = [
    ['offered', 'rider', 200, 'cancelled'],
    ['offered', 'driver', 403, 'offered'],
    ['offered', 'operator', 200, 'cancelled'],
    ['assigned', 'rider', 200, 'cancelled'],
    ['assigned', 'driver', 200, 'requested'],
    ['assigned', 'operator', 200, 'cancelled'],
    ['driver_arrived', 'rider', 200, 'cancelled'],
    ['driver_arrived', 'driver', 200, 'requested'],
    ['in_progress', 'rider', 200, 'cancelled'],
    ['in_progress', 'driver', 200, 'cancelled'],
    ['in_progress', 'operator', 200, 'cancelled'],
    ['completed', 'rider', 409, 'completed'],
    ['completed', 'driver', 409, 'completed'],
    ['completed', 'operator', 409, 'completed'],
  ];
  for (const [state, by, status, then] of rules) {
    const what = `${state}, by the ${by}`;
    const ride = await rideIn(t, state);
    const who = by === 'operator' ? operator : ride[by];
    const answer = await post(`${trips}/${ride.id}/cancel`, who, body);
    t.equal(answer.status, status, what);
    t.equal((await ride.read()).status, then, `${what}: then ${then}`);
    if (status !== 200) continue;
    if (then === 'cancelled') {
      t.hasStrict(answer.body, { cancel_reason: body.reason, cancelled_by: who.id }, what);
      t.same((await post(`${trips}/${ride.id}/cancel`, who, body)).body, answer.body, `${what}: a repeat is no error`);
      const other = by === 'rider' ? operator : ride.rider;
      t.equal((await post(`${trips}/${ride.id}/cancel`, other)).status, 409, `${what}: another’s is too late`);
    } else {
      t.equal(answer.body.driver_id, null, `${what}: another driver is sought`);
      t.equal(
        (await post(`${trips}/${ride.id}/cancel`, who)).body.status,
        'requested',
        `${what}: a repeat is no error`,
      );
      t.equal((await get(`${trips}/${ride.id}`, who)).status, 403, `${what}: it is his no longer`);
    }
    if (state !== 'offered') {
      const me = async () => (await get('/api/v1/drivers/me', ride.driver)).body.active_trip_id;
      await until(async () => (await me()) === null, `${what}: the driver to be free`);
    }
  }
  for (const bad of [{ reason: '' }, { reason: 'r'.repeat(201) }, { why: 'x' }, 'text']) {
    const ride = await offeredRide(t, s);
    t.equal((await post(`${trips}/${ride.id}/cancel`, ride.rider, bad)).status, 400, JSON.stringify(bad));
  }
});

t.test('a driver who cancelled or declined is not asked for that trip again', async (t) => {
  const ride = await offeredRide(t, s);
  const reject = () => post(`${trips}/${ride.id}/offers/${ride.offerId}/reject`, ride.driver, { reason: 'too far' });
  t.equal((await reject()).status, 204);
  t.equal((await reject()).status, 204, 'declining again is no error');
  const second = await lookingDriver(t, s, north(ride.at, 500));
  const offered = await second.peer.inbox.find((m) => m.job_offer?.trip_id === ride.id, 'offer to the next');
  const late = await post(`${trips}/${ride.id}/offers/${ride.offerId}/accept`, ride.driver);
  t.equal(late.status, 409);
  t.equal(late.body.code, 'RIDE_OFFER_CLOSED');
  t.hasStrict(late.body.facts, { status: 'offered', driver_id: null }, 'who lost learns how things stand');
  const path = `${trips}/${ride.id}/offers/${offered.job_offer.offer_id}/accept`;
  t.equal((await post(path, second)).status, 200);
  const lost = await post(path, ride.driver);
  const { version } = (await get(`${trips}/${ride.id}`, ride.rider)).body;
  const winner = { winner_role: 'driver', winner_event: 'assigned', winner_version: version };
  t.hasStrict(lost.body.facts, { status: 'assigned', version, driver_id: second.id, ...winner }, 'and who was faster');
  t.equal((await post(`${trips}/${ride.id}/cancel`, second)).body.status, 'requested');
  const { body } = await get(`${trips}/${ride.id}/events`, ride.rider);
  const drivers = body.items
    .filter((event: { type: string }) => event.type === 'offered')
    .map((event: { driver_id: string }) => event.driver_id);
  t.same(drivers, [ride.driver.id, second.id], 'each was asked once');
});

t.test('a driver on a trip takes no other', async (t) => {
  const ride = await assignedRide(t, s);
  const other = await offeredRide(t, s);
  const path = `${trips}/${other.id}/offers/${other.offerId}/accept`;
  const busy = await post(path, ride.driver);
  t.equal(busy.status, 409);
  t.hasStrict(busy.body, { code: 'RIDE_DRIVER_BUSY', facts: { active_trip_id: ride.id } });
});

t.end();
