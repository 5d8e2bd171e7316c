/** A real redis-server of its own for a test: free port, temporary folder, gone with the test. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../sim/free-port.ts';
import { end, findProgram, guard, startUntil, type TestScope } from './process.ts';

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
  let child: ChildProcess | null = null;
  let release: () => Promise<void> = async () => {};

  async function launch(): Promise<void> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    args.push('--appendonly', options.appendOnly ? 'yes' : 'no', ...(options.args ?? []));
    const running = await startUntil(program!, args, /Ready to accept connections/, READY_LIMIT_MS);
    child = running.child;
    release = guard(child.pid!, folder);
  }

  async function halt(signal: NodeJS.Signals): Promise<void> {
    if (!child) return;
    await end(child, signal);
    // Only now: had the guard ended first, a crash of this process in between would leave the server behind.
    await release();
    child = null;
  }

  t.after(async () => {
    await halt('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  });

  for (let attempt = 1; !child; attempt++) {
    port = await freePort();
    try {
      await launch();
    } catch (error) {
      // Someone else may have taken the port in between.
      if (attempt === 5) throw error;
    }
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: () => {
      if (!child?.pid) throw new Error('Redis is not running');
      return child.pid;
    },
    stop: () => halt('SIGTERM'),
    kill: () => halt('SIGKILL'),
    async restart() {
      await halt('SIGTERM');
      await launch();
    },
  };
}
