/**
 * The payment of a trip as a state machine: `decide` and `evolve`, pure. Seven statuses name the step that is under way; whoever finds a
 * payment in one of them may take that step, again and again, since each is safe to repeat.
 *
 *   holding ─held→ held ─owed→ capturing ─captured→ captured ─settled→ settled
 *      │             │├─more owed than held→ raising ─raised, or refused→ capturing
 *      │             │├─nothing owed→ releasing ─released→ released
 *      │             │└─its hold would lapse→ renewing ─renewed, or not→ held
 *      └─declined→ declined ─owed→ unpaid
 *
 * A provider lets a hold lapse after some days. What is paid for long ahead has its hold made anew before it is needed: the new one takes
 * the place of the old, which is released. Where that is declined or cannot be done, the old one stays, good or not, and is captured.
 *
 * What is owed may be known before the hold is: then it is remembered, and the hold goes on at once. A hold that is not raised, whether
 * the provider refuses it or nobody can ask him, is captured as it is: what is beyond it stays owed.
 *
 * A hold may have lapsed all the same when it is to be captured; then what is owed is charged without one. What could not be charged stays
 * owed, and people may have it charged again, as of one who was driven though his hold was declined:
 *
 *   capturing ─the hold has lapsed→ charging ─charged→ captured ─settled→ settled
 *                       unpaid ─people→ │└─declined→ unpaid
 *
 *   holding, capturing, charging, releasing or captured ─its step failed too often, or for good→ failed ─done all the same→ as if it had been
 *
 * A payment that failed is looked after a few times more, ever more rarely, and then by people alone.
 */

export const paymentStatuses = [
  'holding',
  'held',
  'declined',
  'renewing',
  'raising',
  'capturing',
  'charging',
  'captured',
  'releasing',
  'released',
  'settled',
  'unpaid',
  'failed',
] as const;
export type PaymentStatus = (typeof paymentStatuses)[number];

export const paymentEventTypes = [
  'requested',
  'held',
  'declined',
  'owed',
  'renewal_requested',
  'renewed',
  'renewal_declined',
  'renewal_failed',
  'raised',
  'raise_refused',
  'lapsed',
  'charge_requested',
  'charge_declined',
  'captured',
  'released',
  'settled',
  'failed',
] as const;
export type PaymentEventType = (typeof paymentEventTypes)[number];

/** What is done at the provider or in the books while the payment has a status. */
export const paymentSteps = ['hold', 'renew', 'raise', 'capture', 'charge', 'release', 'settle'] as const;
export type PaymentStep = (typeof paymentSteps)[number];

export interface PaymentFact {
  type: PaymentEventType;
  at: number;
  holdId?: string;
  amountMinor?: number;
  reason?: string;
  /** That was given up. */
  step?: PaymentStep;
}

/** The part of a payment that the rules read and write; amounts in minor units. */
export interface PaymentState {
  status: PaymentStatus;
  /** Asked to be held; once that was raised, what is held then. */
  holdMinor: number;
  holdId: string | null;
  /** When its hold is made anew, epoch ms, since it would lapse before it is needed. Absent: never, or it was. */
  renewAt?: number;
  /** Null until the trip has ended. */
  owedMinor: number | null;
  capturedMinor: number;
  /** Times that what is owed was to be charged without a hold; each is a charge of its own to the provider. */
  charges?: number;
  declineReason?: string;
  /** What could not be done, while it is failed. */
  failedStep?: PaymentStep;
  updatedAt: number;
}

export type PaymentCommand =
  | { type: 'held'; holdId: string }
  | { type: 'declined'; reason: string }
  | { type: 'owe'; amountMinor: number }
  /** It may be time. */
  | { type: 'renew' }
  | { type: 'renewed'; holdId: string }
  | { type: 'renewal_declined'; reason: string }
  | { type: 'raised'; heldMinor: number }
  | { type: 'raise_refused'; reason: string }
  | { type: 'captured' | 'released' | 'settled' }
  /** The hold that was to be captured is there no more. */
  | { type: 'lapsed' }
  /** People want what stayed owed to be charged. */
  | { type: 'charge' }
  /** `charge`: of which of its charges it is the answer. */
  | { type: 'charged'; charge: number }
  | { type: 'charge_declined'; charge: number; reason: string }
  /** The step under way failed too often, or for good. */
  | { type: 'give_up'; step: PaymentStep; reason: string };

const STEP_OF: Partial<Record<PaymentStatus, PaymentStep>> = {
  holding: 'hold',
  renewing: 'renew',
  raising: 'raise',
  capturing: 'capture',
  charging: 'charge',
  releasing: 'release',
  captured: 'settle',
};

/** The step that is under way by itself; of a failed one none is. */
export const stepOf = (status: PaymentStatus): PaymentStep | null => STEP_OF[status] ?? null;

/** The step that would bring it on: of a failed one that which failed. */
export const nextStep = ({ status, failedStep }: PaymentState): PaymentStep | null =>
  status === 'failed' ? (failedStep ?? null) : stepOf(status);

const STATUS_OF: Record<PaymentStep, PaymentStatus> = {
  hold: 'holding',
  renew: 'renewing',
  raise: 'raising',
  capture: 'capturing',
  charge: 'charging',
  release: 'releasing',
  settle: 'captured',
};

/** Where it stands; a failed one where it stood when it failed. */
const standing = ({ status, failedStep }: PaymentState): PaymentStatus =>
  status === 'failed' && failedStep ? STATUS_OF[failedStep] : status;

/**
 * A hold that the provider has for such a payment is wanted. One that could not be released is not: whoever finds it releases it.
 */
export function needsHold(state: PaymentState): boolean {
  if (state.status === 'failed') return state.failedStep === 'hold' || state.failedStep === 'capture';
  return ['holding', 'held', 'renewing', 'raising', 'capturing', 'releasing'].includes(state.status);
}

/** Whether this hold of the payment's is wanted. One whose answer was lost is not written down yet: it is asked for again under its key. */
export const wantsHold = (state: PaymentState, holdId: string): boolean =>
  needsHold(state) && (state.status === 'renewing' || (state.holdId ?? holdId) === holdId);

/** Of a hold no more can be taken than it holds; the rest stays owed. */
export const captureMinor = ({ owedMinor, holdMinor }: PaymentState): number => Math.min(owedMinor ?? 0, holdMinor);

/** What the rider still owes when all is done. */
export const unpaidMinor = ({ owedMinor, capturedMinor }: PaymentState): number =>
  Math.max(0, (owedMinor ?? 0) - capturedMinor);

/** A late answer to an earlier charge says nothing of the one under way, which may be paid: what is declined then would be charged once more. */
const isOfThis = (state: PaymentState, charge: number): boolean =>
  standing(state) === 'charging' && state.charges === charge;

/** The fact that a command leads to; null: it has been done, or came too late to matter. */
export function decide(state: PaymentState, command: PaymentCommand, now: number): PaymentFact | null {
  const status = standing(state);
  switch (command.type) {
    case 'held':
      return status === 'holding' ? { type: 'held', at: now, holdId: command.holdId } : null;
    case 'declined':
      return status === 'holding' ? { type: 'declined', at: now, reason: command.reason } : null;
    case 'owe':
      // A trip ends once: what it was said to cost then stays so.
      return state.owedMinor === null ? { type: 'owed', at: now, amountMinor: command.amountMinor } : null;
    case 'renew':
      if (status !== 'held' || state.renewAt === undefined || state.renewAt > now) return null;
      return { type: 'renewal_requested', at: now, amountMinor: state.holdMinor };
    case 'renewed':
      return status === 'renewing' ? { type: 'renewed', at: now, holdId: command.holdId } : null;
    case 'renewal_declined':
      return status === 'renewing' ? { type: 'renewal_declined', at: now, reason: command.reason } : null;
    case 'raised':
      return status === 'raising' ? { type: 'raised', at: now, amountMinor: command.heldMinor } : null;
    case 'raise_refused':
      return status === 'raising' ? { type: 'raise_refused', at: now, reason: command.reason } : null;
    case 'captured':
      return status === 'capturing' ? { type: 'captured', at: now, amountMinor: captureMinor(state) } : null;
    case 'lapsed':
      return status === 'capturing' ? { type: 'lapsed', at: now, amountMinor: state.owedMinor! } : null;
    case 'charge':
      return status === 'unpaid' ? { type: 'charge_requested', at: now, amountMinor: unpaidMinor(state) } : null;
    case 'charged':
      return isOfThis(state, command.charge) ? { type: 'captured', at: now, amountMinor: state.owedMinor! } : null;
    case 'charge_declined':
      return isOfThis(state, command.charge) ? { type: 'charge_declined', at: now, reason: command.reason } : null;
    case 'released':
      return status === 'releasing' ? { type: 'released', at: now } : null;
    case 'settled':
      return status === 'captured' ? { type: 'settled', at: now } : null;
    case 'give_up': {
      const { step, reason } = command;
      if (stepOf(state.status) !== step) return null;
      // What is held can still be had.
      if (step === 'renew') return { type: 'renewal_failed', at: now, reason };
      return step === 'raise' ? { type: 'raise_refused', at: now, reason } : { type: 'failed', at: now, step, reason };
    }
  }
}

/** Where a payment goes once both its hold and what is owed are known. */
function settleWith({ holdId, holdMinor, owedMinor }: PaymentState, status: PaymentStatus): PaymentStatus {
  if (owedMinor === null) return status;
  if (status === 'declined') return owedMinor > 0 ? 'unpaid' : 'declined';
  // Nothing is held that is known of, and nothing has to be.
  if (status === 'failed' && holdId === null) return owedMinor > 0 ? 'failed' : 'released';
  // What becomes of the hold is known soon.
  if (holdId === null || status === 'renewing') return status;
  if (owedMinor === 0) return 'releasing';
  return owedMinor > holdMinor ? 'raising' : 'capturing';
}

export function evolve<T extends PaymentState>(state: T, fact: PaymentFact): T {
  const next: T = { ...state, updatedAt: fact.at };
  // What failed is done, or does not have to be any more.
  if (fact.type !== 'owed') delete next.failedStep;
  switch (fact.type) {
    case 'requested':
      break;
    case 'held':
      next.holdId = fact.holdId!;
      next.status = settleWith(next, 'held');
      break;
    case 'declined':
      next.declineReason = fact.reason!;
      next.status = settleWith(next, 'declined');
      break;
    case 'owed':
      next.owedMinor = fact.amountMinor!;
      next.status = settleWith(next, state.status);
      if (next.status !== 'failed') delete next.failedStep;
      break;
    case 'renewal_requested':
      next.status = 'renewing';
      break;
    case 'renewed':
    case 'renewal_declined':
    case 'renewal_failed':
      next.holdId = fact.holdId ?? state.holdId;
      delete next.renewAt;
      next.status = settleWith(next, 'held');
      break;
    case 'raised':
      next.holdMinor = fact.amountMinor!;
      next.status = 'capturing';
      break;
    case 'raise_refused':
      next.status = 'capturing';
      break;
    case 'lapsed':
    case 'charge_requested':
      next.charges = (state.charges ?? 0) + 1;
      next.status = 'charging';
      break;
    case 'charge_declined':
      next.declineReason = fact.reason!;
      next.status = 'unpaid';
      break;
    case 'captured':
      next.capturedMinor = fact.amountMinor!;
      next.status = 'captured';
      break;
    case 'released':
      next.status = 'released';
      break;
    case 'settled':
      next.status = 'settled';
      break;
    case 'failed':
      next.status = 'failed';
      next.failedStep = fact.step!;
      break;
  }
  return next;
}
