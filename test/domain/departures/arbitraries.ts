/** Departures and commands for property tests of the rules: few names and few instants, so that commands meet. */
import fc from 'fast-check';
import type { BookingTerms } from '../../../src/domain/bookings/rules.ts';
import {
  type DepartureCommand,
  type DepartureDecision,
  type DepartureState,
  decideDeparture,
} from '../../../src/domain/departures/rules.ts';
import { decideSeats, type SeatCommand } from '../../../src/domain/seats/rules.ts';

export const DRIVER = 'driver';
export const LEAVES = 1_421_352_000_000;
const HOUR = 3_600_000;

export const TERMS: BookingTerms = {
  closesBeforeMs: HOUR / 6,
  boardsBeforeMs: HOUR,
  freeBeforeMs: 24 * HOUR,
  lateBeforeMs: 2 * HOUR,
  feePercent: 50,
  lateFeePercent: 100,
  noShowFeePercent: 80,
};

export const published = (seats = 3): DepartureState => ({
  status: 'scheduled',
  version: 1,
  driverId: DRIVER,
  departureTime: LEAVES,
  seats,
  seatsFree: seats,
  seatFareMinor: 1001,
  terms: TERMS,
  bookings: [],
  updatedAt: LEAVES - 48 * HOUR,
});

export type Command = DepartureCommand | SeatCommand;

const SEATS: ReadonlySet<string> = new Set(['book', 'cancel_booking', 'board', 'no_show']);
const isOfSeats = (command: Command): command is SeatCommand => SEATS.has(command.type);

export const decideAny = (state: DepartureState, command: Command, now: number): DepartureDecision =>
  isOfSeats(command) ? decideSeats(state, command, now) : decideDeparture(state, command, now);

const passenger = fc.constantFrom('ann', 'bob', 'cem', 'dee', DRIVER);
const bookingId = fc.constantFrom('b1', 'b2', 'b3', 'b4', 'b5');
const driverId = fc.oneof(
  { weight: 6, arbitrary: fc.constant(DRIVER) },
  { weight: 1, arbitrary: fc.constant('other') },
);
const actor = fc.constantFrom(
  { actorId: 'ann', role: 'rider' as const },
  { actorId: 'bob', role: 'rider' as const },
  { actorId: 'cem', role: 'rider' as const },
  { actorId: DRIVER, role: 'driver' as const },
  { actorId: 'other', role: 'driver' as const },
  { actorId: 'desk', role: 'dispatcher' as const },
);

export const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('book' as const),
      bookingId,
      passengerId: passenger,
      seats: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(bookingId, actor, fc.constantFrom(undefined, undefined, 1, 2))
      .map(([bookingId, who, bookingVersion]) => ({
        type: 'cancel_booking' as const,
        bookingId,
        ...who,
        ...(bookingVersion === undefined ? {} : { bookingVersion }),
      })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('board' as const, 'no_show' as const), bookingId, driverId }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom('arrive' as const, 'arrive' as const, 'start' as const, 'complete' as const),
      driverId,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'recall' as const }) },
  { weight: 1, arbitrary: actor.map((who) => ({ type: 'cancel' as const, ...who })) },
  { weight: 1, arbitrary: fc.constant({ type: 'expire' as const, reason: 'never_left' }) },
);

/** Instants relative to the departure, so that every term is met from both sides. */
export const moment = fc.constantFrom(-30, -24, -3, -2, -1.5, -1, -0.5, -0.2, 0, 0.5).map((h) => LEAVES + h * HOUR);
