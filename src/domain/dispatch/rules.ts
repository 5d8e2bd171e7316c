/**
 * Which driver is asked for which trip: pure, so that a decision can be explained term by term and replayed from its stored input
 * to the same result, bit for bit. What every candidate costs is said in seconds of the rider's waiting.
 */
import { assign } from '../assignment/rules.ts';
import {
  type DriverFacts,
  ownCostMs,
  type RequestFacts,
  type Term,
  termsOf,
  unservedCostMs,
  type Weights,
  wayCostMs,
} from '../scoring/rules.ts';

export type { DriverFacts, RequestFacts, Weights } from '../scoring/rules.ts';

/** Raised with every change after which an old input could give another result. */
export const RULES_VERSION = 1;

export interface DecisionSettings {
  freshnessMs: number;
  /** Farther drivers are not asked. */
  maxEtaS: number;
  /** Drivers asked at once: 1 is one after another, more is a broadcast. */
  offers: number;
  weights: Weights;
  /** Candidates that the assignment may look at (see assignment/rules.ts). */
  maxSteps: number;
}

/** Everything a decision depends on; stored as it is. */
export interface DecisionInput {
  rules: number;
  /** Domain time, epoch ms. */
  at: number;
  settings: DecisionSettings;
  trips: readonly RequestFacts[];
  drivers: readonly DriverFacts[];
  /** Where ETAs come from: a routing engine's name or straight_line. */
  sources: readonly string[];
  /** For each trip its candidates, five numbers each: index in `drivers`, etaS, distanceM, H3 ring around the pick-up, index in `sources`. */
  pairs: readonly (readonly number[])[];
  /** Drivers who turned out to have another offer. */
  askedElsewhere: readonly string[];
}

export const rejectionReasons = [
  'excluded',
  'vehicle_class',
  'not_available',
  'stale_position',
  'asked_elsewhere',
  'too_far',
] as const;
export type RejectionReason = (typeof rejectionReasons)[number];

export const choiceReasons = ['cheapest', 'nobody_near', 'all_rejected', 'others_cheaper'] as const;
export type ChoiceReason = (typeof choiceReasons)[number];

/** What became of one trip. `others_cheaper`: the drivers it could have had are worth more on other trips. */
export interface Choice {
  tripId: string;
  reason: ChoiceReason;
  /** Who is asked, the chosen one first. */
  driverIds: string[];
}

export interface Decision {
  /** In the order of the trips' ids. */
  choices: Choice[];
  /** Sum over all trips, milliseconds of waiting. */
  costMs: number;
  steps: number;
  /** Trips for which the allowance of the assignment did not reach. */
  greedyTrips: number;
}

/** Numbers of one candidate in `pairs`. */
const PAIR = 5;

/** Indexes in `drivers` of one trip's candidates. */
export const indexesIn = (pairs: readonly number[]): number[] => pairs.filter((_, i) => i % PAIR === 0);

/** Null when he may be asked, as far as it does not depend on the trip. */
function ownRejectionOf(
  driver: DriverFacts,
  { at, settings }: DecisionInput,
  asked: ReadonlySet<string>,
): RejectionReason | null {
  if (!driver.isAvailable) return 'not_available';
  if (at - driver.recordedAt > settings.freshnessMs) return 'stale_position';
  return asked.has(driver.driverId) ? 'asked_elsewhere' : null;
}

/** Null when he may be asked for this trip, if he may be asked at all. */
function rejectionOf(trip: RequestFacts, driver: DriverFacts, etaS: number, maxEtaS: number): RejectionReason | null {
  if (driver.vehicleClass !== trip.vehicleClass) return 'vehicle_class';
  if (trip.excludedDriverIds.includes(driver.driverId)) return 'excluded';
  return etaS > maxEtaS ? 'too_far' : null;
}

/** Indexes in the order of their ids, so that the order in which facts came in changes nothing. */
function byId<T>(items: readonly T[], idOf: (item: T) => string): number[] {
  const ids = items.map(idOf);
  return ids.map((_, i) => i).sort((a, b) => (ids[a]! < ids[b]! ? -1 : ids[a]! > ids[b]! ? 1 : a - b));
}

/** Pairs of trips and drivers who may be asked for them, trip by trip. */
interface Fit {
  /** Those of row i stand at `start[i]` to `start[i + 1]`. */
  start: Int32Array;
  row: Int32Array;
  /** Place of the driver. */
  column: Int32Array;
  etaS: Float64Array;
}

function fitPairs(input: DecisionInput, trips: readonly number[], place: Int32Array): Fit {
  const asked = new Set(input.askedElsewhere);
  const isOut = Uint8Array.from(input.drivers, (driver) => (ownRejectionOf(driver, input, asked) === null ? 0 : 1));
  const most = input.pairs.reduce((sum, pairs) => sum + pairs.length / PAIR, 0);
  const start = new Int32Array(trips.length + 1);
  const row = new Int32Array(most);
  const column = new Int32Array(most);
  const etaS = new Float64Array(most);
  let fit = 0;
  for (let i = 0; i < trips.length; i++) {
    const trip = input.trips[trips[i]!]!;
    const pairs = input.pairs[trips[i]!]!;
    for (let pair = 0; pair < pairs.length; pair += PAIR) {
      const driver = pairs[pair]!;
      if (isOut[driver] === 1) continue;
      if (rejectionOf(trip, input.drivers[driver]!, pairs[pair + 1]!, input.settings.maxEtaS) !== null) continue;
      row[fit] = i;
      column[fit] = place[driver]!;
      etaS[fit++] = pairs[pair + 1]!;
    }
    start[i + 1] = fit;
  }
  return { start, row: row.subarray(0, fit), column: column.subarray(0, fit), etaS };
}

/** Where the pairs of the first driver stand, then those of the second, and so on: counted instead of compared, for they are many. */
function byColumn(column: Int32Array, columns: number): Int32Array {
  const next = new Int32Array(columns + 1);
  for (let i = 0; i < column.length; i++) next[column[i]! + 1]!++;
  for (let i = 0; i < columns; i++) next[i + 1]! += next[i]!;
  const order = new Int32Array(column.length);
  for (let i = 0; i < column.length; i++) order[next[column[i]!]!++] = i;
  return order;
}

interface Scored {
  /** Trips and drivers by id. */
  trips: number[];
  drivers: number[];
  start: Int32Array;
  /** Place of the driver among `drivers`; ascending in each row, for of equally good ones the assignment takes the first. */
  column: Int32Array;
  cost: Float64Array;
  skip: Float64Array;
}

/**
 * The candidates of all trips with what they cost; those who may not be asked are left out. Driver by driver: there are more of them
 * than of trips, and what is known of one is at hand for all trips that he is near.
 */
function scored(input: DecisionInput): Scored {
  const { at } = input;
  const w = input.settings.weights;
  const trips = byId(input.trips, ({ tripId }) => tripId);
  const drivers = byId(input.drivers, ({ driverId }) => driverId);
  const place = new Int32Array(drivers.length);
  for (let rank = 0; rank < drivers.length; rank++) place[drivers[rank]!] = rank;
  const fit = fitPairs(input, trips, place);
  const column = new Int32Array(fit.row.length);
  const cost = new Float64Array(fit.row.length);
  const next = fit.start.slice();
  const order = byColumn(fit.column, drivers.length);
  for (let i = 0, rank = -1, ownMs = 0; i < order.length; i++) {
    const pair = order[i]!;
    const driver = input.drivers[drivers[fit.column[pair]!]!]!;
    if (fit.column[pair] !== rank) {
      rank = fit.column[pair]!;
      ownMs = ownCostMs(driver, at, w);
    }
    const row = fit.row[pair]!;
    const edge = next[row]!++;
    column[edge] = rank;
    cost[edge] = ownMs + wayCostMs(driver, fit.etaS[pair]!, input.trips[trips[row]!]!, w);
  }
  const skip = Float64Array.from(trips, (index) => unservedCostMs(input.trips[index]!, at, w));
  return { trips, drivers, start: fit.start, column, cost, skip };
}

/** In a broadcast more drivers are asked than the chosen one: the cheapest whom no other trip of this decision asks. */
function broaden(input: DecisionInput, s: Scored, columnOfRow: Int32Array): number[][] {
  const asked = Array.from(columnOfRow, (column) => (column < 0 ? [] : [column]));
  if (input.settings.offers < 2) return asked;
  const taken = new Set<number>(columnOfRow.filter((column) => column >= 0));
  const ranked = asked.map((_, row) =>
    Array.from({ length: s.start[row + 1]! - s.start[row]! }, (_, i) => s.start[row]! + i).sort(
      (a, b) => s.cost[a]! - s.cost[b]! || s.column[a]! - s.column[b]!,
    ),
  );
  for (let round = 1; round < input.settings.offers; round++) {
    for (const [row, columns] of asked.entries()) {
      const next = columns.length === 0 ? undefined : ranked[row]!.find((edge) => !taken.has(s.column[edge]!));
      if (next === undefined) continue;
      taken.add(s.column[next]!);
      columns.push(s.column[next]!);
    }
  }
  return asked;
}

/**
 * Decides. The same input gives the same decision, on every machine and in whatever order its trips and drivers stand.
 * @param expired ends the assignment early; with `maxSteps` as in `steps` the input gives the same decision without it
 */
export function decide(input: DecisionInput, expired?: () => boolean): Decision {
  const s = scored(input);
  const problem = { rows: s.trips.length, columns: s.drivers.length, ...s };
  const answer = assign(problem, { maxSteps: input.settings.maxSteps, ...(expired ? { expired } : {}) });
  const asked = broaden(input, s, answer.columnOfRow);
  const choices = s.trips.map((index, row): Choice => {
    const driverIds = asked[row]!.map((column) => input.drivers[s.drivers[column]!]!.driverId);
    const candidates = s.start[row + 1]! - s.start[row]!;
    const none = candidates > 0 ? 'others_cheaper' : input.pairs[index]!.length > 0 ? 'all_rejected' : 'nobody_near';
    return { tripId: input.trips[index]!.tripId, reason: driverIds.length > 0 ? 'cheapest' : none, driverIds };
  });
  return { choices, costMs: answer.cost, steps: answer.steps, greedyTrips: answer.greedyRows };
}

/** One candidate as people are shown him. */
export interface Ranked {
  driverId: string;
  etaS: number;
  /** Where the ETA came from. */
  source: string;
  distanceM: number;
  ring: number;
  costMs: number;
  terms: Term[];
}

export interface Explanation {
  /** Cheapest first, ties by driver. */
  ranked: Ranked[];
  rejected: { driverId: string; ring: number; reason: RejectionReason }[];
}

/** Why a trip's candidates stood where they stood, worked out from the input alone. */
export function explain(input: DecisionInput, tripId: string): Explanation {
  const index = input.trips.findIndex((trip) => trip.tripId === tripId);
  const trip = input.trips[index];
  const pairs = input.pairs[index] ?? [];
  const asked = new Set(input.askedElsewhere);
  const ranked: Ranked[] = [];
  const rejected: Explanation['rejected'] = [];
  for (let i = 0; trip && i < pairs.length; i += PAIR) {
    const [at, etaS, distanceM, ring, from] = pairs.slice(i, i + PAIR) as [number, number, number, number, number];
    const driver = input.drivers[at]!;
    const { driverId } = driver;
    const reason = ownRejectionOf(driver, input, asked) ?? rejectionOf(trip, driver, etaS, input.settings.maxEtaS);
    if (reason !== null) {
      rejected.push({ driverId, ring, reason });
      continue;
    }
    const terms = termsOf(driver, etaS, trip, input.at, input.settings.weights);
    const costMs = terms.reduce((sum, term) => sum + term.costMs, 0);
    ranked.push({ driverId, etaS, source: input.sources[from]!, distanceM, ring, costMs, terms });
  }
  ranked.sort((a, b) => a.costMs - b.costMs || (a.driverId < b.driverId ? -1 : 1));
  return { ranked, rejected };
}
