/** Computes the surge board again and again, on one node at a time. */
import type { Surge } from '../domain/surge/service.ts';
import type { RecurringJob } from '../ports/jobs.ts';

/** @param everyMs wall milliseconds */
export const surgeJob = (surge: Surge, everyMs: number): RecurringJob => ({
  name: 'surge',
  queue: 'normal',
  attempts: 1,
  backoffMs: 0,
  everyMs,
  async run() {
    await surge.refresh();
  },
});
