/**
 * Use cases of scheduled departures: a driver publishes one, passengers find it, the driver drives it. The seats on it are given by
 * ../bookings/service.ts; what an event leads to is in reactions.ts.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Collection, Filter, Page } from '../../ports/store.ts';
import type { See } from '../arrivals/service.ts';
import type { BookingTerms } from '../bookings/rules.ts';
import { isTaken } from '../documents/writing.ts';
import type { Drivers } from '../drivers/service.ts';
import { distanceM } from '../geo.ts';
import { type Idempotency, type IdempotencyKey, type Wish, wished } from '../idempotency/service.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { mendEach } from '../mending.ts';
import { isOperator, type Principal, type Role, type VehicleClass } from '../roles.ts';
import type { Eta, Routing } from '../routing/service.ts';
import { isDriven, SYSTEM } from '../statuses.ts';
import type { Place } from '../trips/rules.ts';
import type { Changes } from './changes.ts';
import { cellOf } from './cover.ts';
import type { Departure, DeparturePlace } from './departure.ts';
import { type DepartureCommand, decideDeparture } from './rules.ts';
import { createSearch, type DepartureSearch } from './search.ts';

export interface DepartureSettings {
  terms: BookingTerms;
  seatsMax: number;
  aheadMaxMs: number;
  /** A departure that has not been boarded so long after its time is over. */
  graceMs: number;
}

export interface DeparturesDeps {
  departures: Collection<Departure>;
  changes: Changes;
  idempotency: Idempotency;
  drivers: Pick<Drivers, 'ensure' | 'get' | 'release'>;
  /** Binds the driver to it; false while he is on another trip. */
  claim(driverId: string, tripId: string): Promise<boolean>;
  /** What refuses a driver this departure who is on another trip. */
  busy(departureId: string, activeTripId: string | null): Promise<RideError>;
  /** Where he is when he arrives. */
  see: See;
  clock: Clock;
  ids: Ids;
  routing: Pick<Routing, 'leg'>;
  currency: string;
  settings: DepartureSettings;
  zoneOf(lat: number, lng: number): string;
  log: Logger;
}

type PlaceInput = Omit<Place, 'zone' | 'city'> & { city?: string };

export interface DepartureInput {
  driverId: string;
  pickup: PlaceInput;
  dropoff: PlaceInput;
  city: string;
  departureTime: number;
  seats: number;
  seatFareMinor: number;
  vehicleClass: VehicleClass;
  note?: string;
}

/** A way shorter than this is a mistake of the client. */
const MIN_WAY_M = 10;
const MAX_WAY_M = 5_000_000;
const SWEEP_BATCH = 200;

export type Departures = ReturnType<typeof createDepartures>;

export function createDepartures(deps: DeparturesDeps) {
  const { changes, clock, ids, settings, log } = deps;
  const search = createSearch(deps.departures, clock);

  function checked(input: DepartureInput, now: number): DepartureInput {
    const { pickup, dropoff, departureTime, seats } = input;
    const wayM = distanceM(pickup, dropoff);
    if (wayM < MIN_WAY_M) throw invalidInput('dropoff', `at least ${MIN_WAY_M} m from the pick-up`);
    if (wayM > MAX_WAY_M) throw invalidInput('dropoff', `at most ${MAX_WAY_M} m from the pick-up`);
    if (seats > settings.seatsMax) throw invalidInput('seats', `at most ${settings.seatsMax}`);
    if (departureTime <= now) throw invalidInput('departure_time', 'in the future');
    if (departureTime > now + settings.aheadMaxMs) {
      throw invalidInput('departure_time', `at most ${Math.round(settings.aheadMaxMs / 3_600_000)} hours from now`);
    }
    return input;
  }

  function newDeparture(id: string, input: DepartureInput, way: Eta, now: number): Departure {
    const place = ({ city = input.city, ...p }: PlaceInput): DeparturePlace => ({
      ...p,
      city,
      zone: deps.zoneOf(p.lat, p.lng),
      cell: cellOf(p),
    });
    const { driverId, departureTime, seats, seatFareMinor, vehicleClass, note } = input;
    return {
      id,
      ...shardKeyOf(id, ids.region, now),
      version: 1,
      kind: 'scheduled',
      status: 'scheduled',
      riderId: '',
      offer: null,
      driverId,
      vehicleClass,
      departureTime,
      source: place(input.pickup),
      destination: place(input.dropoff),
      ...(note ? { note } : {}),
      seats,
      seatsFree: seats,
      seatFareMinor,
      terms: settings.terms,
      bookings: [],
      estimate: {
        distanceM: way.distanceM,
        durationS: way.etaS,
        source: way.source,
        baseS: way.baseS,
        fareMinor: seatFareMinor,
        currency: deps.currency,
      },
      updatedAt: now,
      history: [],
    };
  }

  const command = async (id: string, command: DepartureCommand, expectedVersion?: number): Promise<Departure> =>
    (await changes.change(id, (departure, now) => decideDeparture(departure, command, now), expectedVersion)).departure;

  /** He is bound before the departure says so, as with an offer that he accepts. */
  async function arrive(principal: Principal, id: string, expectedVersion?: number): Promise<Departure> {
    const departure = await changes.mustGet(id);
    const { userId: driverId } = principal;
    const seen = departure.driverId === driverId ? await deps.see(driverId, departure.source) : undefined;
    const step = { type: 'arrive', driverId, seen } as const;
    const decision = decideDeparture(departure, step, clock.now());
    // What is refused, or done, binds nobody.
    if ('refusal' in decision || decision.events.length === 0) return command(id, step, expectedVersion);
    await deps.drivers.ensure(principal);
    if (!(await deps.claim(principal.userId, id))) {
      const driver = await deps.drivers.get(principal.userId);
      throw await deps.busy(id, driver?.activeTripId ?? null);
    }
    try {
      return await command(id, step, expectedVersion);
    } catch (error) {
      // Unless he is there by another request of his.
      const now = await changes.get(id);
      if (!now || !isDriven(now.status)) await deps.drivers.release(principal.userId, id);
      throw error;
    }
  }

  async function each(where: Filter, orderBy: string, how: (departure: Departure) => Promise<unknown>) {
    const page = await deps.departures.page({
      where: { kind: 'scheduled', ...where },
      orderBy,
      direction: 'asc',
      pageSize: SWEEP_BATCH,
    });
    return mendEach(page.items, how, (error, { id }) =>
      log.warn({ err: error, trip_id: id }, 'departure not mended; the next sweep tries again'),
    );
  }

  return {
    command,
    arrive,

    /** @throws RideError RIDE_INVALID_INPUT, RIDE_IDEMPOTENCY_MISMATCH, RIDE_UNAVAILABLE */
    async publish(
      principal: Principal,
      wish: Wish<DepartureInput>,
      key?: IdempotencyKey,
    ): Promise<{ departure: Departure; created: boolean }> {
      const { made, created } = await deps.idempotency.once(key, {
        prepare: () => checked(wished(wish), clock.now()),
        newId: () => ids.next('trip'),
        find: changes.get,
        async make(id, input) {
          try {
            const way = await deps.routing.leg(input.pickup, input.dropoff, input.city);
            return await changes.add(newDeparture(id, input, way, clock.now()), principal.userId);
          } catch (error) {
            if (isTaken(error)) return null;
            throw error;
          }
        },
      });
      return { departure: made, created };
    },

    /** For anybody: what is said of it depends on who asks. @throws RideError RIDE_NOT_FOUND */
    get: changes.mustGet,

    /** Those that have not begun are for anybody; of others a driver finds his own, an operator all. Without a status: what can be booked. */
    async search({ userId, role }: Principal, query: DepartureSearch): Promise<Page<Departure>> {
      const mayAll = query.driverId === userId || isOperator(role);
      if (!mayAll && query.status !== undefined && query.status !== 'scheduled') {
        throw new RideError('RIDE_FORBIDDEN', 'Only departures that have not begun are for everybody', {
          field: 'status',
          rule: 'scheduled',
        });
      }
      // Whoever asks for those of one driver wants to see what became of them.
      return search(query.status || (mayAll && query.driverId) ? query : { ...query, bookable: true });
    },

    /** By its driver or an operator. @throws RideError of the command */
    cancel: (principal: { userId: string; role: Role }, id: string, reason?: string, expectedVersion?: number) =>
      command(
        id,
        { type: 'cancel', actorId: principal.userId, role: principal.role, ...(reason ? { reason } : {}) },
        expectedVersion,
      ),

    /** Ends what was never driven, and what never came to an end; resolves how many. */
    async sweep(now: number, maxDurationMs: number): Promise<number> {
      const late = { status: 'scheduled', departureTime: { lt: now - settings.graceMs } };
      let ended = await each(late, 'departureTime', ({ id }) => command(id, { type: 'expire', reason: 'never_left' }));
      for (const status of ['driver_arrived', 'in_progress']) {
        const reason = 'no_end_in_time';
        const cancel = { type: 'cancel', actorId: SYSTEM, role: 'service', reason } as const;
        ended += await each({ status, updatedAt: { lt: now - maxDurationMs } }, 'updatedAt', ({ id }) =>
          command(id, cancel),
        );
      }
      return ended;
    },
  };
}
