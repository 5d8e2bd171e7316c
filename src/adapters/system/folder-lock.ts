/**
 * One owner for a folder. The lock is SQLite's own exclusive file lock: the operating system gives it back when its holder
 * dies, however it dies, so no stale lock is ever left behind (a file with a process id would outlive a kill -9).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { RideError } from '../../errors.ts';

export interface FolderLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/** @throws RideError RIDE_UNAVAILABLE that names the folder, and its owner when another live process has it. */
export function lockFolder(folder: string): FolderLock {
  const ownerFile = join(folder, 'owner');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    writeFileSync(ownerFile, `${process.pid}\n`);
  } catch (cause) {
    database?.close();
    if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new RideError(
        'RIDE_UNAVAILABLE',
        `DATA_DIR: ${folder} is in use by another running Ridestream (${ownerOf(ownerFile)}); stop it, choose another DATA_DIR, or share one Redis by REDIS_URL`,
        { cause },
      );
    }
    throw new RideError('RIDE_UNAVAILABLE', `DATA_DIR: cannot write in ${folder} (${(cause as Error).message})`, {
      cause,
    });
  }
  const held = database;
  let open = true;
  return {
    release() {
      if (open) held.close();
      open = false;
    },
  };
}

/** Only for the message: the lock itself decides. */
function ownerOf(file: string): string {
  try {
    return `process ${readFileSync(file, 'utf8').trim()}`;
  } catch {
    return 'process unknown';
  }
}
