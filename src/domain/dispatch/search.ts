/** Finding a driver for a trip: the nearest available ones by Redis GEO, ranked, and one offer to the first who is free. */
import { RideError } from '../../errors.ts';
import { isAvailable } from '../drivers/driver.ts';
import type { VehicleClass } from '../roles.ts';
import type { Offer } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { type DispatchDeps, RESERVATION_GRACE_MS } from './deps.ts';
import { type Candidate, eligible, rank } from './rules.ts';

export type MatchOutcome = 'offered' | 'no_driver' | 'not_waiting' | 'expired';

/** More are not looked at for one offer, whoever they are. */
const MOST_CANDIDATES = 5000;

/** @returns looks for a driver for a trip that waits */
export function createSearch(deps: DispatchDeps): (tripId: string) => Promise<MatchOutcome> {
  const { trips, drivers, positions, offers, scheduler, clock, ids, settings } = deps;

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
    const request = { pickup: trip.source, vehicleClass: trip.vehicleClass, excludedDriverIds: trip.excludedDriverIds };
    const asked = eligible(request, candidates, clock.now(), settings.freshnessMs).eligible;
    const legs = await deps.routing.legsTo(asked, trip.source, trip.source.city);
    for (const { candidate, etaS, distanceM, source } of rank(asked, legs)) {
      const offer: Offer = {
        id: ids.next('ofr'),
        driverId: candidate.driverId,
        etaS,
        source,
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

  return match;
}
