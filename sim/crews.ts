/** The parent's side of the client processes: starts them, hands out trips, gathers their reports, ends them. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromClient, FromParent } from './clients/process.ts';
import type { StatsReport } from './clients/stats.ts';
import type { ClientSettings } from './clients/world.ts';
import type { Trip } from './trips-csv.ts';

export interface Crew {
  readonly name: string;
  /** Resolves when the crew has nothing more to do; rejects when it failed or its process ended. */
  readonly done: Promise<void>;
  /** Ends the process in order, its ledger written; resolves when it is gone. */
  stop(): Promise<void>;
  kill(): void;
}

const files = {
  drivers: fileURLToPath(new URL('./clients/drivers-process.ts', import.meta.url)),
  riders: fileURLToPath(new URL('./clients/riders-process.ts', import.meta.url)),
};
const TRIPS_A_MESSAGE = 1_000;
const STOP_LIMIT_MS = 15_000;

export interface CrewSetup {
  kind: keyof typeof files;
  settings: ClientSettings;
  trips: readonly Trip[];
  logDirectory: string;
  onStats(stats: StatsReport): void;
}

export function startCrew({ kind, settings, trips, logDirectory, onStats }: CrewSetup): Crew {
  const child = fork(files[kind], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] });
  const log = createWriteStream(join(logDirectory, `${settings.name}.log`), { flags: 'a' });
  child.stdout!.pipe(log, { end: false });
  child.stderr!.pipe(log, { end: false });
  const done = Promise.withResolvers<void>();
  // The replay may be over for another reason before anybody waits for this one.
  done.promise.catch(() => {});
  child.on('message', (message: FromClient) => {
    if (message.kind === 'stats' || message.kind === 'stopped') onStats(message.stats);
    else if (message.kind === 'done') done.resolve();
    else done.reject(new Error(`${settings.name}: ${message.reason}`));
  });
  child.on('error', (error) => done.reject(error));
  child.once('exit', (code, signal) => {
    done.reject(new Error(`the process ${settings.name} ended (${signal ?? `exit code ${code}`}); see its log`));
  });
  const tell = (message: FromParent) => child.connected && child.send(message);
  tell({ kind: 'start', settings });
  for (let i = 0; i < trips.length; i += TRIPS_A_MESSAGE)
    tell({ kind: 'trips', trips: trips.slice(i, i + TRIPS_A_MESSAGE) });
  tell({ kind: 'go' });
  return {
    name: settings.name,
    done: done.promise,
    stop: () => stop(child, tell),
    kill: () => child.kill('SIGKILL'),
  };
}

async function stop(child: ChildProcess, tell: (message: FromParent) => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  tell({ kind: 'stop' });
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(hard);
}
