/**
 * The saga of a payment: hold when a driver was found, capture or release when the trip has ended, then the books and the receipt. Each
 * step is a status of the payment's document: it is taken when the event that led there is relayed, repeated with the same key until it
 * succeeds, and found by `reconcile` when everything that knew of it is gone. A declined hold is made good by cancelling the trip.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { MoneyMeter } from '../../ports/money-meter.ts';
import type { Payments as Provider } from '../../ports/payments.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Collection, OutboxEvent } from '../../ports/store.ts';
import { isTaken, LOST, untilWritten } from '../documents/writing.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import { holdMinor } from '../pricing/rules.ts';
import type { Principal } from '../roles.ts';
import { isTerminal, type TripEvent } from '../trips/rules.ts';
import type { Trips } from '../trips/service.ts';
import { chargeOf, type Trip, termsOf } from '../trips/trip.ts';
import { type LedgerEntry, ledgerIdOf, type Payment, type PaymentEvent, paymentIdOf } from './payment.ts';
import { createReconciliation } from './reconcile.ts';
import {
  backoffMs,
  captureLines,
  captureMinor,
  decide,
  evolve,
  type PaymentCommand,
  type PaymentFact,
  type PaymentStep,
  stepOf,
  unpaidMinor,
} from './rules.ts';

export interface PaymentSettings {
  /** So much waiting at the pick-up is held for beside the fare, seconds. */
  waitingAllowanceS: number;
  /** Wait after a first failure of a step, domain ms; doubled up to `retryMaxMs`. */
  retryMs: number;
  retryMaxMs: number;
}

export interface PaymentsDeps {
  payments: Collection<Payment>;
  ledger: Collection<LedgerEntry>;
  provider: Provider;
  trips: Trips;
  relay: () => Relay;
  scheduler: Scheduler;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  settings: PaymentSettings;
  log: Logger;
  meter: MoneyMeter;
}

/** A step that nobody reported on after this long is taken again, domain ms. */
const STEP_PATIENCE_MS = 30_000;

export type TripPayments = ReturnType<typeof createTripPayments>;

export function createTripPayments(deps: PaymentsDeps) {
  const { payments, ledger, provider, trips, scheduler, publisher, clock, ids, settings, log, meter } = deps;
  /** The payment after a fact, and the fact as its next event. */
  function applied(payment: Payment, fact: PaymentFact): { next: Payment; outbox: OutboxEvent[] } {
    const evolved = evolve(payment, fact);
    const seq = payment.history.length + 1;
    const event: PaymentEvent = { ...fact, id: ids.next('evt'), seq, status: evolved.status };
    const dueAt = stepOf(evolved.status) ? fact.at + STEP_PATIENCE_MS : null;
    const { failure: _, ...rest } = evolved;
    const next: Payment = { ...rest, attempts: 0, dueAt, history: [...payment.history, event] };
    return { next, outbox: [{ id: event.id, seq, type: `payment.${fact.type}`, at: fact.at, data: { ...event } }] };
  }

  /** After the write that made a fact so. */
  function written(payment: Payment, { type }: PaymentFact, outbox: OutboxEvent[]): void {
    const { id, currency, capturedMinor, status } = payment;
    meter.paymentEvent(type);
    if (type === 'captured') meter.captured(currency, capturedMinor);
    const restMinor = unpaidMinor(payment);
    if (restMinor > 0 && (status === 'captured' || status === 'unpaid')) meter.unpaid(currency, restMinor);
    deps.relay().kick(id, outbox);
  }

  /** Makes the trip's payment, once. */
  async function begin(trip: Trip): Promise<void> {
    const id = paymentIdOf(trip.id);
    const terms = termsOf(trip);
    const now = clock.now();
    const blank: Payment = {
      id,
      ...shardKeyOf(id, trip.region, trip.createdAt),
      version: 1,
      tripId: trip.id,
      riderId: trip.riderId,
      currency: terms.tariff.currency,
      status: 'holding',
      // A provider holds no nothing.
      holdMinor: Math.max(1, holdMinor(terms, settings.waitingAllowanceS)),
      holdId: null,
      owedMinor: null,
      capturedMinor: 0,
      updatedAt: now,
      attempts: 0,
      dueAt: null,
      history: [],
    };
    const fact: PaymentFact = { type: 'requested', at: now, amountMinor: blank.holdMinor };
    const { next, outbox } = applied(blank, fact);
    try {
      await payments.insert(next, outbox);
    } catch (error) {
      if (isTaken(error)) return;
      throw error;
    }
    written(next, fact, outbox);
  }

  function command(id: string, what: PaymentCommand): Promise<Payment | null> {
    return untilWritten('payment', async () => {
      const payment = await payments.get(id);
      if (!payment) return null;
      const fact = decide(payment, what, clock.now());
      if (!fact) return payment;
      const { next, outbox } = applied({ ...payment, version: payment.version + 1 }, fact);
      if (!(await payments.compareAndSet(next, outbox))) return LOST;
      written(next, fact, outbox);
      return next;
    });
  }

  /** What the ended trip costs, told to its payment; a fee without a hold begins one. */
  async function owe(trip: Trip): Promise<void> {
    const amountMinor = chargeOf(trip)?.totalMinor ?? 0;
    if (amountMinor > 0) await begin(trip);
    await command(paymentIdOf(trip.id), { type: 'owe', amountMinor });
  }

  async function hold(payment: Payment): Promise<PaymentCommand> {
    const { id, riderId, currency } = payment;
    const amountMinor = payment.holdMinor;
    const outcome = await provider.hold({ key: `${id}.hold`, paymentId: id, riderId, amountMinor, currency });
    return 'holdId' in outcome
      ? { type: 'held', holdId: outcome.holdId }
      : { type: 'declined', reason: outcome.declined };
  }

  /** The books first, then the receipt: both are what they are under ids of their own, so a repeat changes nothing. */
  async function settle(payment: Payment): Promise<PaymentCommand> {
    const { id: paymentId, tripId, riderId, currency, capturedMinor } = payment;
    const id = ledgerIdOf(tripId);
    const key = shardKeyOf(id, payment.region, payment.createdAt);
    try {
      await ledger.insert({ id, ...key, version: 1, paymentId, tripId, currency, lines: captureLines(payment) });
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    const receipt = { id: `${paymentId}.receipt`, title: 'Receipt', body: `${capturedMinor} ${currency}`, tripId };
    await publisher.publishOrdered(`user:${riderId}`, 'notification', receipt, receipt.id);
    return { type: 'settled' };
  }

  async function take(doing: PaymentStep, payment: Payment): Promise<PaymentCommand> {
    const { id } = payment;
    switch (doing) {
      case 'hold':
        return hold(payment);
      case 'capture':
        await provider.capture(`${id}.capture`, payment.holdId!, captureMinor(payment));
        return { type: 'captured' };
      case 'release':
        await provider.release(`${id}.release`, payment.holdId!);
        return { type: 'released' };
      case 'settle':
        return settle(payment);
    }
  }

  /** Takes the step that the payment waits for; a failure is written down and tried again later. */
  async function step(id: string): Promise<void> {
    const payment = await payments.get(id);
    if (!payment) return;
    const doing = stepOf(payment.status);
    if (!doing) return;
    const spentS = meter.stopwatch();
    let next: PaymentCommand;
    try {
      next = await take(doing, payment);
    } catch (error) {
      meter.step(doing, 'failed', spentS());
      await failed(payment, error);
      return;
    }
    meter.step(doing, next.type === 'declined' ? 'declined' : 'done', spentS());
    await command(id, next);
  }

  async function failed(payment: Payment, error: unknown): Promise<void> {
    const attempts = payment.attempts + 1;
    const waitMs = backoffMs(attempts, settings.retryMs, settings.retryMaxMs);
    const failure = error instanceof RideError ? `${error.code}: ${error.message}` : String(error);
    const facts = { err: error, payment_id: payment.id, step: stepOf(payment.status), attempts, wait_ms: waitMs };
    log.warn(facts, 'a step of a payment failed; it is tried again');
    const dueAt = clock.now() + waitMs;
    const next: Payment = { ...payment, version: payment.version + 1, attempts, failure, dueAt };
    // Somebody else took the step meanwhile: then there is nothing to repeat.
    if (!(await payments.compareAndSet(next))) return;
    await scheduler.schedule('payment_step', { paymentId: payment.id }, waitMs, `${payment.id}.${next.version}`);
  }

  /** A rider who cannot pay is not driven: what was begun for him is undone, unless he is on board. */
  function compensate(payment: Payment): Promise<void> {
    return untilWritten('trip', async () => {
      const trip = await trips.find(payment.tripId);
      if (!trip || isTerminal(trip.status) || trip.status === 'in_progress') return;
      const cancel = { type: 'cancel', actorId: 'system', role: 'service', reason: 'payment_declined' } as const;
      try {
        await trips.command(trip.id, cancel, trip.version);
      } catch (error) {
        // It moved on: whether he is on board has to be asked again.
        if (!(error instanceof RideError) || error.code !== 'RIDE_PRECONDITION_FAILED') throw error;
        return LOST;
      }
    });
  }

  return {
    /** The payment of a trip that `principal` may read. @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
    async ofTrip(principal: Principal, tripId: string): Promise<Payment> {
      await trips.get(principal, tripId);
      const payment = await payments.get(paymentIdOf(tripId));
      if (payment) return payment;
      throw new RideError('RIDE_NOT_FOUND', 'Nothing was to be paid for this trip yet', {
        field: 'trip_id',
        rule: 'a trip that a driver was found for',
      });
    },

    find: (tripId: string): Promise<Payment | null> => payments.get(paymentIdOf(tripId)),

    step,

    /** What follows from an event of a trip. Safe to repeat. */
    async reactToTrip(trip: Trip, event: TripEvent): Promise<void> {
      if (event.type === 'assigned') await begin(trip);
      else if (event.type === 'completed' || event.type === 'cancelled' || event.type === 'expired') await owe(trip);
    },

    /** What follows from an event of a payment. Safe to repeat. */
    async react(paymentId: string, event: PaymentEvent): Promise<void> {
      if (stepOf(event.status)) await step(paymentId);
      if (event.type !== 'declined') return;
      const payment = await payments.get(paymentId);
      if (payment) await compensate(payment);
    },

    reconcile: createReconciliation({ payments, provider, trips, clock, log, meter, step, owe, command }),
  };
}
