/**
 * The main thread's side of the SQLite worker: batches what one turn asks for into one message, matches answers to
 * promises, and turns the worker's death into rejections and a new worker.
 */
import { Worker } from 'node:worker_threads';
import { RideError } from '../../errors.ts';
import {
  type Failure,
  type Inbound,
  isOfStatement,
  type Opened,
  type Outbound,
  type Request,
  type SqlValue,
  type Statement,
  type WorkerSettings,
  type WriteRequest,
} from './protocol.ts';

/** Calls of one turn that go to the worker before the turn has ended, so that it begins on them. */
const TOGETHER = 16;
/** Calls that may wait at once; more are refused, for a queue that only grows answers nobody in time. */
const MAX_WAITING = 100_000;
const RETRY_AFTER_MS = 1000;
/** Pause before a dead worker is replaced, milliseconds; doubled up to the second figure while it keeps dying. */
const RESTART_MS = [50, 5000] as const;

/** An answer of SQLite that is about one statement; the store gives it its meaning. */
export class StatementError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'StatementError';
    this.failure = failure;
  }
}

/** Each pair is an event and its document. */
const ACKNOWLEDGE =
  'DELETE FROM outbox WHERE collection = ? AND (id, event_id) IN (SELECT value->>0, value->>1 FROM json_each(?))';

interface Acknowledged {
  pairs: [id: string, eventId: string][];
  done: PromiseWithResolvers<void>;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export function unavailable(message: string, cause?: unknown): RideError {
  return new RideError('RIDE_UNAVAILABLE', message, { retryAfterMs: RETRY_AFTER_MS, cause });
}

export class Link {
  readonly #settings: () => WorkerSettings;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  /** Whether the worker has the file open. */
  #ready = false;
  #batch: Request[] = [];
  /** Acknowledgements of this turn, by collection. */
  #acknowledged = new Map<string, Acknowledged>();
  #nextId = 1;
  #closing: PromiseWithResolvers<void> | null = null;
  #restart: NodeJS.Timeout | undefined;

  constructor(settings: () => WorkerSettings) {
    this.#settings = settings;
  }

  /** @throws RideError RIDE_UNAVAILABLE, or StatementError when the schema cannot be made. */
  async open(): Promise<void> {
    if (this.#worker) throw new Error('the store is open already');
    if (this.#closing) throw unavailable('the store is closed');
    await this.#start();
  }

  #start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Without the program's loaders and hooks, which have nothing to do there and cost a tenth of a second.
    const options = { workerData: this.#settings(), execArgv: [] };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), options);
    this.#worker = worker;
    let error: Error = unavailable('the SQLite worker has ended');
    worker.once('message', (failure: Opened) => {
      if (failure) {
        error = asError(failure);
        return;
      }
      worker.on('message', (answers: Outbound) => this.#settle(answers));
      this.#ready = true;
      resolve();
    });
    worker.on('error', (cause) => {
      error = unavailable('the SQLite worker has crashed', cause);
    });
    worker.on('exit', () => {
      reject(error);
      this.#ended(error);
    });
    return promise;
  }

  #ended(error: Error): void {
    const wasReady = this.#ready;
    this.#worker = null;
    this.#ready = false;
    this.#batch = [];
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    if (this.#closing) this.#closing.resolve();
    else if (wasReady) this.#startLater(RESTART_MS[0]);
  }

  /** Until it succeeds or the store is closed. Keeps no process alive. */
  #startLater(pauseMs: number): void {
    this.#restart = setTimeout(() => {
      this.#start().catch(() => {
        if (!this.#closing) this.#startLater(Math.min(pauseMs * 2, RESTART_MS[1]));
      });
    }, pauseMs).unref();
  }

  #settle(answers: Outbound): void {
    for (let i = 0; i < answers.length; i += 3) {
      const id = answers[i] as number;
      const waiting = this.#waiting.get(id)!;
      this.#waiting.delete(id);
      if (answers[i + 1]) waiting.reject(asError(answers[i + 2] as Failure));
      else waiting.resolve(answers[i + 2]);
    }
  }

  #call<T>(request: Request): Promise<T> {
    if (!this.#ready || this.#closing) throw unavailable('the SQLite store is not open');
    if (this.#waiting.size >= MAX_WAITING) throw unavailable('the SQLite store is overloaded');
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(request[0], { resolve, reject });
    const size = this.#batch.push(request);
    // Requests that come by different connections are of one turn: a message to the worker costs more than most of what it carries.
    if (size === 1) setImmediate(this.#flush);
    else if (size === TOGETHER) this.#flush();
    return promise as Promise<T>;
  }

  readonly #flush = (): void => {
    if (!this.#worker || this.#batch.length === 0) return;
    this.#worker.postMessage(this.#batch satisfies Inbound);
    this.#batch = [];
  };

  async rows(statement: Statement): Promise<SqlValue[][]> {
    return this.#call([this.#nextId++, 'rows', statement]);
  }

  async pending(table: string, collection: string, from: number, before: number, limit: number): Promise<SqlValue[][]> {
    return this.#call([this.#nextId++, 'pending', table, collection, from, before, limit]);
  }

  /** Atomic; see WriteRequest. */
  async write(
    guarded: WriteRequest[2],
    statements: readonly Statement[],
    kind: 'write' | 'late' = 'write',
  ): Promise<number> {
    return this.#call([this.#nextId++, kind, guarded, statements]);
  }

  /**
   * Takes events out of the outbox of a document. Those of one turn of the event loop are one statement: there is one for every event of
   * every document, and nobody waits for it.
   */
  acknowledge(collection: string, id: string, eventIds: readonly string[]): Promise<void> {
    let all = this.#acknowledged.get(collection);
    if (!all) {
      all = { pairs: [], done: Promise.withResolvers() };
      if (this.#acknowledged.size === 0) setImmediate(this.#acknowledge);
      this.#acknowledged.set(collection, all);
    }
    for (const eventId of eventIds) all.pairs.push([id, eventId]);
    return all.done.promise;
  }

  readonly #acknowledge = (): void => {
    const waiting = this.#acknowledged;
    this.#acknowledged = new Map();
    for (const [collection, { pairs, done }] of waiting) {
      this.write(true, [[ACKNOWLEDGE, collection, JSON.stringify(pairs)]], 'late').then(
        () => done.resolve(),
        done.reject,
      );
    }
  };

  async close(): Promise<void> {
    clearTimeout(this.#restart);
    if (!this.#closing) {
      this.#acknowledge();
      this.#closing = Promise.withResolvers();
      if (this.#worker) {
        this.#flush();
        this.#worker.postMessage(null satisfies Inbound);
      } else {
        this.#closing.resolve();
      }
    }
    return this.#closing.promise;
  }
}

function asError(failure: Failure): Error {
  return isOfStatement(failure) ? new StatementError(failure) : unavailable(`SQLite: ${failure.message}`, failure);
}
