/** An empty store of a test's own, whatever the suite runs on: in the MongoDB that MONGODB_URL names, else a file of SQLite. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from '../conformance/store/place.ts';
import { givenServer, type MongoServer } from './mongo.ts';
import type { TestScope } from './process.ts';

/** Gone with the test. `mongo`: in this one instead. */
export async function ownStore(t: TestScope, mongo?: MongoServer): Promise<Place> {
  const server = mongo ?? suiteServer(t);
  if (server) return { adapter: 'mongodb', url: server.url, database: server.freshDatabase() };
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-store-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { adapter: 'sqlite', file: join(folder, 'ride.sqlite') };
}

/** Settings that give a server a database of its own in MONGODB_URL; none without one, for it makes its own SQLite. */
export function ownDatabase(t: TestScope): Record<string, string> {
  const server = suiteServer(t);
  return server ? { MONGODB_URL: server.url, MONGODB_DATABASE: server.freshDatabase() } : {};
}

function suiteServer(t: TestScope): MongoServer | null {
  const url = process.env.MONGODB_URL;
  return url ? givenServer(t, url) : null;
}
