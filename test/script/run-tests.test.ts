/** The closing line of script/test is what people and CI believe: no failure may hide from the count behind it. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { countTap, type TapTotals } from '../../script/tap-count.ts';

const PROGRAM = new URL('../../script/run-tests.ts', import.meta.url).pathname;

function count(tap: string): Promise<TapTotals> {
  const { parser, totals } = countTap();
  parser.end(`TAP version 14\n${tap}`);
  return totals;
}

/** Runs script/run-tests.ts on a runner that prints `tap` and exits with `status`. */
function closing(t: Test, tap: string, status: number | string, checksPassed: number, checksFailed: number) {
  const folder = t.testdir({ 'run.tap': `TAP version 14\n${tap}` });
  const end = typeof status === 'number' ? `exit ${status}` : `kill -s ${status} $$`;
  writeFileSync(join(folder, 'tap'), `#!/bin/sh\ncat '${folder}/run.tap'\n${end}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const result = spawnSync(process.execPath, [PROGRAM, `${checksPassed}`, `${checksFailed}`], {
    encoding: 'utf8',
    env,
  });
  return { lines: result.stdout.trimEnd().split('\n'), status: result.status };
}

const GREEN = `
# Subtest: test/a.test.ts
    # Subtest: one
        ok 1 - a
        ok 2 - b
        1..2
    ok 1 - one
    ok 2 - two # SKIP no mongod
    ok 3 - three # TODO later
    ok 4 - c
    1..4
ok 1 - test/a.test.ts
ok 2 - test/b.test.ts {
    ok 1 - d
    1..1
}
1..2
`;

t.test('counts leaves, plain and buffered, and names what was skipped', async (t) => {
  t.same(await count(GREEN), {
    passed: 4,
    failed: 0,
    skipped: ['test/a.test.ts > two (no mongod)', 'test/a.test.ts > three (later)'],
  });
});

t.test('a failed point counts once, not again for each level above it', async (t) => {
  const tap = `
# Subtest: f
    # Subtest: one
        ok 1 - a
        not ok 2 - b
        1..2
    not ok 1 - one
    1..1
not ok 1 - f
1..1
`;
  t.same(await count(tap), { passed: 1, failed: 1, skipped: [] });
});

t.test('failures without a failed point of their own still count', async (t) => {
  const crash = '# Subtest: f\n    ok 1 - a\n    1..1\nnot ok 1 - f # exit 1\n1..1\n';
  t.same(await count(crash), { passed: 1, failed: 1, skipped: [] }, 'a file that exits with an error');
  const empty = '# Subtest: f\n    1..0 # no tests found\nnot ok 1 - f\n1..1\n';
  t.same(await count(empty), { passed: 0, failed: 1, skipped: [] }, 'a file without tests');
  const calm = '# Subtest: f\n    1..0 # no tests found\nok 1 - f # SKIP no tests found\n1..1\n';
  t.same(await count(calm), { passed: 0, failed: 1, skipped: [] }, 'the same, which tap calls a skip');
  t.match(await count('ok 1 - a\n1..3\n'), { passed: 1, failed: 1 }, 'a plan that was not kept');
  t.match(await count('ok 1 - a\nBail out! no disk\n'), { passed: 1, failed: 1 }, 'a bail-out');
  t.match(await count('# Subtest: f\n    ok 1 - a\n'), { failed: 1 }, 'TAP that was cut off');
  const two = 'not ok 1 - a\n# Subtest: f\n    ok 1 - b\n    1..1\nnot ok 2 - f\n1..2\n';
  t.match(await count(two), { passed: 1, failed: 2 }, 'a crash beside a failed point');
});

t.test('a file that skips itself whole is one skip', async (t) => {
  const tap = '# Subtest: f\n    1..0 # SKIP no chromium\nok 1 - f # SKIP no chromium\n1..1\n';
  t.same(await count(tap), { passed: 0, failed: 0, skipped: ['f (no chromium)'] });
});

t.test('one closing line, and an exit status that tells', async (t) => {
  const green = closing(t, GREEN, 0, 3, 0);
  t.same(green.lines, [
    'ok test/a.test.ts 0 ms',
    'ok test/b.test.ts 0 ms',
    'skipped: test/a.test.ts > two (no mongod)',
    'skipped: test/a.test.ts > three (later)',
    '7 passed, 0 failed, 2 skipped',
  ]);
  t.equal(green.status, 0);
  const last = (...args: Parameters<typeof closing>) => {
    const { lines, status } = closing(...args);
    return [...lines.slice(-1), status];
  };
  t.same(last(t, GREEN, 0, 2, 1), ['6 passed, 1 failed, 2 skipped', 1], 'a failed check');
  t.same(last(t, 'not ok 1 - a\n1..1\n', 1, 3, 0), ['3 passed, 1 failed', 1], 'a failed test');
  t.same(last(t, GREEN, 'KILL', 0, 0), ['4 passed, 1 failed, 2 skipped', 1], 'a runner that was killed');
  t.same(last(t, '1..0\n', 0, 3, 0), ['3 passed, 1 failed', 1], 'no tests');
  t.same(last(t, '', 1, 3, 0), ['3 passed, 1 failed', 1], 'no TAP at all');
});

t.test('a failure is told whole', async (t) => {
  const tap =
    'not ok 1 - a\n  ---\n  diff: |\n    -1\n    +2\n  at:\n    fileName: x.ts\n    lineNumber: 7\n  ...\n1..1\n';
  t.equal(closing(t, 'ok 1 - a\nBail out! no disk\n', 1, 0, 0).lines[1], 'not ok - bail out: no disk');
  const { lines } = closing(t, tap, 1, 0, 0);
  t.same(lines.slice(0, 4), ['not ok - a', '    diff: -1', '      +2', '    at: x.ts:7']);
});
