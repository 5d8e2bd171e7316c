/** One monotonic clock for all processes of a measurement (CLOCK_MONOTONIC), milliseconds with fractions. */

const CALIBRATIONS = 100;

const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * performance.now() counts from the start of its process. Where that start lies on the common clock is read between two
 * readings of it; the closest pair counts, because the process may be put aside in between.
 */
function originOfProcess(): number {
  let origin = 0;
  let closest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CALIBRATIONS; i++) {
    const before = monotonic();
    const since = performance.now();
    const after = monotonic();
    if (after - before >= closest) continue;
    closest = after - before;
    origin = (before + after) / 2 - since;
  }
  return origin;
}

const origin = originOfProcess();

export const now = (): number => origin + performance.now();

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A stamp must fit a field whose values end at 100,000. */
const WRAP_MS = 65_536;

/** The time as it travels in an event. */
export const stamp = (): number => now() % WRAP_MS;

/** Milliseconds since `sent`, a stamp. */
export const sinceStamp = (sent: number): number => (stamp() - sent + WRAP_MS) % WRAP_MS;
