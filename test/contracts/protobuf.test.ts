/** The contract may grow and never break: buf holds it against proto/baseline.json, which script/contracts renews only after that. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function buf(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(join(ROOT, 'node_modules/.bin/buf'), args, { cwd });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  return { code, output };
}

/** A copy of the contract with one change. */
async function changed(t: Test, file: string, from: string | RegExp, to: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'ridestream-proto-'));
  t.after(() => rm(copy, { recursive: true, force: true }));
  await cp(join(ROOT, 'proto'), join(copy, 'proto'), { recursive: true });
  await cp(join(ROOT, 'buf.yaml'), join(copy, 'buf.yaml'));
  const path = join(copy, 'proto/ride/v1', file);
  const before = await readFile(path, 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${from} is not in ${file}`);
  await writeFile(path, after);
  return copy;
}

const breaking = (cwd: string) => buf(cwd, 'breaking', '--against', 'proto/baseline.json');

t.test('the contract breaks nothing that was there before', async (t) => {
  t.same(await breaking(ROOT), { code: 0, output: '' });
});

t.test('what was once there can neither go nor change its number, type or name', async (t) => {
  const breaks: [string, string | RegExp, string][] = [
    ['ride.proto', /\n {2}string reason = 8;/, ''],
    ['ride.proto', 'string rider_id = 10;', 'string rider_id = 11;'],
    ['ride.proto', 'string rider_id = 10;', 'bytes rider_id = 10;'],
    ['events.proto', 'string source = 5;', 'string origin = 5;'],
    ['events.proto', 'ChatMessage chat_message = 22;', 'ChatMessage chat_message = 40;'],
  ];
  for (const [file, from, to] of breaks) {
    const { code, output } = await breaking(await changed(t, file, from, to));
    t.equal(code, 100, `${from} → ${to}`);
    t.match(output, file);
  }
});

t.test('a new field breaks nothing', async (t) => {
  const copy = await changed(t, 'events.proto', 'uint64 seq = 6;', 'uint64 seq = 6;\n  // New.\n  string tenant = 7;');
  t.same(await breaking(copy), { code: 0, output: '' });
});
t.end();
