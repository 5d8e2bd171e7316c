/**
 * Finding a driver: nearest available ones by Redis GEO, one offer after another, each with an expiry. Everything that
 * follows a change of a trip (make an offer, tell the driver, free him again) is a reaction to the trip's events, so that
 * a crash between two steps is finished by whoever relays the outbox next.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Offers } from '../../ports/offers.ts';
import type { Positions } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import { isAvailable } from '../drivers/driver.ts';
import type { Drivers } from '../drivers/service.ts';
import type { TravelModel } from '../geo.ts';
import type { Ids } from '../ids.ts';
import type { VehicleClass } from '../roles.ts';
import { isDriven, type Offer, type TripEvent } from '../trips/rules.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import { type Candidate, rank } from './rules.ts';

export interface DispatchSettings {
  radiusM: number;
  candidates: number;
  retryMs: number;
  offerTtlMs: number;
  maxOffers: number;
  freshnessMs: number;
}

export interface DispatchDeps {
  trips: Trips;
  drivers: Drivers;
  positions: Positions;
  offers: Offers;
  scheduler: Scheduler;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  travel: TravelModel;
  settings: DispatchSettings;
  log: Logger;
}

export type MatchOutcome = 'offered' | 'no_driver' | 'not_waiting' | 'expired';

export type Dispatch = ReturnType<typeof createDispatch>;

/** An offer outlives its expiry in Redis a little, so that the job that closes it still finds the reservation. */
const RESERVATION_GRACE_MS = 2000;
/** More are not looked at for one offer, whoever they are. */
const MOST_CANDIDATES = 5000;

export function createDispatch(deps: DispatchDeps) {
  const { trips, drivers, positions, offers, scheduler, publisher, clock, ids, settings, log } = deps;

  /**
   * The nearest available drivers, and behind them ever larger rings of the next ones: those who cannot be asked (of another
   * class, not heard of, out of this trip) must not hide who can.
   */
  async function* candidatesOf(trip: Trip): AsyncGenerator<Candidate[]> {
    let known = new Set<string>();
    for (let limit = settings.candidates; ; limit = Math.min(4 * limit, MOST_CANDIDATES)) {
      const near = (await positions.nearby(trip.source, settings.radiusM, limit)).map(({ position }) => position);
      yield near.filter(({ driverId }) => !known.has(driverId));
      if (near.length < limit || limit >= MOST_CANDIDATES) return;
      known = new Set(near.map(({ driverId }) => driverId));
    }
  }

  /** Where the next reconciliation goes on among those who are bound. */
  let reconciled: string | undefined;

  async function reindex(driverId: string): Promise<void> {
    const driver = await drivers.get(driverId);
    if (driver) await drivers.reindex(driver);
  }

  /** The index of available drivers is a copy; the document is the truth, and mends the copy where they differ. */
  async function isFree(driverId: string, vehicleClass: VehicleClass): Promise<boolean> {
    const driver = await drivers.get(driverId);
    if (driver && isAvailable(driver) && driver.vehicleClass === vehicleClass) return true;
    if (driver) await drivers.reindex(driver);
    else await positions.setUnavailable(driverId);
    return false;
  }

  async function offerTo(trip: Trip): Promise<MatchOutcome> {
    for await (const candidates of candidatesOf(trip)) {
      const outcome = await offerToOneOf(trip, candidates);
      if (outcome !== 'no_driver') return outcome;
    }
    return 'no_driver';
  }

  /** Tries the ranked drivers in turn until one is free and the trip is still waiting. */
  async function offerToOneOf(trip: Trip, candidates: readonly Candidate[]): Promise<MatchOutcome> {
    const { ranked } = rank(
      { pickup: trip.source, vehicleClass: trip.vehicleClass, excludedDriverIds: trip.excludedDriverIds },
      candidates,
      deps.travel,
      clock.now(),
      settings.freshnessMs,
    );
    for (const { candidate, etaS, distanceM } of ranked) {
      const offer: Offer = {
        id: ids.next('ofr'),
        driverId: candidate.driverId,
        etaS,
        distanceM,
        lat: candidate.lat,
        lng: candidate.lng,
        expiresAt: clock.now() + settings.offerTtlMs,
      };
      const ttlMs = clock.toWallMs(settings.offerTtlMs) + RESERVATION_GRACE_MS;
      if (!(await isFree(candidate.driverId, trip.vehicleClass))) continue;
      if (!(await offers.reserve(offer.driverId, offer.id, ttlMs))) continue;
      try {
        await trips.command(trip.id, { type: 'offer', offer });
        return 'offered';
      } catch (error) {
        await offers.release(offer.driverId, offer.id);
        if (error instanceof RideError && error.code === 'RIDE_ILLEGAL_TRANSITION') return 'not_waiting';
        // Another search offered it to him first and he said no: the next one.
        if (error instanceof RideError && error.code === 'RIDE_OFFER_CLOSED') continue;
        throw error;
      }
    }
    return 'no_driver';
  }

  /** Looks for a driver for a waiting trip; asks again later when there is none, gives up at the trip's deadline. */
  async function match(tripId: string): Promise<MatchOutcome> {
    const trip = await trips.find(tripId);
    if (trip?.status !== 'requested') return 'not_waiting';
    if (clock.now() >= trip.matchDeadline) return expire(tripId, 'no_driver_in_time');
    if (trip.offersMade >= settings.maxOffers) return expire(tripId, 'too_many_offers');
    const outcome = await offerTo(trip);
    if (outcome === 'no_driver') {
      const waitMs = Math.min(settings.retryMs, Math.max(0, trip.matchDeadline - clock.now()));
      await scheduler.schedule(
        'trip_match',
        { tripId },
        waitMs,
        `${tripId}.${trip.version}.${Math.floor(clock.now() / settings.retryMs)}`,
      );
    }
    return outcome;
  }

  async function expire(tripId: string, reason: string): Promise<MatchOutcome> {
    await trips.command(tripId, { type: 'expire', reason });
    return 'expired';
  }

  /** Wins or loses the race for one offer. The driver's document decides first, then the trip's. */
  async function accept(tripId: string, offerId: string, driverId: string): Promise<Trip> {
    if (!(await claim(driverId, tripId))) {
      const driver = await drivers.get(driverId);
      // Nobody who never went on duty has been offered anything; the trip's own refusal says what is wrong.
      if (!driver) return decline(tripId, offerId, driverId);
      throw new RideError('RIDE_DRIVER_BUSY', 'The driver has an active trip', {
        facts: { active_trip_id: driver.activeTripId },
      });
    }
    try {
      return await trips.command(tripId, { type: 'accept', offerId, driverId });
    } catch (error) {
      await releaseUnlessDriven(driverId, tripId);
      throw error;
    }
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
    if (await drivers.claim(driverId, trip.id)) return true;
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
    const trip = await trips.find(tripId);
    if (trip && trip.driverId === driverId && isDriven(trip.status)) return false;
    // Between a claim and its acceptance the offer is still open: that claim is under way, not left behind.
    if (trip?.offer?.driverId === driverId && trip.offer.expiresAt > clock.now()) return false;
    await drivers.release(driverId, tripId);
    return true;
  }

  function decline(tripId: string, offerId: string, driverId: string, reason?: string): Promise<Trip> {
    return trips.command(tripId, { type: 'decline', offerId, driverId, ...(reason ? { reason } : {}) });
  }

  async function closeOffer(tripId: string, offer: Offer, reason: string, eventId: string): Promise<void> {
    await offers.release(offer.driverId, offer.id);
    await offers.remove(offer.id);
    const message = { tripId, offerId: offer.id, reason };
    await publisher.publishOrdered(`user:${offer.driverId}`, 'offer_closed', message, `${eventId}.closed`);
  }

  async function announceOffer(trip: Trip, offer: Offer, eventId: string): Promise<void> {
    const ttlMs = clock.toWallMs(Math.max(0, offer.expiresAt - clock.now()));
    await offers.save(trip.id, offer, ttlMs + RESERVATION_GRACE_MS);
    await publisher.publishOrdered(
      `user:${offer.driverId}`,
      'job_offer',
      {
        tripId: trip.id,
        offer,
        pickup: trip.source,
        dropoff: trip.destination,
        tripDistanceM: trip.estimate.distanceM,
        fareMinor: trip.estimate.fareMinor,
        currency: trip.estimate.currency,
        vehicleClass: trip.vehicleClass,
      },
      `${eventId}.offer`,
    );
    const work = { tripId: trip.id, offerId: offer.id };
    await scheduler.schedule('offer_expiry', work, Math.max(0, offer.expiresAt - clock.now()) + 1, offer.id);
  }

  async function announceMatch(trip: Trip, offer: Offer, eventId: string): Promise<void> {
    const message = { tripId: trip.id, offer, vehicleClass: trip.vehicleClass };
    await publisher.publishOrdered(`user:${trip.riderId}`, 'match', message, `${eventId}.match`);
  }

  return {
    match,
    accept,

    decline,

    async expireOffer(tripId: string, offerId: string): Promise<void> {
      await trips.command(tripId, { type: 'expire_offer', offerId });
    },

    /** Closes a trip that never came to an end, so that its driver is free again. */
    async abandon(tripId: string): Promise<void> {
      await trips.command(tripId, { type: 'cancel', actorId: 'system', role: 'service', reason: 'no_end_in_time' });
    },

    /** STATUS_LOOKING of a rider: search again at once for his open trips; resolves how many are waiting or matched. */
    async lookFor(riderId: string): Promise<Trip[]> {
      const open = await trips.openOf(riderId);
      for (const trip of open) if (trip.status === 'requested') await match(trip.id);
      return open;
    },

    /** What follows from an event of a trip. Safe to repeat; runs in the order of the trip's events. */
    async react(trip: Trip, event: TripEvent): Promise<void> {
      // A sweep may come late: what is no longer so must not be announced.
      const current = trip.history.length === event.seq;
      switch (event.type) {
        case 'requested':
          await scheduler.schedule(
            'trip_timeout',
            { tripId: trip.id },
            Math.max(0, trip.matchDeadline - clock.now()),
            trip.id,
          );
          if (current) await match(trip.id);
          break;
        case 'offered':
          if (current) await announceOffer(trip, event.offer!, event.id);
          break;
        case 'offer_declined':
        case 'offer_expired':
          await closeOffer(trip.id, event.offer!, event.type, event.id);
          if (current) await match(trip.id);
          break;
        case 'assigned':
          await offers.release(event.driverId!, event.offer!.id);
          await offers.remove(event.offer!.id);
          if (!(await holdsClaim(trip, event.driverId!))) break;
          await reindex(event.driverId!);
          await announceMatch(trip, event.offer!, event.id);
          break;
        case 'driver_cancelled':
          await drivers.release(event.driverId!, trip.id);
          if (current) await match(trip.id);
          break;
        case 'cancelled':
        case 'completed':
          if (event.offer) await closeOffer(trip.id, event.offer, event.type, event.id);
          if (event.driverId) await drivers.release(event.driverId, trip.id);
          break;
        case 'driver_arrived':
        case 'started':
        case 'expired':
          break;
      }
    },

    /**
     * Frees drivers whose claim a crash left behind; resolves how many. Each call looks at the next `limit` of all who are
     * bound, since those who are bound for good reason are there every time.
     */
    async reconcile(ageMs: number, limit: number): Promise<number> {
      const { items, nextPageToken } = await drivers.claimed(limit, reconciled);
      const old = items.filter(({ activeSince }) => activeSince !== null && activeSince < clock.now() - ageMs);
      reconciled = old.length === items.length ? nextPageToken : undefined;
      const bound = await trips.findMany(old.flatMap(({ activeTripId }) => activeTripId ?? []));
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
