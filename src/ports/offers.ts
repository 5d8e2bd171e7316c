/**
 * Open offers in Redis: `job:offer:{offerId}` for reading, and a reservation so that a driver is asked one thing at a time.
 * Both are conveniences with a TTL: what makes a driver's trip his own is the compare-and-set on his document.
 */
import type { Offer } from '../domain/offers/rules.ts';

export interface Offers {
  /** True when the driver had no other open offer. `ttlMs` is wall time. */
  reserve(driverId: string, offerId: string, ttlMs: number): Promise<boolean>;
  /** Frees the driver if this offer holds him. */
  release(driverId: string, offerId: string): Promise<void>;
  save(tripId: string, offer: Offer, ttlMs: number): Promise<void>;
  remove(offerId: string): Promise<void>;
}
