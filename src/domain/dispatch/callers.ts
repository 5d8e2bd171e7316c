/**
 * Searches that several calls ask for at one moment are made together; the offer that comes of each belongs to the trace of its own call,
 * and what none asked for to none.
 */
import type { Trace, Tracing } from '../../ports/tracing.ts';

export type Callers = ReturnType<typeof createCallers>;

export function createCallers(tracing: Tracing) {
  const asking = new Map<string, Trace>();
  return {
    /** Makes a search of a trip, together with others, for the call that is under way. */
    async asks<T>(tripId: string, search: () => Promise<T>): Promise<T> {
      const trace = tracing.current();
      if (!trace) return search();
      asking.set(tripId, trace);
      try {
        return await tracing.apart(search);
      } finally {
        if (asking.get(tripId) === trace) asking.delete(tripId);
      }
    },
    /** Runs what a search comes to for one trip. */
    within<T>(tripId: string, run: () => T): T {
      const trace = asking.get(tripId);
      return trace ? tracing.within(trace, run) : run();
    },
  };
}
