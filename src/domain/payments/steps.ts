/**
 * The steps of a payment, each of which calls the provider or writes the books under a key of its own, and says what came of it. A step
 * may be taken any number of times, from any number of nodes: it is done once.
 */
import { RideError } from '../../errors.ts';
import type { HoldOutcome, Payments as Provider } from '../../ports/payments.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Collection } from '../../ports/store.ts';
import { isTaken } from '../documents/writing.ts';
import { shardKeyOf } from '../ids.ts';
import { captureLines, type LedgerEntry, ledgerIdOf, type Payment } from './payment.ts';
import { captureMinor, type PaymentCommand, type PaymentStep } from './rules.ts';

export interface StepsDeps {
  provider: Provider;
  ledger: Collection<LedgerEntry>;
  publisher: Publisher;
}

/** What the rider is told of a payment that is settled. */
export const receiptOf = ({ id, tripId, capturedMinor, currency }: Payment) => ({
  id: `${id}.receipt`,
  title: 'Receipt',
  body: `${capturedMinor} ${currency}`,
  tripId,
});

/** @returns what takes a step; it rejects when nobody knows what came of it, or when the provider refuses it for good */
export function createSteps({ provider, ledger, publisher }: StepsDeps) {
  const held = ({ id, riderId, currency, holdMinor: amountMinor }: Payment, name: string): Promise<HoldOutcome> =>
    provider.hold({ key: `${id}.${name}`, paymentId: id, riderId, amountMinor, currency });

  async function hold(payment: Payment): Promise<PaymentCommand> {
    const outcome = await held(payment, 'hold');
    return 'holdId' in outcome
      ? { type: 'held', holdId: outcome.holdId }
      : { type: 'declined', reason: outcome.declined };
  }

  /** Another hold; the old one is released when it is known that this one took its place. */
  async function renew(payment: Payment): Promise<PaymentCommand> {
    const outcome = await held(payment, 'renew');
    return 'holdId' in outcome
      ? { type: 'renewed', holdId: outcome.holdId }
      : { type: 'renewal_declined', reason: outcome.declined };
  }

  async function raise({ id, holdId, owedMinor }: Payment): Promise<PaymentCommand> {
    const outcome = await provider.raise(`${id}.raise`, holdId!, owedMinor!);
    return 'heldMinor' in outcome
      ? { type: 'raised', heldMinor: outcome.heldMinor }
      : { type: 'raise_refused', reason: outcome.declined };
  }

  /** Of a hold that has lapsed it is said so: nothing was taken. */
  async function capture(payment: Payment): Promise<PaymentCommand> {
    try {
      await provider.capture(`${payment.id}.capture`, payment.holdId!, captureMinor(payment));
      return { type: 'captured' };
    } catch (error) {
      if (error instanceof RideError && error.facts?.hold === 'lapsed') return { type: 'lapsed' };
      throw error;
    }
  }

  async function charge({ id, riderId, currency, owedMinor, charges }: Payment): Promise<PaymentCommand> {
    const charge = charges!;
    const key = `${id}.charge.${charge}`;
    const outcome = await provider.charge({ key, paymentId: id, riderId, amountMinor: owedMinor!, currency });
    return 'chargeId' in outcome
      ? { type: 'charged', charge }
      : { type: 'charge_declined', charge, reason: outcome.declined };
  }

  /** The books first, then the receipt: both are what they are under ids of their own, so a repeat changes nothing. */
  async function settle(payment: Payment): Promise<PaymentCommand> {
    const { id: paymentId, tripId, bookingId, riderId, currency } = payment;
    const id = ledgerIdOf(bookingId ?? tripId);
    const key = shardKeyOf(id, payment.region, payment.createdAt);
    const what = { paymentId, tripId, ...(bookingId ? { bookingId } : {}) };
    try {
      await ledger.insert({ id, ...key, version: 1, ...what, currency, lines: captureLines(payment) });
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    const receipt = receiptOf(payment);
    await publisher.publishOrdered(`user:${riderId}`, 'notification', receipt, receipt.id);
    return { type: 'settled' };
  }

  return async (step: PaymentStep, payment: Payment): Promise<PaymentCommand> => {
    const { id } = payment;
    switch (step) {
      case 'hold':
        return hold(payment);
      case 'renew':
        return renew(payment);
      case 'raise':
        return raise(payment);
      case 'capture':
        return capture(payment);
      case 'charge':
        return charge(payment);
      case 'release':
        await provider.release(`${id}.release`, payment.holdId!);
        return { type: 'released' };
      case 'settle':
        return settle(payment);
    }
  };
}
