/**
 * The live picture of where everyone is, in Redis. Keys are the documents': `porter:location:{porterId}`,
 * `location:{tripId}`, `active-drivers`.
 *
 * A resolved write is readable by every node (property 1 of document C). An update that was measured earlier than what is
 * stored never replaces it.
 */
import type { LatLng } from '../domain/geo.ts';
import type { VehicleClass } from '../domain/roles.ts';

export interface Position extends LatLng {
  driverId: string;
  /** The trip that the driver was on, or empty. */
  tripId: string;
  speedMps?: number;
  headingDeg?: number;
  accuracyM?: number;
  /** When the device measured it, epoch milliseconds (domain time). */
  recordedAt: number;
  vehicleClass: VehicleClass;
  city: string;
  /** How it came: stream or rest. */
  source: string;
  /** The device says that an app made it up; of positions that come, not of those that are read. */
  isMock?: boolean;
}

export interface NearbyDriver {
  position: Position;
  distanceM: number;
}

export interface Positions {
  /**
   * Stores one position, joined with others into one write. Resolves true when it was kept, false when a newer one was
   * there. Rejects with RIDE_UNAVAILABLE when Redis cannot be reached.
   */
  record(position: Position): Promise<boolean>;
  /**
   * Calls `listener` for a driver whose place among the available ones has to be set right: before `record` resolves when no position of
   * him was known, never or no longer; and when `nearby` took his place from him just as he sent one again, to whichever node.
   */
  onFirst(listener: (driverId: string) => void): void;
  ofDriver(driverId: string): Promise<Position | null>;
  /** The same, one included that is just being written by this node: what its driver said before he said something else. */
  latestOf(driverId: string): Promise<Position | null>;
  /** The same object as before when nothing of it changed, as far as this node remembers. */
  ofTrip(tripId: string): Promise<Position | null>;
  /** Available drivers within `radiusM` of a place, nearest first, at most `limit`; fewer only when there are no more. */
  nearby(center: LatLng, radiusM: number, limit: number): Promise<NearbyDriver[]>;
  /**
   * Puts a driver among the available ones, at its last position and with the class he drives, which `nearby` tells from now on
   * whatever his positions say; false when he has no position yet, or is distrusted.
   */
  setAvailable(driverId: string, vehicleClass: VehicleClass): Promise<boolean>;
  setUnavailable(driverId: string): Promise<void>;
  /** Takes a driver from the available ones, and keeps him out whoever would add him, until `trust`. From `overdueAt` on he is `overdue`. */
  distrust(driverId: string, overdueAt: number): Promise<void>;
  /** He may be added again, which is for the caller to do. */
  trust(driverId: string): Promise<void>;
  /** Some of the distrusted whose time is over at `now`: nobody looks after them any more. */
  overdue(now: number, limit: number): Promise<string[]>;
  /** Which of these drivers are among the available ones, in their order. */
  areAvailable(driverIds: readonly string[]): Promise<boolean[]>;
  countAvailable(): Promise<number>;
}
