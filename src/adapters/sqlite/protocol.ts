/**
 * What crosses between the main thread and the SQLite worker. Messages are flat arrays of strings and numbers, in
 * batches of all that one turn produced, because every object that is cloned costs more than the statement it carries.
 */

export type SqlValue = string | number | null;

/** SQL text (the key of the worker's cache of prepared statements) and its positional parameters. */
export type Statement = readonly [sql: string, ...parameters: SqlValue[]];

/** Rows of one SELECT. */
export type ReadRequest = readonly [id: number, kind: 'rows', statement: Statement];

/** The backlog of the outbox: see `pending` in reads.ts. */
export type PendingRequest = readonly [
  id: number,
  kind: 'pending',
  table: string,
  collection: string,
  from: number,
  before: number,
  limit: number,
];

/**
 * Statements that take effect together or not at all. `guarded`: when the first changes no row the others are skipped,
 * and its count is the answer; otherwise the count of the last one is, or with `sum` that of all. `late`: nobody waits for it, so that it goes along with
 * the writes of others, or by itself a moment later.
 */
export type WriteRequest = readonly [
  id: number,
  kind: 'write' | 'late',
  guarded: boolean | 'sum',
  statements: readonly Statement[],
];

export type Request = ReadRequest | PendingRequest | WriteRequest;

/** Main thread to worker; null asks it to close the file and end. */
export type Inbound = readonly Request[] | null;

/** SQLite's extended result code, 0 for what was no error of SQLite, and its message. */
export interface Failure {
  errcode: number;
  message: string;
}

/** Worker to main thread: ids and results by turns, `[id, failed, value, id, failed, value, …]`. */
export type Outbound = readonly unknown[];

/** First message of a worker: null when the file is open. */
export type Opened = Failure | null;

export interface WorkerSettings {
  file: string;
  /** How long a write may wait for another process's, milliseconds. */
  busyTimeoutMs: number;
  /** Index name and the statement that makes it; tables have no name here. */
  schema: readonly { index?: string; sql: string }[];
}

const BUSY = 5;
const LOCKED = 6;

/** Another connection holds the lock: a repeat helps. */
export function isBusy(failure: Failure): boolean {
  const primary = failure.errcode & 0xff;
  return primary === BUSY || primary === LOCKED;
}

/**
 * Concerns one statement (1 error, 18 too big, 19 constraint, 20 mismatch, 25 range, 0 a bad parameter), not file or
 * disk.
 */
export function isOfStatement(failure: Failure): boolean {
  return [0, 1, 18, 19, 20, 25].includes(failure.errcode & 0xff);
}

export function asFailure(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message?: string };
  return { errcode: errcode ?? 0, message: message ?? String(error) };
}
