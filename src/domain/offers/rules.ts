/**
 * An offer of a trip: to one driver, or in a broadcast to several of whom the first has it. What becomes of an open one is told to each
 * of those asked by an event of his own; whether it may still be taken says ../trips/rules.ts.
 */
import type { LatLng } from '../geo.ts';

/** A driver who is asked, as he was when the offer was made. */
export interface Asked extends LatLng {
  driverId: string;
  etaS: number;
  /** Where the ETA came from: a routing engine's name or straight_line. */
  source?: string;
  distanceM: number;
  /** When his position was measured, epoch ms. Missing in offers that were stored before there was such a field. */
  recordedAt?: number;
  /** Of that position; missing when his device did not tell. */
  accuracyM?: number;
  /** How that position came: stream or rest. */
  positionSource?: string;
}

/** An offer that its driver may take until `expiresAt`; in a broadcast any of several may, and the first does. */
export interface Offer extends Asked {
  id: string;
  expiresAt: number;
  /** Who is asked besides; missing when nobody is. */
  others?: Asked[];
}

/** How an open offer ended for one of those asked; `offer` is as it was to him. */
export interface OfferFact {
  type: 'assigned' | 'offer_withdrawn' | 'offer_declined' | 'offer_expired' | 'offer_narrowed';
  at: number;
  actorId: string;
  driverId: string;
  offer: Offer;
  reason?: string;
}

/** Everyone who may take it. */
export const askedOf = (offer: Offer): string[] => [
  offer.driverId,
  ...(offer.others ?? []).map(({ driverId }) => driverId),
];

/** The offer as it is to one of those asked, alone. */
export function offerFor(offer: Offer, driverId: string): Offer {
  const { others = [], ...first } = offer;
  return { ...first, ...others.find((asked) => asked.driverId === driverId) };
}

/** The offer without one of those asked; null when nobody is left. */
export function without(offer: Offer, driverId: string): Offer | null {
  const left = askedOf(offer).filter((id) => id !== driverId);
  const [first, ...rest] = left.map((id) => offerFor(offer, id));
  if (!first) return null;
  const others = rest.map(({ id: _id, expiresAt: _at, ...asked }): Asked => asked);
  return others.length > 0 ? { ...first, others } : first;
}

function ended(type: OfferFact['type'], offer: Offer, driverId: string, actorId: string, at: number): OfferFact {
  return { type, at, actorId, driverId, offer: offerFor(offer, driverId) };
}

/** One has it, the others lose it to him. */
export const taken = (offer: Offer, driverId: string, at: number): OfferFact[] => [
  ...askedOf(offer)
    .filter((id) => id !== driverId)
    .map((id) => ended('offer_withdrawn', offer, id, driverId, at)),
  ended('assigned', offer, driverId, driverId, at),
];

/** One says no; it stays open to the others. */
export const declined = (offer: Offer, driverId: string, reason: string | undefined, at: number): OfferFact => ({
  ...ended(offer.others ? 'offer_narrowed' : 'offer_declined', offer, driverId, driverId, at),
  ...(reason ? { reason } : {}),
});

/** Nobody took it in time: it closes with the last of those asked. */
export function lapsed(offer: Offer, actorId: string, at: number): OfferFact[] {
  const drivers = askedOf(offer);
  const last = drivers.length - 1;
  return drivers.map((id, i) => ended(i === last ? 'offer_expired' : 'offer_narrowed', offer, id, actorId, at));
}
