/**
 * Looks at every position after it was acknowledged: tracks, cleansing, geofences, safety of the ride, signs of a spoofed
 * device. The way of a position only puts it in a queue, which this empties some time later in slices, so that nothing here ever
 * delays an ack or a follower.
 *
 * What is known of a driver is this node's own. A driver who comes to another node is picked up there: where he is inside of is
 * read from Redis, which hazards are raised from the trip's check-in.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Position, Positions } from '../../ports/positions.ts';
import type { RoadLine } from '../../ports/routing.ts';
import type { Anomalies } from '../anomalies/service.ts';
import type { CheckIns } from '../check-ins/service.ts';
import type { Drivers } from '../drivers/service.ts';
import type { LatLng } from '../geo.ts';
import type { Geofences } from '../geofences/service.ts';
import type { SafetyLimits } from '../safety/rules.ts';
import type { Alarmed } from '../sos/alarmed.ts';
import { suspect } from '../spoofing/rules.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import { isSampled, judge, type Verdict } from '../tracks/rules.ts';
import type { Tracks } from '../tracks/service.ts';
import type { Trips } from '../trips/service.ts';
import { createBackground } from './background.ts';
import { createDoubts, type Doubt } from './doubts.ts';
import { type BoundRide, type DriverWatch, type HeardFix, newDriver, pointOf } from './driver.ts';
import { createRideWatches } from './rides.ts';

export interface WatchDeps {
  tracks: Tracks;
  geofences: Geofences;
  checkIns: CheckIns;
  /** Whose track is kept whole, on a trip or not. */
  alarmed: Pick<Alarmed, 'has'>;
  anomalies: Anomalies;
  positions: Pick<Positions, 'ofTrip' | 'distrust' | 'trust' | 'overdue'>;
  drivers: Pick<Drivers, 'get' | 'reindex'>;
  trips: Pick<Trips, 'any'>;
  telematics: Pick<TelematicsDesk, 'whyStaleIfKnown'>;
  clock: Clock;
  safety: SafetyLimits;
  /** One position in so many of each driver is a sample; 0: none. */
  sampleEvery: number;
  /** Takes the samples, e.g. for Kafka. Must not wait. */
  onSample(position: Position): void;
  /** The way by road, where an engine knows it. */
  lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null>;
  /** How long after a sign of spoofing matching does not see a driver, domain ms; 0: it sees him. */
  distrustMs: number;
  /** A clock that is farther behind is not believed, domain ms. */
  staleClockMs: number;
  /** Counts a position that was not believed. */
  onRefused(reason: Exclude<Verdict, 'kept'> | 'stale_clock'): void;
  /** Counts a driver whom matching sees no more. */
  onDistrusted(reason: Doubt): void;
  log: Logger;
}

/** Positions that wait; beyond them they are not looked at, and counted. */
const QUEUE_MAX = 200_000;
/** Positions that do not wait for the timer. */
const MANY = 500;
/** Points of a driver on no trip are kept at least so far apart, however often he says where he is. */
const APART_MS = 5000;
/** A driver who says nothing for so long is forgotten, domain ms. */
const FORGET_MS = 15 * 60_000;
/** Distrusted drivers that are looked after in one sweep. */
const OVERDUE_MAX = 500;

export type Watch = ReturnType<typeof createWatch>;

export function createWatch(deps: WatchDeps) {
  const { tracks, geofences, clock } = deps;
  const { run: background, idle } = createBackground(deps.log);
  const queue: Position[] = [];
  const bound: (BoundRide | null)[] = [];
  let head = 0;
  let skipped = 0;
  let many = (): void => {};
  const drivers = new Map<string, DriverWatch>();
  let prunedAt = clock.now();
  const doubts = createDoubts({ ...deps, background });
  const rides = createRideWatches({ ...deps, background });

  function driverOf(position: Position): DriverWatch {
    let driver = drivers.get(position.driverId);
    if (!driver) {
      driver = newDriver(position);
      drivers.set(position.driverId, driver);
    }
    return driver;
  }

  function take(position: Position, ride: BoundRide | null): void {
    const driver = driverOf(position);
    const now = clock.now();
    driver.heardAt = now;
    const isAlarmed = deps.alarmed.has(position.driverId);
    if (isSampled(driver.heard++, deps.sampleEvery)) {
      deps.onSample(position);
      if (!ride && !isAlarmed && position.recordedAt - driver.keptAt >= APART_MS) {
        driver.keptAt = position.recordedAt;
        tracks.keep(position.driverId, pointOf(position));
      }
    }
    // Late ones too: a track is put in order when it is read.
    if (ride) tracks.keep(ride.tripId, pointOf(position));
    else if (isAlarmed) tracks.keep(position.driverId, pointOf(position));
    const { recordedAt: at, lat, lng, accuracyM, speedMps, source } = position;
    // One object a position, of one shape; who needs a part of it takes this.
    const fix: HeardFix = { at, lat, lng, accuracyM, speedMps, source, isMock: position.isMock === true };
    const verdict = judge(driver.cleansing, fix);
    if (verdict !== 'kept') deps.onRefused(verdict);
    if (verdict === 'late' || verdict === 'duplicate' || verdict === 'inaccurate') return;
    const finding = suspect(driver.spoof, fix, verdict === 'jump');
    if (finding) {
      const { driverId: userId, city } = position;
      const flagged = deps.anomalies.flag({ userId, role: 'driver', city }, finding);
      background(flagged, 'a sign of spoofing was not flagged', userId);
    }
    if (finding || fix.isMock) doubts.spoofed(driver, now);
    if (verdict !== 'kept') {
      doubts.doubted(driver, now, 'jump');
      return;
    }
    if (now - at > deps.staleClockMs) {
      deps.onRefused('stale_clock');
      doubts.doubted(driver, now, 'stale_clock');
    } else doubts.believed(driver, now);
    driver.last = position;
    lookAtFences(driver);
    rides.heard(driver, fix, ride);
  }

  function lookAtFences(driver: DriverWatch): void {
    const { inside, last: position } = driver;
    if (geofences.index.size === 0 && !inside?.size) return;
    if (inside === null) {
      readInside(driver);
      return;
    }
    const crossed = geofences.index.crossed(inside, position.lat, position.lng);
    if (!crossed) return;
    for (const fence of crossed.entered) {
      inside.set(fence.id, position.recordedAt);
      const told = geofences.entered(position, fence);
      background(told, 'an entry was not told', driver.driverId, () => inside.delete(fence.id));
    }
    for (const id of crossed.left) {
      const enteredAt = inside.get(id)!;
      inside.delete(id);
      const told = geofences.left(position, id, enteredAt);
      background(told, 'an exit was not told', driver.driverId, () => inside.set(id, enteredAt));
    }
  }

  function readInside(driver: DriverWatch): void {
    if (driver.isReading) return;
    driver.isReading = true;
    const read = geofences.insideOf(driver.driverId).then((inside) => {
      driver.inside = inside;
      lookAtFences(driver);
    });
    const done = background(read, 'where a driver is inside of was not read', driver.driverId);
    void done.then(() => {
      driver.isReading = false;
    });
  }

  function prune(now: number): void {
    prunedAt = now;
    for (const [id, driver] of drivers) if (!driver.ride && now - driver.heardAt > FORGET_MS) drivers.delete(id);
  }

  return {
    /** Takes note of a position that passed the checks of the locations. The only call on the way of a position. */
    moved(position: Position, ride: BoundRide | null): void {
      if (queue.length >= QUEUE_MAX) {
        skipped++;
        return;
      }
      queue.push(position);
      bound.push(ride);
      if (queue.length - head === MANY) many();
    },

    /** Calls `listener` when so many wait that they should be looked at soon: positions that live long cost the collector most. */
    whenMany(listener: () => void): void {
      many = listener;
    },

    /** Looks at up to `most` of what waits. Returns whether more does. */
    drain(most: number): boolean {
      const end = Math.min(queue.length, head + most);
      while (head < end) {
        take(queue[head]!, bound[head]!);
        head++;
      }
      if (head < queue.length) return true;
      queue.length = 0;
      bound.length = 0;
      head = 0;
      return false;
    },

    /** Misses those who are silent. Called every second or so. */
    tick(): void {
      const now = clock.now();
      rides.missed(now);
      if (now - prunedAt > FORGET_MS / 5) prune(now);
    },

    /** Lets drivers be whom a node distrusted that is gone, or whom nobody hears; resolves how many. @throws RideError RIDE_UNAVAILABLE */
    async release(): Promise<number> {
      const driverIds = await deps.positions.overdue(clock.now(), OVERDUE_MAX);
      for (const driverId of driverIds) await doubts.admit(driverId);
      return driverIds.length;
    },

    /** Resolves when everything that was taken has been told and written, or has failed. */
    async idle(): Promise<void> {
      let isMore = true;
      while (isMore) isMore = this.drain(1000);
      await idle();
      await tracks.flush();
    },

    /** Positions that were not looked at, because too many waited. */
    skipped: (): number => skipped,
    /** Positions that wait. */
    waiting: (): number => queue.length - head,
    /** Rides that are watched here. */
    riding: rides.count,
  };
}
