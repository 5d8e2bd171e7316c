/**
 * Use cases of a trip: request, read, and every command through one compare-and-set loop. The service never publishes: it
 * appends events to the document's outbox and kicks the relay.
 */
import { invalidInput, notFound, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection, Filter, OutboxEvent, Page } from '../../ports/store.ts';
import { codesLeft, type Delivery, proofsTaken } from '../deliveries/rules.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isPassenger } from '../departures/rules.ts';
import { checkVersion, isTaken, LOST, untilWritten } from '../documents/writing.ts';
import type { Idempotency, IdempotencyKey } from '../idempotency/service.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { askedOf } from '../offers/rules.ts';
import type { Relay } from '../outbox/relay.ts';
import { fareOfTerms, type Quote, type Terms } from '../pricing/rules.ts';
import { checkJourney, type Pricing } from '../pricing/service.ts';
import { isOperator, type Principal, type VehicleClass } from '../roles.ts';
import type { TripStatus } from '../statuses.ts';
import { type Parties, PartiesMemory } from './parties.ts';
import {
  decide,
  evolve,
  type Place,
  type RefusalCode,
  type TripCommand,
  type TripEvent,
  type TripFact,
} from './rules.ts';
import { type DispatchedKind, dispatchedKinds, lastSeq, type Trip } from './trip.ts';
import { standingFor } from './winner.ts';

export interface TripRequest {
  riderId: string;
  pickup: Omit<Place, 'zone' | 'city'>;
  dropoff: Omit<Place, 'zone' | 'city'>;
  city: string;
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

export interface TripQuery {
  /** Left out: rides and deliveries. */
  kind?: DispatchedKind;
  status?: TripStatus;
  city?: string;
  driverId?: string;
  riderId?: string;
  direction?: 'asc' | 'desc';
  pageSize: number;
  pageToken?: string;
}

export interface WaitingQuery {
  /** Domain epoch ms. */
  from: number;
  to: number;
  pageSize: number;
  pageToken?: string;
}

export interface TripsDeps {
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
  /** A fact of a trip, as it was before it, was written. Must not wait. */
  onFact(trip: Trip, fact: TripFact): void;
}

const MAX_AHEAD_MS = 30 * 86_400_000;
/** A pick-up so little ago is one at once, by a clock that is behind. */
const PAST_MS = 60_000;

/** Which part of the input a refused command is about; an illegal step is about none, but about the trip's state. */
const FAULT: Record<RefusalCode, { field?: string; rule?: string }> = {
  RIDE_FORBIDDEN: { field: 'trip_id', rule: 'a trip of the caller' },
  RIDE_OFFER_CLOSED: { field: 'offer_id', rule: 'an open offer to the caller' },
  RIDE_ILLEGAL_TRANSITION: {},
  RIDE_PROOF_REFUSED: { field: 'proof', rule: 'one that the delivery takes' },
};

export type Trips = ReturnType<typeof createTrips>;

export function createTrips(deps: TripsDeps) {
  const { trips, clock, ids } = deps;
  const memory = new PartiesMemory(clock);

  /** A fact as the event with the next seq, dated and numbered. */
  function toEvent(fact: TripFact, trip: Trip, version: number): TripEvent {
    return { ...fact, id: ids.next('evt'), seq: lastSeq(trip) + 1, status: trip.status, version };
  }

  function toOutbox(trip: Trip, event: TripEvent): OutboxEvent {
    const data = { ...event, riderId: trip.riderId, city: trip.source.city };
    return { id: event.id, seq: event.seq, type: `trip.${event.type}`, at: event.at, data };
  }

  const matchFromOf = ({ pickupAt }: TripRequest, now: number): number =>
    Math.max(now, (pickupAt ?? now) - deps.dispatchAheadMs);

  function newTrip(id: string, input: TripRequest, terms: Terms, now: number): Trip {
    const place = (p: TripRequest['pickup']): Place => ({ ...p, city: input.city, zone: deps.zoneOf(p.lat, p.lng) });
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
      source: place(input.pickup),
      destination: place(input.dropoff),
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

  async function insert(id: string, input: TripRequest, quote: Quote | null, requestKey?: string): Promise<Trip> {
    const isLater = matchFromOf(input, clock.now()) > clock.now();
    const terms = quote?.terms ?? (await deps.pricing.termsNow(input, isLater));
    const now = clock.now();
    const trip = newTrip(id, input, terms, now);
    if (requestKey) trip.requestKey = requestKey;
    const event = toEvent({ type: 'requested', at: now, actorId: input.riderId }, trip, 1);
    trip.history = [event];
    const outbox = [toOutbox(trip, event)];
    await trips.insert(trip, outbox);
    if (quote) deps.pricing.booked();
    deps.relay().kick(trip.id, outbox);
    return trip;
  }

  /** Also a scheduled departure, which is changed and read in full by ../departures/service.ts alone. */
  const any = (id: string): Promise<AnyTrip | null> => trips.get(id) as Promise<AnyTrip | null>;

  async function find(id: string): Promise<Trip | null> {
    const trip = await any(id);
    return trip && !isDeparture(trip) ? trip : null;
  }

  async function mustGet(id: string): Promise<Trip> {
    const trip = await find(id);
    if (!trip) throw notFound('trip', id);
    return trip;
  }

  /** What was in time when it was asked first is answered again, however late. @throws RideError RIDE_INVALID_INPUT */
  async function checkPickupAt({ pickupAt }: TripRequest, key: IdempotencyKey | undefined): Promise<void> {
    if (pickupAt === undefined) return;
    const aheadMs = pickupAt - clock.now();
    if (aheadMs > MAX_AHEAD_MS) throw invalidInput('pickup_at', 'at most 30 days from now');
    if (aheadMs >= -PAST_MS || (key && (await deps.idempotency.knows(key)))) return;
    throw invalidInput('pickup_at', 'not in the past');
  }

  /** A request that cannot be must not use up its key; one that was answered is answered again, however late. */
  async function checkQuote(quote: Quote, key: IdempotencyKey | undefined): Promise<void> {
    if (!deps.pricing.hasExpired(quote)) return;
    if (!key || !(await deps.idempotency.knows(key))) throw deps.pricing.expired(quote);
  }

  /** Null when its trip was made already, by an earlier request with this key or, if it booked a quote, by any. */
  async function make(id: string, input: TripRequest, quote: Quote | null, key?: IdempotencyKey): Promise<Trip | null> {
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

  function mayRead(principal: Principal, trip: AnyTrip): boolean {
    if (isDeparture(trip) && isPassenger(trip, principal.userId)) return true;
    return (
      isOperator(principal.role) ||
      trip.riderId === principal.userId ||
      trip.driverId === principal.userId ||
      (trip.offer !== null && askedOf(trip.offer).includes(principal.userId))
    );
  }

  function checkReader<T extends AnyTrip>(principal: Principal, trip: T): T {
    if (mayRead(principal, trip)) return trip;
    throw new RideError('RIDE_FORBIDDEN', 'This trip is someone else’s', {
      field: 'trip_id',
      rule: 'a trip of the caller',
    });
  }

  /** @throws RideError RIDE_NOT_FOUND; for someone else's trip RIDE_FORBIDDEN */
  const get = async (principal: Principal, id: string): Promise<Trip> => checkReader(principal, await mustGet(id));

  /** For whoever follows a trip, of any kind. @throws as `get` */
  async function follow(principal: Principal, id: string): Promise<AnyTrip> {
    const trip = await any(id);
    if (!trip) throw notFound('trip', id);
    return checkReader(principal, trip);
  }

  return {
    /**
     * @throws RideError RIDE_INVALID_INPUT, RIDE_IDEMPOTENCY_MISMATCH, RIDE_QUOTE_EXPIRED, RIDE_QUOTE_USED (facts: trip_id),
     *   RIDE_UNAVAILABLE, and what `admit` throws
     */
    async request(input: TripRequest, key?: IdempotencyKey): Promise<{ trip: Trip; created: boolean }> {
      // Before the key is claimed: a request that cannot be must not use it up.
      checkJourney(input);
      await checkPickupAt(input, key);
      const quote = input.quoteId === undefined ? null : deps.pricing.open(input.quoteId, input);
      if (quote) await checkQuote(quote, key);
      const { made, created } = await deps.idempotency.once(key, {
        newId: () => quote?.tripId ?? ids.next('trip'),
        find,
        make: (id) => make(id, input, quote, key),
      });
      // A quote's trip may have been made by another request.
      if (quote && !created && made.requestKey !== key?.id) throw deps.pricing.used(made.id);
      return { trip: made, created };
    },

    /** For use inside the domain: no question of who asks. */
    find,
    findMany: async (ids: readonly string[]): Promise<Trip[]> =>
      (await trips.getMany(ids)).filter((trip: AnyTrip) => !isDeparture(trip)),
    any,
    anyMany: (ids: readonly string[]): Promise<AnyTrip[]> => trips.getMany(ids),

    get,
    follow,
    mayRead,

    /** Rider and driver of a trip that `principal` may read, from the store, and remembered. @throws as `get` */
    async parties(principal: Principal, id: string): Promise<Parties> {
      const askedAt = clock.now();
      const { riderId, driverId } = await follow(principal, id);
      const parties = { riderId, driverId };
      memory.keep(id, parties, askedAt);
      return parties;
    },

    /** The same as this node remembers it; null when the store has to be asked. */
    recall: (principal: Principal, id: string): Parties | null => memory.recall(principal, id),

    /** The trip changed, here or elsewhere: called for every event of it that reaches this node. */
    changed: (id: string): void => memory.end(id),

    /** Riders and drivers see their own trips whatever they ask for. */
    async list(principal: Principal, query: TripQuery): Promise<Page<Trip>> {
      const where: Record<string, Filter[string]> = { kind: query.kind ?? { in: dispatchedKinds } };
      if (query.status) where.status = query.status;
      if (query.city) where['source.city'] = query.city;
      if (query.driverId) where.driverId = query.driverId;
      if (query.riderId) where.riderId = query.riderId;
      if (principal.role === 'rider') where.riderId = principal.userId;
      if (principal.role === 'driver') where.driverId = principal.userId;
      return trips.page({
        where,
        direction: query.direction ?? 'desc',
        pageSize: query.pageSize,
        pageToken: query.pageToken,
      });
    },

    /** Trips of a city for which drivers are sought since `from` or later, before `to`; who waits longest comes first. */
    async waitingIn(city: string, { from, to, ...page }: WaitingQuery): Promise<Page<Trip>> {
      const where = { status: 'requested', 'source.city': city };
      const since = { gte: from, lt: to };
      const oldest = { direction: 'asc', ...page } as const;
      const dated = trips.page({ where: { ...where, matchFrom: since }, orderBy: 'matchFrom', ...oldest });
      if (page.pageToken !== undefined) return dated;
      // See `soughtFrom`. They are the oldest by far, and few.
      const undated = trips.page({ where: { ...where, matchFrom: null, createdAt: since }, ...oldest });
      const [first, then] = await Promise.all([undated, dated]);
      return { ...then, items: [...first.items, ...then.items] };
    },

    /** A rider's trips that have not ended, newest first. */
    async openOf(riderId: string): Promise<Trip[]> {
      const where = { riderId, status: { in: ['requested', 'offered', 'assigned', 'driver_arrived', 'in_progress'] } };
      return (await trips.page({ where, pageSize: 20 })).items;
    },

    /**
     * Runs one command against the stored trip; the losing write of a race decides again on what the winner left.
     * @throws RideError RIDE_NOT_FOUND, RIDE_ILLEGAL_TRANSITION, RIDE_OFFER_CLOSED, RIDE_FORBIDDEN (facts: see ./winner.ts),
     *   RIDE_PROOF_REFUSED (facts: codes_left, takes), RIDE_PRECONDITION_FAILED when `expectedVersion` is not the stored one, RIDE_CONFLICT after many lost races
     */
    command: (id: string, command: TripCommand, expectedVersion?: number): Promise<Trip> =>
      untilWritten('trip', async () => {
        const trip = await mustGet(id);
        checkVersion('trip', trip, expectedVersion, { status: trip.status });
        const decision = decide(trip, command, clock.now());
        if ('refusal' in decision) {
          const { code, message } = decision.refusal;
          throw new RideError(code, message, { ...FAULT[code], facts: standingFor(trip, command) });
        }
        if (decision.events.length === 0) return trip;
        const next = await write(trip, decision.events);
        if (next !== LOST && decision.events[0]?.type === 'proof_refused') throw wrongCode(next);
        return next;
      }),
  };

  function wrongCode({ version, status, delivery }: Trip): RideError {
    const facts = {
      ...{ version, status, codes_left: codesLeft(delivery!), takes: proofsTaken(delivery!).join(', ') },
    };
    return new RideError('RIDE_PROOF_REFUSED', 'This is not the code of the parcel', {
      ...FAULT.RIDE_PROOF_REFUSED,
      facts,
    });
  }

  /** One atomic write of the state, the history and the outbox. */
  async function write(trip: Trip, facts: readonly TripFact[]): Promise<Trip | typeof LOST> {
    let next: Trip = { ...trip, version: trip.version + 1 };
    const outbox: OutboxEvent[] = [];
    for (const fact of facts) {
      next = evolve(next, fact);
      const event = toEvent(fact, next, next.version);
      next.history = [...next.history, event];
      outbox.push(toOutbox(next, event));
    }
    try {
      if (!(await trips.compareAndSet(next, outbox))) return LOST;
    } finally {
      // A write that failed may have happened.
      memory.end(next.id);
    }
    for (const fact of facts) deps.onFact(trip, fact);
    deps.relay().kick(next.id, outbox);
    return next;
  }
}
