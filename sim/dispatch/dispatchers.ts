/**
 * The dispatchers that are compared. Ours is the server's own rules, called as the server calls them; the best window-batch solver
 * looks at every pair and at nothing but the ETA; the clairvoyant knows the requests of the next ten minutes.
 */
import { type AssignmentProblem, assign } from '../../src/domain/assignment/rules.ts';
import { type DecisionInput, decide, RULES_VERSION, type Weights } from '../../src/domain/dispatch/rules.ts';
import type { Point } from '../geo.ts';
import type { Trip } from '../trips-csv.ts';
import { type Assignment, type CityOptions, type Dispatcher, type Driver, isFree, type Situation } from './engine.ts';

const UNSERVED_MS = 7_200_000;
/** A plan in which a rider waits longer is none. */
const MOST_PLANNED_MS = 1_800_000;
const METRES_PER_DEGREE = 111_195;
const UNLIMITED = { maxSteps: Number.POSITIVE_INFINITY };

/** At once, the nearest driver; who waits longest first. */
export const nearest = (): Dispatcher => ({
  name: 'nearest driver',
  everyMs: 1000,
  decide({ nowMs, waiting, drivers, etaS }) {
    const free = drivers.filter((driver) => isFree(driver, nowMs));
    const sent: Assignment[] = [];
    for (const trip of waiting) {
      let best = -1;
      let least = Number.POSITIVE_INFINITY;
      for (const [i, driver] of free.entries()) {
        const eta = etaS(driver.at, trip.pickup);
        if (eta < least) {
          least = eta;
          best = i;
        }
      }
      if (best < 0) break;
      sent.push({ trip, driver: free.splice(best, 1)[0]! });
    }
    return sent;
  },
});

type CostMs = (trip: Trip, driver: Driver) => number;

/** The cheapest assignment over every pair that costs at most `mostMs`. */
function best(
  trips: readonly Trip[],
  drivers: readonly Driver[],
  costMs: CostMs,
  skipMs: (trip: Trip) => number,
  mostMs = Number.POSITIVE_INFINITY,
) {
  const start = new Int32Array(trips.length + 1);
  const column = new Int32Array(trips.length * drivers.length);
  const cost = new Float64Array(column.length);
  let pairs = 0;
  for (const [row, trip] of trips.entries()) {
    for (const [i, driver] of drivers.entries()) {
      const ms = costMs(trip, driver);
      if (ms > mostMs) continue;
      column[pairs] = i;
      cost[pairs++] = ms;
    }
    start[row + 1] = pairs;
  }
  const skip = Float64Array.from(trips, skipMs);
  const problem: AssignmentProblem = { rows: trips.length, columns: drivers.length, start, column, cost, skip };
  const { columnOfRow } = assign(problem, UNLIMITED);
  return trips.flatMap((trip, row): Assignment[] => {
    const driver = drivers[columnOfRow[row]!];
    return driver ? [{ trip, driver }] : [];
  });
}

/** Least sum of ETAs in each window. */
export const windowBatch = (everyMs: number): Dispatcher => ({
  name: 'best window batch',
  everyMs,
  decide({ nowMs, waiting, drivers, etaS }) {
    const free = drivers.filter((driver) => isFree(driver, nowMs));
    return best(
      waiting,
      free,
      (trip, driver) => 1000 * etaS(driver.at, trip.pickup),
      (trip) => UNSERVED_MS + (nowMs - trip.atMs),
    );
  },
});

/** Time of the way between places near `origin`, milliseconds. */
function planar({ speedMps, detourFactor }: CityOptions, origin: Point): (from: Point, to: Point) => number {
  const northMs = (1000 * METRES_PER_DEGREE * detourFactor) / speedMps;
  const eastMs = northMs * Math.cos((origin.lat * Math.PI) / 180);
  return (from, to) => {
    const [north, east] = [(to.lat - from.lat) * northMs, (to.lng - from.lng) * eastMs];
    return Math.sqrt(north * north + east * east);
  };
}

/** Knows the requests of the next `horizonMs`, and when and where drivers will be free. Nobody who serves a city can. */
export const clairvoyant = (everyMs: number, horizonMs: number): Dispatcher => ({
  name: 'clairvoyant',
  everyMs,
  decide({ nowMs, waiting, drivers, future, city, etaS }) {
    const known = [...waiting, ...future.filter((trip) => trip.atMs <= nowMs + horizonMs)];
    const soon = drivers.filter((driver) => driver.freeAtMs <= nowMs + horizonMs);
    // What a rider waits; the way itself counts a little, so that of two who come in time the nearer one does. Ways are those of
    // a plane, which a plan of a million pairs is made of faster.
    const wayOf = planar(city, drivers[0]!.at);
    const costMs: CostMs = (trip, driver) => {
      const wayMs = wayOf(driver.at, trip.pickup);
      const pickupMs = Math.max(nowMs, driver.freeAtMs) + wayMs;
      return Math.max(0, Math.round(pickupMs - trip.atMs)) + Math.round(wayMs / 10);
    };
    const plan = best(known, soon, costMs, () => UNSERVED_MS, MOST_PLANNED_MS);
    // Only who has to set off by now does; the rest of the plan is made again with what is known then.
    return plan.filter(({ trip, driver }) => {
      if (!isFree(driver, nowMs)) return false;
      return nowMs + everyMs + 1000 * etaS(driver.at, trip.pickup) > trip.atMs;
    });
  },
});

export interface OursOptions {
  everyMs: number;
  /** Nearest drivers of each trip that are compared. */
  candidates: number;
  weights: Weights;
  /** Gets every decision: its input as it would be stored, and the result. */
  onDecision(input: DecisionInput, result: string): void;
}

function inputOf({ nowMs, waiting, drivers, etaS }: Situation, options: OursOptions): DecisionInput {
  const free = drivers.filter((driver) => isFree(driver, nowMs));
  const none = { answered: 0, accepted: 0, ratings: 0, ratingSum: 0 };
  const pairs = waiting.map((trip) =>
    free
      .map((driver, i) => ({ i, s: etaS(driver.at, trip.pickup) }))
      .sort((a, b) => a.s - b.s || a.i - b.i)
      .slice(0, options.candidates)
      .flatMap(({ i, s }) => [i, s, 0, 0, 0]),
  );
  return {
    rules: RULES_VERSION,
    at: nowMs,
    settings: { freshnessMs: 60_000, maxEtaS: 7200, offers: 1, maxSteps: 1e9, weights: options.weights },
    trips: waiting.map((trip) => ({
      tripId: `row-${trip.row}`,
      pickup: trip.pickup,
      vehicleClass: 'standard' as const,
      excludedDriverIds: [],
      waitingSince: trip.atMs,
    })),
    drivers: free.map(({ id, at, idleSinceMs }) => ({
      ...none,
      driverId: id,
      ...at,
      vehicleClass: 'standard' as const,
      recordedAt: nowMs,
      isAvailable: true,
      idleSince: idleSinceMs,
    })),
    sources: ['straight_line'],
    pairs,
    askedElsewhere: [],
  };
}

/** The server's own decision in a window. */
export const ours = (options: OursOptions): Dispatcher => ({
  name: 'ours',
  everyMs: options.everyMs,
  decide(situation) {
    if (situation.waiting.length === 0) return [];
    const input = inputOf(situation, options);
    const decision = decide(input);
    options.onDecision(input, JSON.stringify(decision));
    const trips = new Map(situation.waiting.map((trip) => [`row-${trip.row}`, trip]));
    const drivers = new Map(situation.drivers.map((driver) => [driver.id, driver]));
    return decision.choices.flatMap(({ tripId, driverIds }) =>
      driverIds.map((id) => ({ trip: trips.get(tripId)!, driver: drivers.get(id)! })),
    );
  },
});
