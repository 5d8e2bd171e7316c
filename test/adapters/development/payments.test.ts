/** The development provider keeps what the port promises: keys, amounts, and what cannot be undone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDevelopmentPayments, developmentHoldCollection } from '../../../src/adapters/development/payments.ts';
import { createSqliteStore } from '../../../src/adapters/sqlite/store.ts';
import type { RideError } from '../../../src/errors.ts';

const folder = await mkdtemp(join(tmpdir(), 'ridestream-payments-'));
const store = createSqliteStore({ file: join(folder, 'p.sqlite') });
let now = 1000;
const clock = { now: () => now, toWallMs: (ms: number) => ms };
const payments = createDevelopmentPayments(store.collection(developmentHoldCollection), { clock, region: 'test' });
await store.open();
t.after(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const code = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error: RideError) => error.code,
  );
const asked = (key: string, more = {}) => ({
  key,
  paymentId: `pay-${key}`,
  riderId: 'rider',
  amountMinor: 1000,
  currency: 'USD',
  ...more,
});
const held = async (key: string): Promise<string> => {
  const outcome = await payments.hold(asked(key));
  if (!('holdId' in outcome)) throw new Error('declined');
  return outcome.holdId;
};

t.test('a key is one call', async (t) => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => held('a')));
  t.equal(new Set(answers).size, 1);
  t.equal(await code(payments.hold(asked('a', { amountMinor: 1001 }))), 'RIDE_IDEMPOTENCY_MISMATCH');
  const id = answers[0]!;
  await Promise.all(Array.from({ length: 8 }, () => payments.capture('a.c', id, 700)));
  t.equal(await code(payments.capture('a.c', id, 701)), 'RIDE_IDEMPOTENCY_MISMATCH');
  t.equal(await code(payments.capture('a.d', id, 700)), 'RIDE_ILLEGAL_TRANSITION', 'another key takes nothing more');
  t.equal(await code(payments.release('a.r', id)), 'RIDE_ILLEGAL_TRANSITION');
});

t.test('amounts and ends', async (t) => {
  for (const amountMinor of [0, -1, 1.5]) {
    t.equal(await code(payments.hold(asked('b', { amountMinor }))), 'RIDE_INVALID_INPUT');
  }
  const id = await held('b');
  for (const minor of [0, 1001, 0.5]) t.equal(await code(payments.capture('b.c', id, minor)), 'RIDE_INVALID_INPUT');
  await payments.release('b.r', id);
  await payments.release('b.s', id);
  t.equal(await code(payments.capture('b.c', id, 1)), 'RIDE_ILLEGAL_TRANSITION');
  t.equal(await code(payments.release('x', 'hold_none')), 'RIDE_NOT_FOUND');
  const poor = asked('p', { riderId: 'declined-7' });
  t.same(await payments.hold(poor), { declined: 'insufficient_funds' });
  t.same(await payments.hold(poor), { declined: 'insufficient_funds' }, 'and again');
});

t.test('a hold is raised once by a key, captured up to that, and for some riders never', async (t) => {
  const id = await held('r');
  const raise = (key: string, minor: number, hold = id) => payments.raise(key, hold, minor);
  for (const minor of [1000, 999, 1000.5]) t.equal(await code(raise('r.r', minor)), 'RIDE_INVALID_INPUT');
  const answers = await Promise.all(Array.from({ length: 8 }, () => raise('r.r', 1500)));
  t.same(answers, Array(8).fill({ heldMinor: 1500 }));
  t.equal(await code(raise('r.r', 1600)), 'RIDE_IDEMPOTENCY_MISMATCH');
  t.same(await held('r'), id, 'the call that made it is what it was');
  t.equal(await code(payments.capture('r.c', id, 1501)), 'RIDE_INVALID_INPUT');
  await payments.capture('r.c', id, 1500);
  t.same(await raise('r.r', 1500), { heldMinor: 1500 }, 'its answer may have been lost');
  t.equal(await code(raise('r.s', 2000)), 'RIDE_ILLEGAL_TRANSITION');
  const limited = await payments.hold(asked('l', { riderId: 'limited-1' }));
  const lid = 'holdId' in limited ? limited.holdId : '';
  t.same(await raise('l.r', 1500, lid), { declined: 'insufficient_funds' });
  t.equal(await code(payments.capture('l.c', lid, 1001)), 'RIDE_INVALID_INPUT');
  await payments.capture('l.c', lid, 1000);
});

t.test('a hold that has lapsed says so, and what is owed is charged once by a key', async (t) => {
  const lapsed = await payments.hold(asked('x', { riderId: 'expired-1' }));
  const id = 'holdId' in lapsed ? lapsed.holdId : '';
  await t.rejects(payments.capture('x.c', id, 700), { code: 'RIDE_ILLEGAL_TRANSITION', facts: { hold: 'lapsed' } });
  await payments.release('x.r', id);
  const released = await payments.capture('x.c', id, 700).catch((error: RideError) => error);
  t.hasStrict(released, { code: 'RIDE_ILLEGAL_TRANSITION', facts: undefined }, 'one that was released did not lapse');
  const charge = (amountMinor: number, riderId = 'expired-1') =>
    payments.charge({ ...asked(`x.charge.${riderId}`), riderId, amountMinor });
  const answers = await Promise.all(Array.from({ length: 8 }, () => charge(700)));
  t.equal(new Set(answers.map((answer) => 'chargeId' in answer && answer.chargeId)).size, 1);
  t.equal(await code(charge(701)), 'RIDE_IDEMPOTENCY_MISMATCH');
  for (const poor of ['declined-1', 'expired-poor-1'])
    t.same(await charge(700, poor), { declined: 'insufficient_funds' });
  t.equal(await code(charge(0, 'another')), 'RIDE_INVALID_INPUT');
});

t.test('open holds: those that are neither captured nor released, oldest first, page by page', async (t) => {
  t.same((await payments.openHolds(Number.MAX_SAFE_INTEGER, 10)).items, []);
  for (const key of ['d', 'e', 'f']) {
    now += 10;
    await held(key);
  }
  const first = await payments.openHolds(now, 1);
  t.same(
    first.items.map(({ paymentId }) => paymentId),
    ['pay-d'],
  );
  const second = await payments.openHolds(now, 1, first.nextPageToken);
  t.same(
    second.items.map(({ paymentId, amountMinor }) => [paymentId, amountMinor]),
    [['pay-e', 1000]],
  );
  t.notOk(
    (await payments.openHolds(now, 5)).items.some(({ paymentId }) => paymentId === 'pay-f'),
    'made just now',
  );
});

t.end();
