/**
 * A document as MongoDB holds it: `_id` for the id, the fields as they are, and beside them what never leaves the
 * adapter:
 *  - `outbox`: the events that wait to be published;
 *  - `_fields`: names of the top-level fields, so that a write knows which ones it has to take away without reading
 *    them first;
 *  - `_nulls`: paths at which the document has null where a unique sparse index looks. They are left out of the
 *    document, for such an index of MongoDB takes explicit nulls for values, and put back when it is read.
 */
import type { Document } from 'mongodb';
import type { CollectionSpec, IndexSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';

export interface Encoded {
  _id: string;
  region: string;
  createdAt: number;
  version: number;
  _fields: string;
  _nulls?: string[];
  [field: string]: unknown;
}

export interface Held extends Encoded {
  outbox: OutboxEvent[];
}

/** Leaves out what `decode` has no use for. */
export const VISIBLE = { outbox: 0, _fields: 0 } as const;

/** The document's own id is `_id` there. */
export function fieldOf(path: string): string {
  return path === 'id' ? '_id' : path;
}

/** As JSON has it, which is what the port stores: no undefined, no objects that are more than their fields. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

export function encode(spec: CollectionSpec<StoredDocument>, document: StoredDocument): Encoded {
  const { id, ...fields } = plain(document);
  const held: Encoded = { _id: id, ...fields, _fields: fieldsOf(fields) };
  const nulls = takeNulls(spec, held);
  if (nulls.length > 0) held._nulls = nulls;
  return held;
}

export function decode<T extends StoredDocument>(held: Document): T {
  const { _id, outbox: _outbox, _fields, _nulls = [], ...fields } = held;
  for (const path of _nulls) {
    const [owner, name] = ownerOf(fields, path);
    if (owner) owner[name] = null;
  }
  return { id: _id, ...fields } as unknown as T;
}

/** The object that holds the last name of `path`, if there is one, and that name. */
function ownerOf(document: Document, path: string): [Record<string, unknown> | null, string] {
  const names = path.split('.');
  const last = names.pop()!;
  const owner = names.length === 0 ? document : valueAt(document, names.join('.'));
  return [typeof owner === 'object' ? (owner as Record<string, unknown> | null) : null, last];
}

function takeNulls(spec: CollectionSpec<StoredDocument>, held: Document): string[] {
  const nulls: string[] = [];
  for (const index of spec.indexes) {
    if (!index.unique || !index.sparse) continue;
    const [owner, name] = ownerOf(held, index.fields[0]!);
    if (owner?.[name] !== null) continue;
    delete owner[name];
    nulls.push(index.fields[0]!);
  }
  return nulls;
}

/** Names are identifiers, so a blank tells them apart. */
export function fieldsOf(fields: object): string {
  return Object.keys(fields)
    .filter((name) => name !== 'id')
    .sort()
    .join(' ');
}

export function valueAt(document: object, path: string): unknown {
  let value: unknown = document;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[name];
  return value ?? null;
}

export interface MongoIndex {
  key: Record<string, 1>;
  name: string;
  unique?: true;
  sparse?: true;
  partialFilterExpression?: Document;
}

/**
 * Indexes of a collection. Those that are neither unique nor sparse end in `_id`, so that pages, which order ties by
 * id, can follow them; `shard` is the one that sharding by document C's key needs.
 */
export function indexesOf(spec: CollectionSpec<StoredDocument>): MongoIndex[] {
  return [
    { key: { region: 1, createdAt: 1, _id: 1 }, name: 'shard' },
    { key: { 'outbox.at': 1 }, name: 'outbox', sparse: true },
    ...spec.indexes.map(mongoIndex),
  ];
}

function mongoIndex(index: IndexSpec): MongoIndex {
  const key: Record<string, 1> = {};
  for (const field of index.fields) key[fieldOf(field)] = 1;
  const unique = index.unique && { unique: true as const };
  if (index.sparse) return { key, name: index.name, sparse: true, ...unique };
  const made: MongoIndex = { key: unique ? key : { ...key, _id: 1 }, name: index.name, ...unique };
  if (index.counts !== undefined) made.key[fieldOf(index.counts)] = 1;
  // Explicit nulls have a place in it, as conditions for these go.
  if (index.present !== undefined) made.partialFilterExpression = { [fieldOf(index.present)]: { $exists: true } };
  return made;
}
