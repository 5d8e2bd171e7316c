/** Trips, drivers and commands for property tests of the rules: few names and few instants, so that commands meet. */
import fc from 'fast-check';
import { roles } from '../../../src/domain/roles.ts';
import type { Offer, TripCommand, TripState } from '../../../src/domain/trips/rules.ts';

export const RIDER = 'rider';
export const DRIVERS = ['ann', 'bob', 'cem'] as const;
/** Domain time at which every trip of these tests is requested, epoch ms. */
export const T0 = 1_421_322_000_000;

export const requested = (): TripState => ({
  status: 'requested',
  riderId: RIDER,
  driverId: null,
  offer: null,
  excludedDriverIds: [],
  offersMade: 0,
  updatedAt: T0,
});

export const offerTo = (driverId: string, id: string, expiresAt: number): Offer => ({
  id,
  driverId,
  etaS: 60,
  distanceM: 500,
  lat: 40,
  lng: -73,
  expiresAt,
});

/** What somebody wants to do, before it is known which trip he meets. */
export interface Intent {
  what: 'forward' | TripCommand['type'];
  driver: string;
  offerId: string;
  ttlMs: number;
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
  right: fc.boolean(),
  actor: fc.constantFrom(RIDER, 'stranger', ...DRIVERS),
  role: fc.constantFrom(...roles),
  reason: fc.option(fc.constantFrom('late', 'lost'), { nil: undefined }),
  waitMs: fc.constantFrom(0, 0, 0, 1, 5, 10, 11),
});

/** The step that brings a trip nearer to its completion. */
function forward(state: TripState, { driver, offerId }: Intent, now: number): TripCommand {
  const driverId = state.driverId ?? driver;
  switch (state.status) {
    case 'requested':
      return { type: 'offer', offer: offerTo(driver, offerId, now + 10) };
    case 'offered':
      return { type: 'accept', offerId: state.offer!.id, driverId: state.offer!.driverId };
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
  const offer = right && state.offer ? state.offer : { id: offerId, driverId: driver };
  switch (what) {
    case 'forward':
      return forward(state, wish, now);
    case 'offer':
      return { type: 'offer', offer: offerTo(driver, offerId, now + wish.ttlMs) };
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
