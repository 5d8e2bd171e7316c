/**
 * Making a trip: of a request, at the price that was quoted or that goes now, once for a key. It is stored with its first event before
 * anyone is answered.
 */
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection } from '../../ports/store.ts';
import type { Delivery } from '../deliveries/rules.ts';
import { cellOf } from '../departures/cover.ts';
import { isTaken } from '../documents/writing.ts';
import { type Idempotency, type IdempotencyKey, type Wish, wished } from '../idempotency/service.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import { fareOfTerms, type Quote, type Terms } from '../pricing/rules.ts';
import { checkJourney, type Pricing } from '../pricing/service.ts';
import type { VehicleClass } from '../roles.ts';
import type { Place, TripFact } from './rules.ts';
import { eventOf, outboxOf, type Trip } from './trip.ts';

export interface TripRequest {
  riderId: string;
  pickup: Omit<Place, 'zone' | 'city'>;
  dropoff: Omit<Place, 'zone' | 'city'>;
  /** Missing: as it was quoted. */
  city?: string;
  vehicleClass: VehicleClass;
  note?: string;
  /** Books the quote of this id, which must be of the same journey. */
  quoteId?: string;
  /** What is delivered; a ride has none. */
  delivery?: Delivery;
  /** When the rider wants to be picked up, epoch ms; missing: now. */
  pickupAt?: number;
  /** Asked before a trip is made, not when an earlier one is the answer; what it throws refuses the request. */
  admit?(): Promise<void>;
}

export interface RequestsDeps {
  trips: Collection<Trip>;
  idempotency: Idempotency;
  relay: () => Relay;
  clock: Clock;
  ids: Ids;
  pricing: Pricing;
  tripRequestTtlMs: number;
  /** How long before the departure of a ride for later a driver is sought. */
  dispatchAheadMs: number;
  /** H3 cell of a place at the zone resolution. */
  zoneOf(lat: number, lng: number): string;
  /** A fact of a trip was written; `trip` is as it was before, or as it was requested. Must not wait. */
  onFact(trip: Trip, fact: TripFact): void;
}

/** A request whose city is known. */
type Located = TripRequest & { city: string };

interface Prepared {
  input: Located;
  quote: Quote | null;
}

const MAX_AHEAD_MS = 30 * 86_400_000;
/** A pick-up so little ago is one at once, by a clock that is behind. */
const PAST_MS = 60_000;

/** @param find the stored trip of an id @returns makes a trip, or finds the one that was made of the same request before */
export function createRequests(deps: RequestsDeps, find: (id: string) => Promise<Trip | null>) {
  const { trips, clock, ids } = deps;

  const matchFromOf = ({ pickupAt }: TripRequest, now: number): number =>
    Math.max(now, (pickupAt ?? now) - deps.dispatchAheadMs);

  /** @param zone of the pick-up */
  function newTrip(id: string, input: Located, terms: Terms, zone: string, now: number): Trip {
    const { city, pickup, dropoff } = input;
    return {
      id,
      ...shardKeyOf(id, ids.region, now),
      version: 1,
      kind: input.delivery ? 'delivery' : 'ride',
      ...(input.delivery ? { delivery: input.delivery } : {}),
      status: 'requested',
      riderId: input.riderId,
      driverId: null,
      offer: null,
      excludedDriverIds: [],
      offersMade: 0,
      updatedAt: now,
      vehicleClass: input.vehicleClass,
      source: { ...pickup, city, zone, cell: cellOf(pickup) },
      destination: { ...dropoff, city, zone: deps.zoneOf(dropoff.lat, dropoff.lng) },
      ...(input.note ? { note: input.note } : {}),
      ...(input.pickupAt === undefined ? {} : { departureTime: input.pickupAt }),
      estimate: {
        distanceM: terms.distanceM,
        durationS: terms.durationS,
        ...(terms.source === undefined ? {} : { source: terms.source, baseS: terms.baseS }),
        fareMinor: fareOfTerms(terms).totalMinor,
        currency: terms.tariff.currency,
      },
      terms,
      matchFrom: matchFromOf(input, now),
      matchDeadline: Math.max(now, input.pickupAt ?? now) + deps.tripRequestTtlMs,
      searchMs: deps.tripRequestTtlMs,
      history: [],
    };
  }

  async function insert(id: string, input: Located, quote: Quote | null, requestKey?: string): Promise<Trip> {
    const isLater = matchFromOf(input, clock.now()) > clock.now();
    const terms = quote?.terms ?? (await deps.pricing.termsNow(input, isLater));
    const now = clock.now();
    // A quote may be of a time when zones had another size.
    const zone = quote ? deps.zoneOf(input.pickup.lat, input.pickup.lng) : terms.surge.zone;
    const trip = newTrip(id, input, terms, zone, now);
    if (requestKey) trip.requestKey = requestKey;
    const fact: TripFact = { type: 'requested', at: now, actorId: input.riderId };
    const event = eventOf(ids.next('evt'), fact, trip);
    trip.history = [event];
    const outbox = [outboxOf(trip, event)];
    await trips.insert(trip, outbox);
    deps.onFact(trip, fact);
    if (quote) deps.pricing.booked();
    deps.relay().kick(trip.id, outbox, trip);
    return trip;
  }

  function checkPickupAt({ pickupAt }: TripRequest): void {
    if (pickupAt === undefined) return;
    const aheadMs = pickupAt - clock.now();
    if (aheadMs > MAX_AHEAD_MS) throw invalidInput('pickup_at', 'at most 30 days from now');
    if (aheadMs < -PAST_MS) throw invalidInput('pickup_at', 'not in the past');
  }

  /** @throws RideError RIDE_INVALID_INPUT, RIDE_QUOTE_EXPIRED, RIDE_UNAVAILABLE */
  async function prepare(wish: Wish<TripRequest>): Promise<Prepared> {
    const input = wished(wish);
    checkJourney(input);
    checkPickupAt(input);
    const quote = input.quoteId === undefined ? null : deps.pricing.open(input.quoteId, input);
    if (quote) {
      deps.pricing.checkExpiry(quote);
      await deps.pricing.checkCity(quote);
    }
    const city = quote?.city ?? input.city;
    if (city === undefined) throw invalidInput('city', 'a city, unless a quote says it');
    return { input: { ...input, city }, quote };
  }

  /** Null when its trip was made already, by an earlier request with this key or, if it booked a quote, by any. */
  async function make(id: string, { input, quote }: Prepared, key?: IdempotencyKey): Promise<Trip | null> {
    if (quote) deps.pricing.checkExpiry(quote);
    await input.admit?.();
    try {
      return await insert(id, input, quote, key?.id);
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (key) return null;
      throw quote ? deps.pricing.used(id) : error;
    }
  }

  /**
   * @throws RideError RIDE_INVALID_INPUT, RIDE_IDEMPOTENCY_MISMATCH, RIDE_QUOTE_EXPIRED, RIDE_QUOTE_USED (facts: trip_id),
   *   RIDE_UNAVAILABLE, and what `admit` throws
   */
  return async function request(
    wish: Wish<TripRequest>,
    key?: IdempotencyKey,
  ): Promise<{ trip: Trip; created: boolean }> {
    const { made, created } = await deps.idempotency
      .once(key, {
        prepare: () => prepare(wish),
        newId: ({ quote }) => quote?.tripId ?? ids.next('trip'),
        find,
        make: (id, prepared) => make(id, prepared, key),
      })
      .catch((error: unknown) => {
        deps.pricing.refused(error);
        throw error;
      });
    // A quote's trip may have been made by another request.
    if (!created && made.terms?.quoted && made.requestKey !== key?.id) throw deps.pricing.used(made.id);
    return { trip: made, created };
  };
}
