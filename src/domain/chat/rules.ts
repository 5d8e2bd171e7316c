/**
 * Who may hear what was said in a trip, and from when on. The rider and operators hear all of it. A driver hears it from when the trip
 * became his: what rider and an earlier driver said to each other is none of his business. Whoever is only offered the trip hears nothing,
 * and who gave it up may not read the trip any more.
 */
import { isOperator, type Principal } from '../roles.ts';
import type { TripState } from '../trips/rules.ts';

export const HEARS_ALL = 0;
export const HEARS_NOTHING = Number.POSITIVE_INFINITY;

/** What was said at this instant and later is for `principal`, who may read the trip; domain epoch ms. */
export function heardFrom(
  { userId, role }: Pick<Principal, 'userId' | 'role'>,
  { riderId, driverId, matchedAt }: Pick<TripState, 'riderId' | 'driverId' | 'matchedAt'>,
): number {
  if (riderId === userId || isOperator(role)) return HEARS_ALL;
  return driverId === userId ? (matchedAt ?? HEARS_NOTHING) : HEARS_NOTHING;
}
