/**
 * Domain time as the server's clock port keeps it (CLOCK_START, CLOCK_ANCHOR, CLOCK_SPEED), worked out by the clients from
 * the same three numbers, so that their positions and schedules are dated alike.
 */
export interface SimClock {
  /** Domain milliseconds that pass in one wall millisecond. */
  readonly speed: number;
  /** Domain time now, epoch milliseconds. */
  now(): number;
  /** The wall time, epoch milliseconds, at which the domain clock shows `domainMs`. */
  wallAt(domainMs: number): number;
}

export interface ClockSettings {
  /** Domain time at the anchor, epoch milliseconds. */
  startMs: number;
  /** Wall time of the anchor, epoch milliseconds. */
  anchorMs: number;
  speed: number;
}

export function createSimClock({ startMs, anchorMs, speed }: ClockSettings): SimClock {
  return {
    speed,
    now: () => startMs + (Date.now() - anchorMs) * speed,
    wallAt: (domainMs) => anchorMs + (domainMs - startMs) / speed,
  };
}
