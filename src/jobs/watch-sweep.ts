/**
 * What no node watches: rides whose driver fell silent together with his node, questions whose job was lost, and what has been
 * kept long enough. It recurs, on one node at a time.
 */
import type { CheckIns } from '../domain/check-ins/service.ts';
import type { Geofences } from '../domain/geofences/service.ts';
import { pagesOf } from '../domain/pages.ts';
import type { TelematicsDesk } from '../domain/telematics/service.ts';
import type { Trip } from '../domain/trips/trip.ts';
import { lastSeen } from '../domain/watch/driver.ts';
import type { Watch } from '../domain/watch/service.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecurringJob } from '../ports/jobs.ts';
import type { Logger } from '../ports/logger.ts';
import type { Positions } from '../ports/positions.ts';
import type { Collection, TrackStore } from '../ports/store.ts';

export interface WatchSweepDeps {
  checkIns: CheckIns;
  geofences: Pick<Geofences, 'forget'>;
  watch: Pick<Watch, 'release'>;
  tracks: TrackStore;
  trips: Collection<Trip>;
  telematics: Pick<TelematicsDesk, 'whyStaleIfKnown'>;
  positions: Pick<Positions, 'ofTrip'>;
  clock: Clock;
  /** Wall milliseconds. */
  everyMs: number;
  /** Domain milliseconds: silence of a ride after which it is missed; the nodes themselves miss it after half of it. */
  silenceMs: number;
  /** Domain milliseconds that tracks and crossings are kept. */
  retentionMs: number;
  log: Logger;
}

const PAGE = 200;
/** Rides looked at in one sweep. */
const RIDES_MAX = 20_000;

export function watchSweepJob(deps: WatchSweepDeps): RecurringJob {
  const { clock, checkIns, trips } = deps;

  async function missSilent(trip: Trip, now: number): Promise<boolean> {
    const position = await deps.positions.ofTrip(trip.id);
    const heardAt = position?.driverId === trip.driverId ? position.recordedAt : trip.updatedAt;
    const value = now - Math.max(heardAt, trip.updatedAt);
    if (value < deps.silenceMs) return false;
    const { id: tripId, riderId, driverId, source } = trip;
    // Of a ride whose driver nobody has heard of, where it began, which nobody measured.
    const place = position ? lastSeen(position) : { lat: source.lat, lng: source.lng };
    const ride = { tripId, riderId, driverId: driverId!, city: source.city };
    const staleReason = await deps.telematics.whyStaleIfKnown(driverId!, heardAt);
    const measured = { value, threshold: deps.silenceMs, unit: 'ms' as const };
    const evidence = { at: now, place, ...measured, ...(staleReason ? { staleReason } : {}) };
    await checkIns.warned(ride, { hazard: 'signal_lost', change: 'set', ...evidence });
    return true;
  }

  async function sweepRides(now: number): Promise<number> {
    const where = {
      kind: { in: ['ride', 'scheduled'] },
      status: 'in_progress',
      updatedAt: { lt: now - deps.silenceMs },
    };
    const query = { where, orderBy: 'updatedAt', direction: 'asc', pageSize: PAGE } as const;
    let [looked, missed] = [0, 0];
    for await (const page of pagesOf((token) => trips.page({ ...query, ...token }))) {
      const results = await Promise.allSettled(page.map((trip) => missSilent(trip, now)));
      for (const [index, result] of results.entries()) {
        if (result.status === 'fulfilled') missed += result.value ? 1 : 0;
        else
          deps.log.warn(
            { err: result.reason, trip_id: page[index]!.id },
            'a ride was not looked after; the next sweep tries again',
          );
      }
      looked += page.length;
      if (looked >= RIDES_MAX) break;
    }
    return missed;
  }

  return {
    name: 'watch-sweep',
    queue: 'normal',
    attempts: 1,
    backoffMs: 0,
    everyMs: deps.everyMs,
    async run() {
      const now = clock.now();
      // Domain time that passes within a sweep: younger ones still have their job.
      const expired = await checkIns.sweep(deps.everyMs / clock.toWallMs(1));
      const missed = await sweepRides(now);
      const released = await deps.watch.release();
      const before = now - deps.retentionMs;
      const [tracks, crossings] = await Promise.all([deps.tracks.removeBefore(before), deps.geofences.forget(before)]);
      if (expired + missed + released + tracks + crossings > 0)
        deps.log.info({ expired, missed, released, tracks, crossings }, 'watch sweep');
    },
  };
}
