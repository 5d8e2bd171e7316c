/** The part of docs/trip-states.md about scheduled departures and their bookings, found as the other: every command is tried everywhere. */
import { type BookingStatus, bookingStatuses } from '../../src/domain/bookings/rules.ts';
import {
  type DepartureCommand,
  type DepartureDecision,
  type DepartureState,
  decideDeparture,
  evolveDeparture,
} from '../../src/domain/departures/rules.ts';
import { decideSeats, type SeatCommand } from '../../src/domain/seats/rules.ts';
import { departureStatuses, isTerminal } from '../../src/domain/statuses.ts';

const DRIVER = 'driver';
const PASSENGER = 'passenger';
const TIME = 1000;

interface Attempt {
  label: string;
  now: number;
  decide(state: DepartureState, now: number): DepartureDecision;
}

const drive = (label: string, command: DepartureCommand, now = TIME): Attempt => ({
  label,
  now,
  decide: (state, at) => decideDeparture(state, command, at),
});
const seat = (label: string, command: SeatCommand, now = TIME): Attempt => ({
  label,
  now,
  decide: (state, at) => decideSeats(state, command, at),
});

const attempts: readonly Attempt[] = [
  seat('a passenger books', { type: 'book', bookingId: 'b', passengerId: PASSENGER, seats: 1 }, 0),
  seat('its passenger cancels', { type: 'cancel_booking', bookingId: 'b', actorId: PASSENGER, role: 'rider' }, 0),
  seat('the driver refuses it', { type: 'cancel_booking', bookingId: 'b', actorId: DRIVER, role: 'driver' }, 0),
  seat('an operator cancels it', { type: 'cancel_booking', bookingId: 'b', actorId: 'desk', role: 'dispatcher' }, 0),
  seat('the passenger boards', { type: 'board', bookingId: 'b', driverId: DRIVER }),
  seat('the passenger is not there', { type: 'no_show', bookingId: 'b', driverId: DRIVER }),
  drive('the driver arrives', { type: 'arrive', driverId: DRIVER }),
  drive('the driver turns out to be on another trip', { type: 'recall' }),
  drive('the driver leaves', { type: 'start', driverId: DRIVER }),
  drive('the driver completes', { type: 'complete', driverId: DRIVER }),
  drive('the driver cancels', { type: 'cancel', actorId: DRIVER, role: 'driver' }),
  drive('an operator cancels', { type: 'cancel', actorId: 'desk', role: 'dispatcher' }),
  drive('nobody came', { type: 'expire', reason: 'never_left' }),
];

export interface Edge {
  from: string;
  to: string;
  event: string;
  causes: string[];
}

const start: DepartureState = {
  status: 'scheduled',
  version: 1,
  driverId: DRIVER,
  departureTime: TIME,
  seats: 1,
  seatsFree: 1,
  seatFareMinor: 100,
  terms: {
    closesBeforeMs: 0,
    boardsBeforeMs: 0,
    freeBeforeMs: 0,
    lateBeforeMs: 0,
    feePercent: 0,
    lateFeePercent: 0,
    noShowFeePercent: 0,
  },
  bookings: [],
  updatedAt: 0,
};

type Half = 'departure' | 'booking';
const nameOf = (half: Half, { status, bookings }: DepartureState): string =>
  half === 'departure' ? status : (bookings.at(-1)?.status ?? '');

/** The transitions of departures, or of the one booking of a departure, that the rules allow. */
export function exploreDepartures(half: Half): Edge[] {
  const placeOf = (state: DepartureState): string => `${nameOf('departure', state)} ${nameOf('booking', state)}`;
  const seen = new Set<string>([placeOf(start)]);
  const edges = new Map<string, Edge>();
  const open = [start];
  for (const state of open) {
    for (const { label, now, decide } of attempts) {
      const decision = decide(state, now);
      if ('refusal' in decision) continue;
      for (const event of decision.events) {
        const next = evolveDeparture(state, event);
        const [from, to] = [nameOf(half, state), nameOf(half, next)];
        const key = `${from} ${event.type} ${to}`;
        const edge = edges.get(key) ?? { from, to, event: event.type, causes: [] };
        if (!edge.causes.includes(label)) edge.causes.push(label);
        // What happens to bookings alone does not move the departure, and what does not move the booking is not its business.
        if (half === 'departure' ? !event.booking : from !== to) edges.set(key, edge);
        if (seen.has(placeOf(next))) continue;
        seen.add(placeOf(next));
        open.push(next);
      }
    }
  }
  const order: readonly string[] = half === 'departure' ? departureStatuses : ['', ...bookingStatuses];
  const rank = (status: string): number => order.indexOf(status);
  return [...edges.values()].sort((a, b) => rank(a.from) - rank(b.from) || rank(a.to) - rank(b.to));
}

function diagram(edges: readonly Edge[], ends: readonly string[], before: readonly string[]): string[] {
  const name = (status: string): string => status || '[*]';
  return [
    '```mermaid',
    'stateDiagram-v2',
    ...before,
    ...edges.map(({ from, to, event }) => `  ${name(from)} --> ${name(to)}: ${event}`),
    ...ends.map((status) => `  ${status} --> [*]`),
    '```',
    '',
    '| from | event | to | when |',
    '|---|---|---|---|',
    ...edges.map(({ from, to, event, causes }) => `| ${from} | ${event} | ${to} | ${causes.join('; ')} |`),
    '',
  ];
}

const OVER: readonly BookingStatus[] = ['completed', 'no_show', 'cancelled'];

export function departuresPart(): string[] {
  return [
    '## A scheduled departure',
    '',
    'Made from `src/domain/departures/rules.ts` and `src/domain/seats/rules.ts`.',
    '',
    ...diagram(exploreDepartures('departure'), departureStatuses.filter(isTerminal), [
      '  [*] --> scheduled: published',
    ]),
    'A departure is boarded from DEPARTURE_BOARDING before its time on, and leaves before its time only with everybody who booked.',
    '',
    '## A booking of seats',
    '',
    ...diagram(exploreDepartures('booking'), OVER, []),
    'Seats are booked until BOOKING_CLOSES before the departure. Whom the driver does not report as missing is on board when he leaves. What a',
    'passenger owes who cancels is fixed with the terms of the departure; whom somebody else puts off owes nothing. Who did not come owes',
    'his fee when the departure leaves without him, and nothing when it is cancelled after all.',
    '',
  ];
}
