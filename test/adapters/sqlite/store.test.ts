/** The SQLite store: the port's conformance suite, and what is its own: locks, its thread, its file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { storeConformance } from '../../conformance/store.ts';

async function fresh(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-sqlite-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'not', 'there', 'yet', 'ride.db');
}

await storeConformance(t, 'sqlite', async (t) => ({ adapter: 'sqlite', file: await fresh(t) }));
