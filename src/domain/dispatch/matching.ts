/**
 * Which waiting trips are looked at, and when again: one as soon as it was requested, together with others that come at the same
 * moment; all that wait in a city when there is a window; a cohort when it is its time again.
 */
import type { Clock } from '../../ports/clock.ts';
import type { CohortLook } from '../../ports/scheduler.ts';
import { joined, type Settled, settled, unsettle } from '../joined.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import type { Callers } from './callers.ts';
import type { createDeciding, Decided } from './deciding.ts';
import type { MatchingSettings } from './deps.ts';
import type { Looks } from './looks.ts';

export interface MatchingDeps {
  trips: Trips;
  clock: Clock;
  looks: Looks;
  callers: Callers;
  decideAll: ReturnType<typeof createDeciding>;
  settings: MatchingSettings;
}

/** `queued`: the next window decides; `later`: a ride for later, sought ahead of its time. */
export type MatchOutcome = Exclude<Decided, 'again'> | 'expired' | 'queued' | 'later';
type Outcomes = Map<string, Settled<MatchOutcome>>;

/** Requests are looked at in so many groups at once. */
const GROUPS = 2;
/** Most trips of such a group, and of a page of a cohort: what is decided together without a window is not much. */
const TOGETHER = 200;

export function createMatching({ trips, clock, looks, callers, decideAll, settings }: MatchingDeps) {
  async function expire(tripId: string, reason: string): Promise<MatchOutcome> {
    await trips.command(tripId, { type: 'expire', reason });
    return 'expired';
  }

  /** Null when drivers may be sought now. */
  function notNow(trip: Trip, now: number, lookedAt: number): Promise<MatchOutcome> | null {
    if (trip.status !== 'requested') return Promise.resolve('not_waiting');
    if (now >= trip.matchDeadline) return expire(trip.id, 'no_driver_in_time');
    if (trip.offersMade >= settings.maxOffers) return expire(trip.id, 'too_many_offers');
    // A look comes when it is due, though by a clock that is a little behind it is not yet: nobody makes the same one again.
    if (Math.max(now, lookedAt) >= trip.matchFrom) return null;
    return looks.later(trip).then(() => 'later');
  }

  /** Notes what came of those for whom nobody is sought now; the others, by city. */
  async function sortOut(waiting: readonly Trip[], outcomes: Outcomes, at = 0): Promise<Map<string, Trip[]>> {
    const now = clock.now();
    const cities = new Map<string, Trip[]>();
    const others: Promise<void>[] = [];
    for (const trip of waiting) {
      const answer = notNow(trip, now, at);
      if (answer) others.push(settled(answer).then((one) => void outcomes.set(trip.id, one)));
      else if (cities.get(trip.source.city)?.push(trip) === undefined) cities.set(trip.source.city, [trip]);
    }
    await Promise.all(others);
    return cities;
  }

  /** Looks for drivers for some trips, those of a city together; who gets none is looked at again. `at`: when this look was due. */
  async function look(waiting: readonly Trip[], at?: number): Promise<Outcomes> {
    const outcomes: Outcomes = new Map();
    const again: string[] = [];
    const nobody: Promise<void>[] = [];
    for (const due of (await sortOut(waiting, outcomes, at)).values()) {
      const byId = new Map(due.map((trip) => [trip.id, trip]));
      for (const [id, decided] of await decideAll(due)) {
        if (decided.status === 'rejected') outcomes.set(id, decided);
        else if (decided.value === 'again') again.push(id);
        else if (decided.value === 'no_driver') {
          const called = looks.again(byId.get(id)!, at).then(() => 'no_driver' as const);
          nobody.push(settled(called).then((one) => void outcomes.set(id, one)));
        } else outcomes.set(id, { status: 'fulfilled', value: decided.value });
      }
    }
    await Promise.all(nobody);
    if (again.length > 0) for (const [id, one] of await look(await trips.findMany(again), at)) outcomes.set(id, one);
    return outcomes;
  }

  /** Trips that are to be looked at and were written by this process just now. */
  const atHand = new Map<string, Trip>();

  /** Who is at hand is not read again; whether it still waits, the write of an offer decides for all. */
  async function read(tripIds: readonly string[]): Promise<Trip[]> {
    const unread = tripIds.filter((id) => !atHand.has(id));
    const known = tripIds.flatMap((id) => atHand.get(id) ?? []);
    for (const { id } of known) atHand.delete(id);
    return unread.length === 0 ? known : [...known, ...(await trips.findMany(unread))];
  }

  async function matchMany(tripIds: readonly string[]): Promise<Outcomes> {
    const found = await read(tripIds);
    const outcomes: Outcomes = new Map(tripIds.map((id) => [id, { status: 'fulfilled', value: 'not_waiting' }]));
    if (settings.windowMs === 0) {
      for (const [id, one] of await look(found)) outcomes.set(id, one);
      return outcomes;
    }
    for (const [city, due] of await sortOut(found, outcomes)) {
      const queued = await settled(looks.next(city).then(() => 'queued' as const));
      for (const { id } of due) outcomes.set(id, queued);
    }
    return outcomes;
  }

  /** Looks through all that wait in a city, longest first; resolves how many drivers were found. */
  async function lookThrough({ city, from, to, at }: CohortLook, pageSize: number): Promise<number> {
    const outcomes: Settled<MatchOutcome>[] = [];
    for (let pageToken: string | undefined; ; ) {
      const page = await trips.waitingIn(city, { from, to, pageSize, ...(pageToken ? { pageToken } : {}) });
      outcomes.push(...(await look(page.items, at)).values());
      pageToken = page.nextPageToken;
      if (pageToken === undefined) break;
    }
    // Those that could be looked at were; for the others the work is tried again.
    return outcomes.map(unsettle).filter((outcome) => outcome === 'offered').length;
  }

  const most = Math.min(TOGETHER, settings.windowTrips);
  const matchJoined = joined<string, MatchOutcome>(matchMany, { groups: GROUPS, most });

  return {
    /**
     * Looks for a driver for a waiting trip; asks again later when there is none, gives up at the trip's deadline. `written`: the trip, if
     * the caller's process wrote it just now.
     */
    match(tripId: string, written?: Trip): Promise<MatchOutcome> {
      if (written) atHand.set(tripId, written);
      return callers.asks(tripId, () => matchJoined(tripId));
    },

    /** Decides about all trips that wait in a city, at the window that was due `at`; resolves how many drivers were found. */
    matchWindow: (city: string, at = clock.now()): Promise<number> =>
      lookThrough({ city, from: 0, to: Math.max(at, clock.now()) + 1, at }, settings.windowTrips),

    /** Looks again at those of a cohort who still wait; resolves how many drivers were found. */
    matchCohort: (look: CohortLook): Promise<number> => lookThrough(look, Math.min(TOGETHER, settings.windowTrips)),

    /** Makes sure that a waiting trip is looked at again, in case that the work of it was lost. */
    callAgain: (trip: Trip): Promise<void> => looks.again(trip),
  };
}
