/** The clock port on the system's clock; in development faster than the wall, from an anchor that processes share. */
import type { Clock } from '../../ports/clock.ts';

export interface ClockOptions {
  /** Domain milliseconds per wall millisecond. */
  speed: number;
  /** Wall time at which domain time is `start`, epoch ms. */
  anchor: number;
  start: number;
}

export function createClock({ speed, anchor, start }: ClockOptions): Clock {
  return {
    now: () => Math.floor(start + (Date.now() - anchor) * speed),
    toWallMs: (domainMs) => domainMs / speed,
  };
}
