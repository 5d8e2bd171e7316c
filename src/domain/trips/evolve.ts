/** What an event makes of a trip, and nothing else does: whether it may happen was decided in rules.ts. */
import { without } from '../offers/rules.ts';
import type { TripStatus } from '../statuses.ts';
import type { TripEventType, TripFact, TripState } from './rules.ts';

/** The status after an event of a type; the only place that says so. */
export const statusAfter: Record<TripEventType, TripStatus> = {
  requested: 'requested',
  offered: 'offered',
  offer_narrowed: 'offered',
  offer_withdrawn: 'offered',
  offer_declined: 'requested',
  offer_expired: 'requested',
  assigned: 'assigned',
  driver_arrived: 'driver_arrived',
  started: 'in_progress',
  proof_refused: 'in_progress',
  completed: 'completed',
  driver_cancelled: 'requested',
  cancelled: 'cancelled',
  expired: 'expired',
};

/** Applies one event. Never fails: whatever `decide` let through can be applied. */
export function evolve<T extends TripState>(state: T, event: TripFact): T {
  const next: T = { ...state, status: statusAfter[event.type], updatedAt: event.at };
  switch (event.type) {
    case 'requested':
      break;
    case 'offered':
      next.offer = event.offer!;
      next.offersMade = state.offersMade + 1;
      break;
    case 'offer_narrowed':
      next.offer = without(state.offer!, event.driverId!);
      next.excludedDriverIds = exclude(state.excludedDriverIds, event.driverId!);
      break;
    case 'offer_withdrawn':
      next.offer = without(state.offer!, event.driverId!);
      break;
    case 'offer_declined':
    case 'offer_expired':
      next.offer = null;
      next.excludedDriverIds = exclude(state.excludedDriverIds, event.driverId!);
      break;
    case 'assigned':
      next.offer = null;
      next.driverId = event.driverId!;
      next.matchedAt = event.at;
      break;
    case 'driver_arrived':
      next.arrivedAt = event.at;
      break;
    case 'started':
      next.startedAt = event.at;
      break;
    case 'proof_refused':
      next.delivery = { ...state.delivery!, wrongCodes: state.delivery!.wrongCodes + 1 };
      break;
    case 'completed':
      next.completedAt = event.at;
      if (event.proof) next.delivery = { ...state.delivery!, proof: event.proof };
      break;
    case 'driver_cancelled':
      next.driverId = null;
      next.givenUpBy = event.driverId!;
      // The rider waited for this driver meanwhile: the search for another has all of its time.
      next.matchDeadline = Math.max(state.matchDeadline, event.at + (state.searchMs ?? 0));
      next.excludedDriverIds = exclude(state.excludedDriverIds, event.driverId!);
      delete next.matchedAt;
      delete next.arrivedAt;
      break;
    case 'cancelled':
      next.offer = null;
      next.cancelledAt = event.at;
      next.cancelledBy = event.actorId;
      if (event.reason) next.cancelReason = event.reason;
      break;
    case 'expired':
      next.expiredAt = event.at;
      if (event.reason) next.cancelReason = event.reason;
      break;
  }
  return next;
}

function exclude(ids: string[], driverId: string): string[] {
  return ids.includes(driverId) ? ids : [...ids, driverId];
}
