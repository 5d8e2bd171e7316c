/** A payment's step that failed, tried again; and the reconciliation of trips, payments and the provider's holds. */
import type { TripPayments } from '../domain/payments/service.ts';
import type { JobDefinition, RecurringJob } from '../ports/jobs.ts';
import type { Logger } from '../ports/logger.ts';
import type { ScheduledWork } from '../ports/scheduler.ts';

export const paymentStepJob = (payments: TripPayments): JobDefinition<ScheduledWork['payment_step']> => ({
  name: 'payment_step',
  queue: 'high',
  attempts: 5,
  backoffMs: 500,
  async run({ paymentId }) {
    await payments.step(paymentId);
  },
});

/** @param everyMs wall ms @param ageMs domain ms */
export const reconcileJob = (payments: TripPayments, everyMs: number, ageMs: number, log: Logger): RecurringJob => ({
  name: 'reconcile',
  queue: 'normal',
  attempts: 1,
  backoffMs: 0,
  everyMs,
  async run() {
    const done = await payments.reconcile(ageMs);
    if (done.steps + done.trips + done.holds > 0) log.info(done, 'payments reconciled');
  },
});
