/**
 * Whose trips are, remembered for a moment: whoever polls where a driver is asks for it at every request.
 *
 * The rider of a trip never changes, its driver does. So only a yes to the rider or to an operator is ever answered from here;
 * a driver, and whoever would be refused, has the store asked. Which driver the trip has is known from here for as long as
 * nothing says otherwise, a write of this node or an event of the trip that reaches it, and for a second at most.
 */
import type { Clock } from '../../ports/clock.ts';
import { isOperator, type Principal } from '../roles.ts';

export interface Parties {
  readonly riderId: string;
  readonly driverId: string | null;
}

/** Bounds what an event that did not reach this node can do, wall milliseconds. */
const AGE_MAX_MS = 1000;
/** Trips that are remembered; the oldest go first. */
const TRIPS_MAX = 50_000;

interface Memory {
  /** When the store was asked, or when the trip was found to have changed; domain time. */
  at: number;
  /** Null: what was read before `at` does not count. */
  parties: Parties | null;
}

export class PartiesMemory {
  readonly #clock: Clock;
  readonly #trips = new Map<string, Memory>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The parties of a trip that `principal` may follow; null when the store has to be asked. */
  recall({ userId, role }: Principal, tripId: string): Parties | null {
    const known = this.#trips.get(tripId);
    if (!known?.parties) return null;
    const ageMs = this.#clock.toWallMs(this.#clock.now() - known.at);
    if (!(ageMs >= 0 && ageMs < AGE_MAX_MS)) return null;
    return known.parties.riderId === userId || isOperator(role) ? known.parties : null;
  }

  /** What the store said when it was asked at `askedAt` (domain time), unless more is known since. */
  keep(tripId: string, { riderId, driverId }: Parties, askedAt: number): void {
    const known = this.#trips.get(tripId);
    if (known && known.at >= askedAt) return;
    this.#set(tripId, { at: askedAt, parties: { riderId, driverId } });
  }

  /** The trip changed: what has been read till now, or is being read, does not count. */
  end(tripId: string): void {
    this.#set(tripId, { at: this.#clock.now(), parties: null });
  }

  get size(): number {
    return this.#trips.size;
  }

  #set(tripId: string, memory: Memory): void {
    // Last in order again.
    this.#trips.delete(tripId);
    if (this.#trips.size >= TRIPS_MAX) {
      const oldest = this.#trips.keys().next().value;
      if (oldest !== undefined) this.#trips.delete(oldest);
    }
    this.#trips.set(tripId, memory);
  }
}
