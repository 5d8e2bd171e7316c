/** Use cases of a driver: going on and off duty, and the one active trip, claimed and released by compare-and-set. */
import type { Clock } from '../../ports/clock.ts';
import type { Positions } from '../../ports/positions.ts';
import type { Collection, Page } from '../../ports/store.ts';
import { checkVersion, LOST, untilWritten } from '../documents/writing.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import type { Principal, VehicleClass } from '../roles.ts';
import { changeOf, type Driver, type DriverStatus, isAvailable, withAnswer, withIdleness } from './driver.ts';

export interface DriversDeps {
  drivers: Collection<Driver>;
  positions: Positions;
  clock: Clock;
  ids: Ids;
  /** Tells other systems of changes of availability; left out where nobody is told. */
  relay?: (() => Relay) | undefined;
  /** He went on or off duty: looking, or not. Must not wait. */
  onDuty?(driver: Driver): void;
}

export type Drivers = ReturnType<typeof createDrivers>;

export function createDrivers({ drivers, positions, clock, ids, relay, onDuty }: DriversDeps) {
  /** Changes the stored driver; `change` returns null to leave it as it is. */
  function update(
    driverId: string,
    change: (driver: Driver) => Driver | null | Promise<Driver | null>,
  ): Promise<Driver | null> {
    return untilWritten('driver', async () => {
      const driver = await drivers.get(driverId);
      if (!driver) return null;
      const changed = await change(driver);
      if (!changed) return driver;
      const now = clock.now();
      const next = { ...withIdleness(changed, now), version: driver.version + 1, updatedAt: now };
      const event = relay && changeOf(driver, next, ids.next('evt'));
      if (!event) return (await drivers.compareAndSet(next)) ? next : LOST;
      const told = { ...next, changes: event.seq };
      if (!(await drivers.compareAndSet(told, [event]))) return LOST;
      relay().kick(driverId, [event]);
      return told;
    });
  }

  async function ensure(principal: Principal): Promise<Driver> {
    const existing = await drivers.get(principal.userId);
    if (existing) return existing;
    const now = clock.now();
    const driver: Driver = {
      id: principal.userId,
      ...shardKeyOf(principal.userId, ids.region, now),
      version: 1,
      status: 'offline',
      city: principal.city,
      vehicleClass: principal.vehicleClass,
      activeTripId: null,
      activeSince: null,
      updatedAt: now,
    };
    try {
      await drivers.insert(driver);
      return driver;
    } catch (error) {
      const winner = await drivers.get(principal.userId);
      if (winner) return winner;
      throw error;
    }
  }

  /**
   * Brings the index of available drivers in line with the document. Two nodes may do so at once, each after a change of its
   * own: whoever writes the index last looks whether the document is still what it wrote.
   */
  async function reindex(driver: Driver): Promise<void> {
    for (let seen = driver; ; ) {
      if (isAvailable(seen)) await positions.setAvailable(seen.id, seen.vehicleClass);
      else await positions.setUnavailable(seen.id);
      const now = await drivers.get(seen.id);
      if (!now || (isAvailable(now) === isAvailable(seen) && now.vehicleClass === seen.vehicleClass)) return;
      seen = now;
    }
  }

  return {
    get: (driverId: string): Promise<Driver | null> => drivers.get(driverId),

    /** The stored driver, made at the first call. */
    ensure,

    /**
     * STATUS_LOOKING, _OFFLINE, _BUSY of a driver.
     * @throws RideError RIDE_PRECONDITION_FAILED (facts: status) when `expectedVersion` is not the stored one, RIDE_UNAVAILABLE
     */
    async setStatus(
      principal: Principal,
      status: DriverStatus,
      attributes: { city?: string; vehicleClass?: VehicleClass } = {},
      expectedVersion?: number,
    ): Promise<Driver> {
      await ensure(principal);
      let wasLooking = false;
      const driver = await update(principal.userId, (d) => {
        checkVersion('driver', d, expectedVersion, { status: d.status });
        wasLooking = d.status === 'looking';
        return {
          ...d,
          status,
          city: attributes.city ?? d.city,
          vehicleClass: attributes.vehicleClass ?? d.vehicleClass,
        };
      });
      await reindex(driver!);
      if (wasLooking !== (status === 'looking')) onDuty?.(driver!);
      return driver!;
    },

    /**
     * Makes `tripId` the driver's active trip. True when it is (also when it was already).
     * The one place where "one driver, one trip" is decided.
     */
    async claim(driverId: string, tripId: string): Promise<boolean> {
      const driver = await update(driverId, (d) =>
        d.activeTripId === null ? { ...d, activeTripId: tripId, activeSince: clock.now() } : null,
      );
      if (driver?.activeTripId !== tripId) return false;
      // Whoever looks from now on does not find him; what fails here, the trip's event mends.
      await reindex(driver).catch(() => {});
      return true;
    },

    /** Frees the driver of `tripId`; of no other trip. He is available again if he was looking. */
    async release(driverId: string, tripId: string): Promise<void> {
      const driver = await update(driverId, (d) =>
        d.activeTripId === tripId ? { ...d, activeTripId: null, activeSince: null } : null,
      );
      if (driver) await reindex(driver);
    },

    reindex,

    getMany: (driverIds: readonly string[]): Promise<Driver[]> => drivers.getMany(driverIds),

    /** Remembers what he said to an offer; saying nothing is a no. Safe to repeat. */
    async answered(driverId: string, offerId: string, accepted: boolean): Promise<void> {
      await update(driverId, (d) => withAnswer(d, offerId, accepted));
    },

    /**
     * He was rated. `count` is asked behind the read of the driver: of two at once the later write has counted both. Safe to repeat.
     */
    async rated(driverId: string, count: () => Promise<{ count: number; sum: number }>): Promise<void> {
      await update(driverId, async (d) => {
        const { count: ratings, sum: ratingSum } = await count();
        return d.ratings === ratings && d.ratingSum === ratingSum ? null : { ...d, ratings, ratingSum };
      });
    },

    /** Drivers who are bound to a trip, the longest bound first, page by page. */
    claimed: (limit: number, pageToken?: string): Promise<Page<Driver>> =>
      drivers.page({
        where: { activeSince: { exists: true } },
        orderBy: 'activeSince',
        direction: 'asc',
        pageSize: limit,
        pageToken,
      }),
  };
}
