/**
 * The life of an on-demand ride as pure functions: `decide(state, command, now)` says which events a command causes or why
 * it is refused, `evolve(state, event)` (evolve.ts) applies one. No clock, no randomness, no I/O, so that tests and the simulator can
 * drive it through every path.
 *
 *   requested ─offer→ offered ─accept→ assigned ─arrive→ driver_arrived ─start→ in_progress ─complete→ completed
 *       ↑  ↑             │decline, expiry   │
 *       │  └─────────────┘                  │ the driver cancels
 *       └───────────────────────────────────┘
 *   offered ─one of several asked says no, or it is another’s now→ offered
 *   requested ─no driver in time→ expired      any state before completed ─cancel→ cancelled
 */
import { arrivalNote, type Seen, tooFar, tooFarText } from '../arrivals/rules.ts';
import { type Delivery, judge, type Proof, proofsTaken, type Shown } from '../deliveries/rules.ts';
import type { LatLng } from '../geo.ts';
import { askedOf, declined, lapsed, type Offer, taken } from '../offers/rules.ts';
import { isOperator, type Role } from '../roles.ts';
import { isDriven, isTerminal, type Steps, SYSTEM, type TripStatus } from '../statuses.ts';

export const tripEventTypes = [
  'requested',
  'offered',
  'offer_narrowed',
  'offer_withdrawn',
  'offer_declined',
  'offer_expired',
  'assigned',
  'driver_arrived',
  'started',
  'proof_refused',
  'completed',
  'driver_cancelled',
  'cancelled',
  'expired',
] as const;
export type TripEventType = (typeof tripEventTypes)[number];

export interface Place extends LatLng {
  city: string;
  address?: string;
  /** H3 cell of the zone resolution; *near* queries go by it. */
  zone: string;
}

/** What happened, as the rules say it; the service adds id, seq and version. */
export interface TripFact {
  type: TripEventType;
  at: number;
  actorId: string;
  driverId?: string;
  reason?: string;
  offer?: Offer;
  /** Of a delivery that is completed. */
  proof?: Proof;
}

/** A fact with its place in the trip's history. `seq` counts from 1 without a gap. */
export interface TripEvent extends TripFact {
  id: string;
  seq: number;
  status: TripStatus;
  version: number;
}

/** The part of a trip that the rules read and write. */
export interface TripState extends Steps {
  status: TripStatus;
  riderId: string;
  driverId: string | null;
  offer: Offer | null;
  excludedDriverIds: string[];
  offersMade: number;
  updatedAt: number;
  matchedAt?: number;
  /** Instant by which a driver must be found, epoch ms. */
  matchDeadline: number;
  /** How long a driver is sought, ms: anew from when one gives the trip up. Absent in trips of a time before, which keep their deadline. */
  searchMs?: number;
  /** The last driver who gave the trip up, so that his repeat is known as one. */
  givenUpBy?: string;
  /** What is delivered; a ride has none. */
  delivery?: Delivery;
}

export type TripCommand =
  | { type: 'offer'; offer: Offer }
  | { type: 'accept'; offerId: string; driverId: string }
  | { type: 'decline'; offerId: string; driverId: string; reason?: string }
  | { type: 'expire_offer'; offerId: string }
  | { type: 'arrive'; driverId: string; seen?: Seen | undefined }
  | { type: 'start'; driverId: string }
  | { type: 'complete'; driverId: string; shown?: Shown }
  | { type: 'cancel'; actorId: string; role: Role; reason?: string }
  | { type: 'expire'; reason: string };

export type RefusalCode =
  | 'RIDE_PROOF_REFUSED'
  | 'RIDE_ILLEGAL_TRANSITION'
  | 'RIDE_OFFER_CLOSED'
  | 'RIDE_FORBIDDEN'
  | 'RIDE_TOO_FAR';

/** Why a command was refused, with the facts a loser of a race needs. */
export interface Refusal {
  code: RefusalCode;
  message: string;
  facts: { status: TripStatus; driver_id: string | null };
  /** What this refusal knows besides. */
  more?: Record<string, string | number>;
}

/** No events means: this has been done already by the same actor; the answer is the present state. */
export type Decision = { events: TripFact[] } | { refusal: Refusal };

function refuse(state: TripState, code: RefusalCode, message: string): Decision {
  return { refusal: { code, message, facts: { status: state.status, driver_id: state.driverId } } };
}

const one = (event: TripFact): Decision => ({ events: [event] });
const alreadyDone: Decision = { events: [] };

export function decide(state: TripState, command: TripCommand, now: number): Decision {
  switch (command.type) {
    case 'offer':
      if (state.status !== 'requested') return illegal(state, 'be offered to a driver');
      // He was picked before he said no to an offer that somebody else's search made him meanwhile.
      if (askedOf(command.offer).some((id) => isOut(state, id))) {
        return refuse(state, 'RIDE_OFFER_CLOSED', 'This driver is out of this trip');
      }
      return one({ type: 'offered', at: now, actorId: SYSTEM, driverId: command.offer.driverId, offer: command.offer });
    case 'accept':
      return decideAccept(state, command, now);
    case 'decline':
      if (!isOpenOffer(state, command.offerId, command.driverId)) {
        return state.excludedDriverIds.includes(command.driverId) ? alreadyDone : offerClosed(state);
      }
      return one(declined(state.offer!, command.driverId, command.reason, now));
    case 'expire_offer':
      if (state.offer?.id !== command.offerId || state.offer.expiresAt > now) return alreadyDone;
      return { events: lapsed(state.offer, SYSTEM, now) };
    case 'arrive':
      return decideArrival(state, command, now);
    case 'start':
      return decideStep(state, command.driverId, now, 'driver_arrived', 'in_progress', 'started');
    case 'complete':
      return decideComplete(state, command, now);
    case 'cancel':
      return decideCancel(state, command, now);
    case 'expire':
      if (state.status !== 'requested') return alreadyDone;
      return one({ type: 'expired', at: now, actorId: SYSTEM, reason: command.reason });
  }
}

/** Whether a driver is never asked for a trip: he was and would not, or it is his own as a rider. */
export const isOut = (state: Pick<TripState, 'riderId' | 'excludedDriverIds'>, driverId: string): boolean =>
  driverId === state.riderId || state.excludedDriverIds.includes(driverId);

function isOpenOffer(state: TripState, offerId: string, driverId: string): boolean {
  return state.status === 'offered' && state.offer?.id === offerId && askedOf(state.offer).includes(driverId);
}

function illegal(state: TripState, what: string): Decision {
  return refuse(state, 'RIDE_ILLEGAL_TRANSITION', `A trip that is ${state.status} cannot ${what}`);
}

function offerClosed(state: TripState): Decision {
  return refuse(state, 'RIDE_OFFER_CLOSED', `The offer is not open; the trip is ${state.status}`);
}

function decideAccept(state: TripState, command: { offerId: string; driverId: string }, now: number): Decision {
  if (isDriven(state.status) && state.driverId === command.driverId) return alreadyDone;
  if (!isOpenOffer(state, command.offerId, command.driverId)) return offerClosed(state);
  const offer = state.offer!;
  if (isOut(state, command.driverId)) return refuse(state, 'RIDE_FORBIDDEN', 'Nobody drives a trip of his own');
  if (offer.expiresAt <= now) return refuse(state, 'RIDE_OFFER_CLOSED', 'The offer has expired');
  return { events: taken(offer, command.driverId, now) };
}

/** The driver's steps all have one shape: from one status to the next, a repeat is no error. */
function decideStep(
  state: TripState,
  driverId: string,
  now: number,
  from: TripStatus,
  to: TripStatus,
  type: TripEventType,
): Decision {
  if (state.driverId !== driverId) return refuse(state, 'RIDE_FORBIDDEN', 'Only the assigned driver may do this');
  if (state.status === to) return alreadyDone;
  if (state.status !== from) return illegal(state, `become ${to}`);
  return one({ type, at: now, actorId: driverId, driverId });
}

/** Waiting is paid from here on, so he has to be there, as far as that is known. */
function decideArrival(state: TripState, { driverId, seen }: TripCommand & { type: 'arrive' }, now: number): Decision {
  const step = decideStep(state, driverId, now, 'assigned', 'driver_arrived', 'driver_arrived');
  if ('refusal' in step || step.events.length === 0) return step;
  const far = tooFar(seen);
  if (!far) return { events: step.events.map((event) => ({ ...event, ...arrivalNote(seen) })) };
  const { status, driverId: driver_id } = state;
  return { refusal: { code: 'RIDE_TOO_FAR', message: tooFarText(far), facts: { status, driver_id }, more: far } };
}

/** A parcel is delivered when that is proved. A wrong code is an event too, so that nobody tries them all. */
function decideComplete(
  state: TripState,
  { driverId, shown }: TripCommand & { type: 'complete' },
  now: number,
): Decision {
  const step = decideStep(state, driverId, now, 'in_progress', 'completed', 'completed');
  if (!state.delivery || 'refusal' in step || step.events.length === 0) return step;
  const judgement = judge(state.delivery, shown, now);
  if ('wrongCode' in judgement) return one({ type: 'proof_refused', at: now, actorId: driverId, driverId });
  if ('proof' in judgement)
    return one({ type: 'completed', at: now, actorId: driverId, driverId, proof: judgement.proof });
  return refuse(state, 'RIDE_PROOF_REFUSED', `It takes a ${proofsTaken(state.delivery).join(' or a ')} as proof`);
}

function decideCancel(
  state: TripState,
  command: { actorId: string; role: Role; reason?: string },
  now: number,
): Decision {
  const byRider = command.actorId === state.riderId;
  const byDriver = command.role === 'driver' && state.driverId === command.actorId;
  if (command.role === 'driver' && state.givenUpBy === command.actorId) return alreadyDone;
  if (!byRider && !byDriver && !isOperator(command.role)) {
    return refuse(state, 'RIDE_FORBIDDEN', 'Only the rider, the assigned driver or an operator may cancel');
  }
  if (state.status === 'cancelled' && state.cancelledBy === command.actorId) return alreadyDone;
  if (isTerminal(state.status)) return illegal(state, 'be cancelled');
  const fact = {
    at: now,
    actorId: command.actorId,
    ...(state.driverId ? { driverId: state.driverId } : {}),
    ...(command.reason ? { reason: command.reason } : {}),
    ...(state.offer ? { offer: state.offer } : {}),
  };
  if (byDriver && !byRider && state.status !== 'in_progress') return one({ type: 'driver_cancelled', ...fact });
  return one({ type: 'cancelled', ...fact });
}
