/**
 * When waiting trips are looked at again, as work of the queues. Nothing of it is for one trip: with a window, a city is looked at
 * together; without, the trips of a city whose search began in the same second wait as a cohort. So the queues have as much to do for
 * a thousand riders as for one.
 *
 * All nodes name a look alike, by whom it is for and when it is due, so it is made once. What is lost, the sweeper calls for again
 * by the same name.
 */
import type { Clock } from '../../ports/clock.ts';
import type { CohortLook, Scheduler } from '../../ports/scheduler.ts';
import { Recent } from '../recent.ts';
import type { Trip } from '../trips/trip.ts';

export interface LooksDeps {
  scheduler: Scheduler;
  clock: Clock;
  settings: { retryMs: number; windowMs: number };
}

/** Trips whose search began within it wait together, domain ms. */
const COHORT_MS = 1000;
/** A trip that finds nobody expires at most so long after its deadline, domain ms. */
const DEADLINE_STEP_MS = 250;
/** Called looks are remembered so long at least, domain ms; who is forgotten is just called for once more. */
const REMEMBERED_MS = 10_000;
/** A look that is due as soon as this may have been made already by a node whose clock is ahead, domain ms. */
const SKEW_MS = 1000;

/** The first step of `stepMs` after `at`, counted from `from`. */
const stepAfter = (at: number, from: number, stepMs: number): number =>
  from + stepMs * (Math.floor((at - from) / stepMs) + 1);

/**
 * The next look at the cohort of a waiting trip that was looked at in vain, after `after`: when it is time to try again, or when the
 * trip is to expire if that is earlier.
 */
export function lookAfter(trip: Trip, after: number, retryMs: number): CohortLook {
  const { from, to } = cohortOf(trip, retryMs);
  const again = stepAfter(Math.max(after, to), to, retryMs);
  // Not before the deadline, so that one look is enough.
  const end = stepAfter(Math.max(after, trip.matchDeadline - 1), 0, Math.min(DEADLINE_STEP_MS, retryMs));
  return { city: trip.source.city, from, to, at: Math.min(again, end) };
}

/** The look at which the search for a ride for later begins: once all of its cohort are due. */
export function firstLook(trip: Trip, retryMs: number): CohortLook {
  const { from, to } = cohortOf(trip, retryMs);
  return { city: trip.source.city, from, to, at: to };
}

function cohortOf(trip: Trip, retryMs: number): { from: number; to: number } {
  const widthMs = Math.min(COHORT_MS, retryMs);
  const to = stepAfter(trip.matchFrom, 0, widthMs);
  return { from: to - widthMs, to };
}

export type Looks = ReturnType<typeof createLooks>;

export function createLooks({ scheduler, clock, settings }: LooksDeps) {
  const { retryMs, windowMs } = settings;
  /** What this node called for lately, by its name. */
  const called = new Recent<true>(REMEMBERED_MS, clock.now);
  const calling = new Map<string, Promise<void>>();

  /** Many trips wait for the same look: the queue is asked for it once. */
  async function call(key: string, at: number, schedule: (delayMs: number) => Promise<void>): Promise<void> {
    const delayMs = at - clock.now();
    if (delayMs > SKEW_MS && called.has(key)) return;
    let call = calling.get(key);
    if (!call) {
      call = schedule(Math.max(0, delayMs)).finally(() => calling.delete(key));
      calling.set(key, call);
    }
    await call;
    called.set(key, true);
  }

  /** The first window of a city that begins after `after`. */
  function window(city: string, after: number): Promise<void> {
    const at = stepAfter(after, 0, windowMs);
    const key = `${city}.${at}`;
    return call(key, at, (delayMs) => scheduler.schedule('dispatch_window', { city, at }, delayMs, key));
  }

  function cohort(look: CohortLook): Promise<void> {
    const key = `${look.city}.${look.from}.${look.at}`;
    return call(key, look.at, (delayMs) => scheduler.schedule('dispatch_look', look, delayMs, key));
  }

  return {
    /** The next window of a city. */
    next: (city: string): Promise<void> => window(city, clock.now()),

    /** Nobody was found for a trip at the look of `lookedAt`, now when left out: there is another one. */
    again(trip: Trip, lookedAt = clock.now()): Promise<void> {
      // A look may be made by a clock that is a little behind: the next is another one in any case.
      const after = Math.max(clock.now(), lookedAt);
      if (windowMs === 0) return cohort(lookAfter(trip, after, retryMs));
      return window(trip.source.city, Math.max(after, Math.min(after + retryMs, trip.matchDeadline - 1)));
    },

    /** Nobody is sought for it yet. */
    later(trip: Trip): Promise<void> {
      if (windowMs === 0) return cohort(firstLook(trip, retryMs));
      return window(trip.source.city, Math.max(clock.now(), trip.matchFrom - 1));
    },
  };
}
