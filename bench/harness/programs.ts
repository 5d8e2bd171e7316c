/**
 * The processes of a measurement: what is started here is ended here, by its pid, also when this process dies first.
 * Nothing listens outside loopback.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guard } from '../../test/servers/process.ts';

export interface Program {
  name: string;
  pid: number;
  /** Resolves when it has ended, however that was, with how. */
  gone: Promise<string>;
  /** Orderly, by SIGTERM; by SIGKILL after a while. */
  stop(): Promise<void>;
}

/** A started child and what goes with it; `ready` is the line that said so, '' for a child that reports by messages. */
export interface Started {
  program: Program;
  child: ChildProcess;
  ready: string;
}

export interface StartOptions {
  name: string;
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Removed when this process dies without having ended the program. */
  folder: string;
  /** The first line of standard output that says the program serves. */
  ready: (line: string) => boolean;
  /** Opens a channel for messages. */
  ipc?: boolean;
  /** How long its orderly end may take, milliseconds. */
  stopLimitMs?: number;
}

export const HOST = '127.0.0.1';
const READY_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;

const running = new Set<Program>();

/** Ends whatever still runs, newest first. */
export async function stopAll(): Promise<void> {
  for (const program of [...running].reverse()) await program.stop();
}

/** Starts a program and waits until it serves. Rejects with the end of its output when it does not. */
export async function start(options: StartOptions): Promise<Started> {
  const stdio: SpawnOptions['stdio'] = ['ignore', 'pipe', 'pipe', ...(options.ipc ? (['ipc'] as const) : [])];
  const child = spawn(options.command, options.args, {
    env: options.env ?? process.env,
    stdio,
    serialization: 'advanced',
  });
  const gone = Promise.withResolvers<string>();
  child.once('error', (error) => gone.resolve(error.message));
  child.once('exit', (code, signal) => gone.resolve(signal ?? `exit code ${code}`));
  const program: Program = {
    name: options.name,
    pid: child.pid ?? 0,
    gone: gone.promise,
    stop: () => end(child, gone.promise, options.stopLimitMs ?? STOP_LIMIT_MS),
  };
  running.add(program);
  if (child.pid !== undefined) void gone.promise.then(guard(child.pid, options.folder));
  void gone.promise.then(() => running.delete(program));

  const tail: string[] = [];
  const found = Promise.withResolvers<string>();
  const listen = (line: string): void => {
    tail.push(line);
    if (tail.length > 20) tail.shift();
    if (options.ready(line)) found.resolve(line);
  };
  createInterface({ input: child.stdout! }).on('line', listen);
  createInterface({ input: child.stderr! }).on('line', listen);
  const late = setTimeout(() => found.reject(new Error('was not ready in time')), READY_LIMIT_MS);
  void gone.promise.then((how) => found.reject(new Error(`ended: ${how}`)));
  try {
    return { program, child, ready: await found.promise };
  } catch (error) {
    await program.stop();
    throw new Error(`${options.name} ${(error as Error).message}\n${tail.join('\n')}`);
  } finally {
    clearTimeout(late);
  }
}

async function end(child: ChildProcess, gone: Promise<unknown>, limitMs: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const hard = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await gone;
  clearTimeout(hard);
}
