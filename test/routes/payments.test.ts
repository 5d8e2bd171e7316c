/** Failed payments as operators see them over REST and as Prometheus does; a provider that never gives the money. */
import t from 'tap';
import { readMetrics, sum } from '../clients/metrics.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';
import { assignedRide, member } from '../scene.ts';
import { until } from '../until.ts';

const s = await build(t);
const { rest } = checkedRest(s);

t.test('a capture that the provider refuses for good is listed, counted, and may be tried by people', async (t) => {
  const { id, rider, step } = await assignedRide(t, s, 'refused-1');
  const desk = await member(s, 'dispatcher');
  const payment = async () => (await rest('GET', `/api/v1/trips/${id}/payment`, rider.token)).body;
  await until(async () => (await payment()).status === 'held', 'the hold');
  const open = (await payment()).id;
  t.hasStrict(await rest('POST', `/admin/payments/${open}/retry`, desk.token), {
    status: 409,
    body: { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'held' } },
  });
  for (const name of ['arrive', 'start', 'complete'] as const) await step(name);
  await until(async () => (await payment()).status === 'failed', 'the failure');
  const failed = await payment();
  t.hasStrict(failed, { failed_step: 'capture', due_at: null, captured_minor: 0 });
  t.match(failed.failure, /The hold is disputed/);
  t.hasStrict(failed.events.at(-1), { type: 'failed', step: 'capture' });
  const { items } = (await rest('GET', '/admin/payments?status=failed', desk.token)).body;
  t.same(
    items.map((one: { id: string }) => one.id),
    [failed.id],
  );
  t.equal(sum(await readMetrics(s.at.metrics), 'ride_payments_failed'), 1);
  t.equal(sum(await readMetrics(s.at.metrics), 'ride_payment_events_total', { type: 'failed' }), 1);
  const retried = await rest('POST', `/admin/payments/${failed.id}/retry`, desk.token);
  t.hasStrict(retried, { status: 200, body: { status: 'failed', failed_step: 'capture', due_at: null } });
  t.equal(sum(await readMetrics(s.at.metrics), 'ride_payment_step_seconds_count', { step: 'capture' }), 2);
});

t.test('refusals', async (t) => {
  const rider = await member(s, 'rider');
  const admin = await member(s, 'admin');
  t.equal((await rest('GET', '/admin/payments', rider.token)).status, 403);
  t.equal((await rest('GET', '/admin/payments')).status, 401);
  t.equal((await rest('POST', '/admin/payments/pay_none/retry', rider.token)).status, 403);
  t.equal((await rest('POST', '/admin/payments/pay_none/retry', admin.token)).status, 404);
  t.equal((await rest('GET', '/admin/payments?status=broken', admin.token)).status, 400);
});
t.end();
