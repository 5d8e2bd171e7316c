/**
 * The embedded Redis: without REDIS_URL the process starts its own redis-server, append-only, in DATA_DIR/redis, and ends it
 * with itself. The code path is then the same from a laptop to a Redis Cluster.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RideError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';
import { type FolderLock, lockFolder } from '../system/folder-lock.ts';
import { formatRedisUrl, freePort, probe, type RedisAddress, socketAddress } from './address.ts';
import { findRedisBinary } from './binary.ts';
import { WatchedProcess } from './watched-process.ts';

export interface PrivateRedisOptions {
  /** DATA_DIR; Redis lives in its folder `redis`. */
  dataDir: string;
  /** REDIS_SERVER: name or path of the program. Default: redis-server, else valkey-server. */
  binary?: string | undefined;
  log?: Logger | undefined;
}

export interface PrivateRedis {
  /** As REDIS_URL takes it: `unix:///…` or `redis://:password@127.0.0.1:port`. */
  readonly url: string;
  /** The same for `new Redis(options)`. */
  readonly options: RedisAddress;
  /** Process id of redis-server now; another one after a restart. */
  readonly pid: number;
  /** Ends Redis once its append-only file is flushed. May be called again. */
  stop(): Promise<void>;
}

/** Redis reads its append-only file before it answers, which takes a while when there is much of it. */
const START_TIMEOUT_MS = 120_000;
/** A Redis whose owner was killed just now needs a moment to flush and leave; the watchdog forces it after 10 s. */
const HANDOVER_TIMEOUT_MS = 15_000;
const PROBE_INTERVAL_MS = 15;
const RESTART_DELAY_MS = { first: 100, longest: 5_000 };
/** Another process may take the free port between the look and the start. */
const PORT_TRIES = 5;

/**
 * Starts Redis on a unix socket in its folder or, where the path is too long for one, on a loopback port with a random
 * password; resolves when it answers. When Redis dies by itself, it is started again at the same address.
 * @throws RideError RIDE_UNAVAILABLE in one line for the operator: no program found or too old, folder in use or not writable,
 *   Redis refused to start.
 */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<PrivateRedis> {
  const folder = resolve(options.dataDir, 'redis');
  const binary = await findRedisBinary(options.binary);
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: Error) => {
    throw new RideError('RIDE_UNAVAILABLE', `DATA_DIR: cannot create ${folder} (${cause.message})`, { cause });
  });
  const lock = lockFolder(folder);
  try {
    await awaitHandover(folder);
    const server = new Server(binary, folder, lock, options.log);
    await server.startAnywhere();
    return server;
  } catch (error) {
    lock.release();
    throw error;
  }
}

class Server implements PrivateRedis {
  readonly #binary: string;
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #log: Logger | undefined;
  #address: RedisAddress = { path: '' };
  #process: WatchedProcess | undefined;
  #stopping: Promise<void> | undefined;

  constructor(binary: string, folder: string, lock: FolderLock, log: Logger | undefined) {
    this.#binary = binary;
    this.#folder = folder;
    this.#lock = lock;
    this.#log = log;
  }

  get options(): RedisAddress {
    return this.#address;
  }

  get url(): string {
    return formatRedisUrl(this.#address);
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  /** Unix socket first; a file system that knows none (some network and shared folders) or a long path lead to loopback. */
  async startAnywhere(): Promise<void> {
    const socket = socketAddress(this.#folder);
    if (socket !== undefined) {
      this.#address = socket;
      if (await this.#start()) return;
      if (!this.#process?.says(/unix socket/i)) throw this.#startError();
    }
    for (let attempt = 1; attempt <= PORT_TRIES; attempt++) {
      this.#address = { host: '127.0.0.1', port: await freePort(), password: randomBytes(24).toString('hex') };
      if (await this.#start()) return;
      if (!this.#process?.says(/address already in use/i)) break;
    }
    throw this.#startError();
  }

  async #end(): Promise<void> {
    await this.#process?.close();
    this.#lock.release();
  }

  /** True once Redis answers; false when it ended instead: what it said is with #process. */
  async #start(): Promise<boolean> {
    const configFile = join(this.#folder, 'redis.conf');
    await writeFile(configFile, configuration(this.#folder, this.#address), { mode: 0o600 });
    if (this.#stopping) return false;
    const redis = new WatchedProcess(this.#binary, configFile, (line) =>
      this.#log?.debug({ line }, 'private redis says'),
    );
    this.#process = redis;
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (redis.alive && Date.now() < deadline) {
      if (redis.pid !== 0 && (await probe(this.#address)) === 'ready') {
        this.#log?.info({ pid: redis.pid, ...withoutSecret(this.#address) }, 'private redis is up');
        void redis.exited.then(() => this.#restart());
        return true;
      }
      await Promise.race([redis.exited, sleep(PROBE_INTERVAL_MS)]);
    }
    await redis.close();
    return false;
  }

  /** Redis ended though nobody asked: say so and start it again, waiting longer each time. Clients reconnect by themselves. */
  async #restart(): Promise<void> {
    for (
      let delayMs = RESTART_DELAY_MS.first;
      !this.#stopping;
      delayMs = Math.min(2 * delayMs, RESTART_DELAY_MS.longest)
    ) {
      this.#log?.error(
        { delayMs, reason: this.#process?.lastWords() },
        'private redis ended by itself and is started again',
      );
      await sleep(delayMs, undefined, { ref: false });
      try {
        if (this.#stopping || (await this.#start())) return;
      } catch (error) {
        this.#log?.error({ err: error }, 'private redis cannot be started again');
      }
    }
  }

  #startError(): RideError {
    const reason = this.#process?.lastWords() ?? 'it was stopped';
    return new RideError(
      'RIDE_UNAVAILABLE',
      `The private Redis (${this.#binary}) does not start in ${this.#folder}: ${reason}`,
    );
  }
}

function configuration(folder: string, address: RedisAddress): string {
  const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  const listener =
    'path' in address
      ? ['port 0', `unixsocket ${quoted(address.path)}`, 'unixsocketperm 700']
      : [`bind ${address.host}`, `port ${address.port}`, 'protected-mode yes', `requirepass ${address.password}`];
  return [
    '# Written at every start by Ridestream.',
    ...listener,
    `dir ${quoted(folder)}`,
    `pidfile ${quoted(join(folder, 'redis.pid'))}`,
    'appendonly yes',
    'appendfsync everysec',
    // The append-only file is the one copy; snapshots beside it would only cost.
    'save ""',
    // Queues must be refused a write rather than lose keys.
    'maxmemory-policy noeviction',
    'daemonize no',
    'logfile ""',
    '',
  ].join('\n');
}

/** The address that a redis.conf of ours names. */
function addressIn(config: string): RedisAddress | undefined {
  const value = (key: string) => new RegExp(`^${key} (.+)$`, 'm').exec(config)?.[1];
  const socket = value('unixsocket');
  if (socket !== undefined) return { path: socket.slice(1, -1).replace(/\\([\\"])/g, '$1') };
  const [host, port, password] = [value('bind'), value('port'), value('requirepass')];
  return host && port && password ? { host, port: Number(port), password } : undefined;
}

/**
 * The Redis of an owner that was killed a moment ago may still be flushing, and two must never share the files. It is gone
 * when its process is, or when nobody answers at its address (its process id may have been given to somebody else since).
 */
async function awaitHandover(folder: string): Promise<void> {
  const before = addressIn(await readIfThere(join(folder, 'redis.conf')));
  const pid = Number(await readIfThere(join(folder, 'redis.pid')));
  const deadline = Date.now() + HANDOVER_TIMEOUT_MS;
  while (before !== undefined && isAlive(pid) && (await probe(before)) !== 'nobody') {
    if (Date.now() > deadline) {
      throw new RideError(
        'RIDE_UNAVAILABLE',
        `DATA_DIR: a redis-server (process ${pid}) still runs in ${folder}; stop it first`,
      );
    }
    await sleep(PROBE_INTERVAL_MS);
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new RideError('RIDE_UNAVAILABLE', `DATA_DIR: cannot read ${file}`, { cause: error });
  }
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function withoutSecret(address: RedisAddress): object {
  return 'path' in address ? address : { host: address.host, port: address.port };
}
