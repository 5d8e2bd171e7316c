/** script/bootstrap in a fresh checkout, with an npm that installs what the test wants: who comes second waits, and nothing is done twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../until.ts';

const root = new URL('../../', import.meta.url);

/** Says that it began, waits to be let go, and leaves what bootstrap looks for. `npm` runs it, so each line is one install. */
const NPM = `#!/bin/sh
echo "$$" >> began
until [ -e go ]; do sleep 0.05; done
mkdir -p node_modules/node/bin node_modules/.bin
printf '#!/bin/sh\\n' | tee node_modules/node/bin/node > node_modules/.bin/tap
chmod +x node_modules/node/bin/node node_modules/.bin/tap
touch node_modules/.package-lock.json
`;

interface Run {
  child: ChildProcess;
  stderr(): string;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

async function checkout(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-bootstrap-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const at = (path: string): string => join(folder, path);
  await Promise.all(['script', 'tools'].map((name) => mkdir(at(name))));
  for (const name of ['bootstrap', 'lib.sh']) await copyFile(new URL(`script/${name}`, root), at(`script/${name}`));
  for (const name of ['package-lock.json', '.taprc']) await writeFile(at(name), '');
  await writeFile(at('tools/npm'), NPM);
  await chmod(at('tools/npm'), 0o755);

  function run(): Run {
    const env = { PATH: `${at('tools')}:${process.env.PATH}`, REDIS_URL: 'redis://127.0.0.1' };
    const child = spawn(at('script/bootstrap'), [], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
    t.teardown(() => child.kill('SIGKILL'));
    return { child, stderr: () => stderr, ended };
  }
  return {
    at,
    run,
    installs: async () => (await readFile(at('began'), 'utf8').catch(() => '')).split('\n').filter(Boolean).length,
    letGo: () => writeFile(at('go'), ''),
    isLocked: () =>
      lstat(at('.bootstrap.lock')).then(
        () => true,
        () => false,
      ),
  };
}

t.test('of two at once, one installs and the other waits', async (t) => {
  const c = await checkout(t);
  const first = c.run();
  await until(async () => (await c.installs()) === 1, 'the first to install');
  const second = c.run();
  await until(() => second.stderr() !== '', 'the second to say that it waits');
  t.match(second.stderr(), `Waiting for the script/bootstrap of process ${first.child.pid} `);
  t.equal(second.child.exitCode, null);
  await c.letGo();
  t.same(await Promise.all([first.ended, second.ended]), [0, 0]);
  t.equal(await c.installs(), 1, 'once');
  t.notOk(await c.isLocked(), 'and the lock is gone');
  const third = c.run();
  t.equal(await third.ended, 0);
  t.equal(third.stderr(), '', 'quiet when there is nothing to do');
});

t.test('many at once', async (t) => {
  const c = await checkout(t);
  await c.letGo();
  // Left by a process that is no more.
  const dead = spawn('true');
  await once(dead, 'close');
  await symlink(String(dead.pid), c.at('.bootstrap.lock'));
  const runs = Array.from({ length: 6 }, () => c.run());
  t.same(await Promise.all(runs.map((run) => run.ended)), [0, 0, 0, 0, 0, 0]);
  t.equal(await c.installs(), 1, 'the lock of a dead process is taken over, by one');
  t.notOk(await c.isLocked());
});

t.test('who is ended leaves no lock', async (t) => {
  const c = await checkout(t);
  const ended = c.run();
  await until(async () => (await c.installs()) === 1, 'it to install');
  t.ok(await c.isLocked());
  ended.child.kill('SIGTERM');
  await c.letGo();
  t.equal(await ended.ended, 143, 'when its npm has ended');
  t.notOk(await c.isLocked());
  t.equal(await c.run().ended, 0, 'the next one goes on');
});

t.test('who fails leaves no lock', async (t) => {
  const c = await checkout(t);
  await writeFile(c.at('tools/npm'), '#!/bin/sh\nexit 3\n');
  const failed = c.run();
  t.equal(await failed.ended, 3);
  t.notOk(await c.isLocked());
});
