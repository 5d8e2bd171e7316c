/**
 * The programs of a replay: server processes as an operator would start them (settings by environment, readiness by their
 * log), and the Redis that two of them share. What is started here is ended here, by its pid, also when this process dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, createWriteStream, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ServerAddress } from './clients/rest.ts';
import { freePort } from './free-port.ts';

export interface Program {
  name: string;
  pid: number;
  /** Why it ended: an exit code or a signal; undefined while it runs. */
  ended(): string | undefined;
  /** Resolves when it has ended, however that was. */
  gone: Promise<void>;
  /** Orderly, by SIGTERM; by SIGKILL after a while. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface ServerProgram extends Program {
  address: ServerAddress;
  metrics: string;
}

const mainFile = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 25_000;

/** Starts a program with its output in a file; resolves with the first line of standard output that `ready` accepts. */
async function start(
  name: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  logFile: string,
  ready: (line: string) => boolean,
): Promise<{ program: Program; line: string }> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(logFile, { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const gone = Promise.withResolvers<void>();
  let ending: string | undefined;
  child.once('error', (error) => {
    ending ??= error.message;
    gone.resolve();
  });
  child.once('exit', (code, signal) => {
    ending ??= signal ?? `exit code ${code}`;
    gone.resolve();
  });
  const release = child.pid === undefined ? () => {} : guard(child.pid);
  void gone.promise.then(release);
  const program: Program = {
    name,
    pid: child.pid ?? 0,
    ended: () => ending,
    gone: gone.promise,
    stop: () => end(child, gone.promise, 'SIGTERM'),
    kill: () => end(child, gone.promise, 'SIGKILL'),
  };
  const found = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => ready(line) && found.resolve(line));
  const timer = setTimeout(
    () => found.reject(new Error(`${name} was not ready in ${READY_LIMIT_MS / 1000} s`)),
    READY_LIMIT_MS,
  );
  void gone.promise.then(() => found.reject(new Error(`${name} ended before it was ready (${ending})`)));
  try {
    return { program, line: await found.promise };
  } catch (error) {
    await program.kill();
    const tail = readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n');
    throw new Error(`${(error as Error).message}:\n${tail}`);
  } finally {
    clearTimeout(timer);
  }
}

async function end(child: ChildProcess, gone: Promise<void>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(hard);
}

/** A shell that kills `pid` when this process has gone without ending it: it waits on a pipe that only this process holds. */
function guard(pid: number): () => void {
  const script = 'read -r line || kill -9 "$0" 2>/dev/null';
  const shell = spawn('/bin/sh', ['-c', script, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.unref();
  // The shell may be gone already when the line comes.
  shell.stdin.on('error', () => {});
  return () => shell.stdin.end('done\n');
}

export interface ServerSetup {
  name: string;
  directory: string;
  settings: Record<string, string>;
}

/** Starts `node src/main.ts`. Rejects with the end of its log when it does not come up. */
export async function startServer({ name, directory, settings }: ServerSetup): Promise<ServerProgram> {
  const env = { ...process.env, NODE_ID: name, ...settings };
  const isReady = (line: string) => line.includes('"msg":"listening"');
  const { program, line } = await start(
    name,
    process.execPath,
    [mainFile],
    env,
    join(directory, `${name}.log`),
    isReady,
  );
  const listening = JSON.parse(line) as { http: string; grpc: string; metrics: string };
  return { ...program, address: { http: listening.http, grpc: listening.grpc }, metrics: listening.metrics };
}

/** Starts a redis-server of our own on a free port. Rejects when none is installed. */
export async function startRedis(directory: string): Promise<Program & { url: string }> {
  const command = ['redis-server', 'valkey-server'].map(findProgram).find(Boolean);
  if (!command)
    throw new Error('two servers share a Redis, and there is no redis-server on PATH: install it, or give --redis URL');
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes'];
  const isReady = (line: string) => line.includes('Ready to accept connections');
  const { program } = await start('redis', command, args, process.env, join(directory, 'redis.log'), isReady);
  return { ...program, url: `redis://127.0.0.1:${port}` };
}

function findProgram(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder; the next may have it.
    }
  }
  return undefined;
}
