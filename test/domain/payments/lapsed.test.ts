/** Holds that the provider let lapse before what is owed was captured: it is charged without one, and what is declined then is for people. */
import t from 'tap';
import { newlyUnpaidMinor } from '../../../src/domain/payments/payment.ts';
import { stack } from '../stack.ts';
import { assigned, becomes, driven, openHolds, paid, place } from './trouble.ts';

t.test('a hold that has lapsed when its fare or fee is due: that is charged without one, once', async (t) => {
  const { s, clock, trouble } = await place(t);
  const trip = await assigned(s, 'expired-1', 'driver');
  await becomes(s, clock, trip, 'held');
  trouble.away.add('charge');
  trouble.loseAnswers();
  // Late enough for the fee.
  clock.add(600_000);
  await s.trips.command(trip.id, { type: 'cancel', actorId: 'expired-1', role: 'rider' });
  await becomes(s, clock, trip, 'failed');
  const failed = await paid(s, trip);
  t.hasStrict(failed, { failedStep: 'charge', owedMinor: 500, capturedMinor: 0 });
  t.equal(trouble.calls.capture, 1, 'a lapsed hold is not asked for again');
  t.equal(await s.payments.desk.countFailed(), 1, 'people see it meanwhile');
  trouble.away.clear();
  await becomes(s, clock, trip, 'settled');
  const done = await paid(s, trip);
  t.hasStrict(done, { owedMinor: 500, capturedMinor: 500, dueAt: null });
  t.same(
    done.history.map(({ type }) => type),
    ['requested', 'held', 'owed', 'lapsed', 'failed', 'captured', 'settled'],
  );
  t.same(
    new Set(trouble.charged.map(({ key }) => key)),
    new Set([`${done.id}.charge.1`]),
    'one charge to the provider',
  );
  t.same(new Set(trouble.charged.map(({ amountMinor }) => amountMinor)), new Set([500]));
  t.equal(await s.collections.ledger.count({}), 1);
  t.same(await openHolds(s), [], 'what the provider still shows of the hold is released');
});

t.test('what cannot be charged stays unpaid, counted once, until people have it charged again', async (t) => {
  const { s, clock, trouble, where, options } = await place(t);
  const other = await stack(t, where, { ...options, queues: s.queues });
  const trip = await assigned(s, 'expired-poor-2', 'driver');
  await becomes(s, clock, trip, 'held');
  trouble.away.add('charge');
  await driven(s, trip);
  await becomes(s, clock, trip, 'failed');
  trouble.away.clear();
  await becomes(s, clock, trip, 'unpaid');
  const unpaid = await paid(s, trip);
  t.hasStrict(unpaid, { declineReason: 'insufficient_funds', capturedMinor: 0, dueAt: null });
  t.equal(newlyUnpaidMinor(unpaid), unpaid.owedMinor);
  t.not((await s.trips.find(trip.id))!.status, 'cancelled', 'who was driven was driven');
  t.same(
    (await s.payments.desk.list({ status: 'unpaid', pageSize: 5 })).items.map(({ id }) => id),
    [unpaid.id],
  );
  clock.add(86_400_000);
  await s.payments.reconcile(0);
  t.strictSame(await paid(s, trip), unpaid, 'nobody asks again by himself');
  const retries = await Promise.allSettled([s, other].map((node) => node.payments.desk.retry(unpaid.id)));
  t.ok(retries.some(({ status }) => status === 'fulfilled'));
  await becomes(s, clock, trip, 'settled');
  t.equal((await paid(s, trip)).capturedMinor, unpaid.owedMinor);
  t.same(new Set(trouble.charged.map(({ key }) => key.slice(-2))), new Set(['.1', '.2']), 'under a key of its own');
  await t.rejects(s.payments.desk.retry(unpaid.id), { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'settled' } });
});
t.end();
