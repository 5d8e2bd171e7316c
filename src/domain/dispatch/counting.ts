/** What an event of a trip says of offers, as it is counted. */
import type { DispatchMeter, OfferOutcome } from '../../ports/dispatch-meter.ts';
import { askedOf } from '../offers/rules.ts';
import type { TripFact } from '../trips/rules.ts';
import type { Trip } from '../trips/trip.ts';

/** How many offers came to be or ended with an event, and how; null for one that is about none. */
export function offersOf({
  type,
  offer,
  actorId,
  driverId,
}: TripFact): { outcome: OfferOutcome; count: number } | null {
  switch (type) {
    case 'offered':
      return { outcome: 'made', count: askedOf(offer!).length };
    case 'assigned':
      return { outcome: 'accepted', count: 1 };
    case 'offer_declined':
    case 'offer_narrowed':
      // One of several whose time is over leaves like one who said no, but does not say it himself.
      return { outcome: actorId === driverId ? 'declined' : 'expired', count: 1 };
    case 'offer_expired':
      return { outcome: 'expired', count: 1 };
    case 'offer_withdrawn':
      return { outcome: 'withdrawn', count: 1 };
    case 'cancelled':
      return offer ? { outcome: 'withdrawn', count: askedOf(offer).length } : null;
    default:
      return null;
  }
}

/** Counts what a written event says; `trip` is as it was before it. */
export function countFact(meter: DispatchMeter, trip: Trip, fact: TripFact): void {
  const offers = offersOf(fact);
  if (offers) meter.offers(offers.outcome, offers.count);
  if (fact.type !== 'assigned') return;
  const { etaS, source = 'straight_line' } = fact.offer!;
  meter.matched(etaS, source, Math.max(0, fact.at - trip.matchFrom) / 1000);
}
