/** Whoever ends Redis and waits for its end lives until then, though Redis keeps nobody alive otherwise. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';

const MODULE = new URL('../../../src/adapters/redis/watched-process.ts', import.meta.url).href;

/** Ends at once when it is told to, and leaves somebody behind who holds its output a moment longer. */
const PROGRAM = `#!/bin/sh
trap 'sleep 1 & exit 0' TERM
echo up
while :; do sleep 0.05; done
`;

t.test('a process that has nothing else to do waits for the last of what Redis says', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rs-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'redis');
  writeFileSync(program, PROGRAM, { mode: 0o700 });
  const owner = `
    import { WatchedProcess } from '${MODULE}';
    const isUp = Promise.withResolvers();
    const timer = setTimeout(() => {}, 60_000);
    const redis = new WatchedProcess(${JSON.stringify(program)}, '', (line) => line === 'up' && isUp.resolve());
    await isUp.promise;
    clearTimeout(timer);
    redis.close().then(() => console.log('closed'));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', owner], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  const [code] = await once(child, 'close');
  t.equal(out, 'closed\n');
  t.equal(code, 0);
});
