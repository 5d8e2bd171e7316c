/**
 * Work that is to happen later, or on another node. The intent is always in the store (a trip's deadline, an offer's
 * expiry, an outbox); losing every job delays the work until the sweeper finds it, it does not lose it.
 */
export interface ScheduledWork {
  offer_expiry: { tripId: string; offerId: string };
  check_in_expiry: { tripId: string; round: number };
  payment_step: { paymentId: string };
  /** All that wait in a city. */
  dispatch_window: { city: string; at: number };
  dispatch_look: CohortLook;
}

/** The trips of a city for which drivers are sought since `from` or later, before `to`; `at` is when they are looked at. Domain epoch ms. */
export interface CohortLook {
  city: string;
  from: number;
  to: number;
  at: number;
}

export type WorkName = keyof ScheduledWork;

export interface Scheduler {
  /** `delayMs` is domain time. A `key` that is scheduled already is not scheduled twice. */
  schedule<N extends WorkName>(name: N, data: ScheduledWork[N], delayMs: number, key: string): Promise<void>;
}
