/** Looking again for those who wait: few jobs for many riders, on time, and not for ever lost with Redis or a node. */
import { Queue } from 'bullmq';
import fc from 'fast-check';
import t from 'tap';
import { firstLook, lookAfter } from '../../../src/domain/dispatch/looks.ts';
import type { Trip } from '../../../src/domain/trips/trip.ts';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, request, type Stack, shared, stack } from '../stack.ts';

const waiting = (matchFrom: number, matchDeadline: number): Trip =>
  ({ createdAt: matchFrom, matchFrom, matchDeadline, source: { city: 'testville' } }) as Trip;
const statusOf = async (s: Stack, { id }: Trip) => (await s.trips.find(id))!.status;

t.test(
  'the next look is later than the last, by the retry or by the deadline, and the same for a whole cohort',
  async (t) => {
    const times = fc.record({
      from: fc.integer({ min: 1_421_322_000_000, max: 1_421_322_100_000 }),
      ttlMs: fc.integer({ min: 0, max: 100_000 }),
      afterMs: fc.integer({ min: 0, max: 200_000 }),
      retryMs: fc.integer({ min: 100, max: 20_000 }),
    });
    const property = fc.property(times, ({ from, ttlMs, afterMs, retryMs }) => {
      const after = from + afterMs;
      const trip = waiting(from, from + ttlMs);
      const look = lookAfter(trip, after, retryMs);
      if (!(look.from <= from && from < look.to)) throw new Error('not of the cohort');
      if (look.at <= after) throw new Error('no later');
      if (look.at - after > retryMs + 1000) throw new Error(`late by ${look.at - after}`);
      // In time for the deadline, and not just before it.
      if (after < trip.matchDeadline && look.at - trip.matchDeadline > 250) throw new Error('past the deadline');
      const other = lookAfter(waiting(look.to - 1, trip.matchDeadline), after, retryMs);
      if (look.to - 1 <= after && other.at !== look.at) throw new Error('two looks of a cohort');
      const first = firstLook(trip, retryMs);
      if (first.at < from || first.at > from + 1000) throw new Error('a ride for later is not sought at its time');
    });
    t.doesNotThrow(() => fc.assert(property));
  },
);

t.test('a crowd of riders with nobody near: few jobs, and the first driver is found by the next look', async (t) => {
  const s = await stack(t, await shared(t), { dispatch: { retryMs: 1500 } });
  const riders = Array.from({ length: 60 }, (_, i) => `rider-${i}`);
  const trips = await Promise.all(riders.map((id) => request(s, id)));
  await s.idle();
  const { high } = await s.queues.stats();
  t.ok(high.delayed + high.waiting + high.active <= 10, `${high.delayed} jobs wait for 60 trips`);
  t.same(new Set(await Promise.all(trips.map((trip) => statusOf(s, trip)))), new Set(['requested']));
  for (const { id } of trips) {
    const { items } = await s.decisions.ofTrip(id, 10);
    t.same(
      items.map(({ reason, replay }) => [reason, replay]),
      [['nobody_near', 'same']],
    );
  }
  await onDuty(s, 'driver');
  const offered = async () => (await s.trips.findMany(trips.map(({ id }) => id))).filter(({ offer }) => offer);
  await until(async () => (await offered()).length > 0, 'an offer to the driver');
  t.equal((await offered()).length, 1);
});

t.test('that nobody can be asked is written down once, and again when something has changed', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const trip = await request(s, 'rider');
  await s.idle();
  const reasons = async () => (await s.decisions.ofTrip(trip.id, 10)).items.map(({ reason }) => reason);
  for (let i = 0; i < 3; i++) t.equal(await s.dispatch.match(trip.id), 'no_driver');
  t.same(await reasons(), ['nobody_near']);
  clock.add(1000);
  await onDuty(s, 'large', 100, { vehicleClass: 'xl' });
  for (let i = 0; i < 2; i++) await s.dispatch.match(trip.id);
  t.same(await reasons(), ['all_rejected', 'nobody_near']);
  await onDuty(s, 'larger', 150, { vehicleClass: 'xl' });
  for (let i = 0; i < 2; i++) await s.dispatch.match(trip.id);
  t.same(await reasons(), ['all_rejected', 'all_rejected', 'nobody_near'], 'another who cannot be asked is news');
  await s.redis.del('active-drivers');
  clock.add(1000);
  for (let i = 0; i < 2; i++) await s.dispatch.match(trip.id);
  t.equal((await reasons()).length, 4);
  clock.add(121_000);
  await s.dispatch.match(trip.id);
  t.equal((await reasons()).length, 5, 'and once in a while all the same');
});

t.test('the node that took a request ends: the trip expires on time on another, without the sweeper', async (t) => {
  const place = await shared(t);
  const options = { dispatch: { retryMs: 400 }, tripRequestTtlMs: 2500 };
  let trip: Trip | undefined;
  await t.test('a node that ends', async (t) => {
    const s = await stack(t, place, options);
    trip = await request(s, 'rider');
    await s.idle();
  });
  const s = await stack(t, place, options);
  await until(async () => (await statusOf(s, trip!)) === 'expired', 'the end');
  const after = (await s.trips.find(trip!.id))!;
  t.ok(after.expiredAt! >= trip!.matchDeadline, 'not before its time');
  t.equal(after.cancelReason, 'no_driver_in_time');
});

t.test('Redis loses every job: the sweeper calls for all who wait, however many there are', async (t) => {
  const s = await stack(t, await shared(t), { sweepAgeMs: 50, dispatch: { retryMs: 300 }, tripRequestTtlMs: 2500 });
  const trips = await Promise.all(Array.from({ length: 250 }, (_, i) => request(s, `rider-${i}`)));
  await s.idle();
  await s.redis.flushall();
  await until(async () => {
    await s.sweep();
    const now = await s.trips.findMany(trips.map(({ id }) => id));
    return now.every(({ status }) => status === 'expired');
  }, 'the end of all of them');
  t.pass('all came to their end');
});

t.test('one trip that cannot be decided about does not keep those that came with it from their drivers', async (t) => {
  const s = await stack(t, await shared(t), {
    wrapPorts: (ports) => ({
      ...ports,
      positions: {
        ...ports.positions,
        nearby: (center, ...rest) =>
          center.lat > 50
            ? Promise.reject(new Error('a place like no other'))
            : ports.positions.nearby(center, ...rest),
      },
    }),
  });
  for (let i = 0; i < 4; i++) await onDuty(s, `driver-${i}`, 50 * i);
  const places = [near(0), near(60), { lat: 51, lng: 0 }, near(120), near(180)];
  const trips = await Promise.all(
    places.map((pickup, i) => request(s, `rider-${i}`, { pickup, dropoff: { ...pickup, lat: pickup.lat + 0.03 } })),
  );
  await s.idle();
  const results = await Promise.all(trips.map((trip) => statusOf(s, trip)));
  t.same(results, ['offered', 'offered', 'requested', 'offered', 'offered']);
});

t.test('a trip whose jobs are lost', async (t) => {
  await t.test('is looked at again, and gets the driver who comes', async (t) => {
    const s = await stack(t, await shared(t), { sweepAgeMs: 50, dispatch: { retryMs: 200 } });
    const trip = await request(s, 'rider');
    await s.idle();
    await s.redis.flushall();
    await onDuty(s, 'driver');
    await until(async () => {
      await s.sweep();
      return (await statusOf(s, trip)) === 'offered';
    }, 'an offer');
    t.equal((await s.trips.find(trip.id))!.offer!.driverId, 'driver');
  });

  await t.test('expires', async (t) => {
    const clock = manualClock();
    const s = await stack(t, await shared(t, clock));
    const trip = await request(s, 'rider');
    await s.idle();
    clock.add(700_000);
    await s.sweep();
    t.equal(await statusOf(s, trip), 'expired');
  });
});

t.test('a ride for later is sought at its look also by a clock that is a little behind', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { dispatchAheadMs: 600_000, dispatch: { retryMs: 5000 } });
  const trip = await request(s, 'rider', { pickupAt: clock.now() + 3_600_000 });
  await s.idle();
  const look = firstLook(trip, 5000);
  clock.add(trip.matchFrom - clock.now() - 40);
  await onDuty(s, 'driver');
  t.equal(await s.dispatch.matchCohort({ ...look, at: trip.matchFrom - 1 }), 0, 'no look of before');
  t.equal(await s.dispatch.matchCohort(look), 1);
  t.equal(await statusOf(s, trip), 'offered');
});

t.test('a window: those who find nobody do not keep the others of their city from it', async (t) => {
  const clock = manualClock();
  const windows = { windowMs: 3_600_000, retryMs: 3_600_000, windowTrips: 5 };
  const s = await stack(t, await shared(t, clock), { dispatch: windows });
  const far = { lat: CENTER.lat + 1, lng: CENTER.lng };
  for (let i = 0; i < 12; i++)
    await request(s, `lonely-${i}`, { pickup: far, dropoff: { ...far, lat: far.lat + 0.03 } });
  clock.add(1);
  const trip = await request(s, 'rider');
  await s.idle();
  await onDuty(s, 'driver');
  t.equal(await s.dispatch.matchWindow('testville'), 1);
  t.equal(await statusOf(s, trip), 'offered');
});

t.test('jobs of a version that made one for each trip are done: the next look, and the last', async (t) => {
  const place = await shared(t);
  const s = await stack(t, place, { dispatch: { retryMs: 3_600_000 }, tripRequestTtlMs: 86_400_000 });
  const { hostname: host, port } = new URL(place.redisUrl);
  for (const [queue, name] of [
    ['high', 'trip_match'],
    ['normal', 'trip_timeout'],
  ] as const) {
    const earlier = new Queue(queue, { connection: { host, port: Number(port) }, prefix: `{queue-${queue}}` });
    t.after(() => earlier.close());
    const trip = await request(s, `rider-${queue}`);
    await s.idle();
    t.equal(await statusOf(s, trip), 'requested', 'nobody is there, and nobody looks again for an hour');
    await onDuty(s, `driver-${queue}`);
    await earlier.add(name, { tripId: trip.id }, { attempts: 5, removeOnComplete: true });
    await until(async () => (await statusOf(s, trip)) === 'offered', `what ${name} was made for`);
    await earlier.add(name, { tripId: 'trip_gone' }, { attempts: 1, removeOnComplete: true });
    await until(async () => (await earlier.getJobCountByTypes('waiting', 'active')) === 0, 'the one of no trip');
    t.equal(await earlier.getFailedCount(), 0);
  }
});
