/**
 * What it costs to ask a driver for a trip, in seconds of the rider's waiting, term by term. Each term is rounded to whole
 * milliseconds, so that sums are exact and those that are shown add up to the one that decided.
 */
import type { LatLng } from '../geo.ts';
import type { StaleReason } from '../locations/rules.ts';
import type { VehicleClass } from '../roles.ts';

/** What counts how much; each in seconds of the rider's waiting. */
export interface Weights {
  /** A second less of idleness than `idleCapS`. */
  idle: number;
  idleCapS: number;
  /** Never accepting, against always. */
  acceptanceS: number;
  /** A star less than five. */
  ratingS: number;
  /** Driving the opposite way. */
  headingS: number;
  /** A trip that gets nobody in this decision; each second it has waited is added. */
  unservedS: number;
}

export interface RequestFacts {
  tripId: string;
  pickup: LatLng;
  vehicleClass: VehicleClass;
  excludedDriverIds: readonly string[];
  /** When somebody began to wait, epoch ms. */
  waitingSince: number;
}

/** What is known of one driver when trips look for one. */
export interface DriverFacts extends LatLng {
  driverId: string;
  vehicleClass: VehicleClass;
  /** When the position was measured, epoch ms. */
  recordedAt: number;
  speedMps?: number;
  headingDeg?: number;
  /** What follows is shown with the decision and changes nothing of it: how good the position is, how it came, */
  accuracyM?: number;
  positionSource?: string;
  /** and why it is stale, of one who was looked at and is. */
  staleReason?: StaleReason;
  /** By his document, which is the truth. */
  isAvailable: boolean;
  /** Since when he has had nothing to do, epoch ms. */
  idleSince?: number;
  /** Of the last offers: how many he answered in all, and how many with yes. */
  answered: number;
  accepted: number;
  ratings: number;
  ratingSum: number;
}

export const termNames = ['eta', 'idle', 'acceptance', 'rating', 'heading'] as const;
export type TermName = (typeof termNames)[number];

/** One part of what a candidate costs: what was measured, and what it is worth. */
export interface Term {
  name: TermName;
  /** Seconds, seconds, share, stars, degrees. */
  value: number;
  costMs: number;
}

/** As if everyone had begun with this: one answer must not make a driver the best or the worst. */
const PRIOR_ANSWERS = 5;
const PRIOR_ACCEPTANCE = 0.8;
const PRIOR_RATINGS = 5;
const PRIOR_RATING = 4.7;
/** Slower is standing, and a heading then is noise. */
const MOVING_MPS = 2;
const DEGREES = 180 / Math.PI;

const ms = (seconds: number): number => Math.round(seconds * 1000);

const idleOf = (driver: DriverFacts, at: number): number =>
  driver.idleSince === undefined ? 0 : Math.max(0, (at - driver.idleSince) / 1000);

const acceptanceOf = ({ accepted, answered }: DriverFacts): number =>
  (accepted + PRIOR_ACCEPTANCE * PRIOR_ANSWERS) / (answered + PRIOR_ANSWERS);

const ratingOf = ({ ratings, ratingSum }: DriverFacts): number =>
  (ratingSum + PRIOR_RATING * PRIOR_RATINGS) / (ratings + PRIOR_RATINGS);

/** Degrees between where he drives and where the pick-up lies, 0 to 180; 0 for one who stands. */
function turnOf(driver: DriverFacts, pickup: LatLng): number {
  if (driver.headingDeg === undefined || (driver.speedMps ?? 0) < MOVING_MPS) return 0;
  const east = (pickup.lng - driver.lng) * Math.cos(((pickup.lat + driver.lat) / 2) * (1 / DEGREES));
  const bearing = Math.atan2(east, pickup.lat - driver.lat) * DEGREES;
  const turn = Math.abs(bearing - driver.headingDeg) % 360;
  return turn > 180 ? 360 - turn : turn;
}

const idleCostMs = (idleS: number, { idle, idleCapS }: Weights): number =>
  ms((idleCapS - Math.min(idleCapS, idleS)) * idle);
const acceptanceCostMs = (acceptance: number, w: Weights): number => ms((1 - acceptance) * w.acceptanceS);
const ratingCostMs = (rating: number, w: Weights): number => ms(Math.max(0, 5 - rating) * w.ratingS);
const turnCostMs = (turn: number, w: Weights): number => ms((turn / 180) * w.headingS);

/** What asking this driver costs, in terms that add up to it. */
export function termsOf(driver: DriverFacts, etaS: number, trip: RequestFacts, at: number, w: Weights): Term[] {
  const idleS = idleOf(driver, at);
  const acceptance = acceptanceOf(driver);
  const rating = ratingOf(driver);
  const turn = turnOf(driver, trip.pickup);
  return [
    { name: 'eta', value: etaS, costMs: ms(etaS) },
    { name: 'idle', value: idleS, costMs: idleCostMs(idleS, w) },
    { name: 'acceptance', value: acceptance, costMs: acceptanceCostMs(acceptance, w) },
    { name: 'rating', value: rating, costMs: ratingCostMs(rating, w) },
    { name: 'heading', value: turn, costMs: turnCostMs(turn, w) },
  ];
}

/** The part that is the driver's own, whichever trip it is: all but the way and the heading. */
export function ownCostMs(driver: DriverFacts, at: number, w: Weights): number {
  return (
    idleCostMs(idleOf(driver, at), w) + acceptanceCostMs(acceptanceOf(driver), w) + ratingCostMs(ratingOf(driver), w)
  );
}

/** The part that depends on the trip. With `ownCostMs` it is the sum of the terms. */
export function wayCostMs(driver: DriverFacts, etaS: number, trip: RequestFacts, w: Weights): number {
  return ms(etaS) + turnCostMs(turnOf(driver, trip.pickup), w);
}

/** What a trip costs that gets nobody. */
export function unservedCostMs(trip: RequestFacts, at: number, w: Weights): number {
  return ms(w.unservedS) + Math.max(0, at - trip.waitingSince);
}
