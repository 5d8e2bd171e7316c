/** All available drivers at once, for what looks at a whole city; matching asks Positions for the nearest ones. */
import type { Position } from './positions.ts';

export interface Supply {
  /**
   * The last known positions of those who are available now, each once, in no order; those whose position ran out are left
   * out. Rejects with RIDE_UNAVAILABLE.
   */
  available(): Promise<Position[]>;
}
