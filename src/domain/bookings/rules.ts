/**
 * What a seat costs whoever gives it up, as pure functions. The terms are fixed when a departure is published: whoever booked under
 * them keeps them, whatever the settings say later. Money in minor units, instants in epoch milliseconds of domain time.
 *
 *   confirmed ─board→ boarded ─the departure is completed→ completed
 *       │  └─no_show→ no_show
 *       └─cancel, by the passenger, the driver or an operator, or with the whole departure→ cancelled
 */

export const bookingStatuses = ['confirmed', 'boarded', 'completed', 'no_show', 'cancelled'] as const;
export type BookingStatus = (typeof bookingStatuses)[number];

export interface BookingTerms {
  /** No booking from so long before the departure on. */
  closesBeforeMs: number;
  /** The driver may be at the pick-up, and passengers board, from so long before the departure on. */
  boardsBeforeMs: number;
  /** A passenger cancels for nothing until so long before the departure, */
  freeBeforeMs: number;
  /** for `feePercent` of the fare until so long before it, and for `lateFeePercent` after that. */
  lateBeforeMs: number;
  feePercent: number;
  lateFeePercent: number;
  noShowFeePercent: number;
  /** Who is not there is waited for so long once the driver is; absent in departures of a time before. */
  waitsMs?: number;
}

export interface Booking {
  id: string;
  passengerId: string;
  seats: number;
  status: BookingStatus;
  /** Of all its seats. */
  fareMinor: number;
  /** What the passenger owes although he did not ride; set when it is cancelled or he did not come. */
  feeMinor?: number;
  /** For the driver. */
  note?: string;
  bookedAt: number;
  updatedAt: number;
  /** 1 when made; every change makes it one more. */
  version: number;
  /** Version of the departure that gave it its seats: what the loser of a race is told. */
  wonAtVersion: number;
  cancelledBy?: string;
  cancelReason?: string;
}

/** Who holds his seats: he may follow the departure, and no second booking of his is taken. */
export const holdsSeats = ({ status }: Pick<Booking, 'status'>): boolean =>
  status === 'confirmed' || status === 'boarded';

const percentOf = (minor: number, percent: number): number => Math.round((minor * percent) / 100);

/** What a passenger who cancels at `at` owes. Never falls as time goes on where `lateFeePercent` is not below `feePercent`. */
export function cancelFeeMinor(terms: BookingTerms, departureTime: number, fareMinor: number, at: number): number {
  const beforeMs = departureTime - at;
  if (beforeMs >= terms.freeBeforeMs) return 0;
  return percentOf(fareMinor, beforeMs >= terms.lateBeforeMs ? terms.feePercent : terms.lateFeePercent);
}

export const noShowFeeMinor = (terms: BookingTerms, fareMinor: number): number =>
  percentOf(fareMinor, terms.noShowFeePercent);

/**
 * What its passenger has to pay, minor units; null while that may still change. Who did not come owes nothing before the departure has
 * left without him: one that is cancelled after all costs nobody who was to come.
 */
export function owedMinor({ status, fareMinor, feeMinor = 0 }: Booking, isSettled: boolean): number | null {
  if (status === 'completed') return fareMinor;
  if (status === 'cancelled') return feeMinor;
  return status === 'no_show' && isSettled ? feeMinor : null;
}

/** The same as steps, for whoever wants to know before he books: each fee holds until its instant; the last has none. */
export function cancelSteps(
  terms: BookingTerms,
  departureTime: number,
  fareMinor: number,
): { until?: number; feeMinor: number }[] {
  return [
    { until: departureTime - terms.freeBeforeMs, feeMinor: 0 },
    { until: departureTime - terms.lateBeforeMs, feeMinor: percentOf(fareMinor, terms.feePercent) },
    { feeMinor: percentOf(fareMinor, terms.lateFeePercent) },
  ];
}
