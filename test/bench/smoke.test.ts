/** The benches run: every case on the real server at the smallest scale, with a report at the end. No figure is judged. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { CaseRecord } from '../../bench/report/markdown.ts';

interface Results {
  cases: Record<string, CaseRecord>;
}

// Every case starts servers and peers, one after the other.
t.setTimeout(240_000);

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

t.test('every case measures the real server and its peers', async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'ridestream-bench-test-'));
  t.after(() => rm(out, { recursive: true, force: true }));
  await run(process.execPath, [main, '--tiny', '--out', out]);
  const report = await readFile(join(out, 'benchmarks.md'), 'utf8');
  const { cases } = JSON.parse(await readFile(join(out, 'benchmarks/results.json'), 'utf8')) as Results;
  t.same(Object.keys(cases), [
    'fanout',
    'topics',
    'nodes',
    'grpc',
    'broadcast',
    'rest',
    'trips',
    'nearby',
    'assignment',
    'ingest',
    'memory',
    'sessions',
    'chaos',
  ]);
  for (const [name, { result, size }] of Object.entries(cases)) {
    t.equal(size, 'tiny');
    t.ok(result.claims.length > 0, `${name} has ratios`);
    t.match(report, `## ${result.title}`);
    for (const { title, columns, rows } of result.tables) {
      t.ok(rows.length > 1, `${name} ${title}: ours and a peer's`);
      for (const row of rows) t.equal(row.length, columns.length, `${name} ${title}: ${row[0]}`);
    }
    for (const { file } of result.plots) {
      t.match(await readFile(join(out, `benchmarks/${file}.svg`), 'utf8'), /^<svg .*<\/svg>\s*$/s);
    }
  }
});

t.test('an unknown case is refused by name', async (t) => {
  await t.rejects(run(process.execPath, [main, 'nothing']), { code: 2, stderr: /there is no case nothing/ });
});
