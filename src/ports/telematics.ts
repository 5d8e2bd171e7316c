/** The newest that each driver's device said of itself, in Redis, for as long as his position is kept. */
import type { Telematics } from '../domain/telematics/rules.ts';

export interface TelematicsBoard {
  /**
   * Takes the place of what was there; written together with others, and of each driver once a second at most, the newest. Resolves when it
   * is written, or something newer came. Rejects with RIDE_UNAVAILABLE, and the board says once that it is away.
   */
  keep(driverId: string, said: Telematics): Promise<void>;
  /** Null: nothing is known. Rejects with RIDE_UNAVAILABLE. */
  of(driverId: string): Promise<Telematics | null>;
}
