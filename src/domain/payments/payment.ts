/** The payment as stored, one a ride or booking, and the entries of the books that it leads to. */
import type { CollectionSpec, StoredDocument } from '../../ports/store.ts';
import { type PaymentFact, type PaymentState, unpaidMinor } from './rules.ts';

export interface PaymentEvent extends PaymentFact {
  id: string;
  /** Counts from 1 without a gap. */
  seq: number;
  status: PaymentState['status'];
}

export interface Payment extends StoredDocument, PaymentState {
  tripId: string;
  /** Whose seats are paid for, when the trip is a departure. */
  bookingId?: string;
  /** Who pays. */
  riderId: string;
  currency: string;
  /** Tries of the step under way that failed. */
  attempts: number;
  /** Why the last one failed. */
  failure?: string;
  /** When the step under way is looked after at the latest, epoch ms; null when nothing is to be done. */
  dueAt: number | null;
  history: PaymentEvent[];
}

export const paymentCollection: CollectionSpec<Payment> = {
  name: 'payments',
  indexes: [
    { name: 'due', fields: ['dueAt'], sparse: true },
    { name: 'status_updated', fields: ['status', 'updatedAt'] },
    { name: 'rider_created', fields: ['riderId', 'createdAt'] },
  ],
};

/** What its last event leaves owed for the first time, minor units: what is charged again in vain stayed so before. */
export function newlyUnpaidMinor(payment: Payment): number {
  const { status, history } = payment;
  const timesUnpaid = history.filter((event) => event.status === 'unpaid').length;
  return status === 'captured' || (status === 'unpaid' && timesUnpaid === 1) ? unpaidMinor(payment) : 0;
}

export interface LedgerLine {
  account: string;
  /** Debit above, credit below nought. */
  amountMinor: number;
}

/** The lines of a capture; they sum to nought. */
export function captureLines({ capturedMinor }: Pick<PaymentState, 'capturedMinor'>): LedgerLine[] {
  return [
    { account: 'provider_clearing', amountMinor: capturedMinor },
    { account: 'fares', amountMinor: 0 - capturedMinor },
  ];
}

/** Written once and never changed. */
export interface LedgerEntry extends StoredDocument {
  paymentId: string;
  tripId: string;
  bookingId?: string;
  currency: string;
  lines: LedgerLine[];
}

export const ledgerCollection: CollectionSpec<LedgerEntry> = {
  name: 'ledgerEntries',
  indexes: [{ name: 'created', fields: ['createdAt'] }],
};

/** The payment of a ride or booking, and what belongs to it, have its id under other prefixes: found without a search, made once. */
export const paymentIdOf = (payableId: string): string => payableId.replace(/^(trip_|bkg_)?/, 'pay_');
/** The key under which a hold is released that no payment wants, whoever finds it. */
export const orphanKeyOf = (holdId: string): string => `${holdId}.orphan`;
export const ledgerIdOf = (payableId: string): string => payableId.replace(/^(trip_|bkg_)?/, 'led_');
