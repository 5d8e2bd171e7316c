/**
 * Use cases of a trip: request, read, and every command through one compare-and-set loop. The service never publishes: it
 * appends events to the document's outbox and kicks the relay.
 */
import { notFound, RideError } from '../../errors.ts';
import type { OutboundMessages } from '../../ports/publisher.ts';
import type { OutboxEvent, Page } from '../../ports/store.ts';
import type { See } from '../arrivals/service.ts';
import { codesLeft, proofsTaken } from '../deliveries/rules.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isPassenger, openly } from '../departures/rules.ts';
import { checkVersion, LOST, untilWritten } from '../documents/writing.ts';
import { askedOf } from '../offers/rules.ts';
import { isOperator, type Principal } from '../roles.ts';
import { evolve } from './evolve.ts';
import { type Parties, PartiesMemory } from './parties.ts';
import { createRequests, type RequestsDeps } from './requests.ts';
import { decide, type RefusalCode, type TripCommand, type TripFact } from './rules.ts';
import { searchTrips, type TripQuery } from './search.ts';
import { eventOf, outboxOf, type Trip } from './trip.ts';
import { standingFor } from './winner.ts';

export interface WaitingQuery {
  /** Domain epoch ms. */
  from: number;
  to: number;
  pageSize: number;
  pageToken?: string;
}

/** Which part of the input a refused command is about; an illegal step is about none, but about the trip's state. */
const FAULT: Record<RefusalCode, { field?: string; rule?: string }> = {
  RIDE_FORBIDDEN: { field: 'trip_id', rule: 'a trip of the caller' },
  RIDE_OFFER_CLOSED: { field: 'offer_id', rule: 'an open offer to the caller' },
  RIDE_ILLEGAL_TRANSITION: {},
  RIDE_TOO_FAR: {},
  RIDE_PROOF_REFUSED: { field: 'proof', rule: 'one that the delivery takes' },
};

export type Trips = ReturnType<typeof createTrips>;

export interface TripsDeps extends RequestsDeps {
  /** Where a driver is who arrives. */
  see: See;
}

export function createTrips(deps: TripsDeps) {
  const { trips, clock, ids } = deps;
  const memory = new PartiesMemory(clock);

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
    /** Makes a trip of a request; @throws what requests.ts says. */
    request: createRequests(deps, find),

    /** For use inside the domain: no question of who asks. */
    find,
    findMany: async (ids: readonly string[]): Promise<Trip[]> =>
      (await trips.getMany(ids)).filter((trip: AnyTrip) => !isDeparture(trip)),
    any,
    anyMany: (ids: readonly string[]): Promise<AnyTrip[]> => trips.getMany(ids),

    get,
    follow,
    mayRead,

    /** What happened to a trip of any kind last, as its followers are told it: with it they know the trip's state. Null when there is none. */
    async lastEvent(id: string): Promise<OutboundMessages['trip_event'] | null> {
      const trip = await any(id);
      const event = trip?.history.at(-1);
      return trip && event ? { tripId: id, riderId: trip.riderId, event: openly(event) } : null;
    },

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

    /** See ./search.ts. */
    list: (principal: Principal, query: TripQuery): Promise<Page<Trip>> => searchTrips(trips, principal, query),

    /** Trips of a city for which drivers are sought since `from` or later, before `to`; who waits longest comes first. */
    waitingIn: (city: string, { from, to, ...page }: WaitingQuery): Promise<Page<Trip>> =>
      trips.page({
        where: { status: 'requested', 'source.city': city, matchFrom: { gte: from, lt: to } },
        ...{ orderBy: 'matchFrom', direction: 'asc', ...page },
      }),

    /** A rider's trips that have not ended, newest first. */
    async openOf(riderId: string): Promise<Trip[]> {
      const where = { riderId, status: { in: ['requested', 'offered', 'assigned', 'driver_arrived', 'in_progress'] } };
      return (await trips.page({ where, pageSize: 20 })).items;
    },

    /**
     * Runs one command against the stored trip; the losing write of a race decides again on what the winner left.
     * @throws RideError RIDE_NOT_FOUND, RIDE_ILLEGAL_TRANSITION, RIDE_OFFER_CLOSED, RIDE_FORBIDDEN (facts: see ./winner.ts),
     *   RIDE_PROOF_REFUSED (facts: codes_left, takes), RIDE_TOO_FAR (facts: reason, distance_m, limit_m), RIDE_PRECONDITION_FAILED when `expectedVersion` is not the stored one, RIDE_CONFLICT after many lost races
     */
    command: (id: string, command: TripCommand, expectedVersion?: number): Promise<Trip> =>
      untilWritten('trip', async () => {
        const trip = await mustGet(id);
        checkVersion('trip', trip, expectedVersion, { status: trip.status });
        const decision = decide(trip, await witnessed(trip, command), clock.now());
        if ('refusal' in decision) {
          const { code, message, more } = decision.refusal;
          throw new RideError(code, message, { ...FAULT[code], facts: { ...standingFor(trip, command), ...more } });
        }
        if (decision.events.length === 0) return trip;
        const next = await write(trip, decision.events);
        if (next !== LOST && decision.events[0]?.type === 'proof_refused') throw wrongCode(next);
        return next;
      }),
  };

  /** The command with what it is decided by besides the trip. Only of an arrival that may be is asked where the driver is. */
  async function witnessed(trip: Trip, command: TripCommand): Promise<TripCommand> {
    const isArrival = command.type === 'arrive' && trip.status === 'assigned' && trip.driverId === command.driverId;
    return isArrival ? { ...command, seen: await deps.see(command.driverId, trip.source) } : command;
  }

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
      const event = eventOf(ids.next('evt'), fact, next);
      next.history = [...next.history, event];
      outbox.push(outboxOf(next, event));
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
