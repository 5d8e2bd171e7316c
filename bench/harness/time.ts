/** One monotonic clock for all processes of a measurement (CLOCK_MONOTONIC), milliseconds with fractions. */

const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const now = (): number => origin + performance.now();

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A stamp must fit a field whose values end at 100,000. */
const WRAP_MS = 65_536;

/** The time as it travels in an event. */
export const stamp = (): number => now() % WRAP_MS;

/** Milliseconds since `sent`, a stamp. */
export const sinceStamp = (sent: number): number => (stamp() - sent + WRAP_MS) % WRAP_MS;
