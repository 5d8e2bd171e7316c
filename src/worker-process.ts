/** One worker as the supervisor sees it: a process that is started again, after a growing wait, whenever it ends unasked. */
import { type ChildProcess, fork } from 'node:child_process';
import type { Listening } from './app.ts';
import type { MetricsSnapshot } from './plugins/metrics.ts';
import type { MeasuredWorker } from './plugins/worker-metrics.ts';
import type { Logger } from './ports/logger.ts';
import { type ToSupervisor, type ToWorker, WORKER_FLAG } from './worker-link.ts';

export interface WorkerOptions {
  number: number;
  /** The program's main file. */
  program: string;
  /** Settings of its process, but NODE_ID. */
  env: Readonly<Record<string, string | undefined>>;
  /** Its name among the nodes, without number. */
  nodeId: string;
  log: Logger;
  /** It ended, having counted this when it was last asked. */
  onEnd(counted: MetricsSnapshot): void;
}

const RESTART_DELAY_MS = { first: 100, longest: 5000 };
/** Who lived this long did not fail at its start. */
const HEALTHY_MS = 10_000;
/** A worker that does not answer must not hold up the metrics of the others. */
const METRICS_TIMEOUT_MS = 2000;

export class WorkerProcess implements MeasuredWorker {
  readonly number: number;
  restarts = 0;
  counted: MetricsSnapshot = [];
  readonly #options: WorkerOptions;
  #child: ChildProcess | null = null;
  #listening = false;
  #stopping = false;
  #delayMs = RESTART_DELAY_MS.first;
  #asked = 0;
  readonly #answers = new Map<number, () => void>();
  #retry: NodeJS.Timeout | null = null;
  #gone: Promise<void> = Promise.resolve();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.number = options.number;
  }

  /** Process id; 0 while it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get up(): boolean {
    return this.#listening;
  }

  /** Resolves with its addresses; rejects when it ends instead, and is not tried again then. */
  async start(): Promise<Listening> {
    try {
      return await this.#launch();
    } catch (error) {
      this.#stopping = true;
      throw error;
    }
  }

  /**
   * A node is one life of a process: what a killed one left behind under its name ends with its leases, and must not be kept
   * alive by the next.
   */
  get #nodeId(): string {
    const name = `${this.#options.nodeId}-w${this.number}`;
    return this.restarts === 0 ? name : `${name}-${this.restarts}`;
  }

  #launch(): Promise<Listening> {
    const { program, env, log } = this.#options;
    const startedAt = performance.now();
    const child = fork(program, [`${WORKER_FLAG}${this.number}`], {
      env: { ...env, NODE_ID: this.#nodeId },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Values of metrics may be NaN or infinite.
      serialization: 'advanced',
    });
    this.#child = child;
    const { promise, resolve, reject } = Promise.withResolvers<Listening>();
    child.on('message', (message: ToSupervisor) => {
      if (message.type === 'listening') {
        this.#listening = true;
        resolve(message.at);
      } else {
        this.counted = message.snapshot;
        this.#answers.get(message.id)?.();
      }
    });
    child.on('error', (error) => log.warn({ err: error, worker: this.number }, 'channel to a worker'));
    const gone = Promise.withResolvers<void>();
    this.#gone = gone.promise;
    child.once('exit', (code, signal) => {
      const why = signal ?? `exit code ${code}`;
      this.#ended(why, performance.now() - startedAt);
      reject(new Error(`worker ${this.number} ended (${why}) before it listened`));
      gone.resolve();
    });
    return promise;
  }

  #ended(why: string, livedMs: number): void {
    const { log, onEnd } = this.#options;
    const wasUp = this.#listening;
    this.#child = null;
    this.#listening = false;
    for (const answer of this.#answers.values()) answer();
    onEnd(this.counted);
    this.counted = [];
    // A worker that ends while it is started for the first time is its starter's business.
    if (this.#stopping || (!wasUp && this.restarts === 0)) return;
    if (livedMs > HEALTHY_MS) this.#delayMs = RESTART_DELAY_MS.first;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(2 * delayMs, RESTART_DELAY_MS.longest);
    log.error({ worker: this.number, reason: why, delayMs }, 'a worker ended by itself and is started again');
    this.#retry = setTimeout(() => {
      this.restarts++;
      // Its end is reported by #ended, which tries again.
      this.#launch().then(
        () => log.info({ worker: this.number, pid: this.pid }, 'the worker is back'),
        () => {},
      );
    }, delayMs);
  }

  /** Asks what it has counted. Resolves also when it does not answer. */
  async ask(): Promise<void> {
    const child = this.#child;
    if (!child?.connected || !this.#listening) return;
    const id = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, METRICS_TIMEOUT_MS);
    this.#answers.set(id, resolve);
    child.send({ type: 'metrics', id } satisfies ToWorker, (error) => {
      if (error) resolve();
    });
    await promise;
    clearTimeout(timer);
    this.#answers.delete(id);
  }

  /** SIGTERM, by which it drains; SIGKILL when it takes longer than `limitMs`. Resolves when it is gone. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#retry) clearTimeout(this.#retry);
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    const hard = setTimeout(() => {
      this.#options.log.error({ worker: this.number, pid: child.pid }, 'a worker does not end and is killed');
      child.kill('SIGKILL');
    }, limitMs);
    await this.#gone;
    clearTimeout(hard);
  }
}
