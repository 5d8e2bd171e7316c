/**
 * Tables and indexes of the SQLite store. Documents are JSON text; declared indexes are expression indexes over
 * json_extract, whose text must be letter by letter what queries say, so both take it from `expression`.
 */
import type { CollectionSpec, IndexSpec, StoredDocument } from '../../ports/store.ts';

/** Fields that have a column of their own. */
const COLUMNS: Readonly<Record<string, string>> = {
  id: 'id',
  region: 'region',
  createdAt: 'created_at',
  version: 'version',
};

/** Number that a file carries in `user_version`; one that is higher was written by a newer program and is refused. */
export const SCHEMA_VERSION = 1;

export const BASE_SCHEMA = [
  {
    sql: `CREATE TABLE IF NOT EXISTS outbox (collection TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL,
      event_id TEXT NOT NULL, type TEXT NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL,
      PRIMARY KEY (collection, id, seq)) STRICT, WITHOUT ROWID`,
  },
  { sql: 'CREATE INDEX IF NOT EXISTS outbox_at ON outbox (collection, at)' },
  {
    sql: `CREATE TABLE IF NOT EXISTS track_buckets (start INTEGER NOT NULL, subject TEXT NOT NULL,
      PRIMARY KEY (start, subject)) STRICT, WITHOUT ROWID`,
  },
  {
    sql: `CREATE TABLE IF NOT EXISTS track_points (subject TEXT NOT NULL, start INTEGER NOT NULL, at INTEGER NOT NULL,
      lat REAL NOT NULL, lng REAL NOT NULL, speed_mps REAL, heading_deg REAL, accuracy_m REAL,
      PRIMARY KEY (subject, start, at)) STRICT, WITHOUT ROWID`,
  },
];

/** Table of a collection, quoted. */
export function tableOf(collection: string): string {
  return `"doc_${collection}"`;
}

/** SQL of a field. `field` was checked to be a dotted path, so that it holds nothing to escape. */
export function expression(field: string): string {
  return COLUMNS[field] ?? `json_extract(doc,'${jsonPath(field)}')`;
}

export function isColumn(field: string): boolean {
  return COLUMNS[field] !== undefined;
}

export function jsonPath(field: string): string {
  return `$.${field
    .split('.')
    .map((name) => `"${name}"`)
    .join('.')}`;
}

export function collectionSchema(spec: CollectionSpec<StoredDocument>): { index?: string; sql: string }[] {
  const table = tableOf(spec.name);
  return [
    {
      sql: `CREATE TABLE IF NOT EXISTS ${table} (id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, region TEXT NOT NULL,
        created_at INTEGER NOT NULL, doc TEXT NOT NULL) STRICT`,
    },
    ...spec.indexes.flatMap((index) => indexSchema(spec.name, index)),
  ];
}

/**
 * A unique index here takes NULLs for different from each other, but the port takes missing fields for equal: a second
 * unique index over only the rows with a NULL sees to those. Other indexes end in the id, so that pages can follow
 * them.
 */
function indexSchema(collection: string, index: IndexSpec): { index: string; sql: string }[] {
  const on = `ON ${tableOf(collection)}`;
  const fields = index.fields.map(expression);
  const present = index.sparse ? index.fields[0] : index.present;
  const kept = present === undefined ? '' : ` WHERE ${expression(present)} IS NOT NULL`;
  const name = `${collection}.${index.name}`;
  const behind = index.counts === undefined ? 'id' : `id, ${expression(index.counts)}`;
  if (!index.unique)
    return [{ index: name, sql: `CREATE INDEX "${name}" ${on} (${fields.join(', ')}, ${behind})${kept}` }];
  const main = { index: name, sql: `CREATE UNIQUE INDEX "${name}" ${on} (${fields.join(', ')})${kept}` };
  const nullable = (index.sparse ? fields.slice(1) : fields).map((field) => `${field} IS NULL`);
  if (nullable.length === 0) return [main];
  const filled = fields.map((field) => `ifnull(${field}, x'')`).join(', ');
  const held = index.sparse ? `${fields[0]} IS NOT NULL AND ` : '';
  const nulls = `CREATE UNIQUE INDEX "${name}.null" ${on} (${filled}) WHERE ${held}(${nullable.join(' OR ')})`;
  return [main, { index: `${name}.null`, sql: nulls }];
}

/** Name of the index that a UNIQUE failure of `spec`'s table speaks of; null when it is not one of them. */
export function violatedIndex(spec: CollectionSpec<StoredDocument>, message: string): string | null {
  const named = /index '([^']+)'/.exec(message)?.[1];
  if (named) {
    const [collection, index] = named.split('.');
    return collection === spec.name && index ? index : null;
  }
  const columns = /UNIQUE constraint failed: (.+)$/.exec(message)?.[1]?.split(', ');
  if (!columns?.every((column) => column.startsWith(`doc_${spec.name}.`))) return null;
  const names = columns.map((column) => column.slice(`doc_${spec.name}.`.length)).join();
  if (names === 'id') return 'id';
  return spec.indexes.find((index) => index.unique && index.fields.map(expression).join() === names)?.name ?? null;
}
