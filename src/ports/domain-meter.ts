/**
 * What is counted of trips, bookings and the work around them. Each is told once, by the node whose write it was; no label is of a user or
 * a trip.
 */
import type { DepartureEventType } from '../domain/departures/rules.ts';
import type { TripEventType } from '../domain/trips/rules.ts';
import type { DispatchedKind } from '../domain/trips/trip.ts';

/** What happened to a booking, by itself or with its whole departure. */
export type BookingEvent = 'booked' | 'boarded' | 'completed' | 'no_show' | 'cancelled';

/** What the sweeper found left behind: documents with untold events, trips and departures, drivers bound to nothing. */
export type Mended = 'outbox' | 'trip' | 'departure' | 'driver';

export interface DomainMeter {
  /** An event of a ride or a delivery that was written. */
  trip(kind: DispatchedKind, event: TripEventType): void;
  departure(event: DepartureEventType): void;
  booking(event: BookingEvent): void;
  mended(what: Mended, count: number): void;
  /** A request was answered with what an earlier one of its key had made. */
  repeated(): void;
}
