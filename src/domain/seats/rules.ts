/**
 * Who sits where on a departure, as pure functions: `decideSeats` says which event a command about a booking causes or why it is
 * refused; ../departures/rules.ts applies it. Two passengers who want the last seat both see it free; the store takes the write of one,
 * and the other decides again on what that one left.
 */
import { type Booking, cancelFeeMinor, holdsSeats, noShowFeeMinor } from '../bookings/rules.ts';
import {
  alreadyDone,
  bookingClosesAt,
  type DepartureDecision,
  type DepartureEventType,
  type DepartureFact,
  type DepartureState,
  illegal,
  one,
  refuse,
} from '../departures/rules.ts';
import { isOperator, type Role } from '../roles.ts';

/** A passenger is named to nobody but the driver. */
const PASSENGER = 'passenger';
/** Who books and cancels again and again does not fill the document. */
const BOOKINGS_EACH = 3;
const BOOKINGS_MAX = 500;

export type SeatCommand =
  | { type: 'book'; bookingId: string; passengerId: string; seats: number; note?: string }
  | {
      type: 'cancel_booking';
      bookingId: string;
      actorId: string;
      role: Role;
      reason?: string;
      /** The version that the caller decided on. */
      bookingVersion?: number;
    }
  | { type: 'board' | 'no_show'; bookingId: string; driverId: string };

export function decideSeats(state: DepartureState, command: SeatCommand, now: number): DepartureDecision {
  switch (command.type) {
    case 'book':
      return decideBook(state, command, now);
    case 'cancel_booking':
      return decideCancelBooking(state, command, now);
    default:
      return decideAttendance(state, command, now);
  }
}

function ofBooking(
  state: DepartureState,
  type: DepartureEventType,
  actorId: string,
  at: number,
  { id, passengerId, seats, fareMinor }: Booking,
  feeMinor?: number,
): DepartureFact {
  const booking = { id, passengerId, seats, fareMinor, ...(feeMinor === undefined ? {} : { feeMinor }) };
  return { type, at, actorId, driverId: state.driverId, booking };
}

function decideBook(
  state: DepartureState,
  { bookingId, passengerId, seats, note }: SeatCommand & { type: 'book' },
  now: number,
): DepartureDecision {
  const { bookings, seatsFree } = state;
  if (bookings.some(({ id }) => id === bookingId)) return alreadyDone;
  if (state.driverId === passengerId) return refuse(state, 'RIDE_FORBIDDEN', 'A driver cannot book his own departure');
  if (state.status !== 'scheduled') return illegal(state, 'be booked');
  const closesAt = bookingClosesAt(state);
  if (now >= closesAt) return illegal(state, 'be booked any more', { closed_at_ms: closesAt });
  const his = bookings.filter((booking) => booking.passengerId === passengerId);
  const held = his.find(holdsSeats);
  if (held) {
    const facts = { booking_id: held.id, booking_version: held.version };
    return refuse(state, 'RIDE_ALREADY_EXISTS', 'The passenger has a booking of this departure', facts);
  }
  if (his.length >= BOOKINGS_EACH || bookings.length >= BOOKINGS_MAX) {
    return refuse(state, 'RIDE_FORBIDDEN', 'It was booked and cancelled too often', { bookings: his.length });
  }
  if (seats > seatsFree) return seatsTaken(state, seats);
  const fareMinor = seats * state.seatFareMinor;
  const booking = { id: bookingId, passengerId, seats, fareMinor, ...(note ? { note } : {}) };
  return one({ type: 'booked', at: now, actorId: PASSENGER, driverId: state.driverId, booking });
}

/** Who was faster: the last to get seats of those that are taken. */
function seatsTaken(state: DepartureState, asked: number): DepartureDecision {
  const winner = state.bookings.filter(holdsSeats).sort((a, b) => b.wonAtVersion - a.wonAtVersion)[0];
  return refuse(state, 'RIDE_SEATS_TAKEN', `${state.seatsFree} of ${state.seats} seats are free`, {
    seats_asked: asked,
    seats_free: state.seatsFree,
    winner_booking_id: winner?.id ?? null,
    winner_version: winner?.wonAtVersion ?? null,
  });
}

function decideCancelBooking(
  state: DepartureState,
  { bookingId, actorId, role, reason, bookingVersion }: SeatCommand & { type: 'cancel_booking' },
  now: number,
): DepartureDecision {
  const booking = state.bookings.find(({ id }) => id === bookingId);
  if (!booking) return refuse(state, 'RIDE_NOT_FOUND', `There is no booking ${bookingId}`);
  const byPassenger = booking.passengerId === actorId;
  const byDriver = role === 'driver' && state.driverId === actorId;
  if (!byPassenger && !byDriver && !isOperator(role))
    return refuse(state, 'RIDE_FORBIDDEN', 'Only its passenger, the driver or an operator may cancel a booking');
  const facts = { booking_id: booking.id, booking_status: booking.status, booking_version: booking.version };
  const actor = byPassenger ? PASSENGER : actorId;
  if (booking.status === 'cancelled' && booking.cancelledBy === actor) return alreadyDone;
  if (bookingVersion !== undefined && bookingVersion !== booking.version)
    return refuse(state, 'RIDE_PRECONDITION_FAILED', `The booking is at version ${booking.version}`, facts);
  if (booking.status !== 'confirmed')
    return refuse(state, 'RIDE_ILLEGAL_TRANSITION', `A booking that is ${booking.status} cannot be cancelled`, facts);
  // Whoever is put off by somebody else owes nothing.
  const feeMinor = byPassenger ? cancelFeeMinor(state.terms, state.departureTime, booking.fareMinor, now) : 0;
  return one({
    ...ofBooking(state, 'booking_cancelled', actor, now, booking, feeMinor),
    ...(reason ? { reason } : {}),
  });
}

function decideAttendance(
  state: DepartureState,
  { type, bookingId, driverId }: SeatCommand & { type: 'board' | 'no_show' },
  now: number,
): DepartureDecision {
  if (state.driverId !== driverId) return refuse(state, 'RIDE_FORBIDDEN', 'Only the driver may say who is there');
  const booking = state.bookings.find(({ id }) => id === bookingId);
  if (!booking) return refuse(state, 'RIDE_NOT_FOUND', `There is no booking ${bookingId}`);
  if (booking.status === (type === 'board' ? 'boarded' : 'no_show')) return alreadyDone;
  const facts = { booking_id: booking.id, booking_status: booking.status, booking_version: booking.version };
  if (state.status !== 'driver_arrived') return illegal(state, 'be boarded', facts);
  if (booking.status !== 'confirmed')
    return refuse(state, 'RIDE_ILLEGAL_TRANSITION', `A booking that is ${booking.status} cannot become ${type}`, facts);
  if (type === 'board') return one(ofBooking(state, 'boarded', driverId, now, booking));
  const { departureTime, arrivedAt = departureTime, terms } = state;
  const missedFrom = Math.max(departureTime, arrivedAt + (terms.waitsMs ?? 0));
  if (now < missedFrom)
    return refuse(state, 'RIDE_ILLEGAL_TRANSITION', 'Nobody is late before the time and before he was waited for', {
      ...facts,
      departure_time_ms: departureTime,
      no_show_from_ms: missedFrom,
    });
  return one(ofBooking(state, 'no_show', driverId, now, booking, noShowFeeMinor(state.terms, booking.fareMinor)));
}
