/**
 * What the test servers share: starting a program and waiting until it serves, and ending it by its pid, also when the
 * test process is killed before it could.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
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
    if (output.length > 65_536) return;
    output += chunk.toString();
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
