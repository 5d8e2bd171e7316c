/** Dispatch over a real store and a real Redis, on one node and on two: races, offers one after another, and what a crash leaves. */
import t, { type Test } from 'tap';
import { RideError } from '../../../src/errors.ts';
import { until } from '../../until.ts';
import { manualClock, near, onDuty, request, type Stack, shared, stack } from '../stack.ts';

const offered = async (s: Stack, tripId: string) => {
  await until(async () => (await s.trips.find(tripId))?.status === 'offered', 'an offer');
  return (await s.trips.find(tripId))!.offer!;
};
const rings = { resolution: 8, radiusM: 5000, enough: 40 };
const code = (reason: unknown): string => (reason as RideError).code;

/** seq counts from 1 without a gap. */
async function checkHistory(t: Test, s: Stack, tripId: string): Promise<void> {
  const trip = (await s.trips.find(tripId))!;
  t.same(
    trip.history.map((event) => event.seq),
    trip.history.map((_, i) => i + 1),
    'no event is missing',
  );
  t.equal(trip.version, trip.history.length, 'one event a version');
}

t.test('many drivers accept at once: the one that was asked wins, on two nodes', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const drivers = Array.from({ length: 50 }, (_, i) => `driver-${i}`);
  for (const [i, id] of drivers.entries()) await onDuty(i % 2 ? a : b, id, 50 + i);
  const trip = await request(a, 'rider');
  const offer = await offered(b, trip.id);
  const answers = await Promise.allSettled(
    drivers.map((id, i) => (i % 2 ? a : b).dispatch.accept(trip.id, offer.id, id)),
  );
  const winners = answers.flatMap((answer, i) => (answer.status === 'fulfilled' ? [drivers[i]] : []));
  t.same(winners, [offer.driverId]);
  const losers = answers.flatMap((answer) => (answer.status === 'rejected' ? [code(answer.reason)] : []));
  t.same(new Set(losers), new Set(['RIDE_OFFER_CLOSED']));
  await Promise.all([a.idle(), b.idle()]);
  const bound = await Promise.all(drivers.map(async (id) => [id, (await a.drivers.get(id))!.activeTripId]));
  t.same(
    bound.filter(([, tripId]) => tripId !== null),
    [[offer.driverId, trip.id]],
    'nobody else is bound',
  );
  await checkHistory(t, a, trip.id);
});

t.test('a driver is found also while nobody knows why the position of another is stale', async (t) => {
  const clock = manualClock();
  let asked = 0;
  const of = () => {
    asked++;
    return Promise.reject(new RideError('RIDE_UNAVAILABLE', 'away'));
  };
  const s = await stack(t, await shared(t, clock), {
    wrapPorts: (ports) => ({ ...ports, telematics: { ...ports.telematics, of } }),
  });
  await onDuty(s, 'stale', 50);
  clock.add(61_000);
  await onDuty(s, 'fresh', 60);
  const { id } = await request(s, 'rider');
  t.equal((await offered(s, id)).driverId, 'fresh');
  t.ok(asked > 0, 'it was asked for');
});

t.test('one driver, two trips, two nodes: he is asked one thing at a time and is on one trip', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  await onDuty(a, 'driver');
  const [one, other] = await Promise.all([request(a, 'rider-1'), request(b, 'rider-2')]);
  const both = async () => [(await a.trips.find(one.id))!, (await a.trips.find(other.id))!];
  await until(async () => (await both()).some((trip) => trip.status === 'offered'), 'an offer of either');
  await Promise.all([a.idle(), b.idle()]);
  t.same((await both()).map((trip) => trip.status).sort(), ['offered', 'requested'], 'one reservation on all nodes');
  // Redis may lose the reservation: the compare-and-set on the driver's document is what decides.
  await a.redis.del('driver:offered:driver');
  const waiting = (await both()).find((trip) => trip.status === 'requested')!;
  t.equal(await b.dispatch.match(waiting.id), 'offered');
  const [first, second] = await both();
  const answers = await Promise.allSettled([
    a.dispatch.accept(first!.id, first!.offer!.id, 'driver'),
    b.dispatch.accept(second!.id, second!.offer!.id, 'driver'),
  ]);
  t.equal(answers.filter((answer) => answer.status === 'fulfilled').length, 1, 'one of the two is his');
  const lost: RideError = answers.find((answer) => answer.status === 'rejected')!.reason;
  t.equal(lost.code, 'RIDE_DRIVER_BUSY');
  const driver = (await b.drivers.get('driver'))!;
  await Promise.all([a.idle(), b.idle()]);
  const winner = (await b.trips.find(driver.activeTripId!))!;
  t.hasStrict(lost.facts, { active_trip_id: winner.id, status: 'offered', version: 2 });
  const loser = winner.id === first!.id ? second! : first!;
  await t.rejects(b.dispatch.accept(loser.id, loser.offer!.id, 'driver'), {
    code: 'RIDE_DRIVER_BUSY',
    facts: { winner_role: 'driver', winner_event: 'assigned', winner_version: winner.version },
  });
  t.equal((await b.trips.find(driver.activeTripId!))!.driverId, 'driver');
});

t.test('cancelled and accepted at once: nobody stays bound to a cancelled trip', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  for (let round = 0; round < 12; round++) {
    const id = `driver-${round}`;
    const driver = await onDuty(a, id);
    const trip = await request(a, 'rider');
    const offer = await offered(a, trip.id);
    const cancel = { type: 'cancel', actorId: 'rider', role: 'rider' } as const;
    await Promise.allSettled([a.dispatch.accept(trip.id, offer.id, id), b.trips.command(trip.id, cancel)]);
    await Promise.all([a.idle(), b.idle()]);
    t.equal((await a.trips.find(trip.id))!.status, 'cancelled');
    t.equal((await a.drivers.get(id))!.activeTripId, null, `round ${round}`);
    await checkHistory(t, a, trip.id);
    await a.drivers.setStatus(driver, 'offline');
  }
});

t.test('an acceptance that is looked at again after the cancellation binds nobody', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'driver');
  const trip = await request(s, 'rider');
  const offer = await offered(s, trip.id);
  const assigned = await s.dispatch.accept(trip.id, offer.id, 'driver');
  await s.idle();
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'rider', role: 'rider' });
  await s.idle();
  t.equal((await s.drivers.get('driver'))!.activeTripId, null);
  // As another node does that read the trip before.
  await s.dispatch.react(assigned, assigned.history.findLast(({ type }) => type === 'assigned')!);
  t.equal((await s.drivers.get('driver'))!.activeTripId, null, 'still free');
});

t.test('declined: the next driver is asked; nobody is asked twice', async (t) => {
  const s = await stack(t, await shared(t));
  for (const [i, id] of ['near', 'middle', 'far'].entries()) await onDuty(s, id, 100 * (i + 1));
  const trip = await request(s, 'rider');
  const asked: string[] = [];
  for (let i = 0; i < 3; i++) {
    const offer = await offered(s, trip.id);
    asked.push(offer.driverId);
    await s.dispatch.decline(trip.id, offer.id, offer.driverId, 'busy');
    await s.idle();
  }
  t.same(asked, ['near', 'middle', 'far']);
  t.equal((await s.trips.find(trip.id))!.status, 'requested');
  t.equal(await s.dispatch.match(trip.id), 'no_driver');
});

t.test('a driver gets the jobs of the class that is stored of him, whatever his sign-in says', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const driver = await onDuty(a, 'driver', 100, { vehicleClass: 'standard' });
  // Set on one node while his positions come to the other.
  await b.drivers.setStatus(driver, 'looking', { vehicleClass: 'xl' });
  await a.locations.update(driver, { ...near(90), recordedAt: a.clock.now(), tripId: '' }, 'stream');
  const standard = await request(a, 'rider-1', { vehicleClass: 'standard' });
  await a.idle();
  t.equal((await a.trips.find(standard.id))!.status, 'requested', 'not those of the class he had');
  const large = await request(a, 'rider-2', { vehicleClass: 'xl' });
  t.equal((await offered(a, large.id)).driverId, 'driver');
  const found = await a.locations.nearby(near(0), 1000, 5, 'xl');
  t.same(
    found.map(({ driverId, vehicleClass }) => [driverId, vehicleClass]),
    [['driver', 'xl']],
    'and is shown as what he drives',
  );
});

t.test('the search goes on behind those who cannot be asked', async (t) => {
  const place = await shared(t);
  await t.test('of another class', async (t) => {
    const s = await stack(t, place, { dispatch: { rings: { ...rings, enough: 4 } } });
    for (let i = 0; i < 9; i++) await onDuty(s, `standard-${i}`, 10 + i);
    await onDuty(s, 'large', 500, { vehicleClass: 'xl' });
    const trip = await request(s, 'rider', { vehicleClass: 'xl' });
    t.equal((await offered(s, trip.id)).driverId, 'large');
    const found = await s.locations.nearby(near(0), 1000, 2, 'xl');
    t.same(
      found.map((driver) => driver.driverId),
      ['large'],
      'nor do they hide him from who looks around',
    );
  });
  await t.test('who have declined', async (t) => {
    const s = await stack(t, await shared(t), { dispatch: { rings: { ...rings, enough: 2 } } });
    for (let i = 0; i < 7; i++) await onDuty(s, `driver-${i}`, 10 + i);
    const trip = await request(s, 'rider');
    for (let i = 0; i < 7; i++) {
      const offer = await offered(s, trip.id);
      t.equal(offer.driverId, `driver-${i}`);
      await s.dispatch.decline(trip.id, offer.id, offer.driverId);
      await s.idle();
    }
  });
  await t.test('who have not been heard of', async (t) => {
    const clock = manualClock();
    const s = await stack(t, await shared(t, clock), { dispatch: { rings: { ...rings, enough: 2 } } });
    for (let i = 0; i < 7; i++) await onDuty(s, `gone-${i}`, 10 + i);
    clock.add(61_000);
    await onDuty(s, 'here', 500);
    t.equal((await offered(s, (await request(s, 'rider')).id)).driverId, 'here');
  });
});

t.test('an offer that nobody answers is closed by its job, and the next driver is asked', async (t) => {
  const s = await stack(t, await shared(t), { dispatch: { offerTtlMs: 300 } });
  await onDuty(s, 'deaf', 100);
  await onDuty(s, 'other', 200);
  const trip = await request(s, 'rider');
  t.equal((await offered(s, trip.id)).driverId, 'deaf');
  await until(async () => (await s.trips.find(trip.id))?.offer?.driverId === 'other', 'the next offer');
  const { history } = (await s.trips.find(trip.id))!;
  t.same(
    history.map((event) => event.type),
    ['requested', 'offered', 'offer_expired', 'offered'],
  );
});

t.test('a driver who cancels is free, and another one is sought', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'first', 100);
  await onDuty(s, 'second', 200);
  const trip = await request(s, 'rider');
  const offer = await offered(s, trip.id);
  await s.dispatch.accept(trip.id, offer.id, 'first');
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'first', role: 'driver' });
  t.equal((await offered(s, trip.id)).driverId, 'second');
  await s.idle();
  t.equal((await s.drivers.get('first'))!.activeTripId, null);
  t.equal((await s.locations.nearby(near(0), 1000, 10)).length, 2, 'both are on duty');
});

t.test('a driver who cancels late: another one is sought for as long as the first was', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { tripRequestTtlMs: 600_000 });
  await onDuty(s, 'first', 100);
  const trip = await request(s, 'rider');
  await s.dispatch.accept(trip.id, (await offered(s, trip.id)).id, 'first');
  await s.idle();
  clock.add(1_200_000);
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'first', role: 'driver' });
  const searchedFrom = clock.now();
  await s.idle();
  t.equal((await s.trips.find(trip.id))!.status, 'requested', 'long after its first deadline');
  clock.add(599_000);
  await onDuty(s, 'second', 200);
  t.equal(await s.dispatch.match(trip.id), 'offered');
  const { offer, matchDeadline } = (await s.trips.find(trip.id))!;
  t.equal(offer!.driverId, 'second');
  t.equal(matchDeadline, searchedFrom + 600_000);
  await s.dispatch.decline(trip.id, offer!.id, 'second');
  clock.add(1000);
  t.equal(await s.dispatch.match(trip.id), 'expired', 'then it is over');
});

t.test('nobody there: the trip expires at its deadline, by its job', async (t) => {
  const s = await stack(t, await shared(t), { dispatch: { retryMs: 200 }, tripRequestTtlMs: 700 });
  const trip = await request(s, 'rider');
  await until(async () => (await s.trips.find(trip.id))?.status === 'expired', 'the end');
  const after = (await s.trips.find(trip.id))!;
  t.ok(after.expiredAt! >= trip.matchDeadline, 'not before its time');
  t.equal(after.cancelReason, 'no_driver_in_time');
});
