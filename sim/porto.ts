/**
 * Replays real GPS traces and measures how soon an acknowledged position can be read from another node:
 *
 *   node sim/porto.ts FILE.csv [--speed N] [--drivers N] [--traces N] [--json FILE]
 *
 * FILE.csv has the columns of the Porto taxi traces. Exit code 1 when any acknowledged position was not readable.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { replayTraces } from './porto/replay-traces.ts';
import { readTraces } from './porto/traces.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    speed: { type: 'string', default: '60' },
    drivers: { type: 'string', default: '80' },
    traces: { type: 'string', default: '100000' },
    json: { type: 'string' },
  },
});

function atLeast(name: 'speed' | 'drivers' | 'traces', min: number): number {
  const value = Number(values[name]);
  if (value >= min) return value;
  console.error(`--${name}: "${values[name]}" is not a number of at least ${min}`);
  process.exit(2);
}

const file = positionals[0];
if (!file) {
  console.error('usage: node sim/porto.ts FILE.csv [--speed N] [--drivers N] [--traces N] [--json FILE]');
  process.exit(2);
}
const options = { speed: atLeast('speed', 0.1), drivers: atLeast('drivers', 3), seed: 1 };
const { traces, refusals } = await readTraces(file, atLeast('traces', 1));
const points = traces.reduce((sum, trace) => sum + trace.points.length, 0);
console.log(
  `${traces.length} traces with ${points} points, ${refusals.length} refused; ${options.drivers} drivers at ${options.speed} times life`,
);
for (const { row, field, reason } of refusals.slice(0, 10)) console.log(`  row ${row}: ${field}: ${reason}`);

const result = await replayTraces(traces, options, (completed, read) => {
  console.log(`${completed}/${traces.length} traces driven, ${read}/${points} positions read on the other node`);
});
const delays = result.delaysMs.toSorted((a, b) => a - b);
const at = (q: number) => delays[Math.min(delays.length - 1, Math.floor(q * delays.length))] ?? Number.NaN;
const within100 = delays.filter((ms) => ms <= 100).length / (delays.length + result.wrong.length);
const summary = {
  traces: traces.length,
  completed: result.completed,
  refused: refusals.length,
  positions_acked: delays.length + result.wrong.length,
  positions_read_right: delays.length,
  first_read_was_older: result.late,
  never_read_right: result.wrong.length,
  ack_to_right_read_ms: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
  share_within_100_ms: within100,
  took_s: Math.round(result.tookMs / 1000),
  problems: result.problems.length,
};
console.log(JSON.stringify(summary, null, 2));
for (const text of [...result.wrong, ...result.problems].slice(0, 20)) console.log(`! ${text}`);
if (values.json) writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`);
const isWhole = result.wrong.length === 0 && result.problems.length === 0 && result.completed === traces.length;
process.exit(isWhole ? 0 : 1);
