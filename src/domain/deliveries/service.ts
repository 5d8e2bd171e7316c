/**
 * Use cases of deliveries: a sender orders one, a porter proves that he delivered it. All between is a trip like any other: it is
 * matched to porters by vehicle class, offered, accepted and driven by the same rules.
 */
import { invalidInput, notFound } from '../../errors.ts';
import type { Page } from '../../ports/store.ts';
import { type IdempotencyKey, type Wish, wished } from '../idempotency/service.ts';
import { type Ids, sixDigitsOf } from '../ids.ts';
import { isOperator, type Principal, type VehicleClass } from '../roles.ts';
import type { TripRequest } from '../trips/requests.ts';
import type { TripQuery } from '../trips/search.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import { type Contact, carries, classFor, type Parcel, type ProofKind, type Shown, type Sight } from './rules.ts';

export interface DeliveryRequest extends Omit<TripRequest, 'delivery' | 'vehicleClass'> {
  pickupContact: Contact;
  dropoffContact: Contact;
  parcel: Parcel;
  accepts: ProofKind[];
  /** Left out: the smallest that takes the parcel. */
  vehicleClass?: VehicleClass;
}

export type Deliveries = ReturnType<typeof createDeliveries>;

export function createDeliveries(trips: Trips, ids: Ids) {
  function vehicleClassOf({ vehicleClass, parcel }: DeliveryRequest): VehicleClass {
    const least = classFor(parcel);
    if (!least) throw invalidInput('parcel.weight_g', 'as much as a vehicle takes');
    if (vehicleClass && !carries(vehicleClass, parcel))
      throw invalidInput('vehicle_class', 'one that takes the parcel');
    return vehicleClass ?? least;
  }

  function tripOf(request: DeliveryRequest): TripRequest {
    const { pickupContact, dropoffContact, parcel, accepts, ...journey } = request;
    const vehicleClass = vehicleClassOf(request);
    const code = sixDigitsOf(ids.next('evt'));
    const delivery = { pickupContact, dropoffContact, parcel, accepts, code, wrongCodes: 0 };
    return { ...journey, vehicleClass, delivery };
  }

  async function find(id: string): Promise<Trip> {
    const trip = await trips.find(id);
    if (trip?.kind === 'delivery') return trip;
    throw notFound('delivery', id);
  }

  return {
    /** @throws RideError as a request of a ride; RIDE_INVALID_INPUT for a parcel that no such vehicle takes */
    order: (wish: Wish<DeliveryRequest>, key?: IdempotencyKey): Promise<{ trip: Trip; created: boolean }> =>
      trips.request(() => tripOf(wished(wish)), key),

    /** @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
    async get(principal: Principal, id: string): Promise<Trip> {
      await find(id);
      return trips.get(principal, id);
    },

    list: (principal: Principal, query: Omit<TripQuery, 'kind'>): Promise<Page<Trip>> =>
      trips.list(principal, { ...query, kind: 'delivery' }),

    /**
     * By its porter, with what he shows at the door.
     * @throws RideError RIDE_PROOF_REFUSED (facts: codes_left, takes) for a wrong code, which is remembered, and for none that it takes
     */
    async complete(driverId: string, id: string, shown: Shown, expectedVersion?: number): Promise<Trip> {
      await find(id);
      return trips.command(id, { type: 'complete', driverId, shown }, expectedVersion);
    },

    sightOf: ({ userId, role }: Principal, { riderId, driverId }: Trip): Sight => {
      const sender = riderId === userId || isOperator(role);
      return { contacts: sender || driverId === userId, code: sender };
    },
  };
}
