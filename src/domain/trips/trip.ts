/** The trip as it is stored: one document, one transaction. Field names inside follow document C's indexes. */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { VehicleClass } from '../roles.ts';
import type { Estimate, Place, TripEvent, TripState } from './rules.ts';

export interface Trip extends StoredDocument, TripState {
  kind: 'ride';
  vehicleClass: VehicleClass;
  /** Pick-up. */
  source: Place;
  /** Drop-off. */
  destination: Place;
  note?: string;
  estimate: Estimate;
  /** Instant by which a driver must be found, epoch ms. */
  matchDeadline: number;
  /** Every event of the trip, so that its history can be read for ever; as long as MAX_OFFERS allows. */
  history: TripEvent[];
}

export const tripCollection: CollectionSpec<Trip> = {
  name: 'trips',
  indexes: [
    { name: 'status_city_departure', fields: ['status', 'source.city', 'departureTime'] },
    { name: 'driver_status', fields: ['driverId', 'status'] },
    { name: 'rider_created', fields: ['riderId', 'createdAt'] },
    { name: 'status_updated', fields: ['status', 'updatedAt'] },
    { name: 'source_zone', fields: ['source.zone', 'status'] },
    { name: 'created', fields: ['createdAt'] },
  ],
};

/** Number of the last event; the next has this plus one. */
export const lastSeq = (trip: Trip): number => trip.history.length;
