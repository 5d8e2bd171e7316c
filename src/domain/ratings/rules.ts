/**
 * Who may rate whom when a trip is over, as pure functions. Each side says once what it thinks of the other; the passengers of a
 * departure rate its driver, who rates nobody, for he has many passengers.
 */
import type { BookingStatus } from '../bookings/rules.ts';
import type { AnyStatus } from '../statuses.ts';

export const STARS_MIN = 1;
export const STARS_MAX = 5;

/** So many of the last ratings make a reputation: what somebody was like years ago says little of him. */
export const RATINGS_COUNTED = 500;

export const ratedRoles = ['rider', 'driver'] as const;
export type RatedRole = (typeof ratedRoles)[number];

/** The part of a trip that says who rode with whom. */
export interface RatedTrip {
  status: AnyStatus;
  /** Empty on a departure. */
  riderId: string;
  driverId: string | null;
  /** Of a departure. */
  bookings?: readonly { passengerId: string; status: BookingStatus }[];
}

export interface Rated {
  raterRole: RatedRole;
  subjectId: string;
  subjectRole: RatedRole;
}

/** `many`: the driver of a departure. `himself`: both sides are one. */
export type RatingRefusal = 'not_a_party' | 'not_completed' | 'many' | 'himself';

const rode: ReadonlySet<BookingStatus> = new Set<BookingStatus>(['boarded', 'completed']);

function sideOf(trip: RatedTrip, userId: string): RatedRole | null {
  const { bookings } = trip;
  if (bookings?.some(({ passengerId, status }) => passengerId === userId && rode.has(status))) return 'rider';
  if (trip.riderId !== '' && trip.riderId === userId) return 'rider';
  return trip.driverId === userId ? 'driver' : null;
}

/** Whom `raterId` rates when he rates the trip. A stranger is told nothing of how the trip is. */
export function whomToRate(trip: RatedTrip, raterId: string): { rated: Rated } | { refusal: RatingRefusal } {
  const raterRole = sideOf(trip, raterId);
  if (!raterRole) return { refusal: 'not_a_party' };
  if (trip.status !== 'completed') return { refusal: 'not_completed' };
  if (raterRole === 'driver' && trip.bookings) return { refusal: 'many' };
  const subjectId = raterRole === 'rider' ? trip.driverId : trip.riderId;
  if (!subjectId || subjectId === raterId) return { refusal: 'himself' };
  return { rated: { raterRole, subjectId, subjectRole: raterRole === 'rider' ? 'driver' : 'rider' } };
}

export interface Reputation {
  /** At most RATINGS_COUNTED. */
  count: number;
  /** Of the stars. */
  sum: number;
}

export const reputationOf = (stars: readonly number[]): Reputation => ({
  count: stars.length,
  sum: stars.reduce((sum, one) => sum + one, 0),
});
