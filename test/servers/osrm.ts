/** A real OSRM over a map of the test's choice: osrm-routed on a free loopback port, prepared in a temporary folder. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../sim/free-port.ts';
import { until } from '../until.ts';
import { end, guard, type TestScope } from './process.ts';
import { unpackedWheel } from './wheel.ts';

export interface EngineServer {
  url: string;
  pid(): number;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** On the same port. */
  restart(): Promise<void>;
}

const WHEEL = { name: 'osrm-bindings', version: '26.10.0', programs: 'osrm/bin' };
const READY_LIMIT_MS = 30_000;
const run = promisify(execFile);

/** Resolves the folder of its programs, or `{ skip }`, the reason. */
export const fetchOsrm = (): Promise<string | { skip: string }> => unpackedWheel(WHEEL);

/** Prepares `map` (osm.pbf) and serves it; `{ skip }`, the reason, where OSRM cannot be had. */
export async function startOsrm(t: TestScope, map: string): Promise<EngineServer | { skip: string }> {
  const wheel = await fetchOsrm();
  if (typeof wheel !== 'string') return wheel;
  const program = (name: string): string => join(wheel, 'osrm/bin', name);
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-osrm-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const base = join(folder, 'map.osrm');
  await copyFile(map, join(folder, 'map.osm.pbf'));
  const profile = join(wheel, 'osrm/share/profiles/car.lua');
  await run(program('osrm-extract'), ['--threads', '1', '-p', profile, join(folder, 'map.osm.pbf')]);
  await run(program('osrm-partition'), ['--threads', '1', base]);
  await run(program('osrm-customize'), ['--threads', '1', base]);
  return serve(t, folder, async (port) => [
    program('osrm-routed'),
    ...['--algorithm', 'mld', '-i', '127.0.0.1', '-p', String(port), '-t', '2', '-l', 'WARNING', base],
  ]);
}

/** Runs an engine's server with the test, ready when it answers HTTP; also when the test process is killed, it does not stay. */
export async function serve(
  t: TestScope,
  folder: string,
  commandAt: (port: number) => Promise<string[]>,
): Promise<EngineServer> {
  let port = await freePort();
  let child: ChildProcess | null = null;
  let release: () => Promise<void> = async () => {};
  const url = (): string => `http://127.0.0.1:${port}`;

  async function launch(): Promise<void> {
    const [command, ...args] = await commandAt(port);
    const started = spawn(command!, args, { stdio: 'ignore' });
    await once(started, 'spawn');
    child = started;
    release = guard(started.pid!, folder);
    started.unref();
    const answers = (): Promise<boolean> =>
      fetch(`${url()}/status`, { signal: AbortSignal.timeout(1000) }).then(
        (response) => response.arrayBuffer().then(() => true),
        () => false,
      );
    await until(
      async () => {
        if (started.exitCode !== null) throw new Error(`${command} ended with ${started.exitCode}`);
        return answers();
      },
      `${command} to answer`,
      READY_LIMIT_MS,
    );
  }

  async function kill(): Promise<void> {
    if (!child) return;
    await end(child, 'SIGKILL');
    await release();
    child = null;
  }

  t.after(kill);
  for (let attempt = 1; ; attempt++) {
    try {
      await launch();
      break;
    } catch (error) {
      await kill();
      // Someone else may have taken the port in between.
      if (attempt === 3) throw error;
      port = await freePort();
    }
  }
  return {
    url: url(),
    pid: () => child!.pid!,
    kill,
    async restart() {
      await kill();
      await launch();
    },
  };
}
