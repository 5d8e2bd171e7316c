/** What is counted of prices and payments. Each is told once, by the node whose write it was. */
import type { PaymentEventType, PaymentStep } from '../domain/payments/rules.ts';

export interface MoneyMeter {
  /** Starts to count time: what it returns tells the wall seconds since. */
  stopwatch(): () => number;
  /** `used`, `expired`: it was to be booked, and could not be. */
  quote(outcome: 'made' | 'booked' | 'used' | 'expired'): void;
  /** A board of so many zones with a surge, and the highest factor of them, in thousandths; it took this long to make. */
  surge(zones: number, highestPermille: number, seconds: number): void;
  /** One try of a step of a payment. */
  step(step: PaymentStep, outcome: 'done' | 'declined' | 'failed', seconds: number): void;
  paymentEvent(type: PaymentEventType): void;
  /** Minor units. */
  captured(currency: string, amountMinor: number): void;
  /** Owed and not to be had from the hold, minor units. */
  unpaid(currency: string, amountMinor: number): void;
  /** Found by reconciliation, and seen to. */
  reconciled(what: 'step' | 'trip' | 'hold', count: number): void;
}
