/**
 * What holds payments against trips and against the provider: overdue steps are taken, payments of rides and bookings that ended without
 * them are told, holds that nobody wants are released. Everything it does is what would have been done anyway, so it may run at any time,
 * on any number of nodes.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { MoneyMeter } from '../../ports/money-meter.ts';
import type { Payments as Provider } from '../../ports/payments.ts';
import type { Collection } from '../../ports/store.ts';
import { mendEach } from '../mending.ts';
import { stretchesOf } from '../pages.ts';
import type { Payable, Payables } from './payables.ts';
import { orphanKeyOf, type Payment } from './payment.ts';
import { type PaymentCommand, wantsHold } from './rules.ts';

export interface ReconciliationDeps {
  payments: Collection<Payment>;
  provider: Provider;
  payables: Pick<Payables, 'findMany'>;
  clock: Clock;
  log: Logger;
  meter: MoneyMeter;
  /** Takes the step that a payment waits for. */
  step(paymentId: string): Promise<void>;
  /** Tells a payment what that which has ended costs. */
  owe(payable: Payable): Promise<void>;
  command(paymentId: string, command: PaymentCommand): Promise<Payment | null>;
}

/** How many were found and seen to. */
export interface Reconciled {
  steps: number;
  trips: number;
  holds: number;
}

const BATCH = 200;
/** Pages of a list that one turn looks at: seats are booked long ahead, and their holds are open for as long. */
const PAGES_MAX = 25;

/** @returns what is to run again and again. `ageMs`: what is younger may still be under way, domain ms. */
export function createReconciliation(deps: ReconciliationDeps): (ageMs: number) => Promise<Reconciled> {
  const { payments, provider, payables, clock, log, meter } = deps;

  const unended = stretchesOf(PAGES_MAX, (before: number, token) => {
    const where = { status: { in: ['holding', 'held', 'renewing', 'declined', 'failed'] }, updatedAt: { lt: before } };
    return payments.page({ where, orderBy: 'updatedAt', direction: 'asc', pageSize: BATCH, ...token });
  });
  const openHolds = stretchesOf(PAGES_MAX, (before: number, { pageToken }) =>
    provider.openHolds(before, BATCH, pageToken),
  );

  const mend = <T extends { id: string }>(list: readonly T[], how: (one: T) => Promise<unknown>): Promise<number> =>
    mendEach(list, how, (error, { id }) => log.warn({ err: error, id }, 'not reconciled; the next turn tries again'));

  /** A step that is taken is due later, or no more: what is left comes in the next turn. */
  async function overdue(now: number): Promise<number> {
    const where = { dueAt: { lte: now } };
    const { items } = await payments.page({ where, orderBy: 'dueAt', direction: 'asc', pageSize: BATCH });
    return mend(items, ({ id }) => deps.step(id));
  }

  async function tell(list: readonly Payment[]): Promise<number> {
    const open = list.filter(({ owedMinor }) => owedMinor === null);
    const found = await payables.findMany(open);
    return mend(open, async ({ id }) => {
      const payable = found.get(id);
      if (payable && payable.owedMinor === null) return false;
      if (payable) await deps.owe(payable);
      else await deps.command(id, { type: 'owe', amountMinor: 0 });
      return true;
    });
  }

  /** Rides and bookings that ended, or are gone, without their payment knowing. */
  async function untold(before: number): Promise<number> {
    let told = 0;
    for await (const page of unended(before)) told += await tell(page);
    return told;
  }

  /** Holds that no payment of ours wants. */
  async function orphans(before: number): Promise<number> {
    let released = 0;
    for await (const page of openHolds(before)) {
      const wanted = await payments.getMany([...new Set(page.map(({ paymentId }) => paymentId))]);
      const known = new Map(wanted.map((payment) => [payment.id, payment]));
      released += await mend(page, async (hold) => {
        const payment = known.get(hold.paymentId);
        if (payment && wantsHold(payment, hold.id)) return false;
        await provider.release(orphanKeyOf(hold.id), hold.id);
        log.warn({ hold_id: hold.id, payment_id: hold.paymentId }, 'released a hold that no payment wants');
        return true;
      });
    }
    return released;
  }

  return async (ageMs) => {
    const now = clock.now();
    const done = { steps: await overdue(now), trips: await untold(now - ageMs), holds: await orphans(now - ageMs) };
    meter.reconciled('step', done.steps);
    meter.reconciled('trip', done.trips);
    meter.reconciled('hold', done.holds);
    return done;
  };
}
