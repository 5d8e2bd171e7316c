/**
 * The payment of a trip as a state machine: `decide` and `evolve`, pure. Four statuses name the step that is under way; whoever finds a
 * payment in one of them may take that step, again and again, since each is safe to repeat.
 *
 *   holding ─held→ held ─owed→ capturing ─captured→ captured ─settled→ settled
 *      │              └─nothing owed→ releasing ─released→ released
 *      └─declined→ declined ─owed→ unpaid
 *
 * What is owed may be known before the hold is: then it is remembered, and the hold goes on at once.
 */

export const paymentStatuses = [
  'holding',
  'held',
  'declined',
  'capturing',
  'captured',
  'releasing',
  'released',
  'settled',
  'unpaid',
] as const;
export type PaymentStatus = (typeof paymentStatuses)[number];

export const paymentEventTypes = ['requested', 'held', 'declined', 'owed', 'captured', 'released', 'settled'] as const;
export type PaymentEventType = (typeof paymentEventTypes)[number];

/** What is done at the provider or in the books while the payment has a status. */
export type PaymentStep = 'hold' | 'capture' | 'release' | 'settle';

export interface PaymentFact {
  type: PaymentEventType;
  at: number;
  holdId?: string;
  amountMinor?: number;
  reason?: string;
}

/** The part of a payment that the rules read and write; amounts in minor units. */
export interface PaymentState {
  status: PaymentStatus;
  /** Asked to be held. */
  holdMinor: number;
  holdId: string | null;
  /** Null until the trip has ended. */
  owedMinor: number | null;
  capturedMinor: number;
  declineReason?: string;
  updatedAt: number;
}

export type PaymentCommand =
  | { type: 'held'; holdId: string }
  | { type: 'declined'; reason: string }
  | { type: 'owe'; amountMinor: number }
  | { type: 'captured' | 'released' | 'settled' };

const STEP_OF: Partial<Record<PaymentStatus, PaymentStep>> = {
  holding: 'hold',
  capturing: 'capture',
  releasing: 'release',
  captured: 'settle',
};

export const stepOf = (status: PaymentStatus): PaymentStep | null => STEP_OF[status] ?? null;

/** A hold that the provider has for such a payment is wanted. */
export const needsHold = (status: PaymentStatus): boolean =>
  status === 'holding' || status === 'held' || status === 'capturing' || status === 'releasing';

/** Of a hold no more can be taken than it holds; the rest stays owed. */
export const captureMinor = ({ owedMinor, holdMinor }: PaymentState): number => Math.min(owedMinor ?? 0, holdMinor);

/** What the rider still owes when all is done. */
export const unpaidMinor = ({ owedMinor, capturedMinor }: PaymentState): number =>
  Math.max(0, (owedMinor ?? 0) - capturedMinor);

/** The fact that a command leads to; null: it has been done, or came too late to matter. */
export function decide(state: PaymentState, command: PaymentCommand, now: number): PaymentFact | null {
  const { status } = state;
  switch (command.type) {
    case 'held':
      return status === 'holding' ? { type: 'held', at: now, holdId: command.holdId } : null;
    case 'declined':
      return status === 'holding' ? { type: 'declined', at: now, reason: command.reason } : null;
    case 'owe':
      // A trip ends once: what it was said to cost then stays so.
      return state.owedMinor === null ? { type: 'owed', at: now, amountMinor: command.amountMinor } : null;
    case 'captured':
      return status === 'capturing' ? { type: 'captured', at: now, amountMinor: captureMinor(state) } : null;
    case 'released':
      return status === 'releasing' ? { type: 'released', at: now } : null;
    case 'settled':
      return status === 'captured' ? { type: 'settled', at: now } : null;
  }
}

/** Where a payment goes once both its hold and what is owed are known. */
function settleWith(holdId: string | null, owedMinor: number | null, status: PaymentStatus): PaymentStatus {
  if (owedMinor === null) return status;
  if (status === 'declined') return owedMinor > 0 ? 'unpaid' : 'declined';
  if (holdId === null) return status;
  return owedMinor > 0 ? 'capturing' : 'releasing';
}

export function evolve<T extends PaymentState>(state: T, fact: PaymentFact): T {
  const next: T = { ...state, updatedAt: fact.at };
  switch (fact.type) {
    case 'requested':
      break;
    case 'held':
      next.holdId = fact.holdId!;
      next.status = settleWith(next.holdId, state.owedMinor, 'held');
      break;
    case 'declined':
      next.declineReason = fact.reason!;
      next.status = settleWith(null, state.owedMinor, 'declined');
      break;
    case 'owed':
      next.owedMinor = fact.amountMinor!;
      next.status = settleWith(state.holdId, next.owedMinor, state.status);
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
  }
  return next;
}

export interface LedgerLine {
  account: string;
  /** Debit above, credit below nought. */
  amountMinor: number;
}

/** The lines of a capture; they sum to nought. */
export function captureLines(state: PaymentState): LedgerLine[] {
  return [
    { account: 'provider_clearing', amountMinor: state.capturedMinor },
    { account: 'fares', amountMinor: 0 - state.capturedMinor },
  ];
}

/** Wait before the next try after so many that failed, milliseconds: doubled each time, up to the most. */
export const backoffMs = (attempts: number, baseMs: number, mostMs: number): number =>
  Math.min(mostMs, baseMs * 2 ** Math.min(30, Math.max(0, attempts - 1)));
