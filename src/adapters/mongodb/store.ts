/**
 * The store on MongoDB, through the official driver. Each document carries its own outbox, so that every promise of the
 * port needs one single-document write and holds on sharded clusters. Every call by id names the shard key {region,
 * createdAt} where the id tells it (src/domain/ids.ts).
 */
import type { Db, Document, UpdateFilter } from 'mongodb';
import { RideError } from '../../errors.ts';
import type { Collection, CollectionSpec, Store, StoredDocument } from '../../ports/store.ts';
import { checkSpec } from '../store/rules.ts';
import { createCollection } from './collection.ts';
import { Connection } from './connection.ts';
import { indexesOf, type MongoIndex } from './documents.ts';
import { violatedIndex } from './errors.ts';
import { createTracks, TRACK_INDEXES, TRACKS } from './tracks.ts';

/** Number of the type null in the BSON specification. */
const BSON_NULL = 10;

export interface MongoStoreOptions {
  /** Connection string. Writes wait for the majority and the journal unless it says otherwise (`w`, `journal`). */
  url: string;
  /** Default: the one the URL names, else `ridestream`. */
  database?: string;
  /** Region of tracks whose subject is not one of our ids. */
  region: string;
  /**
   * How long a call waits for a server that can take it before RIDE_UNAVAILABLE, milliseconds. Default 3000; below 600
   * a call may give up on a server that is back, because the driver looks every 500.
   */
  serverSelectionTimeoutMs?: number;
}

/** @throws RideError RIDE_INVALID_INPUT when the URL is no connection string. */
export function createMongoStore(options: MongoStoreOptions): Store {
  const { url, database, region, serverSelectionTimeoutMs = 3000 } = options;
  const connection = new Connection({ url, database, serverSelectionTimeoutMs });
  const specs = new Map<string, CollectionSpec<StoredDocument>>();
  let declaring = true;

  return {
    collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T> {
      checkSpec(spec);
      if (!declaring || specs.has(spec.name)) throw new Error(`collection ${spec.name}: declare it once, before open`);
      specs.set(spec.name, spec);
      return createCollection<T>(connection, spec);
    },
    tracks: createTracks(connection, region),
    async open() {
      declaring = false;
      await connection.open(async (db) => {
        await db.command({ ping: 1 });
        await makeIndexes(db, TRACKS, TRACK_INDEXES);
        for (const spec of specs.values()) await makeIndexes(db, spec.name, indexesOf(spec));
      });
    },
    ping: () => connection.run('ping', async () => void (await connection.db.command({ ping: 1 }))),
    close: () => connection.close(),
  };
}

/** Makes what is missing, and makes anew the indexes whose definition has changed. */
async function makeIndexes(db: Db, name: string, wanted: readonly MongoIndex[]): Promise<void> {
  const collection = db.collection(name);
  const existing = new Map((await listIndexes(db, name)).map((index) => [index.name, definition(index)]));
  const missing = wanted.filter((index) => existing.get(index.name) !== definition(index));
  for (const index of missing) if (existing.has(index.name)) await collection.dropIndex(index.name);
  if (missing.length === 0) return;
  for (const { key, unique, sparse } of missing)
    if (unique && sparse) await takeStoredNulls(db, name, Object.keys(key)[0]!);
  try {
    await collection.createIndexes(missing.map((index) => ({ ...index })));
  } catch (error) {
    const index = violatedIndex(error);
    if (index === null) throw error;
    const facts = { collection: name, index };
    throw new RideError('RIDE_ALREADY_EXISTS', `stored ${name} break the index ${index}`, { facts, cause: error });
  }
}

/** What `encode` does from now on, for documents that were stored before the index was declared. */
async function takeStoredNulls(db: Db, name: string, field: string): Promise<void> {
  const update: UpdateFilter<Document> = { $unset: { [field]: '' }, $addToSet: { _nulls: field } };
  await db.collection(name).updateMany({ [field]: { $type: BSON_NULL } }, update);
}

async function listIndexes(db: Db, name: string): Promise<MongoIndex[]> {
  // A collection that is not there yet has no indexes to list, which the server says by an error.
  if (!(await db.listCollections({ name }, { nameOnly: true }).hasNext())) return [];
  return (await db.collection(name).indexes()) as unknown as MongoIndex[];
}

function definition({ key, unique, sparse, partialFilterExpression: part = {} }: MongoIndex): string {
  return JSON.stringify([Object.entries(key), unique === true, sparse === true, part]);
}
