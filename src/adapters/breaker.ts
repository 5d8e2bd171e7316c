/**
 * A circuit breaker (document C): after so many failures in a row the part behind it is left alone for a while and callers
 * are refused at once, instead of each waiting for its own timeout; then one call tries whether it is back.
 */
import { RideError } from '../errors.ts';

export type BreakerState = 'closed' | 'half_open' | 'open';

export interface BreakerOptions {
  /** Named in refusals. */
  name: string;
  /** Failures in a row that open it. */
  threshold: number;
  /** How long it stays open before one call may try, wall ms. */
  resetMs: number;
  /** Not every rejection says that the part is ill. Default: all do. */
  isFailure?(error: unknown): boolean;
  onChange?(state: BreakerState): void;
  /** Wall time, ms; only differences count. */
  now?(): number;
}

export interface Breaker {
  /**
   * Runs `work`, or refuses without running it.
   * @throws RideError RIDE_UNAVAILABLE with `retryAfterMs` when it is open; whatever `work` rejects with
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  state(): BreakerState;
}

export function createBreaker(options: BreakerOptions): Breaker {
  const { name, threshold, resetMs, isFailure = () => true, onChange, now = () => performance.now() } = options;
  let state: BreakerState = 'closed';
  let failures = 0;
  let openedAt = 0;
  /** A call of an earlier state says nothing of this one. */
  let era = 0;

  function become(next: BreakerState): void {
    if (next === state) return;
    state = next;
    era++;
    failures = 0;
    if (next === 'open') openedAt = now();
    onChange?.(next);
  }

  function refuseOrTry(): void {
    const leftMs = state === 'open' ? openedAt + resetMs - now() : 0;
    // Half open: the one that tries is under way.
    if (leftMs > 0 || state === 'half_open') {
      const retryAfterMs = Math.max(1, Math.ceil(leftMs));
      throw new RideError('RIDE_UNAVAILABLE', `${name} failed ${threshold} times in a row and is left alone`, {
        retryAfterMs,
      });
    }
    if (state === 'open') become('half_open');
  }

  return {
    async run(work) {
      refuseOrTry();
      const begunIn = era;
      try {
        const result = await work();
        if (begunIn === era) {
          failures = 0;
          become('closed');
        }
        return result;
      } catch (error) {
        if (begunIn === era) {
          // Whoever tried has not shown that it is back.
          if (isFailure(error) ? ++failures >= threshold || state === 'half_open' : state === 'half_open')
            become('open');
        }
        throw error;
      }
    },
    state: () => state,
  };
}
