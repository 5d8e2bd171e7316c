/**
 * What a ride costs, as pure functions over whole numbers: money in minor units of one currency, distances in metres, times in
 * seconds or epoch milliseconds, factors in thousandths (`permille`). Every fare is a list of lines whose sum it is, so that
 * each amount can be explained; lines are rounded half up one by one, never the sum.
 */
import { distanceM, type LatLng } from '../geo.ts';
import type { VehicleClass } from '../roles.ts';

/** Amounts in minor units of `currency`. */
export interface Tariff {
  currency: string;
  baseMinor: number;
  perKmMinor: number;
  perMinuteMinor: number;
  /** Least fare of a ride, before surge. */
  minimumMinor: number;
  /** The driver waits so long at the pick-up for nothing. */
  waitingFreeS: number;
  waitingPerMinuteMinor: number;
  /** So long after a driver was found the rider may cancel for nothing. */
  cancellationFreeS: number;
  cancellationFeeMinor: number;
}

/** Why the surge of a zone was what it was at an instant. Counts of zones around are pooled in, so they need not be whole. */
export interface SurgeSnapshot {
  /** H3 cell of the pick-up. */
  zone: string;
  /** 1000 is no surge. */
  multiplierPermille: number;
  /** Trips that wait or waited in vain, with the neighbours' share. */
  demand: number;
  /** Drivers who could take one, with the neighbours' share. */
  supply: number;
  /** What demand over supply asks for, before smoothing; thousandths. */
  targetPermille: number;
  /** When it was computed, epoch ms; 0 when nothing is known of the zone. */
  at: number;
}

/** All that the price of one trip depends on, fixed when it is quoted or requested, and kept with the trip. */
export interface Terms {
  tariff: Tariff;
  /** Of the way that was priced. */
  distanceM: number;
  durationS: number;
  /** Where that duration came from, and what it was before the traffic; it does not change the price. */
  source?: string;
  baseS?: number;
  surge: SurgeSnapshot;
  /** True: the ride costs what was said, however long it takes. False: its time is counted. */
  quoted: boolean;
}

/** What is priced. */
export interface Journey {
  riderId: string;
  pickup: LatLng;
  dropoff: LatLng;
  city: string;
  vehicleClass: VehicleClass;
}

/** A trip shorter than this is a mistake of the client. */
const MIN_TRIP_M = 10;
const MAX_TRIP_M = 1_000_000;

/** The rule that a drop-off breaks, or null. */
export function journeyViolation(pickup: LatLng, dropoff: LatLng): string | null {
  const straightM = distanceM(pickup, dropoff);
  if (straightM < MIN_TRIP_M) return `at least ${MIN_TRIP_M} m from the pick-up`;
  return straightM > MAX_TRIP_M ? `at most ${MAX_TRIP_M} m from the pick-up` : null;
}

/** What a quote's id says. */
export interface Quote extends Journey {
  /** The trip that is booked with it has this id. */
  tripId: string;
  terms: Terms;
  /** The pick-up lay in its city as that was drawn; false where no city was. Missing: a quote of an earlier version. */
  isDrawn?: boolean;
  /** Until when it may be booked, epoch ms (domain time). */
  expiresAt: number;
}

export const fareLineKinds = ['base', 'distance', 'time', 'minimum', 'surge', 'waiting', 'cancellation'] as const;
export type FareLineKind = (typeof fareLineKinds)[number];

export interface FareLine {
  kind: FareLineKind;
  amountMinor: number;
  /** What was counted: metres, seconds, thousandths; by kind. */
  quantity?: number;
}

export interface Fare {
  currency: string;
  /** The sum of the lines. */
  totalMinor: number;
  lines: FareLine[];
}

/** How a trip went, as far as its price depends on it; instants in epoch ms. */
export interface Course {
  end: 'completed' | 'cancelled_by_rider' | 'cancelled_by_others' | 'expired';
  matchedAt?: number | undefined;
  arrivedAt?: number | undefined;
  startedAt?: number | undefined;
  endedAt: number;
}

const NO_SURGE_PERMILLE = 1000;
const METRES_A_KM = 1000;
const SECONDS_A_MINUTE = 60;

/** `part` of `whole` of an amount, half up; exact as long as the product stays below 2^53. */
const shareOf = (amountMinor: number, part: number, whole: number): number =>
  Math.floor((2 * amountMinor * part + whole) / (2 * whole));

const secondsBetween = (fromMs: number, toMs: number): number => Math.max(0, Math.floor((toMs - fromMs) / 1000));

export const noSurge = (zone: string): SurgeSnapshot => ({
  zone,
  multiplierPermille: NO_SURGE_PERMILLE,
  demand: 0,
  supply: 0,
  targetPermille: NO_SURGE_PERMILLE,
  at: 0,
});

function fareOf(tariff: Tariff, lines: readonly FareLine[]): Fare {
  const counted = lines.filter(({ kind, amountMinor }) => kind === 'base' || amountMinor !== 0);
  return {
    currency: tariff.currency,
    totalMinor: counted.reduce((total, line) => total + line.amountMinor, 0),
    lines: counted,
  };
}

/** Base, distance, time, what is missing to the minimum, and surge on all of them. */
function rideLines(tariff: Tariff, distanceM: number, durationS: number, surgePermille: number): FareLine[] {
  const distance = shareOf(tariff.perKmMinor, distanceM, METRES_A_KM);
  const time = shareOf(tariff.perMinuteMinor, durationS, SECONDS_A_MINUTE);
  const metered = tariff.baseMinor + distance + time;
  const plain = Math.max(tariff.minimumMinor, metered);
  return [
    { kind: 'base', amountMinor: tariff.baseMinor },
    { kind: 'distance', amountMinor: distance, quantity: distanceM },
    { kind: 'time', amountMinor: time, quantity: durationS },
    { kind: 'minimum', amountMinor: plain - metered },
    { kind: 'surge', amountMinor: shareOf(plain, surgePermille - NO_SURGE_PERMILLE, 1000), quantity: surgePermille },
  ];
}

/** The fare of a ride of whole metres and seconds. `surgePermille`: at least 1000. */
export function rideFare(tariff: Tariff, distanceM: number, durationS: number, surgePermille = 1000): Fare {
  return fareOf(tariff, rideLines(tariff, distanceM, durationS, surgePermille));
}

/** What is said before the ride, and held when it was quoted. */
export const fareOfTerms = ({ tariff, distanceM, durationS, surge }: Terms): Fare =>
  rideFare(tariff, distanceM, durationS, surge.multiplierPermille);

function waitingLine(tariff: Tariff, arrivedAt: number | undefined, untilMs: number): FareLine {
  const waitedS = arrivedAt === undefined ? 0 : secondsBetween(arrivedAt, untilMs);
  const countedS = Math.max(0, waitedS - tariff.waitingFreeS);
  const amountMinor = shareOf(tariff.waitingPerMinuteMinor, countedS, SECONDS_A_MINUTE);
  return { kind: 'waiting', amountMinor, quantity: countedS };
}

/** A ride that its rider ended on the way: as much of the way as of the time, never more than the whole. */
function partOfRide(terms: Terms, elapsedS: number): FareLine[] {
  const { tariff, durationS, surge } = terms;
  const seconds = Math.min(elapsedS, durationS);
  const metres = durationS === 0 ? terms.distanceM : shareOf(terms.distanceM, seconds, durationS);
  return rideLines(tariff, metres, seconds, surge.multiplierPermille);
}

/**
 * What the rider owes when the trip has ended. Nothing when no driver was found or when someone else cancelled; the
 * cancellation fee when the rider did so later than the tariff allows.
 */
export function charge(terms: Terms, course: Course): Fare {
  const { tariff, surge } = terms;
  const { end, matchedAt, arrivedAt, startedAt, endedAt } = course;
  const nothing: Fare = { currency: tariff.currency, totalMinor: 0, lines: [] };
  if (end === 'expired' || end === 'cancelled_by_others' || matchedAt === undefined) return nothing;
  const waiting = waitingLine(tariff, arrivedAt, startedAt ?? endedAt);
  if (end === 'completed') {
    const durationS = terms.quoted ? terms.durationS : secondsBetween(startedAt ?? endedAt, endedAt);
    return fareOf(tariff, [...rideLines(tariff, terms.distanceM, durationS, surge.multiplierPermille), waiting]);
  }
  if (startedAt !== undefined)
    return fareOf(tariff, [...partOfRide(terms, secondsBetween(startedAt, endedAt)), waiting]);
  if (secondsBetween(matchedAt, endedAt) <= tariff.cancellationFreeS) return nothing;
  return fareOf(tariff, [{ kind: 'cancellation', amountMinor: tariff.cancellationFeeMinor }, waiting]);
}

/** The most that may be held for a ride before it: its fare, and a long wait at the pick-up. */
export function holdMinor(terms: Terms, waitingAllowanceS: number): number {
  const { tariff } = terms;
  const waiting = shareOf(tariff.waitingPerMinuteMinor, waitingAllowanceS, SECONDS_A_MINUTE);
  return Math.max(fareOfTerms(terms).totalMinor, tariff.cancellationFeeMinor) + waiting;
}
