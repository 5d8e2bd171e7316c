/** A city's window: the dispatcher's own decision about many trips and many drivers that compete, against the textbook's. */
import { type DecisionInput, decide, explain, RULES_VERSION } from '../../src/domain/dispatch/rules.ts';
import { unservedCostMs } from '../../src/domain/scoring/rules.ts';
import { alternate, bySize, type Context } from '../harness/context.ts';
import { atMost, type CaseResult } from '../harness/result.ts';
import { median } from '../harness/statistics.ts';
import { hungarian } from '../peers/hungarian.ts';

const GOAL_MS = 250;
const NOW = 1_421_322_000_000;
const SIDE_M = 20_000;
const SPOT_M = 800;
const METRES_PER_DEGREE = 111_195;
const SPEED_MPS = 6;
const DETOUR = 1.35;
const ORIGIN = { lat: 40.6, lng: -74.1 };

interface Scale {
  trips: number;
  drivers: number;
  windows: number;
}

interface Result {
  firstMs: number;
  medianMs: number;
  worstMs: number;
  /** Sum over all windows, seconds of waiting. */
  costS: number;
  assigned: number;
  requested: number;
  /** Trips that wanted a driver whom another trip got. */
  outbid: number;
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Most trips begin at one of three places, the drivers are everywhere: whom one trip takes, many others miss. */
function windowOf({ trips, drivers }: Scale, candidates: number, seed: number): DecisionInput {
  const draw = randomOf(seed);
  const shrink = Math.sqrt(drivers / 5000);
  const side = SIDE_M * shrink;
  const place = (x: number, y: number) => ({
    lat: ORIGIN.lat + y / METRES_PER_DEGREE,
    lng: ORIGIN.lng + x / (METRES_PER_DEGREE * Math.cos((ORIGIN.lat * Math.PI) / 180)),
    x,
    y,
  });
  const around = (centre: number): number => centre + SPOT_M * shrink * (draw() + draw() + draw() - 1.5);
  const spots = Array.from({ length: 3 }, () => [side * (0.2 + 0.6 * draw()), side * (0.2 + 0.6 * draw())] as const);
  const pickups = Array.from({ length: trips }, () => {
    const [x, y] = spots[Math.floor(draw() * 3)]!;
    return draw() < 0.7 ? place(around(x), around(y)) : place(side * draw(), side * draw());
  });
  const cars = Array.from({ length: drivers }, () => place(side * draw(), side * draw()));
  const metres = new Float64Array(drivers);
  return {
    rules: RULES_VERSION,
    at: NOW,
    settings: {
      freshnessMs: 60_000,
      maxEtaS: 1800,
      offers: 1,
      maxSteps: 5e8,
      weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
    },
    trips: pickups.map(({ lat, lng }, i) => ({
      tripId: `trip-${i}`,
      pickup: { lat, lng },
      vehicleClass: 'standard' as const,
      excludedDriverIds: [],
      waitingSince: NOW - Math.floor(60_000 * draw()),
    })),
    drivers: cars.map(({ lat, lng }, i) => ({
      driverId: `driver-${i}`,
      lat,
      lng,
      vehicleClass: 'standard' as const,
      recordedAt: NOW - Math.floor(5000 * draw()),
      isAvailable: true,
      idleSince: NOW - Math.floor(3_600_000 * draw()),
      speedMps: 10 * draw(),
      headingDeg: 360 * draw(),
      answered: 20,
      accepted: Math.floor(21 * draw()),
      ratings: 20,
      ratingSum: 80 + Math.floor(20 * draw()),
    })),
    sources: ['straight_line'],
    pairs: pickups.map((from) => {
      for (const [i, { x, y }] of cars.entries()) metres[i] = Math.hypot(x - from.x, y - from.y);
      return [...cars.keys()]
        .sort((a, b) => metres[a]! - metres[b]!)
        .slice(0, candidates)
        .flatMap((i, rank) => {
          const way = Math.round(metres[i]! * DETOUR);
          return [i, Math.round(way / SPEED_MPS), way, Math.floor(rank / 10), 0];
        });
    }),
    askedElsewhere: [],
  };
}

interface Answer {
  tookMs: number;
  costMs: number;
  assigned: number;
}

function ours(input: DecisionInput): Answer {
  const startedAt = performance.now();
  const { costMs, choices, greedyTrips } = decide(input);
  const tookMs = performance.now() - startedAt;
  if (greedyTrips > 0) throw new Error(`${greedyTrips} trips were not reached`);
  return { tookMs, costMs, assigned: choices.filter(({ driverIds }) => driverIds.length > 0).length };
}

/** The costs as people are shown them, so that they too are held against those that decided. */
function matrixOf(input: DecisionInput): { cost: Float64Array[]; skip: Float64Array } {
  const column = new Map(input.drivers.map(({ driverId }, i) => [driverId, i]));
  const cost = input.trips.map(({ tripId }) => {
    const row = new Float64Array(input.drivers.length).fill(Number.POSITIVE_INFINITY);
    for (const { driverId, costMs } of explain(input, tripId).ranked) row[column.get(driverId)!] = costMs;
    return row;
  });
  return { cost, skip: Float64Array.from(input.trips, (trip) => unservedCostMs(trip, NOW, input.settings.weights)) };
}

function textbook(input: DecisionInput): Answer {
  const { cost, skip } = matrixOf(input);
  const startedAt = performance.now();
  const columns = hungarian(cost, skip);
  const tookMs = performance.now() - startedAt;
  let costMs = 0;
  for (const [row, column] of columns.entries()) costMs += column < 0 ? skip[row]! : cost[row]![column]!;
  return { tookMs, costMs, assigned: columns.filter((one) => one >= 0).length };
}

function resultOf(inputs: readonly DecisionInput[], solve: (input: DecisionInput) => Answer): Result {
  const answers = inputs.map(solve);
  const times = answers.map(({ tookMs }) => tookMs);
  const sum = (value: (answer: Answer) => number): number => answers.reduce((all, one) => all + value(one), 0);
  const requested = inputs.reduce((all, { trips }) => all + trips.length, 0);
  const outbid = inputs.reduce((all, input) => all + outbidOf(input), 0);
  return {
    firstMs: times[0]!,
    medianMs: median(times),
    worstMs: Math.max(...times),
    costS: sum(({ costMs }) => costMs) / 1000,
    assigned: sum(({ assigned }) => assigned),
    requested,
    outbid,
  };
}

/** Trips whose nearest driver is the nearest of another trip too, or that have nobody left: how hard they compete. */
function outbidOf({ pairs }: DecisionInput): number {
  const seen = new Set<number>();
  return pairs.filter(([nearest]) => nearest !== undefined && seen.size === seen.add(nearest).size).length;
}

export async function assignment(context: Context): Promise<CaseResult> {
  const scale = bySize<Scale>(
    context,
    { trips: 1000, drivers: 5000, windows: 10 },
    { trips: 1000, drivers: 5000, windows: 3 },
    { trips: 60, drivers: 300, windows: 2 },
  );
  const counts = [40, 200];
  const inputs = new Map(
    counts.map((count) => [count, Array.from({ length: scale.windows }, (_, i) => windowOf(scale, count, i + 1))]),
  );
  const contenders = counts.flatMap((count) => [
    { name: `Ridestream, ${count} candidates`, run: async () => resultOf(inputs.get(count)!, ours) },
    { name: `textbook, ${count} candidates`, run: async () => resultOf(inputs.get(count)!.slice(0, 2), textbook) },
  ]);
  const results = await alternate(context, contenders);
  for (const count of counts) {
    const mine = inputs.get(count)!.slice(0, 2).map(ours);
    const theirs = results.get(`textbook, ${count} candidates`)![0]!;
    const costS = mine.reduce((all, { costMs }) => all + costMs, 0) / 1000;
    if (costS !== theirs.costS)
      throw new Error(`${count} candidates: ${costS} s is not the cheapest, ${theirs.costS} s is`);
  }
  const names = contenders.map(({ name }) => name);
  const worst = (name: string): number => Math.max(...results.get(name)!.map(({ worstMs }) => worstMs));
  return {
    title: 'Assignment in a window',
    method: [
      `A decision about ${scale.trips} trips and ${scale.drivers} drivers, as the server makes it for a window: every candidate is scored (ETA, idleness, acceptance, rating, heading) and the cheapest assignment found, without a limit of time. Seven of ten trips begin at one of three places, the drivers are all over the city. ${scale.windows} different windows; the first one meets cold code.`,
      "The textbook's method (Kuhn's with potentials, over the whole matrix, costs given) gets the first two windows: its answers cost the same, or the case fails. Its time is that of the matrix alone; ours has the scoring in it.",
    ],
    tables: [
      {
        title: '',
        columns: [
          'solver',
          'first ms',
          'median ms',
          'worst ms',
          'trips with a driver',
          'of',
          'nearest driver wanted by others',
        ],
        rows: names.map((name) => {
          const [r] = results.get(name)!;
          const times = (of: (one: Result) => number): number => median(results.get(name)!.map(of));
          return [
            name,
            times(({ firstMs }) => firstMs),
            times(({ medianMs }) => medianMs),
            worst(name),
            r!.assigned,
            r!.requested,
            r!.outbid,
          ];
        }),
      },
    ],
    plots: [],
    claims: counts.map((count) =>
      atMost(
        `worst time of a decision over ${GOAL_MS} ms, ${count} candidates a trip`,
        worst(`Ridestream, ${count} candidates`) / GOAL_MS,
        1,
      ),
    ),
    raw: Object.fromEntries(results),
  };
}
