/** The same requests under each dispatcher, over several seeds, and what the figures say side by side. */
import { type DecisionInput, decide, type Weights } from '../../src/domain/dispatch/rules.ts';
import type { Point } from '../geo.ts';
import { createDraw } from '../random.ts';
import type { Trip } from '../trips-csv.ts';
import { clairvoyant, nearest, ours, windowBatch } from './dispatchers.ts';
import { type CityOptions, type Dispatcher, live, type Result } from './engine.ts';

export interface CompareOptions extends CityOptions {
  drivers: number;
  /** Of the server's own decisions. */
  windowMs: number;
  /** Of the solvers that ours is held against; the best of them counts. */
  batchWindowsMs: readonly number[];
  horizonMs: number;
  candidates: number;
  weights: Weights;
}

export interface Row {
  name: string;
  meanEtaS: number;
  meanWaitS: number;
  p90WaitS: number;
  servedShare: number;
  utilisation: number;
}

export interface SeedResult {
  seed: number;
  rows: Row[];
  /** The window batches of all lengths; the best of them is among the rows. */
  batches: (Row & { windowMs: number })[];
  decisions: number;
  /** Decisions whose stored input gave another result. */
  replayedWrong: number;
}

/** Who knows what comes need not look as often; his plans are large. */
const CLAIRVOYANT_EVERY_MS = 15_000;

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

function rowOf(result: Result): Row {
  const waits = result.waitS.toSorted((a, b) => a - b);
  return {
    name: result.name,
    meanEtaS: mean(result.etaS),
    meanWaitS: mean(waits),
    p90WaitS: waits[Math.floor(0.9 * waits.length)] ?? Number.NaN,
    servedShare: result.served / result.requests,
    utilisation: result.utilisation,
  };
}

/** Requests as dense as `density` samples of the day laid over each other: the file holds a small part of the city's trips. */
export function denser(trips: readonly Trip[], density: number): Trip[] {
  const startMs = trips[0]?.atMs ?? 0;
  return trips.map((trip) => ({ ...trip, atMs: startMs + Math.round((trip.atMs - startMs) / density) }));
}

const startsOf = (trips: readonly Trip[], drivers: number, draw: () => number): Point[] =>
  Array.from({ length: drivers }, () => trips[Math.floor(draw() * trips.length)]!.pickup);

/** Nine of ten requests, so that seeds differ in more than where drivers stand at first. */
const someOf = (trips: readonly Trip[], draw: () => number): Trip[] => trips.filter(() => draw() < 0.9);

/** The smallest fleet that a window batch keeps busy for at most `share` of its time with what one seed requests. */
export function fleetFor(all: readonly Trip[], share: number, city: CityOptions, windowMs: number): number {
  const draw = createDraw('fleet');
  const trips = someOf(all, draw);
  const starts = startsOf(all, trips.length, draw);
  let low = 1;
  let high = trips.length;
  while (low < high) {
    const drivers = Math.floor((low + high) / 2);
    if (live(windowBatch(windowMs), trips, starts.slice(0, drivers), city).utilisation > share) low = drivers + 1;
    else high = drivers;
  }
  return low;
}

/** One seed: where the drivers begin, which of the requests are made. */
export function compare(all: readonly Trip[], seed: number, options: CompareOptions): SeedResult {
  const draw = createDraw('dispatch', seed);
  const starts = startsOf(all, options.drivers, draw);
  const trips = someOf(all, draw);
  let decisions = 0;
  let replayedWrong = 0;
  const onDecision = (input: DecisionInput, result: string): void => {
    decisions++;
    const stored = JSON.parse(JSON.stringify(input)) as DecisionInput;
    if (JSON.stringify(decide(stored)) !== result) replayedWrong++;
  };
  const { windowMs: everyMs, candidates, weights } = options;
  const run = (dispatcher: Dispatcher): Row => rowOf(live(dispatcher, trips, starts, options));
  const batches = options.batchWindowsMs.map((ms) => ({ ...run(windowBatch(ms)), windowMs: ms }));
  const best = batches.reduce((a, b) => (b.meanEtaS < a.meanEtaS ? b : a));
  const rows = [
    run(nearest()),
    run(ours({ everyMs, candidates, weights, onDecision })),
    best,
    run(clairvoyant(CLAIRVOYANT_EVERY_MS, options.horizonMs)),
  ];
  return { seed, rows, batches, decisions, replayedWrong };
}

export interface Spread {
  mean: number;
  /** Standard deviation over the seeds. */
  deviation: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const centre = mean(values);
  const square = values.reduce((sum, one) => sum + (one - centre) ** 2, 0);
  return { mean: centre, deviation: Math.sqrt(square / Math.max(1, values.length - 1)) };
}

/** Seed by seed: one dispatcher's figure over another's, less one. */
export function margin(
  results: readonly SeedResult[],
  of: string,
  over: string,
  figure: 'meanEtaS' | 'meanWaitS',
): Spread {
  const at = (result: SeedResult, name: string) => result.rows.find((row) => row.name === name)![figure];
  return spreadOf(results.map((result) => at(result, of) / at(result, over) - 1));
}
