/** One collection of the SQLite store: the port's calls as statements for the worker. */
import { RideError } from '../../errors.ts';
import type { Collection, CollectionSpec, OutboxEvent, Pending, StoredDocument } from '../../ports/store.ts';
import { formatCursor, parseCursor } from '../store/cursor.ts';
import { checkDocument, checkFields, checkFilter, checkLimit, checkNear, checkPage } from '../store/rules.ts';
import { type Link, StatementError } from './link.ts';
import type { SqlValue, Statement } from './protocol.ts';
import { columnsOf, pageStatements, whereClause } from './query.ts';
import { tableOf, violatedIndex } from './schema.ts';

export function createCollection<T extends StoredDocument>(link: Link, spec: CollectionSpec<T>): Collection<T> {
  const table = tableOf(spec.name);
  const insertSql = `INSERT INTO ${table} (id, version, region, created_at, doc) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING`;
  const replaceSql = `UPDATE ${table} SET doc = ?, version = ? WHERE id = ? AND version = ? AND region = ? AND created_at = ?`;
  const parse = (text: SqlValue | undefined): T => JSON.parse(text as string) as T;

  const insertion = (document: T): Statement => {
    const { id, version, region, createdAt } = document;
    return [insertSql, id, version, region, createdAt, JSON.stringify(document)];
  };

  async function run(guarded: true | 'sum', statements: readonly Statement[]): Promise<number> {
    try {
      return await link.write(guarded, statements);
    } catch (error) {
      throw translate(spec, error);
    }
  }

  /** The document's own statement first, then its events. */
  async function write(first: Statement, id: string, events: readonly OutboxEvent[]): Promise<number> {
    if (events.length === 0) return run(true, [first]);
    return run(true, [first, ...events.map((event) => eventStatement(spec.name, id, event))]);
  }

  return {
    async insert(document, events = []) {
      checkDocument(document, events, true);
      if ((await write(insertion(document), document.id, events)) === 0) throw taken(spec, 'id');
    },

    async insertMany(documents) {
      if (documents.length === 0) return;
      for (const document of documents) checkDocument(document, [], true);
      if ((await run('sum', documents.map(insertion))) < documents.length) throw taken(spec, 'id');
    },

    async compareAndSet(document, events = []) {
      checkDocument(document, events, false);
      const { id, version, region, createdAt } = document;
      const replace: Statement = [replaceSql, JSON.stringify(document), version, id, version - 1, region, createdAt];
      return (await write(replace, id, events)) === 1;
    },

    async get(id) {
      const [row] = await link.rows([`SELECT doc FROM ${table} WHERE id = ?`, id]);
      return row ? parse(row[0]) : null;
    },

    async getMany(ids) {
      if (ids.length === 0) return [];
      const sql = `SELECT id, doc FROM ${table} WHERE id IN (SELECT value FROM json_each(?))`;
      const found = new Map((await link.rows([sql, JSON.stringify(ids)])) as [string, string][]);
      return ids.flatMap((id) => (found.has(id) ? [parse(found.get(id))] : []));
    },

    async page(query) {
      checkPage(query);
      const after = query.pageToken === undefined ? null : parseCursor(spec.name, query, query.pageToken);
      const rows: SqlValue[][] = [];
      for (const statement of pageStatements(spec.name, query, after)) {
        if (rows.length <= query.pageSize) rows.push(...(await link.rows(statement)));
      }
      const items = rows.slice(0, query.pageSize).map((row) => parse(row[2]));
      if (rows.length <= query.pageSize) return { items };
      const [value, id] = rows[query.pageSize - 1] as [SqlValue, string];
      return { items, nextPageToken: formatCursor(spec.name, query, { value, id }) };
    },

    async near(query) {
      checkNear(query);
      const where = whereClause({ ...query.where });
      const cells = whereClause({ [query.field]: { in: query.cells } });
      const sql = `SELECT doc FROM ${table} WHERE (${cells.sql}) AND (${where.sql}) LIMIT ?`;
      const rows = await link.rows([sql, ...cells.parameters, ...where.parameters, query.limit]);
      return rows.map((row) => parse(row[0]));
    },

    async count(filter) {
      checkFilter(filter);
      const where = whereClause(filter);
      const [row] = await link.rows([`SELECT count(*) FROM ${table} WHERE ${where.sql}`, ...where.parameters]);
      return row![0] as number;
    },

    async tally(filter, fields) {
      checkFilter(filter);
      checkFields(fields);
      const [where, columns] = [whereClause(filter), columnsOf(fields)];
      const sql = `SELECT count(*), ${columns} FROM ${table} WHERE ${where.sql} GROUP BY ${columns}`;
      const rows = (await link.rows([sql, ...where.parameters])) as [number, ...(string | number | null)[]][];
      return rows.map(([count, ...values]) => ({ count, values }));
    },

    async acknowledge(id, eventIds) {
      if (eventIds.length === 0) return;
      await link.acknowledge(spec.name, id, eventIds);
    },

    async outboxOf(id) {
      const sql = 'SELECT event_id, seq, type, at, data FROM outbox WHERE collection = ? AND id = ? ORDER BY seq';
      return (await link.rows([sql, spec.name, id])).map((row) => asEvent(row));
    },

    async pending(before, limit, from = 0) {
      checkLimit('limit', limit, 10_000);
      const found: Pending<T>[] = [];
      for (const [text, , ...event] of await link.pending(table, spec.name, from, before, limit)) {
        if (text !== null) found.push({ document: parse(text), events: [] });
        found.at(-1)!.events.push(asEvent(event));
      }
      return found;
    },

    async remove(filter, limit) {
      checkFilter(filter);
      checkLimit('limit', limit, 10_000);
      const where = whereClause(filter);
      const sql = `DELETE FROM ${table} WHERE rowid IN (SELECT d.rowid FROM ${table} AS d WHERE (${where.sql})
        AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.collection = ? AND o.id = d.id) LIMIT ?)`;
      return link.write(true, [[sql, ...where.parameters, spec.name, limit]]);
    },
  };
}

function eventStatement(collection: string, id: string, event: OutboxEvent): Statement {
  const sql = 'INSERT INTO outbox (collection, id, seq, event_id, type, at, data) VALUES (?, ?, ?, ?, ?, ?, ?)';
  return [sql, collection, id, event.seq, event.id, event.type, event.at, JSON.stringify(event.data)];
}

function asEvent(row: readonly (SqlValue | undefined)[]): OutboxEvent {
  const [id, seq, type, at, data] = row as [string, number, string, number, string];
  return { id, seq, type, at, data: JSON.parse(data) };
}

function translate(spec: CollectionSpec<StoredDocument>, error: unknown): unknown {
  if (!(error instanceof StatementError)) return error;
  const index = violatedIndex(spec, error.message);
  if (!index) return error;
  return taken(spec, index, error);
}

function taken(spec: CollectionSpec<StoredDocument>, index: string, cause?: unknown): RideError {
  return new RideError('RIDE_ALREADY_EXISTS', `${index} of ${spec.name} is taken`, { facts: { index }, cause });
}
