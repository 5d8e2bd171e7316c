/**
 * Money of riders, at a provider: held before a ride, captured or released after it. No card data passes here; who `riderId` is to
 * the provider is the provider's affair.
 *
 * Every call carries a key. All calls with the same key and contents are one, however often and from wherever they are made, and have
 * the same answer; so a call whose answer was lost is repeated as it was. The same key with other contents rejects with
 * RIDE_IDEMPOTENCY_MISMATCH. RIDE_UNAVAILABLE says that the outcome is not known.
 *
 * A provider may let a hold lapse that nobody captured for some days (PAYMENTS_HOLD_LIFE): then it is free, and what is owed is charged
 * without one. A payment may have two holds for a moment, each under a key of its own.
 */
import type { Page } from './store.ts';

export interface HoldRequest {
  key: string;
  /** What the hold is for; told again by `openHolds`. */
  paymentId: string;
  riderId: string;
  /** Minor units, at least 1. */
  amountMinor: number;
  /** ISO 4217. */
  currency: string;
}

export type HoldOutcome = { holdId: string } | { declined: string };

export type ChargeOutcome = { chargeId: string } | { declined: string };

/** A refused hold is what it was. */
export type RaiseOutcome = { heldMinor: number } | { declined: string };

export interface OpenHold {
  id: string;
  paymentId: string;
  amountMinor: number;
  createdAt: number;
}

export interface Payments {
  hold(request: HoldRequest): Promise<HoldOutcome>;
  /**
   * Makes a hold one of `amountMinor` in all, which is more than it was. Where the provider cannot raise a hold, its adapter puts another
   * beside it and takes and frees both as one, or declines.
   * @throws RideError RIDE_ILLEGAL_TRANSITION when it is released or captured
   */
  raise(key: string, holdId: string, amountMinor: number): Promise<RaiseOutcome>;
  /**
   * Takes so much of a hold, at most all, and frees the rest.
   * @throws RideError RIDE_ILLEGAL_TRANSITION when it is released, captured by another key, or has lapsed. Only of one that the provider
   *   let lapse, from which nothing was or will be taken, `facts.hold` is `lapsed`: it is charged instead, and a mistake would charge twice.
   */
  capture(key: string, holdId: string, amountMinor: number): Promise<void>;
  /** Takes money that nothing was held for, at once: what is owed where the hold has lapsed, or was never had. */
  charge(request: HoldRequest): Promise<ChargeOutcome>;
  /** Frees a hold; one that is free already stays so. @throws RideError RIDE_ILLEGAL_TRANSITION when it is captured */
  release(key: string, holdId: string): Promise<void>;
  /** Holds made before `beforeMs` that are neither captured nor released, oldest first. A token is good for the same `beforeMs` only. */
  openHolds(beforeMs: number, pageSize: number, pageToken?: string): Promise<Page<OpenHold>>;
}
