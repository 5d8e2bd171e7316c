/**
 * Rides with their riders on board, as far as this node hears their drivers: what each position, and each silence, says of the hazards on
 * the way. The state of a hazard changes at once; whoever is to be told is told behind it, and a failure there lets a later position
 * try again.
 */
import type { Positions } from '../../ports/positions.ts';
import type { RoadLine } from '../../ports/routing.ts';
import type { CheckIns } from '../check-ins/service.ts';
import { distanceM, type LatLng } from '../geo.ts';
import { quiet } from '../hysteresis.ts';
import { isOtherWay, missed, observe, type SafetyLimits, type Warning } from '../safety/rules.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import type { Trips } from '../trips/service.ts';
import type { Background } from './background.ts';
import { type BoundRide, type DriverWatch, type HeardFix, isLookedAfter, newRide, type RideWatch } from './driver.ts';

export interface RideWatchesDeps {
  checkIns: CheckIns;
  positions: Pick<Positions, 'ofTrip'>;
  trips: Pick<Trips, 'any'>;
  telematics: Pick<TelematicsDesk, 'whyStaleIfKnown'>;
  safety: SafetyLimits;
  /** The way by road, where an engine knows it. */
  lineTo(from: LatLng, to: LatLng): Promise<RoadLine | null>;
  background: Background;
}

export function createRideWatches(deps: RideWatchesDeps) {
  const { checkIns, positions, trips, safety, lineTo, background } = deps;
  const riding = new Set<DriverWatch>();

  function leaveRide(driver: DriverWatch): void {
    driver.ride = null;
    riding.delete(driver);
  }

  function beginRide(driver: DriverWatch, bound: BoundRide): void {
    const { driverId } = driver;
    const { tripId } = bound;
    const ride = newRide(driver, bound);
    driver.ride = ride;
    riding.add(driver);
    const way = lineTo(driver.last, bound.dropoff);
    const read = Promise.all([checkIns.present(tripId), way]).then(([present, way]) => {
      for (const hazard of present) ride.safety.signals[hazard].isSet = true;
      ride.way = way;
      ride.plannedM = way?.distanceM ?? 0;
      ride.isReady = true;
    });
    background(read, 'the state of a ride was not read', driverId, () => {
      if (driver.ride === ride) leaveRide(driver);
    });
  }

  /** He may know a better way than the engine: one that is hardly longer is the ride's way from now on. */
  function confirmDeviation(ride: RideWatch, warning: Warning): void {
    const { drivenM, plannedM } = ride;
    warn(ride, warning, async () => {
      const way = await lineTo(warning.place, ride.bound.dropoff);
      if (!way || !isOtherWay(drivenM, way.distanceM, plannedM, safety)) return checkIns.warned(ride, warning);
      ride.way = way;
      ride.safety.signals.route_deviation = quiet();
    });
  }

  function warn(ride: RideWatch, warning: Warning, tell: CheckIns['warned']): void {
    const told = ride.tail.then(() => tell(ride, warning));
    const signal = ride.safety.signals[warning.hazard];
    ride.tail = background(told, `${warning.hazard} was not ${warning.change}`, ride.driverId, () => {
      signal.isSet = warning.change !== 'set';
    });
  }

  /** Silence here may be the driver's talk with another node, or the end of the trip: asked before anyone is worried. */
  async function confirmSilence(driver: DriverWatch, ride: RideWatch, warning: Warning): Promise<void> {
    const [position, trip] = await Promise.all([positions.ofTrip(ride.tripId), trips.any(ride.tripId)]);
    const isElsewhere = position !== null && position.recordedAt > driver.last.recordedAt;
    if (isElsewhere || trip?.status !== 'in_progress' || trip.driverId !== driver.driverId) {
      if (driver.ride === ride) leaveRide(driver);
      return;
    }
    const staleReason = await deps.telematics.whyStaleIfKnown(driver.driverId, driver.last.recordedAt);
    await checkIns.warned(ride, { ...warning, ...(staleReason ? { staleReason } : {}) });
  }

  return {
    /** Takes a fix that is believed, and the ride that its driver is on. */
    heard(driver: DriverWatch, fix: HeardFix, bound: BoundRide | null): void {
      if (bound === null || !isLookedAfter(bound)) {
        leaveRide(driver);
        return;
      }
      const { ride } = driver;
      if (ride?.tripId !== bound.tripId) {
        beginRide(driver, bound);
        return;
      }
      ride.bound = bound;
      if (!ride.isReady) return;
      if (ride.safety.last) ride.drivenM += distanceM(ride.safety.last, fix);
      const route = ride.way?.points ?? null;
      for (const warning of observe(ride.safety, fix, { target: bound.dropoff, route }, safety)) {
        if (warning.hazard === 'route_deviation' && warning.change === 'set' && ride.way)
          confirmDeviation(ride, warning);
        else warn(ride, warning, checkIns.warned);
      }
    },

    /** Misses those who are silent. */
    missed(now: number): void {
      for (const driver of riding) {
        const ride = driver.ride!;
        if (!isLookedAfter(ride.bound)) {
          leaveRide(driver);
          continue;
        }
        const warning = ride.isReady ? missed(ride.safety, driver.heardAt, now, safety) : null;
        if (!warning) continue;
        background(confirmSilence(driver, ride, warning), 'silence was not looked into', driver.driverId, () => {
          ride.safety.signals.signal_lost.isSet = false;
        });
      }
    },

    /** Rides that are watched here. */
    count: (): number => riding.size,
  };
}
