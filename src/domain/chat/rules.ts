/**
 * Who may hear what was said in a trip, and from when on. The rider and operators hear all of it. A driver hears it from when the trip
 * became his: what rider and an earlier driver said to each other is none of his business. Whoever is only offered the trip hears nothing,
 * and who gave it up may not read the trip any more.
 *
 * Before and after are told by the trip's own events, whose order is one for all nodes: a message has the `seq` of the last one that there was
 * when it was said. The clocks of two nodes would not agree on it.
 */
import { isOperator, type Principal } from '../roles.ts';
import type { TripEvent, TripState } from '../trips/rules.ts';

export const HEARS_ALL = 0;
export const HEARS_NOTHING = Number.POSITIVE_INFINITY;

/** What was said at the event of this `seq` and later is for `principal`, who may read the trip. */
export function heardFrom(
  { userId, role }: Pick<Principal, 'userId' | 'role'>,
  {
    riderId,
    driverId,
    history,
  }: Pick<TripState, 'riderId' | 'driverId'> & { history: readonly Pick<TripEvent, 'type' | 'seq'>[] },
): number {
  if (riderId === userId || isOperator(role)) return HEARS_ALL;
  if (driverId !== userId) return HEARS_NOTHING;
  return history.findLast(({ type }) => type === 'assigned')?.seq ?? HEARS_NOTHING;
}
