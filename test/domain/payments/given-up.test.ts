/**
 * Payments whose step fails and fails: tried a bounded number of times, then on record as failed where people see it, repaired by
 * reconciliation when the provider is well again, and for nothing in the world held or captured twice.
 */
import t from 'tap';
import { paymentIdOf } from '../../../src/domain/payments/payment.ts';
import { until } from '../../until.ts';
import { onDuty, person, stack } from '../stack.ts';
import { ATTEMPTS, assigned, becomes, driven, holding, openHolds, paid, place, REPAIRS } from './trouble.ts';

t.test('a capture that never succeeds is tried so often, is failed then, and at last left to people', async (t) => {
  const { s, clock, trouble } = await place(t);
  const trip = await holding(s, clock);
  trouble.away.add('capture');
  await driven(s, trip);
  await becomes(s, clock, trip, 'failed');
  const failed = await paid(s, trip);
  t.equal(trouble.calls.capture, ATTEMPTS);
  t.hasStrict(failed, { failedStep: 'capture', attempts: ATTEMPTS, capturedMinor: 0 });
  t.hasStrict(failed.history.at(-1), { type: 'failed', step: 'capture', reason: 'RIDE_UNAVAILABLE: away' });
  t.ok(failed.dueAt! > clock.now(), 'reconciliation looks after it again');
  t.equal(await s.payments.desk.countFailed(), 1);
  t.same(
    (await s.payments.desk.list({ status: 'failed', pageSize: 5 })).items.map(({ id }) => id),
    [failed.id],
  );
  await until(async () => {
    clock.add(86_400_000);
    await s.payments.reconcile(600_000);
    return (await paid(s, trip)).dueAt === null;
  }, 'the last repair');
  t.equal(trouble.calls.capture, ATTEMPTS + REPAIRS);
  for (let turn = 0; turn < 3; turn++) {
    clock.add(86_400_000);
    // As a job that comes late does.
    await s.payments.step(failed.id);
    t.hasStrict(await s.payments.reconcile(1000), { steps: 0, holds: 0 });
  }
  t.equal(trouble.calls.capture, ATTEMPTS + REPAIRS, 'and nobody asks again');
  t.equal((await openHolds(s)).length, 1, 'the hold is kept, for it can still be captured');
  t.equal((await paid(s, trip)).history.filter(({ type }) => type === 'failed').length, 1, 'it failed once');

  trouble.away.clear();
  const retried = await s.payments.desk.retry(failed.id);
  t.match(retried.status, /^(captured|settled)$/);
  await becomes(s, clock, trip, 'settled');
  await t.rejects(s.payments.desk.retry(failed.id), { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'settled' } });
  await t.rejects(s.payments.desk.retry('pay_none'), { code: 'RIDE_NOT_FOUND' });
});

for (const isLost of [false, true]) {
  t.test(
    `${isLost ? 'its answers were lost' : 'the provider was away'}: reconciliation repairs it, once`,
    async (t) => {
      const { s, clock, trouble } = await place(t);
      const trip = await holding(s, clock);
      trouble.away.add('capture');
      if (isLost) trouble.loseAnswers();
      await driven(s, trip);
      await becomes(s, clock, trip, 'failed');
      trouble.away.clear();
      await becomes(s, clock, trip, 'settled');
      const payment = await paid(s, trip);
      t.equal(payment.capturedMinor, payment.owedMinor);
      t.equal(payment.failedStep, undefined);
      t.same(
        payment.history.map(({ seq, type }) => `${seq} ${type}`),
        ['requested', 'held', 'owed', 'failed', 'captured', 'settled'].map((type, i) => `${i + 1} ${type}`),
      );
      t.equal(await s.collections.ledger.count({}), 1);
      t.same(await openHolds(s), []);
      t.equal(await s.payments.desk.countFailed(), 0);
    },
  );
}

t.test(
  'a hold that cannot be raised: what it holds is taken, the rest stays owed, and nobody has to look',
  async (t) => {
    const { s, clock, trouble } = await place(t);
    const trip = await holding(s, clock);
    const { holdMinor } = await paid(s, trip);
    trouble.away.add('raise');
    trouble.loseAnswers();
    await driven(s, trip, () => clock.add(3_600_000));
    await becomes(s, clock, trip, 'settled');
    t.equal(trouble.calls.raise, ATTEMPTS);
    const payment = await paid(s, trip);
    t.ok(payment.owedMinor! > holdMinor);
    t.equal(payment.capturedMinor, holdMinor, 'though the provider would have had all: nobody knew it');
    t.match(payment.history.find(({ type }) => type === 'raise_refused')?.reason, /^RIDE_UNAVAILABLE/);
    t.same([payment.failedStep, payment.failure, payment.attempts], [undefined, undefined, 0]);
    t.equal(await s.payments.desk.countFailed(), 0);
    t.same(await openHolds(s), []);
  },
);

t.test('what the provider refuses for good is not tried again', async (t) => {
  const { s, clock, trouble } = await place(t);
  const trip = await assigned(s, 'refused-1', 'driver');
  await becomes(s, clock, trip, 'held');
  await driven(s, trip);
  await becomes(s, clock, trip, 'failed');
  const failed = await paid(s, trip);
  t.hasStrict(failed, { failedStep: 'capture', dueAt: null });
  t.match(failed.failure, /RIDE_ILLEGAL_TRANSITION: The hold is disputed/);
  clock.add(86_400_000);
  await s.payments.reconcile(600_000_000);
  t.equal(trouble.calls.capture, 1);
  t.hasStrict(await s.payments.desk.retry(failed.id), { status: 'failed', dueAt: null });
  t.equal(trouble.calls.capture, 2, 'but by people it is');
});

t.test('a hold that cannot be had: the ride goes on; what it costs is had later, or nothing is', async (t) => {
  const { s, clock, trouble } = await place(t);
  trouble.away.add('hold');
  const free = await assigned(s, 'rider-1', 'driver-1');
  await becomes(s, clock, free, 'failed');
  t.hasStrict(await paid(s, free), { failedStep: 'hold', holdId: null });
  await s.trips.command(free.id, { type: 'cancel', actorId: 'system', role: 'service' });
  await s.idle();
  t.equal((await paid(s, free)).status, 'released', 'nothing was held and nothing has to be');

  await s.drivers.setStatus(person('driver', 'driver-1'), 'offline');
  trouble.loseAnswers();
  const dear = await assigned(s, 'rider-2', 'driver-2');
  await becomes(s, clock, dear, 'failed');
  await driven(s, dear);
  await s.idle();
  t.hasStrict(await paid(s, dear), { status: 'failed', failedStep: 'hold', attempts: ATTEMPTS });
  t.ok((await paid(s, dear)).dueAt, 'that it is owed for changes nothing in how it is looked after');
  clock.add(1000);
  t.hasStrict(await s.payments.reconcile(0), { holds: 0 }, 'the hold whose answer was lost is wanted still');
  trouble.away.clear();
  await becomes(s, clock, dear, 'settled');
  t.equal(trouble.holds.size, 1, 'one hold, however often it was asked for');
  t.same(await openHolds(s), []);
});

t.test('a hold that could not be released is released by reconciliation, and its payment knows', async (t) => {
  const { s, clock, trouble } = await place(t);
  const trip = await holding(s, clock);
  trouble.away.add('release');
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'rider', role: 'rider' });
  await becomes(s, clock, trip, 'failed');
  t.equal((await openHolds(s)).length, 1);
  trouble.away.clear();
  clock.add(1000);
  t.equal((await s.payments.reconcile(0)).holds + (await openHolds(s)).length, 1, 'as a hold that nobody wants');
  t.same(await openHolds(s), []);
  await becomes(s, clock, trip, 'released');
});

t.test('one hold for a trip, whoever drives it and however often it is begun', async (t) => {
  const { s, clock, trouble, where, options } = await place(t);
  const other = await stack(t, where, options);
  const trip = await holding(s, clock);
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'driver', role: 'driver' });
  await s.idle();
  await onDuty(s, 'driver-2');
  await s.dispatch.match(trip.id);
  await s.dispatch.accept(trip.id, (await s.trips.find(trip.id))!.offer!.id, 'driver-2');
  await s.idle();
  const again = (await s.trips.find(trip.id))!;
  const event = again.history.findLast(({ type }) => type === 'assigned')!;
  await Promise.all([s, other, s, other].map((node) => node.payments.reactToTrip(again, event)));
  await Promise.all([s, other].map((node) => node.payments.step(paymentIdOf(trip.id))));
  t.equal(trouble.holds.size, 1);
  t.equal((await openHolds(s)).length, 1);
  const asked = (await paid(s, trip)).history.filter(({ type }) => type === 'requested' || type === 'held');
  t.equal(asked.length, 2);
});

t.test('two nodes fail at once, and one dies while it gives up: one failure on record, and it goes on', async (t) => {
  const { s, clock, trouble, where, options } = await place(t);
  const dying = await stack(t, where, {
    ...options,
    queues: s.queues,
    wrapStore: (store) => ({
      ...store,
      collection(spec) {
        const real = store.collection(spec);
        if (spec.name !== 'payments') return real;
        return {
          ...real,
          async compareAndSet(document, events = []) {
            if (events.some(({ type }) => type === 'payment.failed')) throw new Error('killed');
            return real.compareAndSet(document, events);
          },
        };
      },
    }),
  });
  const trip = await holding(s, clock);
  trouble.away.add('capture');
  await driven(s, trip);
  await s.idle();
  const id = paymentIdOf(trip.id);
  await until(async () => {
    await Promise.allSettled([s, dying, dying].map((node) => node.payments.step(id)));
    return (await paid(s, trip)).attempts >= ATTEMPTS - 1 || (await paid(s, trip)).status === 'failed';
  }, 'all tries but one');
  await Promise.allSettled([dying, dying].map((node) => node.payments.step(id)));
  await becomes(s, clock, trip, 'failed');
  t.equal((await paid(s, trip)).history.filter(({ type }) => type === 'failed').length, 1);
  trouble.away.clear();
  await becomes(s, clock, trip, 'settled');
  t.equal(await s.collections.ledger.count({}), 1);
});
t.end();
