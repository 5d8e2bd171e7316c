/** What operators do about payments: they see those that failed or stayed unpaid, and have their step taken, or the rider charged, once more. */
import { notFound, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import { LOST, untilWritten } from '../documents/writing.ts';
import type { Payment } from './payment.ts';
import type { PaymentCommand, PaymentStatus } from './rules.ts';

export interface PaymentDeskDeps {
  payments: Collection<Payment>;
  clock: Clock;
  /** Tries of a step before it is given up. */
  attempts: number;
  /** Takes the step that a payment waits for; a failure is written down. */
  step(paymentId: string): Promise<void>;
  command(paymentId: string, command: PaymentCommand): Promise<Payment | null>;
}

export interface PaymentQuery {
  status?: PaymentStatus | undefined;
  pageSize: number;
  pageToken?: string | undefined;
}

export type PaymentDesk = ReturnType<typeof createPaymentDesk>;

export function createPaymentDesk({ payments, clock, attempts, step, command }: PaymentDeskDeps) {
  /** @throws RideError RIDE_NOT_FOUND */
  async function get(id: string): Promise<Payment> {
    const payment = await payments.get(id);
    if (payment) return payment;
    throw notFound('payment', id);
  }

  return {
    get,

    /** Those that changed last first. */
    list({ status, pageSize, pageToken }: PaymentQuery): Promise<Page<Payment>> {
      const where: Record<string, Filter[string]> = status ? { status } : {};
      return payments.page({ where, orderBy: 'updatedAt', pageSize, ...(pageToken ? { pageToken } : {}) });
    },

    countFailed: (): Promise<number> => payments.count({ status: 'failed' }),

    /**
     * Has the step of a payment that failed taken now, and looked after anew if it fails again; of one that stayed unpaid, has what is owed
     * charged. Resolves how it stands after it.
     * @throws RideError RIDE_NOT_FOUND, RIDE_ILLEGAL_TRANSITION (facts: status) when it is neither, RIDE_CONFLICT
     */
    async retry(id: string): Promise<Payment> {
      if ((await get(id)).status === 'unpaid') {
        await command(id, { type: 'charge' });
        await step(id);
        return get(id);
      }
      await untilWritten('payment', async () => {
        const payment = await get(id);
        if (payment.status !== 'failed') {
          throw new RideError('RIDE_ILLEGAL_TRANSITION', `A payment that is ${payment.status} is not to be retried`, {
            field: 'payment_id',
            rule: 'a payment that failed or stayed unpaid',
            facts: { status: payment.status },
          });
        }
        // Due at once: a crash before the step leaves it to reconciliation.
        const next: Payment = { ...payment, version: payment.version + 1, attempts, dueAt: clock.now() };
        return (await payments.compareAndSet(next)) ? next : LOST;
      });
      await step(id);
      return get(id);
    },
  };
}
