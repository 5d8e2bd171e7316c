/** Who was faster, for whoever was too slow: in the history of a trip, which also says at which version. */
import { askedOf } from '../offers/rules.ts';
import { isOperator } from '../roles.ts';
import { SYSTEM } from '../statuses.ts';
import type { TripCommand, TripEvent, TripEventType } from './rules.ts';
import type { Trip } from './trip.ts';

/** What a race for a trip is about; with `driver_cancelled` what was won before is open again. */
const DECIDING: ReadonlySet<TripEventType> = new Set(['assigned', 'driver_cancelled', 'cancelled', 'expired']);

export type RaceFacts = Record<string, string | number | null>;

/** The part that somebody has in a trip: whose id that is, need not be said. */
function roleOf(trip: Trip, { actorId, driverId }: TripEvent): string {
  if (actorId === trip.riderId) return 'rider';
  if (actorId === driverId) return 'driver';
  return actorId === SYSTEM ? 'system' : 'operator';
}

/** By whom and at which version it was decided whose the trip is; empty while that is open. */
export function winnerOf(trip: Trip): RaceFacts {
  const won = trip.history.findLast(({ type }) => DECIDING.has(type));
  if (!won || won.type === 'driver_cancelled') return {};
  const role = roleOf(trip, won);
  return {
    winner_role: role,
    winner_event: won.type,
    winner_version: won.version,
    ...(won.type === 'cancelled' ? { cancelled_by: role } : {}),
  };
}

/** Whether a command comes from somebody who has, or could have had, a part in the trip: a stranger is told of nobody. */
function isParty(trip: Trip, command: TripCommand): boolean {
  if (command.type === 'cancel' && isOperator(command.role)) return true;
  const asker = 'driverId' in command ? command.driverId : 'actorId' in command ? command.actorId : '';
  if (asker === '' || asker === trip.riderId || asker === trip.driverId) return true;
  return trip.history.some(({ offer }) => offer !== undefined && askedOf(offer).includes(asker));
}

/** What whoever is refused a command learns of how things stand. */
export function standingFor(trip: Trip, command: TripCommand): RaceFacts {
  const { status, version, driverId } = trip;
  return isParty(trip, command) ? { status, version, driver_id: driverId, ...winnerOf(trip) } : { status, version };
}
