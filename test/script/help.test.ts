/** Help is there before anything is installed, wherever the Node at hand can print it. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const root = fileURLToPath(new URL('../../', import.meta.url));
const NEEDED = [
  'script',
  'package.json',
  'sim/options.ts',
  'bench/options.ts',
  'bench/eta/options.ts',
  'sim/dispatch/options.ts',
  'test/conformance/protocol/usage.ts',
];

t.test('--help of a fresh checkout', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-help-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const name of NEEDED) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  for (const [name, words] of [
    ['demo', '--kill-at SHARE'],
    ['bench', '--hold-seconds N'],
    ['eta', '--folds N'],
    ['dispatch', '--density N'],
    ['conformance', '--token-secret KEY'],
  ] as const) {
    const { stdout, stderr } = await promisify(execFile)(join(folder, 'script', name), ['--help'], { env });
    t.match(stdout, `script/${name}`);
    t.match(stdout, words);
    t.equal(stderr, '', 'nothing was installed');
  }
});
