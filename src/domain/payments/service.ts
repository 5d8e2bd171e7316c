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
import { type Patience, waitAfter } from './patience.ts';
import { checkPayer, createPayables, type Payable } from './payables.ts';
import {
  type LedgerEntry,
  newlyUnpaidMinor,
  orphanKeyOf,
  type Payment,
  type PaymentEvent,
  paymentIdOf,
} from './payment.ts';
import { createReconciliation } from './reconcile.ts';
import { decide, evolve, nextStep, type PaymentCommand, type PaymentFact, type PaymentStep, stepOf } from './rules.ts';
import { createSteps } from './steps.ts';

/** Of the waits, domain ms. */
export interface PaymentSettings extends Patience {
  /** So much waiting at the pick-up is held for beside the fare, seconds. */
  waitingAllowanceS: number;
  /** Counted on for a hold, before the provider lets it lapse, domain ms. */
  holdLifeMs: number;
  /** One that is not good for so long is made anew so long before the departure, domain ms. */
  renewAheadMs: number;
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

export type TripPayments = ReturnType<typeof createTripPayments>;

export function createTripPayments(deps: PaymentsDeps) {
  const { payments, ledger, provider, trips, bookings, scheduler, publisher, clock, ids, settings, log, meter } = deps;
  const payables = createPayables({ trips, bookings, waitingAllowanceS: settings.waitingAllowanceS });
  const take = createSteps({ provider, ledger, publisher });

  /** The payment after a fact, and the fact as its next event. */
  function applied(payment: Payment, fact: PaymentFact): { next: Payment; outbox: OutboxEvent[] } {
    const evolved = evolve(payment, fact);
    const seq = payment.history.length + 1;
    const event: PaymentEvent = { ...fact, id: ids.next('evt'), seq, status: evolved.status };
    const history = [...payment.history, event];
    const { failure: _, ...rest } = evolved;
    const renewAt = evolved.status === 'held' ? (evolved.renewAt ?? null) : null;
    const dueAt = stepOf(evolved.status) ? fact.at + STEP_PATIENCE_MS : renewAt;
    // One that was given up before is looked after as it was, whatever else becomes known of it.
    const isStillFailed = payment.status === 'failed' && evolved.status === 'failed';
    const next: Payment = isStillFailed ? { ...evolved, history } : { ...rest, attempts: 0, dueAt, history };
    return { next, outbox: [{ id: event.id, seq, type: `payment.${fact.type}`, at: fact.at, data: { ...event } }] };
  }

  /** After the write that made a fact so. */
  function written(payment: Payment, { type }: PaymentFact, outbox: OutboxEvent[]): void {
    const { id, currency, capturedMinor } = payment;
    meter.paymentEvent(type);
    if (type === 'captured') meter.captured(currency, capturedMinor);
    const restMinor = newlyUnpaidMinor(payment);
    if (restMinor > 0) meter.unpaid(currency, restMinor);
    deps.relay().kick(id, outbox);
  }

  /**
   * Makes its payment, once. One that costs nothing in the end is made all the same, and is over: its document is where those meet who
   * say that it begins and that it has ended, and who comes second finds it there.
   */
  async function begin(payable: Payable): Promise<void> {
    const { id: payableId, region, createdAt, owedMinor, isBegun: _, departsAt = 0, ...what } = payable;
    if (what.holdMinor === 0) return;
    const id = paymentIdOf(payableId);
    const now = clock.now();
    const blank: Payment = {
      id,
      ...shardKeyOf(id, region, createdAt),
      version: 1,
      ...what,
      status: owedMinor === 0 ? 'released' : 'holding',
      holdId: null,
      owedMinor: null,
      capturedMinor: 0,
      ...(departsAt - now > settings.holdLifeMs ? { renewAt: departsAt - settings.renewAheadMs } : {}),
      updatedAt: now,
      attempts: 0,
      dueAt: null,
      history: [],
    };
    const fact: PaymentFact =
      owedMinor === 0
        ? { type: 'owed', at: now, amountMinor: 0 }
        : { type: 'requested', at: now, amountMinor: blank.holdMinor };
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

  /** What has ended costs so much, told to its payment. */
  async function owe(payable: Payable): Promise<void> {
    const amountMinor = payable.owedMinor ?? 0;
    // Whoever was to begin it may be late: he finds that it is over.
    if (amountMinor > 0 || payable.isBegun) await begin(payable);
    await command(paymentIdOf(payable.id), { type: 'owe', amountMinor });
  }

  const start = (payable: Payable): Promise<void> => (payable.owedMinor === null ? begin(payable) : owe(payable));

  /** Takes the step that the payment waits for; a failure is written down and tried again later. */
  async function step(id: string): Promise<void> {
    const payment = await payments.get(id);
    if (!payment) return;
    const doing = nextStep(payment);
    if (!doing) {
      if (payment.status === 'held') await command(id, { type: 'renew' });
      return;
    }
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
    const isDeclined = ['declined', 'renewal_declined', 'raise_refused', 'lapsed', 'charge_declined'].includes(
      next.type,
    );
    meter.step(doing, isDeclined ? 'declined' : 'done', spentS());
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
    if (isGivenUp && step === 'raise') log.warn(facts, 'a hold was not raised; what it holds is taken');
    else if (isGivenUp && step === 'renew')
      log.error(facts, 'a hold was not made anew; it may lapse before it is captured');
    else if (isGivenUp) log.error(facts, 'a step of a payment was given up; people have to look');
    else log.warn(facts, 'a step of a payment failed; it is tried again');
    const dueAt = waitMs === null ? null : clock.now() + waitMs;
    const seen: Payment = { ...payment, version: payment.version + 1 };
    const fact = isGivenUp ? decide(payment, { type: 'give_up', step, reason: failure }, clock.now()) : null;
    const { next, outbox } = fact ? applied(seen, fact) : { next: seen, outbox: [] };
    // What goes on without the step that was given up goes on at once.
    const goesOn = fact !== null && next.status !== 'failed';
    const tried: Payment = goesOn ? next : { ...next, attempts, failure, dueAt };
    // Somebody else took the step meanwhile: then there is nothing to repeat.
    if (!(await payments.compareAndSet(tried, outbox))) return;
    if (fact) written(tried, fact, outbox);
    // One that was given up is found by reconciliation when it is due.
    if (isGivenUp || waitMs === null) return;
    await scheduler.schedule('payment_step', { paymentId: payment.id }, waitMs, `${payment.id}.${tried.version}`);
  }

  /** When it cannot be released now, reconciliation finds it as a hold that no payment wants. */
  async function releaseReplaced(paymentId: string): Promise<void> {
    const payment = await payments.get(paymentId);
    const holdId = payment?.history.find(({ type }) => type === 'held')?.holdId;
    if (holdId === undefined || holdId === payment!.holdId) return;
    await provider.release(orphanKeyOf(holdId), holdId).catch((error: unknown) => {
      log.warn({ err: error, payment_id: paymentId, hold_id: holdId }, 'a hold that was replaced is still there');
    });
  }

  return {
    /** The payment of a trip of `principal`. @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
    async ofTrip(principal: Principal, tripId: string): Promise<Payment> {
      checkPayer(principal, (await trips.get(principal, tripId)).riderId, 'trip');
      const payment = await payments.get(paymentIdOf(tripId));
      if (payment) return payment;
      throw new RideError('RIDE_NOT_FOUND', 'Nothing was to be paid for this trip yet', {
        field: 'trip_id',
        rule: 'a trip that a driver was found for',
      });
    },

    /** The same of a booking. */
    async ofBooking(principal: Principal, bookingId: string): Promise<Payment> {
      checkPayer(principal, (await bookings.get(principal, bookingId)).booking.passengerId, 'booking');
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
      if (event.type === 'renewed') await releaseReplaced(paymentId);
      if (event.type !== 'declined' && event.type !== 'renewal_declined') return;
      const payment = await payments.get(paymentId);
      if (payment) await payables.undo(payment);
    },

    desk: createPaymentDesk({ payments, clock, attempts: settings.attempts, step, command }),

    reconcile: createReconciliation({ payments, provider, payables, clock, log, meter, step, owe, command }),
  };
}
