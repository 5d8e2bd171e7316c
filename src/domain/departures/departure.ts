/**
 * A scheduled departure as it is stored: a document of the collection `trips` like every trip, with all its bookings in it, so that
 * seats are given and taken by one compare-and-set write. Field names inside follow document C's indexes.
 */
import type { IndexSpec, StoredDocument } from '../../ports/store.ts';
import type { VehicleClass } from '../roles.ts';
import type { Place } from '../trips/rules.ts';
import type { Estimate, Trip } from '../trips/trip.ts';
import type { DepartureEvent, DepartureState } from './rules.ts';

/** A place with the cell that searches go by; see cover.ts. */
export interface DeparturePlace extends Place {
  cell: string;
}

export interface Departure extends StoredDocument, DepartureState {
  kind: 'scheduled';
  /** Nobody's: it has passengers, and is offered to nobody. */
  riderId: '';
  offer: null;
  vehicleClass: VehicleClass;
  source: DeparturePlace;
  destination: DeparturePlace;
  note?: string;
  /** Of the whole way; the fare is that of one seat. */
  estimate: Estimate;
  /** Every event; as long as the bookings of a departure may be many. */
  history: DepartureEvent[];
}

/** Whatever the collection `trips` holds. */
export type AnyTrip = Trip | Departure;

export const isDeparture = (trip: AnyTrip): trip is Departure => trip.kind === 'scheduled';

/** Of the collection `trips`, for searches by time, and by place and time. */
export const departureIndexes: readonly IndexSpec[] = [
  { name: 'status_departure', fields: ['status', 'departureTime'], present: 'departureTime' },
  { name: 'status_cell_departure', fields: ['status', 'source.cell', 'departureTime'], present: 'departureTime' },
];
