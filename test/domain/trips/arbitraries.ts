/** Trips, drivers and commands for property tests of the rules: few names and few instants, so that commands meet. */
import fc from 'fast-check';
import { askedOf, type Offer } from '../../../src/domain/offers/rules.ts';
import { roles } from '../../../src/domain/roles.ts';
import type { TripCommand, TripState } from '../../../src/domain/trips/rules.ts';

export const RIDER = 'rider';
export const DRIVERS = ['ann', 'bob', 'cem'] as const;
/** Domain time at which every trip of these tests is requested, epoch ms. */
export const T0 = 1_421_322_000_000;
/** How long a driver is sought for them, ms. */
export const SEARCH_MS = 5;

export const requested = (): TripState => ({
  status: 'requested',
  riderId: RIDER,
  driverId: null,
  offer: null,
  excludedDriverIds: [],
  offersMade: 0,
  matchDeadline: T0 + SEARCH_MS,
  searchMs: SEARCH_MS,
  updatedAt: T0,
});

/** To everyone else besides when `several`. */
export const offerTo = (driverId: string, id: string, expiresAt: number, several = false): Offer => ({
  id,
  driverId,
  etaS: 60,
  distanceM: 500,
  lat: 40,
  lng: -73,
  expiresAt,
  ...(several
    ? {
        others: DRIVERS.filter((other) => other !== driverId).map((other) => ({
          driverId: other,
          etaS: 90,
          distanceM: 700,
          lat: 41,
          lng: -74,
        })),
      }
    : {}),
});

/** What somebody wants to do, before it is known which trip he meets. */
export interface Intent {
  what: 'forward' | TripCommand['type'];
  driver: string;
  offerId: string;
  ttlMs: number;
  /** An offer to all drivers at once. */
  several: boolean;
  /** Name the open offer or the assigned driver if there is one, instead of a name picked blindly. */
  right: boolean;
  actor: string;
  role: (typeof roles)[number];
  reason: string | undefined;
  /** Time that passes before it. */
  waitMs: number;
}

const whats: Intent['what'][] = ['offer', 'accept', 'decline', 'expire_offer', 'arrive', 'start', 'complete', 'cancel'];

/** Right and wrong commands; without the ones that go `forward`, random sequences hardly ever come to a completed trip. */
export const intent: fc.Arbitrary<Intent> = fc.record({
  what: fc.oneof(
    { weight: 5, arbitrary: fc.constant('forward' as const) },
    { weight: 9, arbitrary: fc.constantFrom(...whats) },
    { weight: 1, arbitrary: fc.constant('expire' as const) },
  ),
  driver: fc.constantFrom(...DRIVERS),
  offerId: fc.constantFrom('o1', 'o2', 'o3'),
  ttlMs: fc.constantFrom(10, 10, 0, -1),
  several: fc.boolean(),
  right: fc.boolean(),
  actor: fc.constantFrom(RIDER, 'stranger', ...DRIVERS),
  role: fc.constantFrom(...roles),
  reason: fc.option(fc.constantFrom('late', 'lost'), { nil: undefined }),
  waitMs: fc.constantFrom(0, 0, 0, 1, 5, 10, 11),
});

/** The driver who is named if he is asked, else the first. */
const oneAsked = (offer: Offer, driverId: string): string =>
  askedOf(offer).includes(driverId) ? driverId : offer.driverId;

/** The step that brings a trip nearer to its completion. */
function forward(state: TripState, { driver, offerId, several }: Intent, now: number): TripCommand {
  const driverId = state.driverId ?? driver;
  switch (state.status) {
    case 'requested':
      return { type: 'offer', offer: offerTo(driver, offerId, now + 10, several) };
    case 'offered':
      return { type: 'accept', offerId: state.offer!.id, driverId: oneAsked(state.offer!, driver) };
    case 'assigned':
      return { type: 'arrive', driverId };
    case 'driver_arrived':
      return { type: 'start', driverId };
    default:
      return { type: 'complete', driverId };
  }
}

/** The command that an intent becomes in sight of a trip. */
export function toCommand(wish: Intent, state: TripState, now: number): TripCommand {
  const { what, driver, offerId, right } = wish;
  const why = wish.reason === undefined ? {} : { reason: wish.reason };
  const open = right ? state.offer : null;
  const offer = open ? { id: open.id, driverId: oneAsked(open, driver) } : { id: offerId, driverId: driver };
  switch (what) {
    case 'forward':
      return forward(state, wish, now);
    case 'offer':
      return { type: 'offer', offer: offerTo(driver, offerId, now + wish.ttlMs, wish.several) };
    case 'accept':
      return { type: 'accept', offerId: offer.id, driverId: offer.driverId };
    case 'decline':
      return { type: 'decline', offerId: offer.id, driverId: offer.driverId, ...why };
    case 'expire_offer':
      return { type: 'expire_offer', offerId: offer.id };
    case 'cancel':
      if (right && state.driverId) return { type: 'cancel', actorId: state.driverId, role: 'driver', ...why };
      return { type: 'cancel', actorId: wish.actor, role: wish.role, ...why };
    case 'expire':
      return { type: 'expire', reason: 'no_driver_in_time' };
    default:
      return { type: what, driverId: right && state.driverId ? state.driverId : driver };
  }
}
