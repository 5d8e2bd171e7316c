/** The saga of a payment over real store, Redis and queues: its good path, every refusal, a provider that is away. */
import fc from 'fast-check';
import t from 'tap';
import { ledgerIdOf, paymentIdOf } from '../../../src/domain/payments/payment.ts';
import { chargeOf, type Trip } from '../../../src/domain/trips/trip.ts';
import { RideError } from '../../../src/errors.ts';
import type { Payments } from '../../../src/ports/payments.ts';
import type { Store } from '../../../src/ports/store.ts';
import { until } from '../../until.ts';
import { manualClock, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

const statusOf = async (s: Stack, tripId: string) => (await s.payments.find(tripId))?.status;
const becomes = (s: Stack, tripId: string, status: string) =>
  until(async () => (await statusOf(s, tripId)) === status, `a payment that is ${status}`);

/** A trip of the only driver on duty. */
async function assigned(s: Stack, riderId: string, driverId: string): Promise<Trip> {
  await onDuty(s, driverId);
  const trip = await request(s, riderId);
  await until(async () => (await s.trips.find(trip.id))?.status === 'offered', 'an offer');
  return s.dispatch.accept(trip.id, (await s.trips.find(trip.id))!.offer!.id, driverId);
}

async function steps(s: Stack, tripId: string, driverId: string, ...names: ('arrive' | 'start' | 'complete')[]) {
  for (const type of names) await s.trips.command(tripId, { type, driverId });
}

/** Longer than is held for. */
const WAIT_MS = 3_600_000;

const openHolds = async (s: Stack) => (await s.provider.openHolds(Number.MAX_SAFE_INTEGER, 100)).items;

t.test('held when a driver was found, captured when the ride is over, booked once', async (t) => {
  const s = await stack(t, await shared(t));
  const { id } = await assigned(s, 'rider', 'driver');
  await becomes(s, id, 'held');
  t.hasStrict(await openHolds(s), [{ paymentId: paymentIdOf(id) }]);
  await steps(s, id, 'driver', 'arrive', 'start', 'complete');
  await becomes(s, id, 'settled');
  const payment = (await s.payments.find(id))!;
  const fare = chargeOf((await s.trips.find(id))!)!.totalMinor;
  t.ok(fare > 0);
  t.hasStrict(payment, { owedMinor: fare, capturedMinor: fare, dueAt: null });
  t.same(
    payment.history.map(({ seq, type }) => [seq, type]),
    ['requested', 'held', 'owed', 'captured', 'settled'].map((type, i) => [i + 1, type]),
  );
  const entry = (await s.collections.ledger.get(ledgerIdOf(id)))!;
  t.same(
    entry.lines.map(({ amountMinor }) => amountMinor),
    [fare, -fare],
  );
  t.same(await openHolds(s), []);
  t.same(await s.payments.reconcile(0), { steps: 0, trips: 0, holds: 0 });
});

t.test(
  'cancelled: released in time, the fee captured when late, released when the driver gives up for good',
  async (t) => {
    const clock = manualClock();
    const s = await stack(t, await shared(t, clock));
    const early = await assigned(s, 'rider-1', 'driver-1');
    await s.trips.command(early.id, { type: 'cancel', actorId: 'rider-1', role: 'rider' });
    await becomes(s, early.id, 'released');
    await s.drivers.setStatus(person('driver', 'driver-1'), 'offline');
    const late = await assigned(s, 'rider-2', 'driver-2');
    clock.add(121_000);
    await s.trips.command(late.id, { type: 'cancel', actorId: 'rider-2', role: 'rider' });
    await becomes(s, late.id, 'settled');
    t.equal((await s.payments.find(late.id))!.capturedMinor, 500);
    await s.drivers.setStatus(person('driver', 'driver-2'), 'offline');
    const left = await assigned(s, 'rider-3', 'driver-3');
    await becomes(s, left.id, 'held');
    await s.trips.command(left.id, { type: 'cancel', actorId: 'driver-3', role: 'driver' });
    await s.idle();
    t.equal(await statusOf(s, left.id), 'held', 'for the next driver');
    clock.add(600_000);
    await s.dispatch.match(left.id);
    await becomes(s, left.id, 'released');
    t.same(await openHolds(s), []);
  },
);

t.test(
  'declined: the trip is cancelled and the driver is free; on board he is driven, and it stays owed',
  async (t) => {
    const s = await stack(t, await shared(t));
    const { id } = await assigned(s, 'declined-1', 'driver-1');
    await until(async () => (await s.trips.find(id))?.status === 'cancelled', 'the trip to be cancelled');
    t.hasStrict(await s.trips.find(id), { cancelReason: 'payment_declined', cancelledBy: 'system' });
    await until(async () => (await s.drivers.get('driver-1'))!.activeTripId === null, 'a free driver');
    await until(async () => (await s.payments.find(id))?.owedMinor === 0, 'nothing owed');
    t.hasStrict(await s.payments.find(id), { status: 'declined', declineReason: 'insufficient_funds' });

    let isAway = true;
    const place = await shared(t);
    const slow = await stack(t, place, {
      wrapPayments: (real) => ({
        ...real,
        hold: (asked) => (isAway ? Promise.reject(new RideError('RIDE_UNAVAILABLE', 'away')) : real.hold(asked)),
      }),
    });
    const ride = await assigned(slow, 'declined-2', 'driver-2');
    await steps(slow, ride.id, 'driver-2', 'arrive', 'start');
    isAway = false;
    await slow.payments.step(paymentIdOf(ride.id));
    await becomes(slow, ride.id, 'declined');
    t.equal((await slow.trips.find(ride.id))!.status, 'in_progress');
    await steps(slow, ride.id, 'driver-2', 'complete');
    await becomes(slow, ride.id, 'unpaid');
  },
);

t.test('the provider is away at every step: tried again until it is back, each thing done once', async (t) => {
  const calls: string[] = [];
  const failing = new Set<string>();
  /** Each call is done and its answer lost, twice. */
  const flaky = (real: Payments): Payments => {
    const lose = async <T>(key: string, run: () => Promise<T>): Promise<T> => {
      calls.push(key);
      const answer = await run();
      const tries = calls.filter((one) => one === key).length;
      if (tries <= 2) {
        failing.add(key);
        throw new RideError('RIDE_UNAVAILABLE', 'the answer was lost');
      }
      return answer;
    };
    return {
      hold: (asked) => lose(asked.key, () => real.hold(asked)),
      raise: (key, hold, minor) => lose(key, () => real.raise(key, hold, minor)),
      capture: (key, hold, minor) => lose(key, () => real.capture(key, hold, minor)),
      charge: (asked) => lose(asked.key, () => real.charge(asked)),
      release: (key, hold) => lose(key, () => real.release(key, hold)),
      openHolds: real.openHolds,
    };
  };
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { wrapPayments: flaky });
  const { id } = await assigned(s, 'rider', 'driver');
  const failures = (n: number) =>
    until(async () => ((await s.payments.find(id))?.attempts ?? 0) >= n, `${n} failed tries`);
  await failures(1);
  t.match((await s.payments.find(id))!.failure, /RIDE_UNAVAILABLE: the answer was lost/);
  t.equal((await s.payments.find(id))!.dueAt, clock.now() + 2000);
  t.same(await s.payments.reconcile(0), { steps: 0, trips: 0, holds: 0 }, 'not before it is due');
  clock.add(2000);
  await s.payments.reconcile(0);
  await failures(2);
  clock.add(4000);
  // The job of the queue, by wall time, may have come first.
  await s.payments.reconcile(0);
  await becomes(s, id, 'held');
  await steps(s, id, 'driver', 'arrive');
  clock.add(WAIT_MS);
  await steps(s, id, 'driver', 'start', 'complete');
  await until(async () => {
    clock.add(5000);
    await s.payments.reconcile(600_000);
    return (await statusOf(s, id)) === 'settled';
  }, 'the capture');
  t.same(failing, new Set(['hold', 'raise', 'capture'].map((step) => `${paymentIdOf(id)}.${step}`)));
  t.same(await openHolds(s), []);
  t.equal(await s.collections.ledger.count({}), 1);
});

t.test('the driver waits longer than was held for: the hold is raised, or what it holds is taken', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  for (const riderId of ['rider', 'limited']) {
    const driverId = `driver-of-${riderId}`;
    const { id } = await assigned(s, riderId, driverId);
    await becomes(s, id, 'held');
    const { holdMinor } = (await s.payments.find(id))!;
    await steps(s, id, driverId, 'arrive');
    clock.add(WAIT_MS);
    await steps(s, id, driverId, 'start', 'complete');
    await becomes(s, id, 'settled');
    const payment = (await s.payments.find(id))!;
    const fare = chargeOf((await s.trips.find(id))!)!.totalMinor;
    t.ok(fare > holdMinor);
    const taken = riderId === 'rider' ? fare : holdMinor;
    t.hasStrict(payment, { owedMinor: fare, holdMinor: taken, capturedMinor: taken });
    const asked = riderId === 'rider' ? 'raised' : 'raise_refused';
    t.same(
      payment.history.map(({ type }) => type),
      ['requested', 'held', 'owed', asked, 'captured', 'settled'],
    );
    t.equal((await s.collections.ledger.get(ledgerIdOf(id)))!.lines[0]!.amountMinor, taken);
    await s.drivers.setStatus(person('driver', driverId), 'offline');
  }
  t.same(await openHolds(s), []);
});

t.test('one node says that it begins, another that it has ended: however they meet, the payment knows', async (t) => {
  const place = await shared(t);
  const turns: { of: fc.Scheduler | null } = { of: null };
  // What they read and write of payments comes in any order.
  const wrapStore = (store: Store): Store => ({
    ...store,
    collection(spec) {
      const real = store.collection(spec);
      if (spec.name !== 'payments') return real;
      const inTurn = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
        await turns.of?.schedule(Promise.resolve(), what);
        return run();
      };
      return {
        ...real,
        get: (id) => inTurn('get', () => real.get(id)),
        insert: (document, events) => inTurn('insert', () => real.insert(document, events)),
        compareAndSet: (document, events) => inTurn('write', () => real.compareAndSet(document, events)),
      };
    },
  });
  const nodes = [await stack(t, place, { wrapStore }), await stack(t, place, { wrapStore })] as const;
  const [a, b] = nodes;
  const { id } = await assigned(a, 'rider', 'driver');
  await becomes(a, id, 'held');
  const begun = (await a.trips.find(id))!;
  const assignment = begun.history.at(-1)!;
  let made = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, isFree) => {
      const trip: Trip = { ...begun, id: `trip_test_${++made}` };
      const at = begun.matchedAt! + (isFree ? 1000 : 600_000);
      const end = { ...assignment, type: 'cancelled' as const, status: 'cancelled' as const };
      const ended: Trip = { ...trip, status: 'cancelled', cancelledBy: trip.riderId, updatedAt: at };
      turns.of = scheduler;
      const both = Promise.all([a.payments.reactToTrip(trip, assignment), b.payments.reactToTrip(ended, end)]);
      await scheduler.waitFor(both);
      // What follows from it has its own time.
      turns.of = null;
      await scheduler.waitIdle();
      await Promise.all(nodes.map((node) => node.idle()));
      const payment = (await a.payments.find(trip.id))!;
      const owed = chargeOf(ended)!.totalMinor;
      if (payment.owedMinor !== owed) throw new Error(`owed ${payment.owedMinor}, not ${owed}`);
      return owed > 0 || payment.capturedMinor === 0;
    }),
    { numRuns: 60 },
  );
  await until(async () => (await openHolds(a)).every(({ paymentId }) => paymentId === paymentIdOf(id)), 'no hold left');
});

t.test('reconciliation: a payment that was not told, a hold that nobody wants; good ones are left alone', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const good = await assigned(s, 'rider-1', 'driver-1');
  await becomes(s, good.id, 'held');
  const orphan = { key: 'k', paymentId: 'pay_none', riderId: 'r', amountMinor: 5, currency: 'USD' };
  await s.provider.hold(orphan);
  const stray = { ...orphan, key: 'k2', paymentId: paymentIdOf(good.id) };
  await s.provider.hold(stray);
  t.equal((await openHolds(s)).length, 3);
  t.equal((await s.payments.reconcile(1000)).holds, 0, 'too young');
  clock.add(2000);
  t.same(await s.payments.reconcile(1000), { steps: 0, trips: 0, holds: 2 });
  t.hasStrict(await openHolds(s), [{ paymentId: paymentIdOf(good.id) }]);
  t.equal(await statusOf(s, good.id), 'held');
  // More than one page of them.
  await Promise.all(
    Array.from({ length: 450 }, (_, i) => s.provider.hold({ ...orphan, key: `many-${i}`, paymentId: `pay_many-${i}` })),
  );
  clock.add(2000);
  t.equal((await s.payments.reconcile(1000)).holds, 450);
  t.equal((await openHolds(s)).length, 1);
  // As if the reaction to the end of the trip had been lost.
  const trip = (await s.trips.find(good.id))!;
  const ended: Trip = { ...trip, version: trip.version + 1, status: 'cancelled', cancelledBy: 'system' };
  t.equal(await s.collections.trips.compareAndSet(ended), true);
  t.equal((await s.payments.reconcile(1000)).trips, 1);
  await becomes(s, good.id, 'released');
});

t.test('two nodes take every step at once: each thing is done once', async (t) => {
  const place = await shared(t);
  const held = new Set<string>();
  const wrapPayments = (real: Payments): Payments => ({
    ...real,
    async hold(asked) {
      const outcome = await real.hold(asked);
      if ('holdId' in outcome) held.add(outcome.holdId);
      return outcome;
    },
  });
  const [a, b] = [await stack(t, place, { wrapPayments }), await stack(t, place, { wrapPayments })];
  const { id } = await assigned(a, 'rider', 'driver');
  const both = (n: number) =>
    Promise.all(Array.from({ length: n }, (_, i) => (i % 2 ? a : b).payments.step(paymentIdOf(id))));
  await until(async () => (await statusOf(a, id)) !== undefined, 'the payment');
  await both(8);
  await becomes(b, id, 'held');
  await steps(b, id, 'driver', 'arrive', 'start', 'complete');
  await until(async () => {
    await both(8);
    return (await statusOf(a, id)) === 'settled';
  }, 'the end');
  t.equal((await a.payments.find(id))!.history.length, 5);
  t.equal(held.size, 1, 'one hold was ever made');
  t.equal(await a.collections.ledger.count({}), 1);
});
