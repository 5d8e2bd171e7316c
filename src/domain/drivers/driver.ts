/**
 * The driver as stored. `activeTripId` is the fact "a driver has one active trip": it is changed by compare-and-set on this
 * document alone, before the trip's own, so two nodes can never give one driver two trips.
 */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
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
  updatedAt: number;
}

/** He may be offered a trip; the index of available drivers is a copy of this. */
export const isAvailable = ({ status, activeTripId }: Driver): boolean => status === 'looking' && activeTripId === null;

export const driverCollection: CollectionSpec<Driver> = {
  name: 'drivers',
  indexes: [
    { name: 'active_trip', fields: ['activeTripId'], sparse: true },
    { name: 'active_since', fields: ['activeSince'], sparse: true },
    { name: 'status_city', fields: ['status', 'city'] },
  ],
};
