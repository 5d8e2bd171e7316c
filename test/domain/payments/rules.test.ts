/** The life of a payment, whatever comes in whatever order: nothing is taken twice or beyond the hold, and every step leads on. */
import fc from 'fast-check';
import t from 'tap';
import { backoffMs, waitAfter } from '../../../src/domain/payments/patience.ts';
import { captureLines } from '../../../src/domain/payments/payment.ts';
import {
  captureMinor,
  decide,
  evolve,
  needsHold,
  nextStep,
  type PaymentCommand,
  type PaymentState,
  paymentSteps,
  stepOf,
  unpaidMinor,
  wantsHold,
} from '../../../src/domain/payments/rules.ts';

const begun = (holdMinor: number, renewAt?: number): PaymentState => ({
  status: 'holding',
  ...(renewAt === undefined ? {} : { renewAt }),
  holdMinor,
  holdId: null,
  owedMinor: null,
  capturedMinor: 0,
  updatedAt: 0,
});
const amount = fc.nat(10_000_000);
const commands: fc.Arbitrary<PaymentCommand> = fc.oneof(
  fc.constantFrom('h1', 'h2').map((holdId) => ({ type: 'held' as const, holdId })),
  fc.constant({ type: 'declined' as const, reason: 'no' }),
  amount.map((amountMinor) => ({ type: 'owe' as const, amountMinor })),
  amount.map((heldMinor) => ({ type: 'raised' as const, heldMinor })),
  fc.constant({ type: 'raise_refused' as const, reason: 'no' }),
  fc.constant({ type: 'renew' as const }),
  fc.constantFrom('h3', 'h4').map((holdId) => ({ type: 'renewed' as const, holdId })),
  fc.constant({ type: 'renewal_declined' as const, reason: 'no' }),
  fc.constantFrom('lapsed', 'charge').map((type) => ({ type })),
  fc.integer({ min: 1, max: 3 }).map((charge) => ({ type: 'charged' as const, charge })),
  fc.integer({ min: 1, max: 3 }).map((charge) => ({ type: 'charge_declined' as const, charge, reason: 'no' })),
  fc.constantFrom('captured', 'released', 'settled').map((type) => ({ type })),
  fc.constantFrom(...paymentSteps).map((step) => ({ type: 'give_up' as const, step, reason: 'away' })),
);

function apply(state: PaymentState, command: PaymentCommand): PaymentState {
  const fact = decide(state, command, state.updatedAt + 1);
  return fact ? evolve(state, fact) : state;
}

/** What is written down when the step of the present status succeeded. */
function doStep(state: PaymentState): PaymentState {
  const step = nextStep(state);
  if (step === 'hold') return apply(state, { type: 'held', holdId: 'h' });
  if (step === 'renew') return apply(state, { type: 'renewed', holdId: 'anew' });
  if (step === 'raise') return apply(state, { type: 'raised', heldMinor: state.owedMinor! });
  if (step === 'capture') return apply(state, { type: 'captured' });
  if (step === 'charge') return apply(state, { type: 'charged', charge: state.charges! });
  if (step === 'release') return apply(state, { type: 'released' });
  return step === 'settle' ? apply(state, { type: 'settled' }) : state;
}

t.test('whatever comes: one hold, one amount owed, one capture, never more than was held', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.array(commands, { maxLength: 20 }), (hold, list) => {
        let state = begun(hold, hold % 2 === 0 ? hold % 8 : undefined);
        for (const command of list) {
          const next = apply(state, command);
          const isRenewed = command.type === 'renewed' && state.status === 'renewing';
          if (state.holdId !== null && next.holdId !== state.holdId && !isRenewed) throw new Error('another hold');
          if (next.holdId !== null && needsHold(next) && !wantsHold(next, next.holdId)) throw new Error('its own hold');
          if (state.owedMinor !== null && next.owedMinor !== state.owedMinor) throw new Error('another amount');
          if (state.capturedMinor > 0 && next.capturedMinor !== state.capturedMinor) throw new Error('captured twice');
          const most = next.charges ? (next.owedMinor ?? 0) : captureMinor(next);
          if (next.capturedMinor > most) throw new Error('too much');
          const isRaised = command.type === 'raised' && state.status === 'raising';
          if (next.holdMinor !== state.holdMinor && !isRaised) throw new Error('another amount held');
          if (!needsHold(state) && needsHold(next)) throw new Error('a hold too late');
          if (captureLines(next).reduce((sum, line) => sum + line.amountMinor, 0) !== 0) throw new Error('unbalanced');
          // The same command again changes nothing.
          if (apply(next, command) !== next) throw new Error(`${command.type} had an effect twice`);
          state = next;
        }
      }),
    ),
  );
});

t.test('once hold and amount are known, the steps lead to an end', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.nat(20_000), fc.array(commands), (hold, owed, before) => {
        let state = before.reduce(apply, begun(hold, 0));
        state = apply(state, { type: 'owe', amountMinor: owed });
        for (let i = 0; i < 5; i++) state = doStep(state);
        if (nextStep(state) !== null) throw new Error(`still ${state.status}`);
        if (!['settled', 'released', 'declined', 'unpaid'].includes(state.status)) throw new Error(state.status);
        const due = state.charges ? state.owedMinor : captureMinor(state);
        if (state.status === 'settled' && state.capturedMinor !== due) throw new Error('not all');
        return unpaidMinor(state) + state.capturedMinor === state.owedMinor;
      }),
    ),
  );
});

t.test('a step that is given up is no step under way, and done all the same it goes on where it stood', async (t) => {
  const owed = apply(begun(500), { type: 'owe', amountMinor: 300 });
  const capturing = apply(owed, { type: 'held', holdId: 'h' });
  const give = (state: PaymentState) => apply(state, { type: 'give_up', step: stepOf(state.status)!, reason: 'away' });
  const failed = give(capturing);
  t.hasStrict(failed, { status: 'failed', failedStep: 'capture', owedMinor: 300, capturedMinor: 0 });
  t.equal(stepOf(failed.status), null);
  t.equal(needsHold(failed), true, 'it can still be captured');
  t.equal(apply(failed, { type: 'released' }), failed, 'no other step is done instead');
  t.equal(apply(failed, { type: 'give_up', step: 'capture', reason: 'again' }), failed);
  const done = apply(failed, { type: 'captured' });
  t.hasStrict(done, { status: 'captured', capturedMinor: 300 });
  t.equal(done.failedStep, undefined);
  t.equal(apply(capturing, { type: 'give_up', step: 'hold', reason: 'late' }), capturing, 'of a step that is done');

  const unheld = give(begun(500));
  t.equal(apply(unheld, { type: 'owe', amountMinor: 0 }).status, 'released', 'nothing was held and nothing has to be');
  const still = apply(unheld, { type: 'owe', amountMinor: 300 });
  t.hasStrict(still, { status: 'failed', failedStep: 'hold' });
  t.equal(apply(still, { type: 'held', holdId: 'h' }).status, 'capturing');
  t.equal(apply(still, { type: 'declined', reason: 'no' }).status, 'unpaid');

  const releasing = apply(apply(begun(500), { type: 'held', holdId: 'h' }), { type: 'owe', amountMinor: 0 });
  t.equal(needsHold(give(releasing)), false, 'whoever finds the hold releases it');
});

t.test('what is owed beyond the hold: it is raised; else what it holds is taken and the rest stays owed', async (t) => {
  const raising = apply(apply(begun(500), { type: 'held', holdId: 'h' }), { type: 'owe', amountMinor: 700 });
  t.hasStrict(raising, { status: 'raising', holdMinor: 500 });
  t.equal(needsHold(raising), true);
  t.equal(apply(raising, { type: 'captured' }), raising, 'not captured before it is known of how much');
  const raised = apply(raising, { type: 'raised', heldMinor: 700 });
  t.hasStrict(doStep(doStep(raised)), { status: 'settled', capturedMinor: 700 });
  const part = apply(raising, { type: 'raised', heldMinor: 600 });
  t.equal(unpaidMinor(doStep(part)), 100, 'a provider may raise it by less');
  for (const refused of [
    apply(raising, { type: 'raise_refused', reason: 'no' }),
    apply(raising, { type: 'give_up', step: 'raise', reason: 'away' }),
  ]) {
    t.hasStrict(refused, { status: 'capturing', holdMinor: 500 });
    t.equal(refused.failedStep, undefined, 'nobody has to look');
    t.equal(apply(refused, { type: 'raised', heldMinor: 700 }), refused, 'too late: the capture is of so much');
    const settled = doStep(doStep(refused));
    t.hasStrict(settled, { status: 'settled', capturedMinor: 500 });
    t.equal(unpaidMinor(settled), 200);
  }
  t.equal(
    apply(apply(begun(500), { type: 'held', holdId: 'h' }), { type: 'owe', amountMinor: 500 }).status,
    'capturing',
  );
});

t.test(
  'a hold that would lapse is made anew when it is time, once; what is owed meanwhile waits for that',
  async (t) => {
    const held = apply(begun(500, 100), { type: 'held', holdId: 'old' });
    t.equal(apply(held, { type: 'renew' }), held, 'it is not time yet');
    t.equal(
      apply(apply(begun(500), { type: 'held', holdId: 'h' }), { type: 'renew' }).status,
      'held',
      'nor ever for most',
    );
    const renewing = apply({ ...held, updatedAt: 99 }, { type: 'renew' });
    t.equal(nextStep(renewing), 'renew');
    for (const hold of ['old', 'one whose answer was lost']) t.equal(wantsHold(renewing, hold), true);
    const renewed = apply(renewing, { type: 'renewed', holdId: 'new' });
    t.hasStrict(renewed, { status: 'held', holdId: 'new', holdMinor: 500 });
    t.same([wantsHold(renewed, 'old'), wantsHold(renewed, 'new')], [false, true]);
    t.equal(apply(renewed, { type: 'renew' }), renewed, 'once');
    for (const kept of [
      apply(renewing, { type: 'renewal_declined', reason: 'no' }),
      apply(renewing, { type: 'give_up', step: 'renew', reason: 'away' }),
    ]) {
      t.hasStrict(kept, { status: 'held', holdId: 'old' });
      t.equal(apply(kept, { type: 'renew' }), kept, 'nor a second time');
    }
    const owed = apply(renewing, { type: 'owe', amountMinor: 500 });
    t.equal(owed.status, 'renewing');
    t.hasStrict(doStep(doStep(doStep(owed))), { status: 'settled', holdId: 'anew', capturedMinor: 500 });
    t.hasStrict(apply(owed, { type: 'renewal_declined', reason: 'no' }), { status: 'capturing', holdId: 'old' });
    t.equal(doStep(apply(renewing, { type: 'owe', amountMinor: 0 })).status, 'releasing');
  },
);

t.test(
  'a hold that has lapsed: all that is owed is charged; declined it is unpaid, and charged when people say so',
  async (t) => {
    const owed = apply(apply(begun(500), { type: 'held', holdId: 'h' }), { type: 'owe', amountMinor: 700 });
    t.equal(apply(owed, { type: 'lapsed' }), owed, 'it is known by its capture');
    const capturing = apply(owed, { type: 'raise_refused', reason: 'lapsed' });
    const charging = apply(capturing, { type: 'lapsed' });
    t.hasStrict(charging, { status: 'charging', charges: 1 });
    t.equal(wantsHold(charging, 'h'), false, 'whoever still finds the hold releases it');
    t.equal(apply(charging, { type: 'captured' }), charging, 'a capture that is heard of late took nothing');
    t.hasStrict(doStep(doStep(charging)), { status: 'settled', capturedMinor: 700 });
    const failed = apply(charging, { type: 'give_up', step: 'charge', reason: 'away' });
    t.hasStrict(failed, { status: 'failed', failedStep: 'charge' });
    t.equal(needsHold(failed), false);
    t.hasStrict(apply(failed, { type: 'charged', charge: 1 }), { status: 'captured', capturedMinor: 700 });
    const unpaid = apply(failed, { type: 'charge_declined', charge: 1, reason: 'no' });
    t.hasStrict(unpaid, { status: 'unpaid', declineReason: 'no', capturedMinor: 0 });
    t.equal(unpaid.failedStep, undefined);
    const again = apply(unpaid, { type: 'charge' });
    const stale: PaymentCommand = { type: 'charge_declined', charge: 1, reason: 'no' };
    t.equal(apply(again, stale), again, 'a late answer to the first charge says nothing of the second');
    t.hasStrict(doStep(again), { status: 'captured', charges: 2, capturedMinor: 700 });
    const late = apply(apply(capturing, { type: 'give_up', step: 'capture', reason: 'no' }), { type: 'lapsed' });
    t.equal(late.status, 'charging', 'also of one that failed before');
  },
);

t.test('waits grow, are bounded before and after it was given up, and end', async (t) => {
  const patience = { retryMs: 1000, retryMaxMs: 4000, attempts: 4, repairs: 3 };
  t.same(
    [1, 2, 3, 4, 5, 6, 7, 99].map((n) => waitAfter(n, patience)),
    [1000, 2000, 4000, 4000, 8000, 16_000, null, null],
  );
  t.equal(waitAfter(40, { ...patience, repairs: 100 }), 86_400_000);
  t.equal(waitAfter(4, { ...patience, repairs: 0 }), null);
});

t.test('the amount may come before the hold, and waits between tries grow up to the most', async (t) => {
  const early = apply(begun(500), { type: 'owe', amountMinor: 700 });
  t.equal(early.status, 'holding');
  const held = apply(early, { type: 'held', holdId: 'h' });
  t.equal(held.status, 'raising');
  t.hasStrict(doStep(doStep(doStep(held))), { status: 'settled', capturedMinor: 700 });
  t.equal(apply(apply(early, { type: 'declined', reason: 'no' }), { type: 'settled' }).status, 'unpaid');
  t.same(
    [1, 2, 3, 4, 99].map((n) => backoffMs(n, 1000, 5000)),
    [1000, 2000, 4000, 5000, 5000],
  );
});
