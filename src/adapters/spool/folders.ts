/**
 * Which folder a process spools to. Processes that share DATA_DIR have one each, `0`, `1`, …, held by a lock that ends with its
 * holder; what a process that is gone left in another folder is taken over by the next that starts.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RideError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';
import { type FolderLock, lockFolder } from '../system/folder-lock.ts';
import { hasSegments } from './files.ts';
import { Spool, type SpoolOptions } from './spool.ts';

export interface HeldSpool {
  spool: Spool;
  lock: FolderLock;
}

export interface Spools {
  own: HeldSpool;
  /** To be sent and then given up. */
  leftBehind: HeldSpool[];
  /** What the broker refused for good, in a folder of the own one: kept for people, sent no more. */
  deadLetters: Spool;
}

/** Far more than there are processes on a machine. */
const MOST_FOLDERS = 1024;
const SQLITE_BUSY = 5;

/** Null when a live process has it. @throws RideError RIDE_UNAVAILABLE when the folder cannot be written */
function tryLock(folder: string): FolderLock | null {
  try {
    return lockFolder(folder);
  } catch (error) {
    const isHeld = error instanceof RideError && (error.cause as { errcode?: number })?.errcode === SQLITE_BUSY;
    if (isHeld) return null;
    throw error;
  }
}

/**
 * @param root made if need be
 * @throws RideError RIDE_UNAVAILABLE that names the folder which cannot be used; then none is held
 */
export async function claimSpools(root: string, options: Omit<SpoolOptions, 'folder'>): Promise<Spools> {
  const locks: FolderLock[] = [];
  try {
    return await claim(root, options, locks);
  } catch (error) {
    for (const lock of locks) lock.release();
    if (error instanceof RideError) throw error;
    const { message } = error as Error;
    throw new RideError('RIDE_UNAVAILABLE', `DATA_DIR: cannot keep events in ${root} (${message})`, { cause: error });
  }
}

/** @param locks those that were taken, also when it rejects */
async function claim(root: string, options: Omit<SpoolOptions, 'folder'>, locks: FolderLock[]): Promise<Spools> {
  let own: { name: string; folder: string; held: HeldSpool } | undefined;
  for (let n = 0; !own && n < MOST_FOLDERS; n++) {
    const folder = join(root, String(n));
    await mkdir(folder, { recursive: true });
    const lock = tryLock(folder);
    if (!lock) continue;
    locks.push(lock);
    own = { name: String(n), folder, held: { lock, spool: await Spool.open({ ...options, folder }) } };
  }
  if (!own) throw new RideError('RIDE_UNAVAILABLE', `DATA_DIR: every folder of ${root} is in use`);
  const deadLetters = await Spool.open({ ...options, folder: join(own.folder, 'dead-letters') });
  return { own: own.held, leftBehind: await takeOver(root, own.name, options, locks), deadLetters };
}

async function takeOver(
  root: string,
  own: string,
  options: { log: Logger } & Omit<SpoolOptions, 'folder'>,
  locks: FolderLock[],
): Promise<HeldSpool[]> {
  const taken: HeldSpool[] = [];
  for (const name of (await readdir(root)).filter((one) => /^\d+$/.test(one) && one !== own)) {
    const folder = join(root, name);
    if (!(await hasSegments(folder))) continue;
    const lock = tryLock(folder);
    if (!lock) continue;
    locks.push(lock);
    const spool = await Spool.open({ ...options, folder });
    if (spool.isEmpty) {
      await spool.close();
      lock.release();
      continue;
    }
    options.log.info({ folder, records: spool.records }, 'events that another process left behind are taken over');
    taken.push({ spool, lock });
  }
  return taken;
}
