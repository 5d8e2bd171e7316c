/**
 * A check-in asks the rider of a trip whether all is well when a detector raised a hazard, and becomes an SOS when he says no or
 * nothing. One per trip, as pure functions.
 *
 *   calm ─raise→ asked ─all is well→ calm (and that hazard is not asked about again until it was over)
 *     ↑             │ ─all hazards over→ calm
 *     ↑             │ ─help, or no answer in time→ escalated ─an operator closes the SOS→ calm (as if the rider had said it)
 *     └─────────────┘
 */
import { type Hazard, hazards } from '../safety/rules.ts';

export const checkInStatuses = ['calm', 'asked', 'escalated'] as const;
export type CheckInStatus = (typeof checkInStatuses)[number];

export interface CheckInState {
  status: CheckInStatus;
  /** Empty for a departure, */
  riderId: string;
  /** of which these are on board. */
  passengerIds?: string[];
  driverId: string;
  /** Hazards that are there now. */
  present: Hazard[];
  /** Of those, the ones that the rider said are no concern. */
  accepted: Hazard[];
  /** Counts the questions; an answer names its own. */
  round: number;
  askedAt: number | null;
  /** When no answer becomes an SOS, epoch ms. */
  deadline: number | null;
  escalatedAt: number | null;
  /** The SOS that it became; null until that is known, and when there is none. */
  alertId: string | null;
}

export type CheckInCommand =
  | { type: 'raise'; hazard: Hazard }
  | { type: 'clear'; hazard: Hazard }
  | { type: 'answer'; userId: string; round: number; isSafe: boolean }
  | { type: 'expire'; round: number }
  /** The escalation of this instant is the SOS of this id. */
  | { type: 'alert'; alertId: string; escalatedAt: number }
  /** That SOS is over. */
  | { type: 'close'; alertId: string; actorId: string }
  /** The trip ended. */
  | { type: 'end' };

export const checkInEventTypes = [
  'hazard_raised',
  'hazard_cleared',
  'asked',
  'driver_answered',
  'confirmed_safe',
  'withdrawn',
  'escalated',
  'alerted',
  'closed',
] as const;
export type CheckInEventType = (typeof checkInEventTypes)[number];

export interface CheckInEvent {
  type: CheckInEventType;
  at: number;
  hazard?: Hazard;
  actorId?: string;
  round: number;
  deadline?: number;
  alertId?: string;
  /** Of an escalation. */
  reason?: 'unanswered' | 'rider_asked_for_help' | 'driver_asked_for_help';
}

export type CheckInDecision = { events: CheckInEvent[] } | { refusal: 'not_a_party' | 'not_asked' };

const nothing: CheckInDecision = { events: [] };

export const calm = (riderId: string, driverId: string): CheckInState => ({
  status: 'calm',
  riderId,
  driverId,
  present: [],
  accepted: [],
  round: 0,
  askedAt: null,
  deadline: null,
  escalatedAt: null,
  alertId: null,
});

export function decideCheckIn(
  state: CheckInState,
  command: CheckInCommand,
  now: number,
  answerMs: number,
): CheckInDecision {
  const { round } = state;
  switch (command.type) {
    case 'raise': {
      if (state.present.includes(command.hazard)) return nothing;
      const raised: CheckInEvent = { type: 'hazard_raised', at: now, hazard: command.hazard, round };
      if (state.status !== 'calm') return { events: [raised] };
      return {
        events: [
          raised,
          { type: 'asked', at: now, round: round + 1, deadline: now + answerMs, hazard: command.hazard },
        ],
      };
    }
    case 'clear': {
      if (!state.present.includes(command.hazard)) return nothing;
      const cleared: CheckInEvent = { type: 'hazard_cleared', at: now, hazard: command.hazard, round };
      const isLast =
        state.status === 'asked' &&
        state.present.every((one) => one === command.hazard || state.accepted.includes(one));
      return { events: isLast ? [cleared, { type: 'withdrawn', at: now, round }] : [cleared] };
    }
    case 'answer':
      return decideAnswer(state, command, now);
    case 'expire':
      if (state.status !== 'asked' || round !== command.round || now < state.deadline!) return nothing;
      return { events: [{ type: 'escalated', at: now, round, reason: 'unanswered' }] };
    case 'alert':
      if (state.status !== 'escalated' || state.escalatedAt !== command.escalatedAt || state.alertId) return nothing;
      return { events: [{ type: 'alerted', at: now, round, alertId: command.alertId }] };
    case 'close':
      if (state.status !== 'escalated' || state.alertId !== command.alertId) return nothing;
      return { events: [{ type: 'closed', at: now, round, alertId: command.alertId, actorId: command.actorId }] };
    case 'end':
      return state.status === 'asked' ? { events: [{ type: 'withdrawn', at: now, round }] } : nothing;
  }
}

/** Who is asked. */
export const ridersOf = ({
  riderId,
  passengerIds,
}: Pick<CheckInState, 'riderId' | 'passengerIds'>): readonly string[] => passengerIds ?? [riderId];

function decideAnswer(
  state: CheckInState,
  { userId, round, isSafe }: CheckInCommand & { type: 'answer' },
  now: number,
): CheckInDecision {
  const isRider = ridersOf(state).includes(userId);
  if (!isRider && userId !== state.driverId) return { refusal: 'not_a_party' };
  if (state.status === 'escalated') return nothing;
  // Help is help, whatever was asked.
  if (!isSafe) {
    const reason = isRider ? 'rider_asked_for_help' : 'driver_asked_for_help';
    return { events: [{ type: 'escalated', at: now, round: state.round, actorId: userId, reason }] };
  }
  if (state.round !== round || round === 0) return { refusal: 'not_asked' };
  if (state.status !== 'asked') return nothing; // a repeat, or the question was withdrawn
  // The driver may be the hazard: his word is kept, and the question to the rider stays open.
  return { events: [{ type: isRider ? 'confirmed_safe' : 'driver_answered', at: now, round, actorId: userId }] };
}

export function evolveCheckIn(state: CheckInState, event: CheckInEvent): CheckInState {
  const over = { askedAt: null, deadline: null };
  switch (event.type) {
    case 'hazard_raised':
      return { ...state, present: hazards.filter((one) => one === event.hazard || state.present.includes(one)) };
    case 'hazard_cleared': {
      const rest = (list: Hazard[]) => list.filter((one) => one !== event.hazard);
      return { ...state, present: rest(state.present), accepted: rest(state.accepted) };
    }
    case 'asked':
      return { ...state, status: 'asked', round: event.round, askedAt: event.at, deadline: event.deadline! };
    case 'driver_answered':
      return state;
    case 'confirmed_safe':
      return { ...state, ...over, status: 'calm', accepted: [...state.present] };
    case 'withdrawn':
      return { ...state, ...over, status: 'calm' };
    case 'escalated':
      return { ...state, ...over, status: 'escalated', escalatedAt: event.at, alertId: null };
    case 'alerted':
      return { ...state, alertId: event.alertId! };
    case 'closed':
      // Somebody has looked: what is there still is not asked about again until it was over.
      return { ...state, status: 'calm', escalatedAt: null, alertId: null, accepted: [...state.present] };
  }
}
