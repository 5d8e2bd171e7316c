/**
 * One open SQLite file: opening it, and running statements through a bounded cache of prepared ones. Runs in the
 * worker.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { PENDING_EVENTS } from '../store/rules.ts';
import {
  asFailure,
  isBusy,
  type PendingRequest,
  type SqlValue,
  type Statement,
  type WorkerSettings,
} from './protocol.ts';
import { SCHEMA_VERSION } from './schema.ts';

/** Statements kept prepared; a program has far fewer, save for filters that vary. */
const MAX_PREPARED = 512;
/**
 * How long SQLite itself waits for a lock. Short, because it blocks the thread: the worker's own retries, which go on
 * serving reads, make up the rest.
 */
const SHORT_BUSY_MS = 10;

export type Row = SqlValue[];

export class Database {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  /** @throws Error of SQLite when the file cannot be opened, is of a newer program, or breaks a unique index. */
  constructor(settings: WorkerSettings) {
    this.#db = new DatabaseSync(settings.file, { timeout: SHORT_BUSY_MS });
    try {
      // The switch to WAL does not wait for locks by itself when several processes open a new file at once. And SQLite's own waiting
      // for a lock pauses longer and longer: beside processes that write all the time it might never get one.
      untilFree(settings.busyTimeoutMs, () => this.#db.exec('PRAGMA journal_mode = WAL'));
      this.#db.exec('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768');
      untilFree(settings.busyTimeoutMs, () => {
        // A node that joins others finds everything there, and needs no lock.
        if (!this.#isDefined(settings.schema)) this.#define(settings.schema);
      });
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  #version(): number {
    const version = this.#db.prepare('PRAGMA user_version').get()?.user_version as number;
    if (version > SCHEMA_VERSION)
      throw new Error(`the file has schema ${version}, this program knows ${SCHEMA_VERSION}`);
    return version;
  }

  /** The definitions of what there is, by name. */
  #existing(): Map<string, string | null> {
    const rows = this.#db.prepare('SELECT name, sql FROM sqlite_master').all();
    return new Map(rows.map((row) => [row.name as string, row.sql as string | null]));
  }

  #isDefined(schema: WorkerSettings['schema']): boolean {
    if (this.#version() < SCHEMA_VERSION) return false;
    const existing = this.#existing();
    return schema.every(({ index, sql }) =>
      index === undefined ? existing.has(/IF NOT EXISTS "?(\w+)/.exec(sql)![1]!) : existing.get(index) === sql,
    );
  }

  /** Makes what is missing, and makes anew the indexes whose definition has changed. */
  #define(schema: WorkerSettings['schema']): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      this.#version();
      const existing = this.#existing();
      for (const { index, sql } of schema) {
        if (index && existing.get(index) === sql) continue;
        if (index && existing.has(index)) this.#db.exec(`DROP INDEX "${index}"`);
        this.#db.exec(sql);
      }
      this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      if (this.#prepared.size >= MAX_PREPARED) this.#prepared.delete(this.#prepared.keys().next().value!);
      statement = this.#db.prepare(sql);
      statement.setReturnArrays(true);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }

  /** Runs a statement that changes rows. Returns how many. */
  change(statement: Statement): number {
    const [sql, ...parameters] = statement;
    return Number(this.#prepare(sql).run(...parameters).changes);
  }

  rows(statement: Statement): Row[] {
    const [sql, ...parameters] = statement;
    return this.#prepare(sql).all(...parameters) as unknown as Row[];
  }

  /**
   * Documents by their earliest unacknowledged event: the index is walked in order of dates only until enough documents
   * are found, so that a long backlog costs no more than a short one. Rows of (document, id, event id, seq, type, at,
   * data), documents in order, their events by seq; document text only in its first row.
   */
  pending([, , table, collection, from, before, limit]: PendingRequest): Row[] {
    const walk = this.#prepare(`SELECT id FROM outbox AS o WHERE collection = ?1 AND at >= ?2 AND at <= ?3
      AND NOT EXISTS (SELECT 1 FROM outbox AS e WHERE e.collection = ?1 AND e.id = o.id AND e.at < ?2) ORDER BY at`);
    const ids = new Set<string>();
    for (const row of walk.iterate(collection, from, before) as unknown as Iterable<[string]>) {
      ids.add(row[0]);
      if (ids.size >= limit) break;
    }
    const rows: Row[] = [];
    for (const id of ids) {
      const [document] = this.rows([`SELECT doc FROM ${table} WHERE id = ?`, id]);
      const events =
        'SELECT id, event_id, seq, type, at, data FROM outbox WHERE collection = ? AND id = ? ORDER BY seq LIMIT ?';
      for (const [i, event] of this.rows([events, collection, id, PENDING_EVENTS]).entries()) {
        rows.push([i === 0 ? document![0]! : null, ...event]);
      }
    }
    return rows;
  }

  close(): void {
    this.#prepared.clear();
    this.#db.close();
  }
}

function untilFree(boundMs: number, attempt: () => void): void {
  const deadline = performance.now() + boundMs;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      attempt();
      return;
    } catch (error) {
      if (!isBusy(asFailure(error)) || performance.now() > deadline) throw error;
      Atomics.wait(cell, 0, 0, 5);
    }
  }
}
