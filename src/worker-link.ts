/** What a worker and its supervisor say to each other over the channel between their processes, and the worker's end of it. */
import type { Listening } from './app.ts';
import type { MetricsSnapshot } from './plugins/metrics.ts';

export type ToWorker = { type: 'metrics'; id: number };

export type ToSupervisor =
  | { type: 'listening'; at: Listening }
  | { type: 'metrics'; id: number; snapshot: MetricsSnapshot };

/** Given to a worker's process before its number. */
export const WORKER_FLAG = '--worker=';

/** The number of this worker, from 1; undefined for a process that is none. */
export function workerNumber(argv: readonly string[]): number | undefined {
  const flag = argv.find((arg) => arg.startsWith(WORKER_FLAG));
  return flag === undefined ? undefined : Number(flag.slice(WORKER_FLAG.length));
}

/** Answers the supervisor. `onOrphaned`: the supervisor is gone, so this process has to go. */
export function linkToSupervisor(
  channel: NodeJS.Process,
  server: { metrics(): Promise<MetricsSnapshot> },
  onOrphaned: () => void,
): { listening(at: Listening): void } {
  const send = (message: ToSupervisor): void => {
    if (channel.connected) channel.send?.(message);
  };
  channel.on('disconnect', onOrphaned);
  channel.on('message', ({ id }: ToWorker) => {
    void server.metrics().then((snapshot) => send({ type: 'metrics', id, snapshot }));
  });
  return { listening: (at) => send({ type: 'listening', at }) };
}
