/**
 * What follows from a change of a trip: make an offer, tell the driver, free him again. They are reactions to the trip's events,
 * so that a crash between two steps is finished by whoever relays the outbox next.
 */
import type { Shown } from '../locations/rules.ts';
import { askedOf, type Offer, offerFor } from '../offers/rules.ts';
import type { TripEvent } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';
import { type DispatchDeps, RESERVATION_GRACE_MS } from './deps.ts';
import type { MatchOutcome } from './matching.ts';

export interface ReactionsDeps extends DispatchDeps {
  match(tripId: string): Promise<MatchOutcome>;
  /** True when the trip is the driver's still, or was and has ended. */
  holdsClaim(trip: Trip, driverId: string): Promise<boolean>;
}

/** @returns what the relay of trips calls with each event */
export function createReactions(deps: ReactionsDeps): (trip: Trip, event: TripEvent) => Promise<void> {
  const { drivers, offers, scheduler, publisher, clock, match, holdsClaim } = deps;

  async function reindex(driverId: string): Promise<void> {
    const driver = await drivers.get(driverId);
    if (driver) await drivers.reindex(driver);
  }

  /** Ends an offer for one of those asked. */
  async function closeOffer(tripId: string, offer: Offer, reason: string, eventId: string): Promise<void> {
    await offers.release(offer.driverId, offer.id);
    await offers.remove(offer.id);
    const message = { tripId, offerId: offer.id, reason };
    await publisher.publishOrdered(`user:${offer.driverId}`, 'offer_closed', message, `${eventId}.closed`);
  }

  async function announceOffer(trip: Trip, offer: Offer, eventId: string): Promise<void> {
    const ttlMs = clock.toWallMs(Math.max(0, offer.expiresAt - clock.now()));
    await offers.save(trip.id, offer, ttlMs + RESERVATION_GRACE_MS);
    await Promise.all(askedOf(offer).map((driverId) => tellOfOffer(trip, offerFor(offer, driverId), eventId)));
    const work = { tripId: trip.id, offerId: offer.id };
    await scheduler.schedule('offer_expiry', work, Math.max(0, offer.expiresAt - clock.now()) + 1, offer.id);
  }

  /** Where the driver of an offer was when it was made, as it is shown now. */
  const fromOf = ({ driverId, lat, lng, recordedAt, accuracyM, positionSource: source }: Offer): Promise<Shown> =>
    deps.telematics.shown(driverId, { lat, lng, recordedAt, accuracyM, source });

  async function tellOfOffer(trip: Trip, offer: Offer, eventId: string): Promise<void> {
    await publisher.publishOrdered(
      `user:${offer.driverId}`,
      'job_offer',
      {
        tripId: trip.id,
        offer,
        from: await fromOf(offer),
        pickup: trip.source,
        dropoff: trip.destination,
        tripDistanceM: trip.estimate.distanceM,
        fareMinor: trip.estimate.fareMinor,
        currency: trip.estimate.currency,
        vehicleClass: trip.vehicleClass,
        kind: trip.kind,
        ...(trip.delivery ? { parcelWeightG: trip.delivery.parcel.weightG } : {}),
      },
      `${eventId}.offer`,
    );
  }

  async function announceMatch(trip: Trip, offer: Offer, eventId: string): Promise<void> {
    const message = { tripId: trip.id, offer, from: await fromOf(offer), vehicleClass: trip.vehicleClass };
    await publisher.publishOrdered(`user:${trip.riderId}`, 'match', message, `${eventId}.match`);
  }

  /** What follows from an event of a trip. Safe to repeat; runs in the order of the trip's events. */
  async function react(trip: Trip, event: TripEvent): Promise<void> {
    // A sweep may come late: what is no longer so must not be announced.
    const current = trip.history.length === event.seq;
    switch (event.type) {
      case 'offered':
        if (current) await announceOffer(trip, event.offer!, event.id);
        break;
      case 'offer_withdrawn':
        await closeOffer(trip.id, event.offer!, event.type, event.id);
        break;
      case 'offer_narrowed':
        await closeOffer(trip.id, event.offer!, event.type, event.id);
        await drivers.answered(event.driverId!, event.offer!.id, false);
        break;
      case 'offer_declined':
      case 'offer_expired':
        await closeOffer(trip.id, event.offer!, event.type, event.id);
        await drivers.answered(event.driverId!, event.offer!.id, false);
        if (current) await match(trip.id);
        break;
      case 'assigned':
        await drivers.answered(event.driverId!, event.offer!.id, true);
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
        for (const driverId of event.offer ? askedOf(event.offer) : [])
          await closeOffer(trip.id, offerFor(event.offer!, driverId), event.type, event.id);
        if (event.driverId) await drivers.release(event.driverId, trip.id);
        break;
      // A request leads to `match`, without a look at the trip before.
      case 'requested':
      case 'driver_arrived':
      case 'started':
      case 'expired':
        break;
    }
  }

  return react;
}
