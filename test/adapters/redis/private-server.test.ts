/** The embedded Redis must keep its data, never outlive its owner, and fail in words an operator can act on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { redisOptions } from '../../../src/adapters/redis/connection.ts';
import {
  type PrivateRedis,
  type PrivateRedisOptions,
  startPrivateRedis,
} from '../../../src/adapters/redis/private-server.ts';
import { RideError } from '../../../src/errors.ts';

const MODULE = new URL('../../../src/adapters/redis/private-server.ts', import.meta.url).href;

/** Short, because a socket path may have 103 bytes. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'rs-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function start(t: Test, options: PrivateRedisOptions): Promise<PrivateRedis> {
  const redis = await startPrivateRedis(options);
  t.teardown(() => redis.stop());
  return redis;
}

function client(t: Test, redis: Pick<PrivateRedis, 'url'>): Redis {
  const connection = new Redis({
    ...redisOptions({ url: redis.url }),
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  // A test that ends Redis breaks the connection on purpose.
  connection.on('error', () => {});
  t.teardown(() => connection.disconnect());
  return connection;
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** An owner in a process of its own, to be killed. */
async function owner(t: Test, dataDir: string): Promise<{ kill(): Promise<void>; url: string; pid: number }> {
  const program = `
    const { startPrivateRedis } = await import(${JSON.stringify(MODULE)});
    const { url, pid } = await startPrivateRedis({ dataDir: ${JSON.stringify(dataDir)} });
    console.log(JSON.stringify({ url, pid }));
    setInterval(() => {}, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const kill = async () => {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return { ...(JSON.parse(line) as { url: string; pid: number }), kill };
}

t.test('listens on a socket only its user may use, append-only, and never drops keys', async (t) => {
  const dataDir = folder(t);
  const redis = await start(t, { dataDir });
  t.equal(redis.url, `unix://${dataDir}/redis/redis.sock`);
  t.equal(statSync(join(dataDir, 'redis/redis.sock')).mode & 0o077, 0);
  t.equal(statSync(join(dataDir, 'redis')).mode & 0o077, 0);
  const c = client(t, redis);
  t.equal(await c.ping(), 'PONG');
  const read = async (name: string) => (await c.config('GET', name)) as string[];
  t.same(await read('appendonly'), ['appendonly', 'yes']);
  t.same(await read('appendfsync'), ['appendfsync', 'everysec']);
  t.same(await read('maxmemory-policy'), ['maxmemory-policy', 'noeviction']);
});

t.test('data survives stop and start', async (t) => {
  const dataDir = folder(t);
  const first = await start(t, { dataDir });
  await client(t, first).set('kept', 'yes');
  await first.stop();
  await first.stop();
  t.notOk(isAlive(first.pid), 'ended when stop resolves');
  const second = await start(t, { dataDir });
  t.equal(await client(t, second).get('kept'), 'yes');
});

t.test('ends after kill -9 of its owner, and the next owner finds everything', async (t) => {
  const dataDir = folder(t);
  const killed = await owner(t, dataDir);
  await client(t, killed).set('written', 'before the kill');
  await killed.kill();
  const next = await start(t, { dataDir });
  t.equal(await client(t, next).get('written'), 'before the kill');
  await until(() => !isAlive(killed.pid), 'the old redis-server ends');
  t.pass('the old redis-server has ended');
});

t.test('is started again at the same address when it dies by itself', async (t) => {
  const dataDir = folder(t);
  const lines: string[] = [];
  const keep = (_facts: object, message: string) => void lines.push(message);
  const redis = await start(t, { dataDir, log: { debug() {}, info: keep, warn: keep, error: keep } });
  const { pid, url } = redis;
  const c = client(t, redis);
  await c.set('n', 1);
  process.kill(pid, 'SIGKILL');
  await until(() => lines.filter((line) => line === 'private redis is up').length === 2, 'a second start');
  t.not(redis.pid, pid);
  t.equal(redis.url, url);
  t.equal(await c.incr('n'), 2);
  t.ok(lines.includes('private redis ended by itself and is started again'));
});

t.test('a folder has one owner', async (t) => {
  const dataDir = folder(t);
  const other = await owner(t, dataDir);
  const refused = startPrivateRedis({ dataDir });
  await t.rejects(refused, {
    code: 'RIDE_UNAVAILABLE',
    message: new RegExp(`DATA_DIR: ${dataDir}/redis is in use.*process \\d+.*REDIS_URL`),
  });
  t.equal(await client(t, other).ping(), 'PONG', 'the first owner is not disturbed');
  const elsewhere = await start(t, { dataDir: folder(t) });
  await t.rejects(
    startPrivateRedis({ dataDir: join(elsewhere.url.slice('unix://'.length), '../..') }),
    /is in use/,
    'in one process too',
  );
});

t.test('a path too long for a socket: loopback with a password, and the data moves along', async (t) => {
  const dataDir = join(folder(t), 'x'.repeat(110));
  const first = await start(t, { dataDir });
  t.match(first.url, /^redis:\/\/:[0-9a-f]{48}@127\.0\.0\.1:\d+$/);
  t.equal(statSync(join(dataDir, 'redis/redis.conf')).mode & 0o077, 0, 'the password is for its user only');
  await client(t, first).set('kept', 'yes');
  const { host, port } = redisOptions({ url: first.url });
  const stranger = connect(port!, host!).setEncoding('utf8').end('GET kept\r\n');
  t.match(await once(stranger, 'data'), [/^-NOAUTH/]);
  await first.stop();
  const second = await start(t, { dataDir });
  t.equal(await client(t, second).get('kept'), 'yes');
});

t.test('odd characters in the folder are no obstacle', async (t) => {
  const dataDir = join(folder(t), 'a "b" ? #1 %20');
  const redis = await start(t, { dataDir });
  t.match(redis.url, /^unix:/);
  t.equal(await client(t, redis).ping(), 'PONG');
});

t.test('no program: one line that says what to do', async (t) => {
  const error = await startPrivateRedis({ dataDir: folder(t), binary: 'no-such-redis' }).catch(
    (e: unknown) => e as RideError,
  );
  t.type(error, RideError);
  const { message } = error as RideError;
  for (const part of [
    'no-such-redis',
    'REDIS_URL',
    'REDIS_SERVER',
    'apt-get install redis-server',
    'brew install redis',
  ]) {
    t.ok(message.includes(part), `names ${part}`);
  }
  t.notMatch(message, /\n/);
});

t.test('an old program, and one that refuses to start', async (t) => {
  const dir = folder(t);
  const program = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const old = program('old', 'echo "Redis server v=5.0.7 sha=00000000:0 malloc=jemalloc"');
  await t.rejects(startPrivateRedis({ dataDir: dir, binary: old }), /version 5\.0, Ridestream needs 6\.2/);
  const broken = program(
    'broken',
    'case $1 in --version) echo "Redis server v=7.2.0";; *) echo "Fatal error: no luck"; exit 3;; esac',
  );
  const error = /private Redis \(.*broken\) does not start in .*redis: Fatal error: no luck/;
  await t.rejects(startPrivateRedis({ dataDir: dir, binary: broken }), error);
  const redis = await start(t, { dataDir: dir });
  t.equal(await client(t, redis).ping(), 'PONG', 'a failed start leaves the folder free');
});

t.test('a folder that cannot be written is named', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), '');
  await t.rejects(startPrivateRedis({ dataDir: join(dir, 'file') }), {
    code: 'RIDE_UNAVAILABLE',
    message: /DATA_DIR: cannot create .*file/,
  });
});

t.test('a stale process id and address do not stop a start', async (t) => {
  const dataDir = folder(t);
  const foreign = createServer((socket) => socket.end());
  foreign.listen(0, '127.0.0.1');
  await once(foreign, 'listening');
  t.teardown(() => foreign.close());
  const { port } = foreign.address() as { port: number };
  mkdirSync(join(dataDir, 'redis'));
  const before = (config: string, pid: number) => {
    writeFileSync(join(dataDir, 'redis/redis.conf'), config);
    writeFileSync(join(dataDir, 'redis/redis.pid'), `${pid}\n`);
  };
  before(`bind 127.0.0.1\nport ${port}\nrequirepass old\n`, 2 ** 22 + 1);
  await (await start(t, { dataDir })).stop();
  before('port 0\nunixsocket "/nowhere/redis.sock"\n', process.pid);
  t.ok(await start(t, { dataDir }), 'both times');
});
