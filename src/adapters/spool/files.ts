/**
 * The files of a spool: segments by ascending number, and beside them the cursor, the place up to which records were taken. What has to
 * survive a power failure is flushed here; in which order things are written, spool.ts says.
 */
import { type FileHandle, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Position {
  segment: number;
  offset: number;
}

const SEGMENT_NAME = /^(\d{16})\.log$/;

export const segmentPath = (folder: string, id: number): string => join(folder, `${String(id).padStart(16, '0')}.log`);

/** Of the segments in a folder, ascending. */
export async function segmentIds(folder: string): Promise<number[]> {
  const names = (await readdir(folder)).sort();
  return names.flatMap((name) => SEGMENT_NAME.exec(name)?.slice(1).map(Number) ?? []);
}

/** Whether a folder holds records that a process left behind. */
export async function hasSegments(folder: string): Promise<boolean> {
  return (await segmentIds(folder)).length > 0;
}

/** Makes an empty one whose name survives a power failure as its content does. Rejects when it is there already. */
export async function createSegment(folder: string, id: number): Promise<FileHandle> {
  const path = segmentPath(folder, id);
  const handle = await open(path, 'wx');
  try {
    await syncFolder(folder);
  } catch (error) {
    await handle.close();
    await rm(path);
    throw error;
  }
  return handle;
}

/** Up to so many bytes: fewer where the file ends. */
export async function readAt(file: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let at = 0;
  while (at < bytes) {
    const { bytesRead } = await file.read(buffer, at, bytes - at, offset + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return buffer.subarray(0, at);
}

/** Writes all of it, flushed. */
export async function writeAt(file: FileHandle, offset: number, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
  }
  await file.datasync();
}

/** Shortens a file for good. */
export async function cutOff(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.truncate(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Null when there is none yet. Rejects when it cannot be read or says no place. */
export async function readCursor(folder: string): Promise<Position | null> {
  let text: string;
  try {
    text = await readFile(join(folder, 'cursor'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const { segment, offset } = JSON.parse(text) as Position;
  if (Number.isSafeInteger(segment) && Number.isSafeInteger(offset)) return { segment, offset };
  throw new Error(`no place in a spool: ${text}`);
}

/** Not flushed: an older cursor only means repeats. */
export async function writeCursor(folder: string, cursor: Position): Promise<void> {
  const path = join(folder, 'cursor');
  await writeFile(`${path}.new`, JSON.stringify(cursor));
  await rename(`${path}.new`, path);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
