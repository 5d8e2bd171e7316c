/** Where a store under test lives, as plain data, so that a child process can open the same one. */
import { formatId } from '../../../src/domain/ids.ts';
import type { Collection, CollectionSpec, OutboxEvent, Store, StoredDocument } from '../../../src/ports/store.ts';

export type Place = { adapter: 'sqlite'; file: string } | { adapter: 'mongodb'; url: string; database: string };

export const REGION = 'blr';

/** Not open yet. The driver of the one that is not used is not loaded. */
export async function createStoreAt(place: Place): Promise<Store> {
  if (place.adapter === 'mongodb') {
    const { createMongoStore } = await import('../../../src/adapters/mongodb/store.ts');
    return createMongoStore({ url: place.url, database: place.database, region: REGION });
  }
  const { createSqliteStore } = await import('../../../src/adapters/sqlite/store.ts');
  return createSqliteStore({ file: place.file });
}

export interface Thing extends StoredDocument {
  run?: string;
  code?: string | null;
  handle?: string | null;
  status?: string | null;
  n?: number | null;
  flag?: boolean | null;
  cell?: string;
  place?: { city?: string | null; zone?: string | null };
  note?: string | null;
  extra?: unknown;
}

export const THINGS: CollectionSpec<Thing> = {
  name: 'things',
  indexes: [
    { name: 'code', fields: ['run', 'code'], unique: true },
    { name: 'handle', fields: ['handle'], unique: true, sparse: true },
    { name: 'zone', fields: ['place.zone'], unique: true, sparse: true },
    { name: 'status', fields: ['status', 'place.city', 'n'] },
    { name: 'cell', fields: ['cell'], sparse: true },
    { name: 'number', fields: ['n'] },
    { name: 'flag', fields: ['status', 'flag'], present: 'flag' },
    { name: 'created', fields: ['createdAt'] },
  ],
};

/** A second collection, to see that the two do not mix. */
export const OTHERS: CollectionSpec<Thing> = { name: 'others', indexes: [{ name: 'handle', fields: ['handle'] }] };

let made = 0;

/** A document of its own kind; `code` is unique unless given. */
export function thing(fields: Partial<Thing> = {}): Thing {
  const createdAt = fields.createdAt ?? 1_700_000_000_000 + made;
  made++;
  const random = new Uint8Array(16).map(() => Math.floor(Math.random() * 256));
  const id = formatId('trip', REGION, createdAt, random);
  return { id, region: REGION, createdAt, version: 1, code: `code-${process.pid}-${made}`, ...fields };
}

/** The event of `document`'s present version. */
export function eventOf(document: StoredDocument, at = document.createdAt): OutboxEvent {
  const { id, version } = document;
  return { id: `evt-${id}-${version}`, seq: version, type: 'thing.changed', at, data: { version, by: 'test' } };
}

export function next<T extends StoredDocument>(document: T, changes: Partial<T> = {}): T {
  return { ...document, ...changes, version: document.version + 1 };
}

export interface Opened {
  store: Store;
  things: Collection<Thing>;
  others: Collection<Thing>;
}

/** Opens the store at `place` and closes it after the test. */
export async function openAt(t: { after(fn: () => unknown): void }, place: Place): Promise<Opened> {
  const store = await createStoreAt(place);
  const things = store.collection(THINGS);
  const others = store.collection(OTHERS);
  await store.open();
  t.after(() => store.close());
  return { store, things, others };
}
