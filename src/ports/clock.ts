/**
 * Domain time. Everything that a trip remembers is dated by this clock, which in development may run faster than the wall
 * (`CLOCK_SPEED`) so that a day of trips replays in minutes. Transport timers and limits stay on the wall clock.
 */
export interface Clock {
  /** Domain time now, epoch milliseconds. */
  now(): number;
  /** How long to wait on the wall for `domainMs` of domain time to pass, milliseconds. */
  toWallMs(domainMs: number): number;
}
