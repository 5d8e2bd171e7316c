/**
 * The driver as stored. `activeTripId` is the fact "a driver has one active trip": it is changed by compare-and-set on this
 * document alone, before the trip's own, so two nodes can never give one driver two trips.
 */
import type { CollectionSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';
import type { VehicleClass } from '../roles.ts';

export const driverStatuses = ['offline', 'looking', 'busy'] as const;
export type DriverStatus = (typeof driverStatuses)[number];

export interface Driver extends StoredDocument {
  status: DriverStatus;
  city: string;
  vehicleClass: VehicleClass;
  activeTripId: string | null;
  /** When `activeTripId` was set, domain time; null with it. */
  activeSince: number | null;
  /** Since when he has been on duty with nothing to do, domain time; missing or null while he is not. */
  idleSince?: number | null;
  /** What he said to his last offers, oldest first; by the offer's id, so that nothing counts twice. */
  answers?: { offerId: string; accepted: boolean }[];
  /** How many ratings count, and their stars together; counted anew from ../ratings whenever there is another. */
  ratings?: number;
  ratingSum?: number;
  /** Counts the changes of his availability that other systems were told of; missing: none. */
  changes?: number;
  updatedAt: number;
}

/** He may be offered a trip; the index of available drivers is a copy of this. */
export const isAvailable = ({ status, activeTripId }: Driver): boolean => status === 'looking' && activeTripId === null;

/** What may be asked of him now; a trip goes before what he says himself. */
export type Availability = 'available' | 'on_trip' | 'busy' | 'offline';

export function availabilityOf({ status, activeTripId }: Driver): Availability {
  if (activeTripId !== null) return 'on_trip';
  return status === 'looking' ? 'available' : status;
}

const CHANGED: Record<Availability, string> = {
  available: 'driver.became_available',
  on_trip: 'driver.took_trip',
  busy: 'driver.became_busy',
  offline: 'driver.went_offline',
};

/** The event of a change that other systems are told of; null: he is as available as before. */
export function changeOf(before: Driver, after: Driver, id: string): OutboxEvent | null {
  const availability = availabilityOf(after);
  if (availability === availabilityOf(before) && after.activeTripId === before.activeTripId) return null;
  const { id: driverId, status, activeTripId, city, vehicleClass, updatedAt: at, changes: seq = 0 } = after;
  const data = { driverId, availability, status, activeTripId, city, vehicleClass, at };
  return { id, seq: seq + 1, type: CHANGED[availability], at, data };
}

/** As many answers as acceptance is told from. */
const ANSWERS = 20;

/** The driver with one more answer; null when it is known already. */
export function withAnswer(driver: Driver, offerId: string, accepted: boolean): Driver | null {
  const answers = driver.answers ?? [];
  if (answers.some((answer) => answer.offerId === offerId)) return null;
  return { ...driver, answers: [...answers, { offerId, accepted }].slice(-ANSWERS) };
}

/** Dates the beginning of idleness when it begins, and forgets it when it ends. */
export function withIdleness(driver: Driver, now: number): Driver {
  if (!isAvailable(driver)) return { ...driver, idleSince: null };
  return driver.idleSince ? driver : { ...driver, idleSince: now };
}

export const driverCollection: CollectionSpec<Driver> = {
  name: 'drivers',
  indexes: [
    { name: 'active_trip', fields: ['activeTripId'], sparse: true },
    { name: 'active_since', fields: ['activeSince'], sparse: true },
    { name: 'status_city', fields: ['status', 'city'] },
  ],
};
