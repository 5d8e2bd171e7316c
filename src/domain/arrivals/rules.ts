/** Whether a driver who says that he is at the pick-up can be there, by what is known of where he is. Pure. */
import { distanceM, type LatLng } from '../geo.ts';

/** A driver's newest position, held against the pick-up. */
export interface Seen {
  /** How far from it he is at least, metres; null: no fresh position of his is known. */
  distanceM: number | null;
  /** So far away he may be. */
  limitM: number;
}

/** The position may be wrong by as much as the device says, but by no more than the limit: or who claims to know nothing is everywhere. */
export function seenAt(position: LatLng & { accuracyM?: number | undefined }, pickup: LatLng, limitM: number): Seen {
  const errorM = Math.min(position.accuracyM ?? 0, limitM);
  return { distanceM: Math.max(0, Math.round(distanceM(position, pickup) - errorM)), limitM };
}

/** What refuses his arrival, as facts; null: he may be there. */
export function tooFar(seen: Seen | undefined): { reason: string; distance_m: number; limit_m: number } | null {
  if (!seen || seen.distanceM === null || seen.distanceM <= seen.limitM) return null;
  return { reason: 'too_far_from_pickup', distance_m: seen.distanceM, limit_m: seen.limitM };
}

export const tooFarText = ({ distance_m, limit_m }: { distance_m: number; limit_m: number }): string =>
  `The driver is ${distance_m} m from the pick-up; arrived is who is within ${limit_m} m`;

/** What his arrival says of it: that it rests on his word alone. */
export const arrivalNote = (seen: Seen | undefined): { reason?: 'position_unknown' } =>
  seen?.distanceM === null ? { reason: 'position_unknown' } : {};
