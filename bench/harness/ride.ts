/**
 * The real server, `src/main.ts`, as an operator starts it: sign-in, limits, metrics, history and an append-only Redis are
 * on. Limits are set so high that they count every request and refuse none; everything else is at its default.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../sim/free-port.ts';
import { findProgram } from '../../test/servers/process.ts';
import { HOST, type Program, start } from './programs.ts';
import type { Handlers, Remote } from './remote.ts';

/** A development secret: tokens of the load are made with it, and checked by the server like any other. */
export const SECRET = 'a-secret-for-benchmarks-and-nothing-else';
const NO_REFUSAL = '100000000';
/** As Prometheus does it. */
const SCRAPE_EVERY_MS = 5000;
/** A server with many sessions and workers takes its time to end them. */
const STOP_LIMIT_MS = 40_000;
const collector = new URL('collect.ts', import.meta.url).href;
const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Folder and Redis that all real servers of a run share, so that a restart finds its trips again. */
export interface Ground {
  folder: string;
  redis: Program & { url: string };
  generators: Map<string, Promise<Remote<Handlers>>>;
  /** Folder for CPU profiles, when they are asked for. */
  profiles?: string;
  /** One server for everything, for tests that have no time to start many. */
  only?: Promise<RideServer>;
}

export interface RideServer extends Program {
  host: string;
  http: number;
  grpc: number;
  /** One REST call; rejects when the status is not 2xx. */
  rest(method: string, path: string, token: string, body?: object): Promise<Record<string, unknown>>;
}

export async function startRedis(folder: string): Promise<Program & { url: string }> {
  const command = findProgram('redis-server') ?? findProgram('valkey-server');
  if (!command) throw new Error('no redis-server on PATH: script/bootstrap installs it');
  const directory = join(folder, 'redis');
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  // As the server starts its own: append-only, written every second.
  const args = ['--port', String(port), '--bind', HOST, '--dir', directory, '--save', ''];
  args.push('--appendonly', 'yes', '--appendfsync', 'everysec');
  const { program } = await start({
    name: 'redis',
    command,
    args,
    folder,
    ready: (line) => line.includes('Ready to accept connections'),
  });
  return { ...program, url: `redis://${HOST}:${port}` };
}

/** Makes a server collect its garbage when it is asked to, and write a CPU profile when it ends if a folder is given. */
export function measured(folder: string | undefined, name: string): NodeJS.ProcessEnv {
  const options = [`--import=${collector}`];
  if (folder !== undefined)
    options.push('--cpu-prof', `--cpu-prof-dir=${join(folder, name)}`, '--cpu-prof-interval=500');
  return { NODE_OPTIONS: options.join(' ') };
}

/** @param settings of a server that is not at its default; it is no other's */
export async function startRide(ground: Ground, name = 'ride', settings?: NodeJS.ProcessEnv): Promise<RideServer> {
  if (ground.only && !settings) return { ...(await ground.only), stop: async () => {} };
  return launch(ground, name, settings);
}

/** The one server that all of a tiny run share. */
export function shareRide(ground: Ground): void {
  ground.only = launch(ground, 'ride');
}

async function launch(ground: Ground, name: string, settings: NodeJS.ProcessEnv = {}): Promise<RideServer> {
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const { program } = await start({
    name,
    command: process.execPath,
    args: [mainFile],
    folder: ground.folder,
    env: {
      ...process.env,
      ...measured(ground.profiles, name),
      RIDESTREAM_MODE: 'development',
      NODE_ID: name,
      HTTP_LISTEN_ADDR: `${HOST}:${http}`,
      GRPC_LISTEN_ADDR: `${HOST}:${grpc}`,
      METRICS_LISTEN_ADDR: `${HOST}:${metrics}`,
      REDIS_URL: ground.redis.url,
      DATA_DIR: join(ground.folder, 'data'),
      JWT_SECRET: SECRET,
      CITY: 'benchville',
      RATE_LIMIT_DEFAULT: NO_REFUSAL,
      RATE_LIMIT_AUTHENTICATED: NO_REFUSAL,
      RATE_LIMIT_PREMIUM: NO_REFUSAL,
      MAX_SESSIONS_PER_USER: NO_REFUSAL,
      CONNECTION_RATE: NO_REFUSAL,
      CONNECTION_BURST: NO_REFUSAL,
      SOCKET_LIMIT_GENERAL: NO_REFUSAL,
      SOCKET_LIMIT_LOCATION: NO_REFUSAL,
      SOCKET_LIMIT_CHAT: NO_REFUSAL,
      TRIP_REQUEST_LIMIT: NO_REFUSAL,
      DRAIN_JITTER: '0s',
      ...settings,
    },
    stopLimitMs: STOP_LIMIT_MS,
    ready: (line) => line.includes('"msg":"listening"'),
  });
  const scrapes = setInterval(() => {
    // A server that is busy answers late or not at all; its own figures show that.
    fetch(`http://${HOST}:${metrics}/metrics`)
      .then((answer) => answer.arrayBuffer())
      .catch(() => {});
  }, SCRAPE_EVERY_MS);

  async function rest(method: string, path: string, token: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`http://${HOST}:${http}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  }

  void program.gone.then(() => clearInterval(scrapes));
  return { ...program, host: HOST, http, grpc, rest };
}
