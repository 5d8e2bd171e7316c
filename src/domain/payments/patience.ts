/** How long a step of a payment that failed waits for its next try, and when nobody tries it again by himself. */
export interface Patience {
  /** Wait after a first failure of a step, ms; doubled up to `retryMaxMs`. */
  retryMs: number;
  retryMaxMs: number;
  /** Tries of a step before it is given up. */
  attempts: number;
  /** Tries after that, the wait doubled from `retryMaxMs` on up to a day. */
  repairs: number;
}

const DAY_MS = 86_400_000;

/** Wait after so many tries of a step that failed, milliseconds; null: nobody tries it again by himself. */
export function waitAfter(attempts: number, patience: Patience): number | null {
  const repairs = attempts - patience.attempts;
  if (repairs < 0) return backoffMs(attempts, patience.retryMs, patience.retryMaxMs);
  return repairs < patience.repairs ? backoffMs(repairs + 1, patience.retryMaxMs, DAY_MS) : null;
}

/** Wait before the next try after so many that failed, milliseconds: doubled each time, up to the most. */
export const backoffMs = (attempts: number, baseMs: number, mostMs: number): number =>
  Math.min(mostMs, baseMs * 2 ** Math.min(30, Math.max(0, attempts - 1)));
