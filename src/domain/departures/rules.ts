/**
 * The life of a scheduled departure, as pure functions like those of an on-demand trip: `decideDeparture` says which event a command
 * causes or why it is refused, `evolveDeparture` applies one. All bookings are part of its one state, so that whoever writes it first
 * has the last seat; what may be done to them is said in ../seats/rules.ts.
 *
 *   scheduled ─arrive→ driver_arrived ─start→ in_progress ─complete→ completed
 *      │  ↑                 │ the driver turned out to be on another trip
 *      │  └─────────────────┘
 *      └─never left→ expired          any state before completed ─cancel→ cancelled
 */
import { arrivalNote, type Seen, tooFar, tooFarText } from '../arrivals/rules.ts';
import { type Booking, type BookingStatus, type BookingTerms, holdsSeats } from '../bookings/rules.ts';
import { isOperator, type Role } from '../roles.ts';
import { type DepartureStatus, isTerminal, type Steps, SYSTEM } from '../statuses.ts';

export const departureEventTypes = [
  'published',
  'booked',
  'booking_cancelled',
  'driver_arrived',
  'recalled',
  'boarded',
  'no_show',
  'started',
  'completed',
  'cancelled',
  'expired',
] as const;
export type DepartureEventType = (typeof departureEventTypes)[number];

/** What happened to one booking. */
export interface BookingChange {
  id: string;
  passengerId: string;
  seats: number;
  fareMinor: number;
  feeMinor?: number;
  note?: string;
}

export interface DepartureFact {
  type: DepartureEventType;
  at: number;
  /** A user or the server; `passenger` for what a passenger did, who is named to nobody but the driver. */
  actorId: string;
  driverId: string;
  reason?: string;
  booking?: BookingChange;
  /** Who held seats when something happened to the whole departure. */
  passengerIds?: string[];
}

/** A fact with its place in the history. `seq` counts from 1 without a gap. */
export interface DepartureEvent extends DepartureFact {
  id: string;
  seq: number;
  status: DepartureStatus;
  version: number;
  seatsFree: number;
}

export interface DepartureState extends Steps {
  status: DepartureStatus;
  version: number;
  driverId: string;
  departureTime: number;
  seats: number;
  seatsFree: number;
  seatFareMinor: number;
  terms: BookingTerms;
  bookings: Booking[];
  updatedAt: number;
}

export type DepartureCommand =
  | { type: 'arrive'; driverId: string; seen?: Seen | undefined }
  | { type: 'start' | 'complete'; driverId: string }
  | { type: 'recall' }
  | { type: 'cancel'; actorId: string; role: Role; reason?: string }
  | { type: 'expire'; reason: string };

export type DepartureRefusalCode =
  | 'RIDE_ILLEGAL_TRANSITION'
  | 'RIDE_TOO_FAR'
  | 'RIDE_FORBIDDEN'
  | 'RIDE_NOT_FOUND'
  | 'RIDE_ALREADY_EXISTS'
  | 'RIDE_SEATS_TAKEN'
  | 'RIDE_PRECONDITION_FAILED';

export type RefusalFacts = Record<string, string | number | boolean | null>;

/** No events means: this has been done already; the answer is the present state. */
export type DepartureDecision =
  | { events: DepartureFact[] }
  | { refusal: { code: DepartureRefusalCode; message: string; facts: RefusalFacts } };

/** What is owed for its seats does not change any more: it has left, or never will. */
export const isSettled = ({ status, startedAt }: Pick<DepartureState, 'status' | 'startedAt'>): boolean =>
  startedAt !== undefined || isTerminal(status);

/** From then on nobody books, epoch ms. */
export const bookingClosesAt = ({ departureTime, terms }: Pick<DepartureState, 'departureTime' | 'terms'>): number =>
  departureTime - terms.closesBeforeMs;

/** An event of a trip of any kind as all who follow it are told: why somebody has no seat any more is between him and the driver. */
export function openly<T extends { booking?: unknown; reason?: unknown }>(event: T): T {
  if (!event.booking || event.reason === undefined) return event;
  const { reason: _, ...rest } = event;
  return rest as T;
}

/** Who had seats on it and was not refused them may follow it, also when it is over. */
export const isPassenger = ({ bookings }: Pick<DepartureState, 'bookings'>, userId: string): boolean =>
  bookings.some(({ passengerId, status }) => passengerId === userId && status !== 'cancelled' && status !== 'no_show');

export function refuse(
  state: DepartureState,
  code: DepartureRefusalCode,
  message: string,
  more: RefusalFacts = {},
): DepartureDecision {
  return { refusal: { code, message, facts: { status: state.status, driver_id: state.driverId, ...more } } };
}

export const one = (event: DepartureFact): DepartureDecision => ({ events: [event] });
export const alreadyDone: DepartureDecision = { events: [] };

export function illegal(state: DepartureState, what: string, more: RefusalFacts = {}): DepartureDecision {
  return refuse(state, 'RIDE_ILLEGAL_TRANSITION', `A departure that is ${state.status} cannot ${what}`, more);
}

export function decideDeparture(state: DepartureState, command: DepartureCommand, now: number): DepartureDecision {
  switch (command.type) {
    case 'arrive':
    case 'start':
    case 'complete':
      return decideStep(state, command, now);
    case 'recall':
      return state.status === 'driver_arrived' ? one(whole(state, 'recalled', SYSTEM, now)) : alreadyDone;
    case 'cancel':
      return decideCancel(state, command, now);
    case 'expire':
      if (state.status !== 'scheduled') return alreadyDone;
      return one({ ...whole(state, 'expired', SYSTEM, now), reason: command.reason });
  }
}

/** A fact about the departure as a whole. */
function whole(state: DepartureState, type: DepartureEventType, actorId: string, at: number): DepartureFact {
  const passengerIds = state.bookings.filter(holdsSeats).map((booking) => booking.passengerId);
  return { type, at, actorId, driverId: state.driverId, passengerIds };
}

const STEPS = {
  arrive: { from: 'scheduled', to: 'driver_arrived', event: 'driver_arrived' },
  start: { from: 'driver_arrived', to: 'in_progress', event: 'started' },
  complete: { from: 'in_progress', to: 'completed', event: 'completed' },
} as const;

function decideStep(
  state: DepartureState,
  command: DepartureCommand & { type: keyof typeof STEPS },
  now: number,
): DepartureDecision {
  const { type, driverId } = command;
  const { from, to, event } = STEPS[type];
  if (state.driverId !== driverId)
    return refuse(state, 'RIDE_FORBIDDEN', 'Only the driver of the departure may do this');
  if (state.status === to) return alreadyDone;
  if (state.status !== from) return illegal(state, `become ${to}`);
  const opensAt = state.departureTime - state.terms.boardsBeforeMs;
  if (type === 'arrive' && now < opensAt) return illegal(state, 'be boarded yet', { opens_at_ms: opensAt });
  const missing = state.bookings.filter(({ status }) => status === 'confirmed').length;
  if (type === 'start' && now < state.departureTime && missing > 0)
    return illegal(state, 'leave before its time without its passengers', { missing_bookings: missing });
  if (command.type !== 'arrive') return one(whole(state, event, driverId, now));
  const far = tooFar(command.seen);
  if (far) return refuse(state, 'RIDE_TOO_FAR', tooFarText(far), far);
  return one({ ...whole(state, event, driverId, now), ...arrivalNote(command.seen) });
}

function decideCancel(
  state: DepartureState,
  { actorId, role, reason }: DepartureCommand & { type: 'cancel' },
  now: number,
): DepartureDecision {
  const byDriver = role === 'driver' && state.driverId === actorId;
  if (!byDriver && !isOperator(role))
    return refuse(state, 'RIDE_FORBIDDEN', 'Only the driver of the departure or an operator may cancel it');
  if (state.status === 'cancelled' && state.cancelledBy === actorId) return alreadyDone;
  if (isTerminal(state.status) || (byDriver && state.status === 'in_progress')) return illegal(state, 'be cancelled');
  return one({ ...whole(state, 'cancelled', actorId, now), ...(reason ? { reason } : {}) });
}

const statusAfter: Partial<Record<DepartureEventType, DepartureStatus>> = {
  published: 'scheduled',
  driver_arrived: 'driver_arrived',
  recalled: 'scheduled',
  started: 'in_progress',
  completed: 'completed',
  cancelled: 'cancelled',
  expired: 'expired',
};

/** Applies one event. Never fails: whatever was decided can be applied. `state.version` is the one that it gets. */
export function evolveDeparture<T extends DepartureState>(state: T, event: DepartureFact): T {
  const { type, at } = event;
  const next: T = { ...state, status: statusAfter[type] ?? state.status, updatedAt: at };
  if (event.booking) return ofSeats({ ...next, bookings: withBooking(next, event, event.booking) });
  switch (type) {
    case 'driver_arrived':
      next.arrivedAt = at;
      break;
    case 'recalled':
      delete next.arrivedAt;
      next.bookings = changeAll(state.bookings, 'boarded', 'confirmed', at);
      break;
    case 'started':
      next.startedAt = at;
      // Whom the driver did not report as missing is on board.
      next.bookings = changeAll(state.bookings, 'confirmed', 'boarded', at);
      break;
    case 'completed':
      next.completedAt = at;
      next.bookings = changeAll(state.bookings, 'boarded', 'completed', at);
      break;
    case 'cancelled':
    case 'expired':
      next.cancelledBy = event.actorId;
      if (event.reason) next.cancelReason = event.reason;
      if (type === 'expired') next.expiredAt = at;
      else next.cancelledAt = at;
      next.bookings = state.bookings.map((booking) => {
        if (holdsSeats(booking)) return cancelled(booking, event, 0);
        // Whoever was late for a departure that never left has missed nothing.
        const isWaived = booking.status === 'no_show' && !isSettled(state) && booking.feeMinor !== 0;
        return isWaived ? { ...moved(booking, 'no_show', at), feeMinor: 0 } : booking;
      });
      break;
  }
  return ofSeats(next);
}

function withBooking(state: DepartureState, event: DepartureFact, change: BookingChange): Booking[] {
  const { at } = event;
  if (event.type === 'booked') {
    const { feeMinor: _none, ...booking } = change;
    const made = { status: 'confirmed', bookedAt: at, updatedAt: at, version: 1, wonAtVersion: state.version } as const;
    return [...state.bookings, { ...booking, ...made }];
  }
  return state.bookings.map((booking) => {
    if (booking.id !== change.id) return booking;
    if (event.type === 'booking_cancelled') return cancelled(booking, event, change.feeMinor ?? 0);
    if (event.type === 'no_show') return { ...moved(booking, 'no_show', at), feeMinor: change.feeMinor ?? 0 };
    return moved(booking, 'boarded', at);
  });
}

const moved = (booking: Booking, status: BookingStatus, at: number): Booking => ({
  ...booking,
  status,
  updatedAt: at,
  version: booking.version + 1,
});

const changeAll = (bookings: readonly Booking[], from: BookingStatus, to: BookingStatus, at: number): Booking[] =>
  bookings.map((booking) => (booking.status === from ? moved(booking, to, at) : booking));

const cancelled = (booking: Booking, { at, actorId, reason }: DepartureFact, feeMinor: number): Booking => ({
  ...moved(booking, 'cancelled', at),
  feeMinor,
  cancelledBy: actorId,
  ...(reason ? { cancelReason: reason } : {}),
});

/** Seats that nobody gave back are taken. */
function ofSeats<T extends DepartureState>(state: T): T {
  const taken = state.bookings.reduce((sum, { seats, status }) => (status === 'cancelled' ? sum : sum + seats), 0);
  return { ...state, seatsFree: state.seats - taken };
}
