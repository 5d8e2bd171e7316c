/** Dispatch by setting, over a real store and a real Redis: broadcasts, windows, rides for later, and the log of decisions. */
import t from 'tap';
import { decide } from '../../../src/domain/dispatch/rules.ts';
import type { RideError } from '../../../src/errors.ts';
import { until } from '../../until.ts';
import { manualClock, near, onDuty, request, type Stack, shared, stack } from '../stack.ts';

const decision = {
  freshnessMs: 60_000,
  maxEtaS: 3600,
  offers: 1,
  weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
  maxSteps: 1e9,
};
const broadcast = { dispatch: { decision: { ...decision, offers: 3 } } };
const offered = async (s: Stack, tripId: string) => {
  await until(async () => (await s.trips.find(tripId))?.status === 'offered', 'an offer');
  return (await s.trips.find(tripId))!.offer!;
};
const code = (reason: unknown): string => (reason as RideError).code;

t.test('a broadcast: the first to accept has it, on two nodes; the others are told who won and are free', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place, broadcast), await stack(t, place, broadcast)];
  const names = ['one', 'two', 'three', 'four'];
  for (const [i, id] of names.entries()) await onDuty(a, id, 100 * (i + 1));
  const trip = await request(a, 'rider');
  const offer = await offered(b, trip.id);
  const asked = [offer.driverId, ...offer.others!.map(({ driverId }) => driverId)];
  t.same(asked, ['one', 'two', 'three'], 'the three cheapest');
  const answers = await Promise.allSettled(
    asked.map((id, i) => (i % 2 ? a : b).dispatch.accept(trip.id, offer.id, id)),
  );
  t.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1);
  const now = (await a.trips.find(trip.id))!;
  for (const answer of answers) {
    if (answer.status === 'fulfilled') continue;
    t.equal(code(answer.reason), 'RIDE_OFFER_CLOSED');
    t.equal((answer.reason as RideError).facts?.driver_id, now.driverId, 'who won');
  }
  await Promise.all([a.idle(), b.idle()]);
  const losers = asked.filter((id) => id !== now.driverId);
  for (const id of losers) {
    t.equal((await a.drivers.get(id))!.activeTripId, null);
    t.equal(await a.redis.exists(`driver:offered:${id}`), 0, `${id} may be asked again`);
  }
  t.same(
    now.history.map(({ type }) => type),
    ['requested', 'offered', 'offer_withdrawn', 'offer_withdrawn', 'assigned'],
  );
  // Who only was too slow is asked again when the winner gives up.
  await a.trips.command(trip.id, { type: 'cancel', actorId: now.driverId!, role: 'driver' });
  const again = await offered(a, trip.id);
  t.notOk([again.driverId, ...(again.others ?? []).map((o) => o.driverId)].includes(now.driverId!));
  t.ok(losers.includes(again.driverId));
});

t.test('a broadcast: who declines is out, the others may still accept; silence is a no of each', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), broadcast);
  for (const [i, id] of ['one', 'two', 'three'].entries()) await onDuty(s, id, 100 * (i + 1));
  const trip = await request(s, 'rider');
  const offer = await offered(s, trip.id);
  await s.dispatch.decline(trip.id, offer.id, 'one');
  await s.idle();
  const left = (await s.trips.find(trip.id))!;
  t.equal(left.status, 'offered');
  t.equal(left.offer!.driverId, 'two');
  t.same(left.excludedDriverIds, ['one']);
  await t.rejects(s.dispatch.accept(trip.id, offer.id, 'one'), { code: 'RIDE_OFFER_CLOSED' });
  clock.add(20_000);
  await s.dispatch.expireOffer(trip.id, offer.id);
  await s.idle();
  const after = (await s.trips.find(trip.id))!;
  t.same(after.excludedDriverIds.toSorted(), ['one', 'three', 'two']);
  t.equal(after.status, 'requested');
  const answers = await Promise.all(['one', 'two', 'three'].map(async (id) => (await s.drivers.get(id))!.answers));
  t.same(answers, Array(3).fill([{ offerId: offer.id, accepted: false }]));
});

t.test(
  'a window: trips of two nodes are decided together, better than one by one, and nobody is asked twice',
  async (t) => {
    const place = await shared(t);
    const windowed = { dispatch: { windowMs: 400, retryMs: 400 } };
    const [a, b] = [await stack(t, place, windowed), await stack(t, place, windowed)];
    await onDuty(a, 'left', 0);
    await onDuty(b, 'middle', 1000);
    // By itself the first would take the one in the middle, and leave the long way to the other.
    const first = await request(a, 'rider-1', { pickup: near(600) });
    const second = await request(b, 'rider-2', { pickup: near(2000) });
    await until(async () => {
      const both = await a.trips.findMany([first.id, second.id]);
      return both.every(({ status }) => status === 'offered');
    }, 'two offers');
    const logged = (await a.decisions.ofTrip(first.id, 10)).items.find(({ driverIds }) => driverIds.length > 0)!;
    if (logged.trips === 2) t.equal((await a.trips.find(first.id))!.offer!.driverId, 'left');
    const drivers = (await a.trips.findMany([first.id, second.id])).map(({ offer }) => offer!.driverId);
    t.same(drivers.toSorted(), ['left', 'middle']);
  },
);

t.test('a window decides what waits in its city, all at once', async (t) => {
  const clock = manualClock();
  // The window's own job would come in an hour; the test is the job.
  const s = await stack(t, await shared(t, clock), { dispatch: { windowMs: 3_600_000, retryMs: 3_600_000 } });
  for (let i = 0; i < 30; i++) await onDuty(s, `driver-${i}`, 40 * i);
  const trips = await Promise.all(
    Array.from({ length: 20 }, (_, i) => request(s, `rider-${i}`, { pickup: near(60 * i + 7) })),
  );
  const elsewhere = await request(s, 'rider', { city: 'elsewhere' });
  await s.idle();
  t.ok((await s.trips.findMany(trips.map(({ id }) => id))).every(({ status }) => status === 'requested'));
  t.equal(await s.dispatch.matchWindow('testville'), 20);
  const offers = (await s.trips.findMany(trips.map(({ id }) => id))).map(({ offer }) => offer!.driverId);
  t.equal(new Set(offers).size, 20, 'twenty drivers');
  t.equal((await s.trips.find(elsewhere.id))!.status, 'requested');
  const { items } = await s.decisions.ofTrip(trips[0]!.id, 10);
  t.equal(items[0]!.trips, 20);
  t.equal(items[0]!.replay, 'same');
  const whole = (await s.collections.decisions.get(items[0]!.decisionId))!;
  t.equal(JSON.stringify(decide(whole.input)), JSON.stringify(whole.outcome), 'kept once, for all of them');
});

t.test('a ride for later: nobody is asked before it is time, and the sweeper leaves it alone', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { dispatchAheadMs: 600_000 });
  await onDuty(s, 'driver');
  const trip = await request(s, 'rider', { pickupAt: clock.now() + 3_600_000 });
  await s.idle();
  t.equal(trip.matchDeadline, clock.now() + 3_600_000 + 600_000);
  t.equal(await s.dispatch.match(trip.id), 'later');
  clock.add(2_900_000);
  await s.sweep();
  t.equal((await s.trips.find(trip.id))!.status, 'requested');
  clock.add(100_001);
  await onDuty(s, 'driver');
  t.equal(await s.dispatch.match(trip.id), 'offered');
});

t.test(
  'every decision can be read with its candidates, scores and reasons, and replays to the same result',
  async (t) => {
    const s = await stack(t, await shared(t));
    await onDuty(s, 'near', 100);
    await onDuty(s, 'far', 2000);
    await onDuty(s, 'large', 50, { vehicleClass: 'xl' });
    const trip = await request(s, 'rider');
    const offer = await offered(s, trip.id);
    await s.dispatch.decline(trip.id, offer.id, 'near');
    await until(async () => (await s.trips.find(trip.id))?.offer?.driverId === 'far', 'the next offer');
    const { items } = await s.decisions.ofTrip(trip.id, 10);
    t.same(
      items.map(({ driverIds, replay, reason }) => [driverIds, replay, reason]),
      [
        [['far'], 'same', 'cheapest'],
        [['near'], 'same', 'cheapest'],
      ],
    );
    const [second, first] = items;
    t.same(
      first!.ranked.map(({ driverId }) => driverId),
      ['near', 'far'],
    );
    t.same(first!.rejectedCounts, { vehicle_class: 1 });
    t.same(second!.rejectedCounts, { excluded: 1, vehicle_class: 1 });
    for (const one of first!.ranked)
      t.equal(
        one.terms.reduce((sum, { costMs }) => sum + costMs, 0),
        one.costMs,
      );
    const stored = first!.whole!;
    t.equal(JSON.stringify(decide(stored.input)), JSON.stringify(stored.outcome), 'bit for bit');
    t.equal(await s.decisions.removeBefore(s.clock.now() + 1), 2);
    t.same((await s.decisions.ofTrip(trip.id, 10)).items, []);
  },
);

t.test('a driver with another offer is passed over, and the log says why', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'near', 100);
  await onDuty(s, 'far', 2000);
  const one = await request(s, 'rider-1');
  t.equal((await offered(s, one.id)).driverId, 'near');
  const other = await request(s, 'rider-2');
  t.equal((await offered(s, other.id)).driverId, 'far');
  const { items } = await s.decisions.ofTrip(other.id, 10);
  t.same(items[0]!.driverIds, ['far']);
  t.match(items[0]!.rejected, [{ driverId: 'near', reason: 'asked_elsewhere' }]);
  t.equal(items[0]!.replay, 'same');
});
