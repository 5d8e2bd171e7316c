/** What keeps a server from starting is said in a line that names it, ends the process, and leaves nothing open behind in one that goes on. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { lockFolder } from '../src/adapters/system/folder-lock.ts';
import { buildApp } from '../src/app.ts';
import { loadConfig } from '../src/config.ts';
import { startRedis } from './servers/redis.ts';
import { until } from './until.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'rs-start-'));
t.after(() => rm(folder, { recursive: true, force: true }));
const file = join(folder, 'a-file');
await writeFile(file, 'no folder, no database and no map');
const { url: REDIS_URL } = await startRedis(t);
const other = createServer().listen(0, '127.0.0.1');
await once(other, 'listening');
t.after(() => other.close());
const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
/** A port of the system's own: no other test can have it meanwhile. */
const nobody = '127.0.0.1:1';

const settings = {
  REDIS_URL,
  HTTP_LISTEN_ADDR: ':0',
  GRPC_LISTEN_ADDR: ':0',
  METRICS_LISTEN_ADDR: ':0',
  LOG_LEVEL: 'silent',
  DATA_DIR: join(folder, 'data'),
  DRAIN_JITTER: '0s',
};
const sink = { PERSISTENCE_SINK: 'pulsar', PULSAR_URL: `ws://${nobody}` };

t.test('a process says what is wrong, and ends with exit code 1', async (t) => {
  const cases: [wrong: Record<string, string>, said: RegExp][] = [
    [{ HTTP_LISTEN_ADDR: taken }, /^ridestream: HTTP_LISTEN_ADDR: \S+ is in use by another program\n$/],
    [{ REDIS_URL: '', DATA_DIR: file }, /^ridestream: DATA_DIR: cannot create \S+a-file\/redis \(.+\)\n$/],
    [{ SQLITE_FILE: file }, /^ridestream: \S+a-file: SQLite: file is not a database\n$/],
    [
      { REDIS_URL: `redis://me:secret@${nobody}` },
      /^ridestream: REDIS_URL: no Redis at redis:\/\/127\.0\.0\.1:\d+ \(connect ECONNREFUSED .+\)\n$/,
    ],
  ];
  await Promise.all(
    cases.map(async ([wrong, said], n) => {
      const env = { PATH: process.env.PATH, ...settings, DATA_DIR: join(folder, `of-${n}`), ...wrong };
      const { promise, resolve } = Promise.withResolvers<{ code: unknown; stderr: string }>();
      execFile(process.execPath, [MAIN], { env }, (error, _, stderr) => resolve({ code: error?.code, stderr }));
      const { code, stderr } = await promise;
      t.equal(code, 1, `${Object.keys(wrong)}`);
      t.match(stderr, said);
    }),
  );
});

/** How many sockets, timers, threads and open files this process waits for, by kind. */
function active(): Record<string, number> {
  const kinds = Map.groupBy(process.getActiveResourcesInfo(), (kind) => kind);
  return Object.fromEntries([...kinds].map(([kind, all]) => [kind, all.length]));
}

t.test('a server that cannot be built or does not listen leaves nothing open', async (t) => {
  const kafka = { PERSISTENCE_SINK: 'kafka', KAFKA_BROKERS: nobody, KAFKA_TLS: 'on', KAFKA_TLS_CA_FILE: file };
  const cases: [wrong: Record<string, string>, said: RegExp][] = [
    [{ ...sink, DATA_DIR: file }, /^DATA_DIR: cannot keep events in \S+spool /],
    [kafka, /^TLS to Kafka: \S+a-file: /],
    [{ ...sink, MAP_BASEMAP: file }, /^The base map \S+ is not JSON/],
    [{ ...sink, SQLITE_FILE: folder }, /unable to open database file$/],
    [{ ...sink, GRPC_LISTEN_ADDR: taken }, /EADDRINUSE/],
    [{ ...sink, METRICS_LISTEN_ADDR: taken }, /EADDRINUSE/],
  ];
  const before = active();
  /** What there is more of than before. */
  const left = () => Object.entries(active()).filter(([kind, count]) => count > (before[kind] ?? 0));
  for (const [wrong, said] of cases) {
    const config = { ...loadConfig({ ...settings, ...wrong }), redisUrl: REDIS_URL, nodeId: 'failing' };
    const fail = async () => (await buildApp({ config })).listen();
    await t.rejects(fail(), { message: said }, `${Object.keys(wrong)}`);
    await until(() => left().length === 0, `nothing to be left of ${Object.keys(wrong)}`).catch((error: unknown) =>
      t.fail(`${error}: ${left()}`),
    );
    if (wrong.DATA_DIR !== undefined || wrong.PERSISTENCE_SINK === 'kafka') continue;
    t.doesNotThrow(() => lockFolder(join(settings.DATA_DIR, 'spool', '0')).release(), 'the spool is free');
  }
});
t.end();
