/** Dispatchers side by side on real requests, in virtual time: see dispatch/options.ts. */
import { writeFileSync } from 'node:fs';
import { loadCity } from './city/figures.ts';
import {
  type CompareOptions,
  compare,
  denser,
  fleetFor,
  margin,
  type Row,
  type SeedResult,
  type Spread,
  spreadOf,
} from './dispatch/compare.ts';
import type { CityOptions } from './dispatch/engine.ts';
import { type Options, parseOptions, usage } from './dispatch/options.ts';
import { readTripsFile, type Trip } from './trips-csv.ts';

function chosen(): Options {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options) return options;
    console.log(usage());
    process.exit(0);
  } catch (error) {
    console.error(`script/dispatch: ${(error as Error).message}\n\n${usage()}`);
    process.exit(2);
  }
}

async function requestsOf({ file, from, until }: Options): Promise<Trip[]> {
  const trips: Trip[] = [];
  for await (const { trip } of readTripsFile(file, loadCity())) {
    if (!trip) continue;
    const clock = { timeZone: 'America/New_York', hour: '2-digit', hour12: false } as const;
    const hour = Number(new Date(trip.atMs).toLocaleString('en-GB', clock));
    if (hour >= from && hour < until) trips.push(trip);
  }
  return trips.sort((a, b) => a.atMs - b.atMs || a.row - b.row);
}

const asked = chosen();
const trips = denser(await requestsOf(asked), asked.density);
const windowMs = 1000 * asked.windowS;
const streets: CityOptions = { speedMps: 6, detourFactor: 1.35, patienceMs: 600_000 };
const options: CompareOptions = {
  ...streets,
  drivers: fleetFor(trips, asked.busy, streets, windowMs),
  windowMs,
  batchWindowsMs: [5000, 10_000, 20_000, 30_000],
  horizonMs: 600_000,
  candidates: 40,
  weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
};
console.log(
  `${trips.length} requests of ${asked.from} to ${asked.until} h, ${asked.density} times as dense, nine of ten for each seed; ` +
    `${options.drivers} drivers; windows of ${asked.windowS} s`,
);
const results: SeedResult[] = [];
for (let seed = 1; seed <= asked.seeds; seed++) {
  const startedAt = performance.now();
  const result = compare(trips, seed, options);
  results.push(result);
  const took = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(
    `seed ${seed} (${took} s): ${result.decisions} decisions, ${result.replayedWrong} replayed to another result`,
  );
}
const figures = ['meanEtaS', 'meanWaitS', 'p90WaitS', 'servedShare', 'utilisation'] as const;
type Summary = { name: string } & Record<(typeof figures)[number], Spread>;
const summaryOf = (name: string, rows: readonly Row[]): Summary => ({
  name,
  ...(Object.fromEntries(figures.map((figure) => [figure, spreadOf(rows.map((row) => row[figure]))])) as Record<
    (typeof figures)[number],
    Spread
  >),
});
const summary = [
  ...results[0]!.rows.map(({ name }, i) =>
    summaryOf(
      name,
      results.map(({ rows }) => rows[i]!),
    ),
  ),
  ...options.batchWindowsMs.map((ms, i) =>
    summaryOf(
      `batch of ${ms / 1000} s`,
      results.map(({ batches }) => batches[i]!),
    ),
  ),
];
const text = ({ mean, deviation }: Spread, digits = 1): string =>
  `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
for (const row of summary) {
  console.log(
    `${row.name.padEnd(18)} ETA ${text(row.meanEtaS)} s, wait ${text(row.meanWaitS)} s (p90 ${text(row.p90WaitS, 0)}), ` +
      `served ${text(row.servedShare, 4)}, busy ${text(row.utilisation, 3)}`,
  );
}
const margins = {
  eta_over_nearest: margin(results, 'ours', 'nearest driver', 'meanEtaS'),
  wait_over_nearest: margin(results, 'ours', 'nearest driver', 'meanWaitS'),
  eta_over_best_batch: margin(results, 'ours', 'best window batch', 'meanEtaS'),
  wait_over_clairvoyant: margin(results, 'ours', 'clairvoyant', 'meanWaitS'),
};
for (const [name, { mean, deviation }] of Object.entries(margins))
  console.log(`${name}: ${(100 * mean).toFixed(1)} % ± ${(100 * deviation).toFixed(1)}`);
if (asked.json) writeFileSync(asked.json, `${JSON.stringify({ options, summary, margins, results }, null, 2)}\n`);
process.exit(results.some(({ replayedWrong }) => replayedWrong > 0) ? 1 : 0);
