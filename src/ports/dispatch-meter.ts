/** What is counted of dispatch. Each is told once, by the node that decided or whose write it was; no label is of a user or trip. */
import type { ChoiceReason, RejectionReason } from '../domain/dispatch/rules.ts';

/** `trip`: decided at once, with others that came at the same moment; `window`: together with the others of a city. */
export type DecisionKind = 'trip' | 'window';

/** How an offer came to be, and how it ends: of those asked each has one `made` and, once it is over, one of the others. */
export type OfferOutcome = 'made' | 'accepted' | 'declined' | 'expired' | 'withdrawn';

/** One trip's part in a decision. */
export interface DecidedTrip {
  /** `cheapest`: somebody is asked. */
  reason: ChoiceReason;
  /** Drivers who could have been asked. */
  rankedCount: number;
  /** Those near who could not. */
  rejectedCounts: Partial<Record<RejectionReason, number>>;
}

export interface DispatchMeter {
  /** Starts to count time: what it returns tells the wall seconds since. */
  stopwatch(): () => number;
  /**
   * A decision that was written down. `assigningS`: wall seconds of choosing, `totalS`: with what it was chosen from and the writing;
   * `greedyTrips`: those for which the time of the assignment did not reach.
   */
  decided(
    kind: DecisionKind,
    trips: readonly DecidedTrip[],
    spent: { assigningS: number; totalS: number; greedyTrips: number },
  ): void;
  offers(outcome: OfferOutcome, count: number): void;
  /** A driver took a trip: how far he is, by whom that was told, and how long a driver was sought, domain seconds. */
  matched(pickupEtaS: number, source: string, soughtS: number): void;
}
