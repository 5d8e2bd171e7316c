/**
 * A MongoDB for tests: the one that MONGODB_URL names, else the Java stand-in (mongo-stand-in/), built once a machine.
 * The stand-in is not durable and has no replica set; what only a real mongod can show asks `real` first. A suite that runs on
 * a stand-in as a whole (on-mongodb.ts) says so by MONGODB_STAND_IN, and tests of MongoDB itself then start one of their own.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../sim/free-port.ts';
import { end, findProgram, keepServer, startUntil, type TestScope } from './process.ts';

export interface MongoServer {
  /** Without a database name. */
  url: string;
  /** Whether a real mongod answers, not the stand-in. */
  real: boolean;
  /** A name that nothing has used; the database is dropped after the test. */
  freshDatabase(): string;
  /** kill -9; only of the stand-in. */
  kill(): Promise<void>;
  /**
   * Starts the stand-in again on the same port, stopping it first if it runs. It keeps its data if it was started
   * `durable`.
   */
  restart(): Promise<void>;
}

export interface MongoOptions {
  /** Let the stand-in keep its data in a file over an orderly restart. */
  durable?: boolean;
}

const SOURCES = new URL('./mongo-stand-in/', import.meta.url).pathname;
const READY_LIMIT_MS = 30_000;
const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const run = promisify(execFile);

/**
 * Resolves `{ skip }`, the reason, when there is neither a MONGODB_URL nor what the stand-in takes; where CI=true that
 * is an error instead, for a server that is missing there would hide failures.
 */
export async function startMongo(t: TestScope, options: MongoOptions = {}): Promise<MongoServer | { skip: string }> {
  const given = process.env.MONGODB_URL;
  if (given && process.env.MONGODB_STAND_IN !== '1') return givenServer(t, given);
  const missing = ['java', 'javac', 'mvn'].filter((program) => !findProgram(program));
  if (missing.length > 0) {
    const skip = `MongoDB: no MONGODB_URL, and no ${missing.join(', ')} for the stand-in`;
    if (process.env.CI === 'true') throw new Error(skip);
    return { skip };
  }
  return standIn(t, options);
}

/**
 * A real mongod of the test's own, for what ends it: from PATH, else `{ skip }`, the reason, everywhere, for it cannot
 * be had on all machines that run the tests.
 */
export async function startMongod(t: TestScope): Promise<MongoServer | { skip: string }> {
  const program = findProgram('mongod');
  if (!program) return { skip: 'only a real mongod: there is none on PATH' };
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-mongod-'));
  const port = await freePort();
  const args = ['--dbpath', folder, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'];
  const server = keepServer(t, folder, () => startUntil(program, args, /Waiting for connections/, READY_LIMIT_MS));
  await server.start();
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    real: true,
    freshDatabase: () => `test_${randomBytes(6).toString('hex')}`,
    kill: () => server.halt('SIGKILL'),
    restart: () => server.restart('SIGTERM'),
  };
}

function databaseNames(t: TestScope, url: string): () => string {
  const names: string[] = [];
  t.after(async () => {
    if (names.length === 0) return;
    // Only here, so that tests on SQLite do without the driver.
    const { MongoClient } = await import('mongodb');
    const client = await new MongoClient(url).connect();
    for (const name of names) await client.db(name).dropDatabase();
    await client.close();
  });
  return () => {
    const name = `ridestream_test_${randomBytes(6).toString('hex')}`;
    names.push(name);
    return name;
  };
}

/** The server of MONGODB_URL, whose databases are dropped after the test. */
export function givenServer(t: TestScope, url: string): MongoServer {
  const refuse = async (): Promise<never> => {
    throw new Error('the server of MONGODB_URL is not ours to end');
  };
  const real = process.env.MONGODB_STAND_IN !== '1';
  return { url, real, freshDatabase: databaseNames(t, url), kill: refuse, restart: refuse };
}

async function standIn(t: TestScope, options: MongoOptions): Promise<MongoServer> {
  const classes = await build();
  const folder = options.durable ? await mkdtemp(join(tmpdir(), 'ridestream-mongo-')) : null;
  let port = 0;
  let child: ChildProcess | null = null;

  async function launch(): Promise<void> {
    const args = [...JVM, '-cp', `${classes}/classes:${classes}/lib/*`, 'Main', String(port)];
    if (folder) args.push(join(folder, 'data'));
    const running = await startUntil('java', args, /listening (\d+)/, READY_LIMIT_MS);
    child = running.child;
    port = Number(running.match[1]);
  }

  async function halt(signal: NodeJS.Signals): Promise<void> {
    if (child) await end(child, signal);
    child = null;
  }

  t.after(async () => {
    await halt('SIGKILL');
    if (folder) await rm(folder, { recursive: true, force: true });
  });
  await launch();
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    real: false,
    // Nothing to drop: the data goes with the server.
    freshDatabase: () => `test_${randomBytes(6).toString('hex')}`,
    kill: () => halt('SIGKILL'),
    async restart() {
      await halt('SIGTERM');
      await launch();
    },
  };
}

/** Folder with `classes` and `lib`, made on first use and whenever the sources change. */
async function build(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['Main.java', 'pom.xml']) hash.update(await readFile(join(SOURCES, name)));
  const target = join(tmpdir(), `ridestream-mongo-stand-in-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(target)) return target;
  const work = await mkdtemp(`${target}.`);
  try {
    await cp(SOURCES, work, { recursive: true });
    const lib = join(work, 'lib');
    await run('mvn', [
      '-q',
      '-B',
      '-f',
      join(work, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${lib}`,
    ]);
    await mkdir(join(work, 'classes'));
    await run('javac', ['-cp', `${lib}/*`, '-d', join(work, 'classes'), join(work, 'Main.java')]);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another test process that built at the same time may have been first.
    if (!existsSync(target)) throw error;
  }
  return target;
}
