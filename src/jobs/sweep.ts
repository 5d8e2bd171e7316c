/**
 * Finds what a crash left behind: unpublished events, offers past their expiry, waiting trips whose job was lost, claims of
 * drivers that led to nothing, and idempotency keys past their life. It recurs, on one node at a time.
 */
import type { Dispatch } from '../domain/dispatch/service.ts';
import type { Relay } from '../domain/outbox/relay.ts';
import type { IdempotencyRecord } from '../domain/trips/service.ts';
import type { Trip } from '../domain/trips/trip.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecurringJob } from '../ports/jobs.ts';
import type { Logger } from '../ports/logger.ts';
import type { Collection } from '../ports/store.ts';

export interface SweepDeps {
  relays: readonly Relay[];
  dispatch: Dispatch;
  trips: Collection<Trip>;
  idempotency: Collection<IdempotencyRecord>;
  clock: Clock;
  /** Wall milliseconds. */
  everyMs: number;
  /** Age from which work counts as left behind, wall milliseconds. */
  ageMs: number;
  matchRetryMs: number;
  tripMaxDurationMs: number;
  idempotencyTtlMs: number;
  log: Logger;
}

const BATCH = 200;
/** An acceptance may be slow when the store is: its claim is given this many times the age of other work. */
const CLAIM_PATIENCE = 5;

export function sweepJob(deps: SweepDeps): RecurringJob {
  const { clock, dispatch, trips } = deps;

  /** Domain time that passes within `wallMs`. */
  const domainMs = (wallMs: number): number => wallMs / clock.toWallMs(1);

  async function stuck(status: Trip['status'], updatedBefore: number): Promise<Trip[]> {
    const where = { status, updatedAt: { lt: updatedBefore } };
    return (await trips.page({ where, orderBy: 'updatedAt', direction: 'asc', pageSize: BATCH })).items;
  }

  async function sweepTrips(now: number, age: number): Promise<number> {
    let mended = 0;
    for (const trip of await stuck('offered', now - age)) {
      if (!trip.offer || trip.offer.expiresAt + age > now) continue;
      await dispatch.expireOffer(trip.id, trip.offer.id);
      mended++;
    }
    for (const trip of await stuck('requested', now - age - 2 * deps.matchRetryMs)) {
      if ((await dispatch.match(trip.id)) !== 'not_waiting') mended++;
    }
    for (const status of ['assigned', 'driver_arrived', 'in_progress'] as const) {
      for (const trip of await stuck(status, now - deps.tripMaxDurationMs)) {
        await dispatch.abandon(trip.id);
        mended++;
      }
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
      const trips = await sweepTrips(now, age);
      const drivers = await dispatch.reconcile(CLAIM_PATIENCE * age, BATCH);
      await deps.idempotency.remove({ createdAt: { lt: now - deps.idempotencyTtlMs } }, 1000);
      if (relayed + trips + drivers > 0) deps.log.info({ relayed, trips, drivers }, 'sweep');
    },
  };
}
