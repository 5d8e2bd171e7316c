/**
 * Which trip each driver of this node is on, so that his positions need not ask the store. It is a cache: a trip's events keep it true,
 * and what a lost event can do is bounded by its age.
 */
import { notFound, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { AnyTrip } from '../departures/departure.ts';
import type { LatLng } from '../geo.ts';
import { Recent } from '../recent.ts';
import { isDriven, isTerminal, type TripStatus } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';

/** What is known of the trip that a driver is on. */
export interface Binding {
  tripId: string;
  /** Empty: a departure. */
  riderId: string;
  city: string;
  status: TripStatus;
  kind: AnyTrip['kind'];
  pickup: LatLng;
  dropoff: LatLng;
  checkedAt: number;
  etaSentAt: number;
  /** One is being asked for: answers must not overtake each other. */
  etaAsked: boolean;
}

/** Domain ms. */
const MAX_AGE_MS = 60_000;

export class Bindings {
  readonly #trips: Pick<Trips, 'any'>;
  readonly #clock: Clock;
  /** A session's end frees what is known of its driver; who sends by REST has none. */
  readonly #of: Recent<Binding>;

  constructor(trips: Pick<Trips, 'any'>, clock: Clock) {
    this.#trips = trips;
    this.#clock = clock;
    this.#of = new Recent(MAX_AGE_MS, () => clock.now());
  }

  /** What is known of the driver on this trip; null: it has to be looked up. */
  known(driverId: string, tripId: string): Binding | null {
    const binding = this.#of.get(driverId);
    if (binding?.tripId !== tripId || this.#clock.now() - binding.checkedAt > MAX_AGE_MS) return null;
    return binding;
  }

  /** Whether it is what is known of the driver now. */
  holds(driverId: string, binding: Binding): boolean {
    return this.#of.get(driverId) === binding;
  }

  /**
   * From the store.
   * @param prefix of the field's name, for a position in a list
   * @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_ILLEGAL_TRANSITION when the trip is not the driver's to report on
   */
  async lookUp(driverId: string, tripId: string, prefix: string): Promise<Binding> {
    const field = `${prefix}trip_id`;
    const trip = await this.#trips.any(tripId);
    if (!trip) throw notFound('trip', tripId, field);
    if (trip.driverId !== driverId) {
      throw new RideError('RIDE_FORBIDDEN', 'Only the assigned driver may send locations of a trip', {
        field,
        rule: 'a trip that is assigned to the caller',
      });
    }
    if (!isDriven(trip.status)) {
      throw new RideError('RIDE_ILLEGAL_TRANSITION', `The trip is ${trip.status}`, {
        field,
        rule: 'a trip that is under way',
        facts: { status: trip.status, version: trip.version },
      });
    }
    const binding: Binding = {
      tripId,
      riderId: trip.riderId,
      city: trip.source.city,
      status: trip.status,
      kind: trip.kind,
      pickup: trip.source,
      dropoff: trip.destination,
      checkedAt: this.#clock.now(),
      etaSentAt: 0,
      etaAsked: false,
    };
    this.#of.set(driverId, binding);
    return binding;
  }

  /** An event of the trip reached this node. */
  changed(driverId: string, tripId: string, status: TripStatus): void {
    const binding = this.#of.get(driverId);
    if (binding?.tripId !== tripId) return;
    // The watch holds the same binding.
    binding.status = status;
    if (isTerminal(status) || !isDriven(status)) this.#of.delete(driverId);
  }

  forget(driverId: string): void {
    this.#of.delete(driverId);
  }
}
