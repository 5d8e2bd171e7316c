/**
 * The embedded store: SQLite through Node's own node:sqlite, in a worker thread with group commit (worker.ts). For one
 * machine; several processes on it may share one file. Documents travel as JSON text, made and read on this side, so
 * that the worker spends its time in SQLite alone.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RideError } from '../../errors.ts';
import type { Collection, CollectionSpec, Store, StoredDocument } from '../../ports/store.ts';
import { checkSpec } from '../store/rules.ts';
import { createCollection } from './collection.ts';
import { Link, StatementError } from './link.ts';
import { BASE_SCHEMA, collectionSchema, violatedIndex } from './schema.ts';
import { createTracks } from './tracks.ts';

export interface SqliteStoreOptions {
  /** Path of the file; its folder is made if it is missing. SQLite keeps two more files beside it (`-wal`, `-shm`). */
  file: string;
  /** How long a write may wait for other processes' writes before RIDE_UNAVAILABLE, milliseconds. Default 5000. */
  busyTimeoutMs?: number;
}

export function createSqliteStore(options: SqliteStoreOptions): Store {
  const file = resolve(options.file);
  const specs = new Map<string, CollectionSpec<StoredDocument>>();
  const link = new Link(() => ({
    file,
    busyTimeoutMs: options.busyTimeoutMs ?? 5000,
    schema: [...BASE_SCHEMA, ...[...specs.values()].flatMap(collectionSchema)],
  }));
  let declaring = true;

  return {
    collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T> {
      checkSpec(spec);
      if (!declaring || specs.has(spec.name)) throw new Error(`collection ${spec.name}: declare it once, before open`);
      specs.set(spec.name, spec);
      return createCollection<T>(link, spec);
    },
    tracks: createTracks(link),
    async open() {
      declaring = false;
      try {
        await mkdir(dirname(file), { recursive: true });
      } catch (cause) {
        throw new RideError('RIDE_UNAVAILABLE', `the folder of ${file} cannot be made`, { cause });
      }
      try {
        await link.open();
      } catch (error) {
        throw openError(error, specs, file);
      }
    },
    // A write of nothing: it needs the file, the worker and the lock, which is what serving takes.
    ping: async () => void (await link.write(false, [])),
    close: () => link.close(),
  };
}

function openError(error: unknown, specs: ReadonlyMap<string, CollectionSpec<StoredDocument>>, file: string): unknown {
  // Of the file itself: it cannot be opened, or is no database.
  if (!(error instanceof StatementError)) {
    return new RideError('RIDE_UNAVAILABLE', `${file}: ${(error as Error).message}`, { cause: error });
  }
  for (const spec of specs.values()) {
    const index = violatedIndex(spec, error.message);
    if (index) {
      const facts = { collection: spec.name, index };
      return new RideError('RIDE_ALREADY_EXISTS', `stored ${spec.name} break the index ${index}`, {
        facts,
        cause: error,
      });
    }
  }
  return new RideError('RIDE_UNAVAILABLE', `SQLite: ${error.message}`, { cause: error });
}
