/**
 * Finds what a crash left behind: unpublished events, offers past their expiry, waiting trips whose job was lost, claims of
 * drivers that led to nothing, and idempotency keys past their life. It recurs, on one node at a time.
 */
import type { Departures } from '../domain/departures/service.ts';
import type { DecisionLog } from '../domain/dispatch/decision-log.ts';
import type { Dispatch } from '../domain/dispatch/service.ts';
import { mendEach } from '../domain/mending.ts';
import type { Relay } from '../domain/outbox/relay.ts';
import { removeAll } from '../domain/pages.ts';
import { dispatchedKinds, type Trip } from '../domain/trips/trip.ts';
import type { Clock } from '../ports/clock.ts';
import type { DomainMeter } from '../ports/domain-meter.ts';
import type { RecurringJob } from '../ports/jobs.ts';
import type { Logger } from '../ports/logger.ts';
import type { Collection, Filter, StoredDocument } from '../ports/store.ts';

export interface SweepDeps {
  relays: readonly Relay[];
  dispatch: Dispatch;
  departures: Pick<Departures, 'sweep'>;
  decisions: DecisionLog;
  trips: Collection<Trip>;
  /** What is remembered of idempotency keys. */
  keys: readonly Pick<Collection<StoredDocument>, 'remove'>[];
  clock: Clock;
  /** Wall milliseconds. */
  everyMs: number;
  /** Age from which work counts as left behind, wall milliseconds. */
  ageMs: number;
  matchRetryMs: number;
  tripMaxDurationMs: number;
  idempotencyTtlMs: number;
  decisionTtlMs: number;
  meter: Pick<DomainMeter, 'mended'>;
  log: Logger;
}

const BATCH = 200;
/** Bound drivers looked at in one sweep, in turn: reading them and their trips is what a sweep costs a server that has nothing to mend. */
const DRIVERS = 200;
/** An acceptance may be slow when the store is: its claim is given this many times the age of other work. */
const CLAIM_PATIENCE = 5;

export function sweepJob(deps: SweepDeps): RecurringJob {
  const { clock, dispatch, trips } = deps;
  /** Where the next sweep goes on among the trips that wait, by their last change. */
  let waitingTo = 0;

  /** Domain time that passes within `wallMs`. */
  const domainMs = (wallMs: number): number => wallMs / clock.toWallMs(1);

  async function stuck(status: Trip['status'], updatedAt: Filter[string], more: Filter = {}): Promise<Trip[]> {
    const where = { ...more, kind: { in: dispatchedKinds }, status, updatedAt };
    return (await trips.page({ where, orderBy: 'updatedAt', direction: 'asc', pageSize: BATCH })).items;
  }

  /**
   * Trips that wait for longer than they have to for their next look, some at a time: those who wait for good reason must not keep the
   * others from it. A ride for later waits for its time, not for the sweeper.
   */
  async function waiting(now: number, age: number): Promise<Trip[]> {
    const before = now - age - 2 * deps.matchRetryMs;
    const due = await stuck('requested', { gte: waitingTo, lt: before }, { matchFrom: { lt: now - age } });
    const last = due.length < BATCH ? 0 : due.at(-1)!.updatedAt;
    // A whole page of one date leads past that date, or it would be the next page too.
    waitingTo = last > 0 && last === waitingTo ? last + 1 : last;
    return due;
  }

  const mend = (trips: readonly Trip[], how: (trip: Trip) => Promise<unknown>): Promise<number> =>
    mendEach(trips, how, (error, { id }) =>
      deps.log.warn({ err: error, trip_id: id }, 'trip not mended; the next sweep tries again'),
    );

  async function sweepTrips(now: number, age: number): Promise<number> {
    let mended = await mend(await stuck('offered', { lt: now - age }), async ({ id, offer }) => {
      if (!offer || offer.expiresAt + age > now) return false;
      await dispatch.expireOffer(id, offer.id);
      return true;
    });
    mended += await mend(await waiting(now, age), async (trip) => {
      if (now >= trip.matchDeadline + age) return (await dispatch.match(trip.id)) === 'expired';
      // It is looked at again and again until then, and only Redis knows whether that goes on.
      await dispatch.callAgain(trip);
      return false;
    });
    for (const status of ['assigned', 'driver_arrived', 'in_progress'] as const) {
      mended += await mend(await stuck(status, { lt: now - deps.tripMaxDurationMs }), ({ id }) => dispatch.abandon(id));
    }
    return mended;
  }

  return {
    name: 'sweep',
    queue: 'normal',
    attempts: 1,
    backoffMs: 0,
    everyMs: deps.everyMs,
    async run() {
      const now = clock.now();
      const age = domainMs(deps.ageMs);
      let relayed = 0;
      for (const relay of deps.relays) relayed += await relay.sweep(age);
      deps.meter.mended('outbox', relayed);
      const trips = await sweepTrips(now, age);
      deps.meter.mended('trip', trips);
      const departures = await deps.departures.sweep(now, deps.tripMaxDurationMs);
      deps.meter.mended('departure', departures);
      const drivers = await dispatch.reconcile(CLAIM_PATIENCE * age, DRIVERS);
      deps.meter.mended('driver', drivers);
      const usedUp = { createdAt: { lt: now - deps.idempotencyTtlMs } };
      for (const records of deps.keys) await removeAll((limit) => records.remove(usedUp, limit));
      await deps.decisions.removeBefore(now - deps.decisionTtlMs);
      if (relayed + trips + departures + drivers > 0) deps.log.info({ relayed, trips, departures, drivers }, 'sweep');
    },
  };
}
