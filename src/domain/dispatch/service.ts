/**
 * The use cases of dispatch: offers are answered, claims of drivers kept or freed. Who is asked is decided in matching.ts, what
 * follows from a trip's events in reactions.ts.
 */
import { RideError } from '../../errors.ts';
import { isDeparture } from '../departures/departure.ts';
import { askedOf } from '../offers/rules.ts';
import { isDriven, isTerminal, SYSTEM } from '../statuses.ts';
import type { Trip } from '../trips/trip.ts';
import { type RaceFacts, winnerOf } from '../trips/winner.ts';
import { createDeciding } from './deciding.ts';
import type { DispatchDeps } from './deps.ts';
import { createFacts } from './facts.ts';
import { createLooks } from './looks.ts';
import { createMatching } from './matching.ts';
import { createReactions } from './reactions.ts';

/** Open trips of a rider that one STATUS_LOOKING is about. */
const LOOKED_FOR_AT_ONCE = 3;

export type Dispatch = ReturnType<typeof createDispatch>;

export function createDispatch(deps: DispatchDeps) {
  const { trips, drivers, clock, log } = deps;
  const gather = createFacts({ ...deps, ...deps.settings });
  const decideAll = createDeciding({ ...deps, gather });
  const { match, matchWindow, matchCohort, callAgain } = createMatching({
    ...deps,
    decideAll,
    looks: createLooks(deps),
  });

  /** Where the next reconciliation goes on among those who are bound. */
  let reconciled: string | undefined;

  /** Wins or loses the race for one offer. The driver's document decides first, then the trip's. */
  async function accept(tripId: string, offerId: string, driverId: string, expectedVersion?: number): Promise<Trip> {
    if (!(await claim(driverId, tripId))) {
      const driver = await drivers.get(driverId);
      // Nobody who never went on duty has been offered anything; the trip's own refusal says what is wrong.
      if (!driver) return decline(tripId, offerId, driverId, undefined, expectedVersion);
      throw await busy(tripId, driver.activeTripId);
    }
    try {
      return await trips.command(tripId, { type: 'accept', offerId, driverId }, expectedVersion);
    } catch (error) {
      await releaseUnlessDriven(driverId, tripId);
      throw error;
    }
  }

  /** Refuses a driver who is on another trip: since which of its versions it is his, for that is what won him, and how the one stands that he wanted. */
  async function busy(wantedId: string, activeId: string | null): Promise<RideError> {
    const [wanted, active] = await Promise.all([trips.any(wantedId), activeId === null ? null : trips.any(activeId)]);
    const facts: RaceFacts = { active_trip_id: activeId };
    if (wanted) Object.assign(facts, { status: wanted.status, version: wanted.version });
    if (active) {
      const { winner_version: version = active.version } = isDeparture(active) ? {} : winnerOf(active);
      const event = isDeparture(active) ? active.status : 'assigned';
      Object.assign(facts, { winner_role: 'driver', winner_event: event, winner_version: version });
    }
    return new RideError('RIDE_DRIVER_BUSY', 'The driver has an active trip', { facts });
  }

  /** A claim that a crash left behind must not keep the driver from his next trip. */
  async function claim(driverId: string, tripId: string): Promise<boolean> {
    if (await drivers.claim(driverId, tripId)) return true;
    const blocking = (await drivers.get(driverId))?.activeTripId;
    if (!blocking || !(await releaseUnlessDriven(driverId, blocking))) return false;
    return drivers.claim(driverId, tripId);
  }

  /**
   * An acceptance that took so long that its claim was taken for one left behind may find the driver on another trip: then
   * this one is offered to others. True when the trip is the driver's, or was and has ended.
   */
  async function holdsClaim(trip: Trip, driverId: string): Promise<boolean> {
    if (trip.driverId !== driverId || !isDriven(trip.status)) return true;
    if ((await drivers.get(driverId))?.activeTripId === trip.id) return true;
    if (await drivers.claim(driverId, trip.id)) {
      // The trip may have been cancelled meanwhile, and he freed, by another node.
      await releaseUnlessDriven(driverId, trip.id);
      return true;
    }
    log.warn(
      { driver_id: driverId, trip_id: trip.id },
      'the driver was given another trip meanwhile; this one is offered anew',
    );
    await trips.command(trip.id, {
      type: 'cancel',
      actorId: driverId,
      role: 'driver',
      reason: 'driver_on_another_trip',
    });
    return false;
  }

  /** True when the driver was freed: the trip is not (or no longer) his. */
  async function releaseUnlessDriven(driverId: string, tripId: string): Promise<boolean> {
    const trip = await trips.any(tripId);
    if (trip && trip.driverId === driverId && isDriven(trip.status)) return false;
    // Between a claim and its acceptance the offer is still open: that claim is under way, not left behind.
    if (trip?.offer && askedOf(trip.offer).includes(driverId) && trip.offer.expiresAt > clock.now()) return false;
    // Nor is that of a driver who is about to be at the pick-up of his departure.
    if (trip?.kind === 'scheduled' && !isTerminal(trip.status)) {
      const since = (await drivers.get(driverId))?.activeSince ?? 0;
      if (clock.now() < since + deps.settings.offerTtlMs) return false;
    }
    await drivers.release(driverId, tripId);
    return true;
  }

  function decline(
    tripId: string,
    offerId: string,
    driverId: string,
    reason?: string,
    expectedVersion?: number,
  ): Promise<Trip> {
    const command = { type: 'decline', offerId, driverId, ...(reason ? { reason } : {}) } as const;
    return trips.command(tripId, command, expectedVersion);
  }

  return {
    match,
    matchWindow,
    matchCohort,
    callAgain,
    accept,
    claim,
    busy,
    releaseUnlessDriven,

    decline,

    async expireOffer(tripId: string, offerId: string): Promise<void> {
      await trips.command(tripId, { type: 'expire_offer', offerId });
    },

    /** Closes a trip that never came to an end, so that its driver is free again. */
    async abandon(tripId: string): Promise<void> {
      await trips.command(tripId, { type: 'cancel', actorId: SYSTEM, role: 'service', reason: 'no_end_in_time' });
    },

    /** STATUS_LOOKING of a rider: search again at once for his open trips, the newest of them; resolves all that wait or are under way. */
    async lookFor(riderId: string): Promise<Trip[]> {
      const open = await trips.openOf(riderId);
      const waiting = open.filter(({ status }) => status === 'requested');
      // Each is looked for every MATCH_RETRY in any case; one message must not cost as many searches as somebody has trips.
      for (const { id } of waiting.slice(0, LOOKED_FOR_AT_ONCE)) await match(id);
      return open;
    },

    /** What follows from an event of a trip. Safe to repeat; runs in the order of the trip's events. */
    react: createReactions({ ...deps, match, holdsClaim }),

    /**
     * Frees drivers whose claim a crash left behind; resolves how many. Each call looks at the next `limit` of all who are
     * bound, since those who are bound for good reason are there every time.
     */
    async reconcile(ageMs: number, limit: number): Promise<number> {
      const { items, nextPageToken } = await drivers.claimed(limit, reconciled);
      const old = items.filter(({ activeSince }) => activeSince !== null && activeSince < clock.now() - ageMs);
      reconciled = old.length === items.length ? nextPageToken : undefined;
      const bound = await trips.anyMany(old.flatMap(({ activeTripId }) => activeTripId ?? []));
      const drivenBy = new Map(bound.map((trip) => [trip.id, isDriven(trip.status) ? trip.driverId : null]));
      let freed = 0;
      for (const driver of old) {
        const tripId = driver.activeTripId;
        if (tripId === null || drivenBy.get(tripId) === driver.id) continue;
        if (!(await releaseUnlessDriven(driver.id, tripId))) continue;
        log.warn({ driver_id: driver.id, trip_id: tripId }, 'freed a driver of a trip that is not his');
        freed++;
      }
      return freed;
    },
  };
}
