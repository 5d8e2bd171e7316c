/** A Lamport clock: ticks for every message sent, jumps over every larger one received; and the count of what was sent. */
export interface Lamport {
  /** The time of a message that is sent now. */
  tick(): number;
  /** The number of a message that is sent now: 1, 2, 3 … over all that this node writes. */
  count(): number;
  /** A message of time `seen` was received. */
  merge(seen: number): void;
}

export function createLamport(): Lamport {
  let now = 0;
  let written = 0;
  return {
    tick: () => ++now,
    count: () => ++written,
    merge(seen) {
      // A client may claim anything; past 2^53 the clock could no longer tick.
      if (seen > now && seen < Number.MAX_SAFE_INTEGER / 2) now = seen;
    },
  };
}
