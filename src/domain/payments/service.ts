/**
 * The saga of a payment: hold when a driver was found or seats were booked, capture or release when it has ended, then the books and the
 * receipt; payables.ts knows of what. Each step is a status of the payment's document: it is taken when the event that led there is
 * relayed, repeated with the same key until it succeeds, and found by `reconcile` when everything that knew of it is gone. A declined hold
 * is made good by cancelling what it was for.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { MoneyMeter } from '../../ports/money-meter.ts';
import type { Payments as Provider } from '../../ports/payments.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Collection, OutboxEvent } from '../../ports/store.ts';
import type { Bookings } from '../bookings/service.ts';
import type { Departure } from '../departures/departure.ts';
import { type DepartureEvent, isSettled } from '../departures/rules.ts';
import { isTaken, LOST, untilWritten } from '../documents/writing.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import type { Principal } from '../roles.ts';
import type { TripEvent } from '../trips/rules.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import { createPaymentDesk } from './desk.ts';
import { createPayables, type Payable } from './payables.ts';
import { type LedgerEntry, ledgerIdOf, type Payment, type PaymentEvent, paymentIdOf } from './payment.ts';
import { createReconciliation } from './reconcile.ts';
import {
  captureLines,
  captureMinor,
  decide,
  evolve,
  nextStep,
  type Patience,
  type PaymentCommand,
  type PaymentFact,
  type PaymentStep,
  stepOf,
  unpaidMinor,
  waitAfter,
} from './rules.ts';

/** Of the waits, domain ms. */
export interface PaymentSettings extends Patience {
  /** So much waiting at the pick-up is held for beside the fare, seconds. */
  waitingAllowanceS: number;
}

export interface PaymentsDeps {
  payments: Collection<Payment>;
  ledger: Collection<LedgerEntry>;
  provider: Provider;
  trips: Trips;
  bookings: Bookings;
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

/** What the rider is told of a payment that is settled. */
export const receiptOf = ({ id, tripId, capturedMinor, currency }: Payment) => ({
  id: `${id}.receipt`,
  title: 'Receipt',
  body: `${capturedMinor} ${currency}`,
  tripId,
});

export type TripPayments = ReturnType<typeof createTripPayments>;

export function createTripPayments(deps: PaymentsDeps) {
  const { payments, ledger, provider, trips, bookings, scheduler, publisher, clock, ids, settings, log, meter } = deps;
  const payables = createPayables({ trips, bookings, waitingAllowanceS: settings.waitingAllowanceS });

  /** The payment after a fact, and the fact as its next event. */
  function applied(payment: Payment, fact: PaymentFact): { next: Payment; outbox: OutboxEvent[] } {
    const evolved = evolve(payment, fact);
    const seq = payment.history.length + 1;
    const event: PaymentEvent = { ...fact, id: ids.next('evt'), seq, status: evolved.status };
    const history = [...payment.history, event];
    const { failure: _, ...rest } = evolved;
    const dueAt = stepOf(evolved.status) ? fact.at + STEP_PATIENCE_MS : null;
    // One that was given up before is looked after as it was, whatever else becomes known of it.
    const isStillFailed = payment.status === 'failed' && evolved.status === 'failed';
    const next: Payment = isStillFailed ? { ...evolved, history } : { ...rest, attempts: 0, dueAt, history };
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

  /** Makes its payment, once. */
  async function begin({ id: payableId, region, createdAt, owedMinor: _, ...what }: Payable): Promise<void> {
    if (what.holdMinor === 0) return;
    const id = paymentIdOf(payableId);
    const now = clock.now();
    const blank: Payment = {
      id,
      ...shardKeyOf(id, region, createdAt),
      version: 1,
      ...what,
      status: 'holding',
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

  /** What has ended costs so much, told to its payment; a fee without a hold begins one. */
  async function owe(payable: Payable): Promise<void> {
    const amountMinor = payable.owedMinor ?? 0;
    if (amountMinor > 0) await begin(payable);
    await command(paymentIdOf(payable.id), { type: 'owe', amountMinor });
  }

  /** Another node may have said that nothing is owed before there was a payment to tell: then it is said here. */
  async function start(payable: Payable): Promise<void> {
    await begin(payable);
    if (payable.owedMinor !== null) await owe(payable);
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
    const doing = nextStep(payment);
    if (!doing) return;
    // One that was given up is not hurried by work that was scheduled before that.
    const isEarly = payment.dueAt === null || payment.dueAt > clock.now();
    if (payment.status === 'failed' && isEarly) return;
    const spentS = meter.stopwatch();
    let next: PaymentCommand;
    try {
      next = await take(doing, payment);
    } catch (error) {
      meter.step(doing, 'failed', spentS());
      await failed(payment, doing, error);
      return;
    }
    meter.step(doing, next.type === 'declined' ? 'declined' : 'done', spentS());
    await command(id, next);
  }

  /** A step that failed is tried again later, but not for ever: then it is written down that it was given up. */
  async function failed(payment: Payment, step: PaymentStep, error: unknown): Promise<void> {
    // What the provider refuses for good, it refuses again.
    const isFinal = error instanceof RideError && !error.spec.retryable;
    const attempts = payment.attempts + 1;
    const waitMs = isFinal ? null : waitAfter(attempts, settings);
    const failure = error instanceof RideError ? `${error.code}: ${error.message}` : String(error);
    const facts = { err: error, payment_id: payment.id, step, attempts, wait_ms: waitMs };
    const isGivenUp = isFinal || attempts >= settings.attempts;
    if (isGivenUp) log.error(facts, 'a step of a payment was given up; people have to look');
    else log.warn(facts, 'a step of a payment failed; it is tried again');
    const dueAt = waitMs === null ? null : clock.now() + waitMs;
    const seen: Payment = { ...payment, version: payment.version + 1 };
    const fact = isGivenUp ? decide(payment, { type: 'give_up', step, reason: failure }, clock.now()) : null;
    const { next, outbox } = fact ? applied(seen, fact) : { next: seen, outbox: [] };
    const tried: Payment = { ...next, attempts, failure, dueAt };
    // Somebody else took the step meanwhile: then there is nothing to repeat.
    if (!(await payments.compareAndSet(tried, outbox))) return;
    if (fact) written(tried, fact, outbox);
    // One that was given up is found by reconciliation when it is due.
    if (isGivenUp || waitMs === null) return;
    await scheduler.schedule('payment_step', { paymentId: payment.id }, waitMs, `${payment.id}.${tried.version}`);
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

    /** The same of a booking. */
    async ofBooking(principal: Principal, bookingId: string): Promise<Payment> {
      await bookings.get(principal, bookingId);
      const payment = await payments.get(paymentIdOf(bookingId));
      if (payment) return payment;
      throw new RideError('RIDE_NOT_FOUND', 'Nothing is to be paid for this booking yet', {
        field: 'booking_id',
        rule: 'a booking of seats that cost something',
      });
    },

    /** Of a ride, or of a booking. */
    find: (payableId: string): Promise<Payment | null> => payments.get(paymentIdOf(payableId)),

    step,

    /** What follows from an event of a ride. Safe to repeat. */
    async reactToTrip(trip: Trip, event: TripEvent): Promise<void> {
      const payable = payables.ofRide(trip);
      if (event.type === 'assigned') await start(payable);
      else if (event.type === 'completed' || event.type === 'cancelled' || event.type === 'expired') await owe(payable);
    },

    /** What follows from an event of a departure, for the bookings that it is about. Safe to repeat. */
    async reactToDeparture(departure: Departure, event: DepartureEvent): Promise<void> {
      if (!event.booking && !isSettled(departure)) return;
      for (const booking of departure.bookings) {
        if (event.booking && event.booking.id !== booking.id) continue;
        const payable = payables.ofBooking(departure, booking);
        if (event.type === 'booked') await start(payable);
        else if (payable.owedMinor !== null) await owe(payable);
      }
    },

    /** What follows from an event of a payment. Safe to repeat. */
    async react(paymentId: string, event: PaymentEvent): Promise<void> {
      if (stepOf(event.status)) await step(paymentId);
      if (event.type !== 'declined') return;
      const payment = await payments.get(paymentId);
      if (payment) await payables.undo(payment);
    },

    desk: createPaymentDesk({ payments, clock, attempts: settings.attempts, step }),

    reconcile: createReconciliation({ payments, provider, payables, clock, log, meter, step, owe, command }),
  };
}
