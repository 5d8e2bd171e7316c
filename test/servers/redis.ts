/** A real redis-server of its own for a test: free port, temporary folder, gone with the test. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../sim/free-port.ts';
import { findProgram, keepServer, type Running, startUntil, type TestScope } from './process.ts';

export interface RedisServer {
  url: string;
  port: number;
  pid(): number;
  /** Orderly end; resolves when it is gone. */
  stop(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts again on the same port, with the same folder; stops first if it still runs. */
  restart(): Promise<void>;
}

export interface RedisOptions {
  /** Keep an append-only file, so that `restart` finds the data. Default false. */
  appendOnly?: boolean;
  /** More arguments for redis-server, e.g. `['--maxmemory', '10mb']`. */
  args?: readonly string[];
}

const READY_LIMIT_MS = 10_000;

/** Starts a Redis and ends it with the test. @throws Error when no redis-server or valkey-server is on PATH. */
export async function startRedis(t: TestScope, options: RedisOptions = {}): Promise<RedisServer> {
  const program = findProgram('redis-server') ?? findProgram('valkey-server');
  if (!program) throw new Error('redis-server is not on PATH: install it (Debian, Homebrew: redis)');
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-redis-'));
  let port = 0;

  function launch(): Promise<Running> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    args.push('--appendonly', options.appendOnly ? 'yes' : 'no', ...(options.args ?? []));
    return startUntil(program!, args, /Ready to accept connections/, READY_LIMIT_MS);
  }

  const server = keepServer(t, folder, launch, 'SIGTERM');
  await server.startOn(async () => {
    port = await freePort();
  });

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: () => {
      if (!server.child?.pid) throw new Error('Redis is not running');
      return server.child.pid;
    },
    stop: () => server.halt('SIGTERM'),
    kill: () => server.halt('SIGKILL'),
    restart: () => server.restart('SIGTERM'),
  };
}
