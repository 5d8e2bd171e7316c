/**
 * Dispatchers side by side on real requests, in virtual time:
 *
 *   node sim/dispatch.ts FILE.csv [--seeds N] [--from HOUR] [--until HOUR] [--density N] [--busy SHARE] [--window SECONDS] [--json FILE]
 *
 * FILE.csv has the columns of the NYC taxi files. Exit code 1 when a decision does not replay to the same result.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadCity } from './city/figures.ts';
import {
  type CompareOptions,
  compare,
  denser,
  fleetFor,
  margin,
  type SeedResult,
  spreadOf,
} from './dispatch/compare.ts';
import { readTripsFile, type Trip } from './trips-csv.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '5' },
    from: { type: 'string', default: '17' },
    until: { type: 'string', default: '22' },
    density: { type: 'string', default: '8' },
    busy: { type: 'string', default: '0.68' },
    window: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

function number(name: 'seeds' | 'from' | 'until' | 'density' | 'busy' | 'window', min: number): number {
  const value = Number(values[name]);
  if (value >= min) return value;
  console.error(`--${name}: "${values[name]}" is not a number of at least ${min}`);
  process.exit(2);
}

const file = positionals[0];
if (!file) {
  console.error(
    'usage: node sim/dispatch.ts FILE.csv [--seeds N] [--from HOUR] [--until HOUR] [--density N] [--json FILE]',
  );
  process.exit(2);
}
const city = loadCity();
const [from, until] = [number('from', 0), number('until', 1)];
const day: Trip[] = [];
for await (const { trip } of readTripsFile(file, city)) {
  if (!trip) continue;
  const hour = Number(
    new Date(trip.atMs).toLocaleString('en-GB', { timeZone: 'America/New_York', hour: '2-digit', hour12: false }),
  );
  if (hour >= from && hour < until) day.push(trip);
}
day.sort((a, b) => a.atMs - b.atMs || a.row - b.row);
const trips = denser(day, number('density', 1));
const options: CompareOptions = {
  speedMps: 6,
  detourFactor: 1.35,
  patienceMs: 600_000,
  // Nine of ten requests are made with each seed.
  drivers: Math.ceil(0.9 * fleetFor(trips, number('busy', 0.01), 150)),
  windowMs: 1000 * number('window', 1),
  horizonMs: 600_000,
  candidates: 40,
  weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
};
console.log(
  `${trips.length} requests of ${from} to ${until} h, ${values.density} times as dense; ${options.drivers} drivers; windows of ${values.window} s`,
);
const results: SeedResult[] = [];
for (let seed = 1; seed <= number('seeds', 1); seed++) {
  const startedAt = performance.now();
  const result = compare(trips, seed, options);
  results.push(result);
  const took = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(
    `seed ${seed} (${took} s): ${result.decisions} decisions, ${result.replayedWrong} replayed to another result`,
  );
}
const names = results[0]!.rows.map(({ name }) => name);
const figures = ['meanEtaS', 'meanWaitS', 'p90WaitS', 'servedShare', 'utilisation'] as const;
const summary = names.map((name) => {
  const rows = results.map(({ rows }) => rows.find((row) => row.name === name)!);
  return { name, ...Object.fromEntries(figures.map((figure) => [figure, spreadOf(rows.map((row) => row[figure]))])) };
});
const text = ({ mean, deviation }: { mean: number; deviation: number }, digits = 1): string =>
  `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
for (const row of summary as unknown as ({ name: string } & Record<
  (typeof figures)[number],
  ReturnType<typeof spreadOf>
>)[]) {
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
if (values.json) writeFileSync(values.json, `${JSON.stringify({ options, summary, margins, results }, null, 2)}\n`);
process.exit(results.some(({ replayedWrong }) => replayedWrong > 0) ? 1 : 0);
