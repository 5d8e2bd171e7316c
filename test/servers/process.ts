/**
 * What the test servers share: starting a program and waiting until it serves, and ending it by its pid, also when the
 * test process is killed before it could.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { delimiter, join } from 'node:path';

/** The part of tap's test object that servers need. */
export interface TestScope {
  after(fn: () => unknown): void;
}

/** Full path of a program on PATH, or null. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return null;
}

/** Characters of a server's last words: one may complain of much before it is ready. */
const OUTPUT_KEPT = 65_536;

export interface Running {
  child: ChildProcess;
  /** The first match of the readiness pattern. */
  match: RegExpExecArray;
}

/**
 * Starts a program and resolves when a line of its output matches `ready`. Rejects with its output when it ends before.
 */
export async function startUntil(
  command: string,
  args: readonly string[],
  ready: RegExp,
  limitMs: number,
): Promise<Running> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
  let output = '';
  const listen = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
    const match = ready.exec(output);
    if (match) resolve(match);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  child.once('error', reject);
  child.once('exit', (code, signal) => reject(new Error(`${command} ended (${code ?? signal}): ${output}`)));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`${command} was not ready within ${limitMs} ms: ${output}`));
  }, limitMs);
  try {
    const match = await promise;
    // So that a server that still runs does not keep a test file from ending, which is when it is stopped.
    child.unref();
    for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as Socket).unref();
    return { child, match };
  } finally {
    clearTimeout(timer);
  }
}

/** Ends a child and resolves when it is gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.ref();
  child.kill(signal);
  const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(hard);
}

/**
 * Kills `pid` and removes `folder` when this process ends without having called the returned function: a shell that
 * reads from a pipe whose other end only this process holds.
 */
export function guard(pid: number, folder: string): () => Promise<void> {
  const script = 'read -r line; kill -9 "$0" 2>/dev/null; rm -rf "$1"';
  const shell = spawn('/bin/sh', ['-c', script, String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Out of the terminal's process group, so that Ctrl-C does not end the guard before it has done its work.
    detached: true,
  });
  shell.unref();
  return () => end(shell, 'SIGKILL');
}

/** So often in a row nobody is as fast. */
const MOST_PORTS = 5;

export interface KeptServer {
  /** Null while it does not run. */
  readonly child: ChildProcess | null;
  start(): Promise<void>;
  /** Starts it on the ports that `choose` takes, each time anew: someone else may have taken one in between. */
  startOn(choose: () => Promise<void>): Promise<void>;
  /** Resolves when it is gone. */
  halt(signal: NodeJS.Signals): Promise<void>;
  /** Halts it by `signal` if it still runs. */
  restart(signal: NodeJS.Signals): Promise<void>;
}

/**
 * A server that a test may end and start again, with a folder of its own. Both are gone with the test, also when the test process is
 * killed before.
 * @param lastSignal by which it ends with the test
 */
export function keepServer(
  t: TestScope,
  folder: string,
  launch: () => Promise<Running>,
  lastSignal: NodeJS.Signals = 'SIGKILL',
): KeptServer {
  let child: ChildProcess | null = null;
  let release: () => Promise<void> = async () => {};

  async function start(): Promise<void> {
    ({ child } = await launch());
    release = guard(child.pid!, folder);
  }

  async function startOn(choose: () => Promise<void>): Promise<void> {
    for (let attempt = 1; !child; attempt++) {
      await choose();
      try {
        await start();
      } catch (error) {
        if (attempt === MOST_PORTS) throw error;
      }
    }
  }

  async function halt(signal: NodeJS.Signals): Promise<void> {
    if (!child) return;
    await end(child, signal);
    // Only now: had the guard ended first, a crash of this process in between would leave the server behind.
    await release();
    child = null;
  }

  t.after(async () => {
    await halt(lastSignal);
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get child() {
      return child;
    },
    start,
    startOn,
    halt,
    async restart(signal) {
      await halt(signal);
      await start();
    },
  };
}
