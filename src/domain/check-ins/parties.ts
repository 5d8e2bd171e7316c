/**
 * Whom the check-in of a trip asks. A ride has one rider. Of a departure all on board are asked, for what is looked at is the car: one who
 * says that all is well speaks for all, as does one who asks for help.
 */
import { holdsSeats } from '../bookings/rules.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isDriven } from '../statuses.ts';

/** The ride that a hazard is about. */
export interface WatchedRide {
  tripId: string;
  /** Empty: a departure. */
  riderId: string;
  /** Who is on board of a departure. */
  passengerIds?: readonly string[];
  driverId: string;
  city: string;
}

/** Null while there is nobody to be asked. */
export function partiesOf(trip: AnyTrip): WatchedRide | null {
  const { id: tripId, riderId, driverId, source } = trip;
  const ride = { tripId, riderId, driverId: driverId ?? '', city: source.city };
  if (!isDeparture(trip)) return ride;
  const passengerIds = isDriven(trip.status) ? trip.bookings.filter(holdsSeats).map((one) => one.passengerId) : [];
  return passengerIds.length === 0 ? null : { ...ride, passengerIds };
}
