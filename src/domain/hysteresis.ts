/**
 * A signal with two thresholds: it is set when a value has stayed at or above the one for a while, and cleared when it has
 * stayed at or below the other, lower one. What lies between changes nothing, so a value that trembles at a threshold raises
 * one signal and not a hundred.
 */

export interface Thresholds {
  setAt: number;
  /** Below `setAt`. */
  clearAt: number;
  /** How long the value must stay at or above `setAt`; 0: at once. */
  setMs: number;
  /** How long it must stay at or below `clearAt`. */
  clearMs: number;
}

/** Plain data: begins as `quiet()`. */
export interface Signal {
  isSet: boolean;
  /** Since when the value has been on the far side; -1 when it is not. */
  since: number;
}

export const quiet = (): Signal => ({ isSet: false, since: -1 });

/**
 * Takes the value of an instant; `at` in milliseconds, never earlier than the last one's. Changes `signal` in place.
 * @returns what changed with it
 */
export function sense(signal: Signal, value: number, at: number, limits: Thresholds): 'set' | 'cleared' | null {
  const isBeyond = signal.isSet ? value <= limits.clearAt : value >= limits.setAt;
  if (!isBeyond) {
    signal.since = -1;
    return null;
  }
  if (signal.since < 0) signal.since = at;
  if (at - signal.since < (signal.isSet ? limits.clearMs : limits.setMs)) return null;
  signal.isSet = !signal.isSet;
  signal.since = -1;
  return signal.isSet ? 'set' : 'cleared';
}
