/**
 * Runs tap, prints a line for each test file and the whole of each failure, and closes with exactly one line
 * `N passed, N failed[, N skipped]`, for people and for CI alike. Exits 1 when anything failed or nothing ran.
 *
 *   node script/run-tests.ts CHECKS_PASSED CHECKS_FAILED [FILE…]     checks: what script/test ran before (types, lint)
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { inspect } from 'node:util';
import type { Result } from 'tap-parser';
import { countTap } from './tap-count.ts';

const [checksPassed, checksFailed] = process.argv.slice(2, 4).map(Number);
if (!Number.isInteger(checksPassed) || !Number.isInteger(checksFailed)) {
  console.error('usage: run-tests.ts CHECKS_PASSED CHECKS_FAILED [FILE…]');
  process.exit(2);
}

/** Where it failed and why; the rest of a diagnostic repeats the command line. */
const TOLD = ['error', 'message', 'diff', 'found', 'wanted', 'expired', 'exitCode', 'signal', 'stack'];

function describe(point: Result): string {
  const lines = [`not ok - ${point.fullname}`];
  for (const key of TOLD) {
    const value: unknown = point.diag?.[key];
    if (value === undefined || value === null) continue;
    const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6, breakLength: 100 });
    lines.push(`    ${key}: ${text.replaceAll('\n', '\n      ')}`);
  }
  const at = point.diag?.at as { fileName?: string; lineNumber?: number } | undefined;
  if (at?.fileName) lines.push(`    at: ${at.fileName}:${at.lineNumber}`);
  return lines.join('\n');
}

const { parser, totals } = countTap({
  onBailOut: (reason) => console.log(`not ok - bail out: ${reason}`),
  onFailure: (point) => console.log(describe(point)),
  onFile: (point) => console.log(`${point.ok ? 'ok' : 'NOT OK'} ${point.name} ${Math.round(point.time ?? 0)} ms`),
});
const options = ['run', '--disable-coverage', '--reporter=tap', ...process.argv.slice(4)];
const runner = spawn('tap', options, { stdio: ['ignore', 'pipe', 'inherit'] });
runner.stdout.pipe(parser);
const [status, signal] = (await once(runner, 'close')) as [number | null, string | null];
const { passed, failed, skipped } = await totals;

const problems: string[] = [];
if (passed + failed === 0) problems.push('no test ran');
// A runner that gave up without a failed test point: a crash, a signal, a file it could not load.
else if (status !== 0 && failed === 0) problems.push(`the test runner ended with ${signal ?? `status ${status}`}`);

for (const name of skipped) console.log(`skipped: ${name}`);
for (const problem of problems) console.log(`not ok - ${problem}`);
const failures = failed + checksFailed! + problems.length;
console.log(
  `${passed + checksPassed!} passed, ${failures} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`,
);
process.exitCode = failures > 0 ? 1 : 0;
