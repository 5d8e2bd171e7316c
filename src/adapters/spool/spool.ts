/**
 * A queue of records on the disk, for the time in which the broker is away. Records lie in append-only segments; those that were
 * taken are behind the cursor. Promises:
 *  - a resolved append survives kill -9 and a power failure: it was flushed to the disk (one fdatasync for all that wait);
 *  - records are read in the order of the appends;
 *  - what was read is read again after a crash, unless `advance` was called: at least once;
 *  - no more than `maxBytes` wait: what does not fit is refused with RIDE_UNAVAILABLE, whole.
 */
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { RideError } from '../../errors.ts';
import type { SinkRecord } from '../../ports/event-sink.ts';
import type { Logger } from '../../ports/logger.ts';
import {
  createSegment,
  cutOff,
  type Position,
  readAt,
  readCursor,
  segmentIds,
  segmentPath,
  writeAt,
  writeCursor,
} from './files.ts';
import { encodeFrame, readFrames } from './frames.ts';

export interface SpoolOptions {
  folder: string;
  maxBytes: number;
  /** A segment is closed from this size on, and deleted when all of it was taken. */
  segmentBytes: number;
  log: Logger;
}

interface Segment {
  id: number;
  /** Bytes that are on the disk for good. */
  bytes: number;
}

export interface Page {
  records: SinkRecord[];
  /** For `advance`. */
  next: Position;
}

interface Append {
  bytes: Buffer;
  count: number;
  resolve(): void;
  reject(error: unknown): void;
}

const FULL_RETRY_MS = 1000;
/** Appends joined by one flush. */
const FLUSH_BYTES = 4 * 1024 * 1024;

export class Spool {
  readonly #options: SpoolOptions;
  readonly #segments: Segment[] = [];
  #cursor: Position = { segment: 0, offset: 0 };
  /** Of the last segment, once something was appended. */
  #handle: FileHandle | null = null;
  #waiting: Append[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | null = null;
  #records = 0;

  private constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** Opens a folder, makes it if need be, and cuts off what a crash left unfinished. The caller holds the folder's lock. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const spool = new Spool(options);
    await mkdir(options.folder, { recursive: true });
    await spool.#load();
    return spool;
  }

  /** Records on the disk that were not taken. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of these. */
  get bytes(): number {
    let bytes = -this.#cursor.offset;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  get isEmpty(): boolean {
    return this.#records === 0 && this.#waiting.length === 0 && this.#flushing === null;
  }

  /** Resolves when all of them are on the disk. @throws RideError RIDE_UNAVAILABLE when they do not fit or cannot be written */
  append(records: readonly SinkRecord[], maxBytes: number = this.#options.maxBytes): Promise<void> {
    const bytes = Buffer.concat(records.map(encodeFrame));
    if (this.bytes + this.#waitingBytes + bytes.length > maxBytes) {
      const message = `The spool for events holds as much as it may (${maxBytes} bytes)`;
      return Promise.reject(new RideError('RIDE_UNAVAILABLE', message, { retryAfterMs: FULL_RETRY_MS }));
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, count: records.length, resolve, reject });
    this.#waitingBytes += bytes.length;
    this.#flushing ??= this.#flush();
    return promise;
  }

  /** The oldest records that were not taken, of about `limitBytes`; null when there is none. */
  async peek(limitBytes: number): Promise<Page | null> {
    for (;;) {
      const segment = this.#segments[0];
      if (!segment) return null;
      const { offset } = this.#cursor;
      const left = segment.bytes - offset;
      if (left > 0) {
        const page = await this.#read(segment, offset, left, limitBytes);
        if (page) return page;
        this.#options.log.error({ segment: segment.id, offset, bytes: left }, 'the spool cannot be read here: lost');
        this.#cursor = { segment: segment.id, offset: offset + left };
      } else if (this.#segments.length === 1) {
        this.#records = 0;
        return null;
      } else await this.#dropFirst();
    }
  }

  /** The records of a page were taken. */
  async advance({ records, next }: Page): Promise<void> {
    this.#cursor = next;
    this.#records -= records.length;
    await writeCursor(this.#options.folder, next);
  }

  /** Resolves when what was appended up to now is on the disk or refused. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#handle?.close();
    this.#handle = null;
  }

  async #load(): Promise<void> {
    const { folder, log } = this.#options;
    const ids = await segmentIds(folder);
    const stored = await this.#readCursor();
    this.#cursor = stored;
    for (const [index, id] of ids.entries()) {
      const file = segmentPath(folder, id);
      if (id < stored.segment) {
        await rm(file);
        continue;
      }
      const content = await readFile(file);
      const { end, damaged } = readFrames(content);
      if (damaged > 0) log.error({ file, damaged }, 'records of the spool are damaged and left out');
      if (end < content.length) {
        const facts = { file, bytes: content.length - end };
        // A crash cuts the last one short; nothing of it was promised to anyone.
        if (index === ids.length - 1) log.info(facts, 'the end of the spool was not written whole and is cut off');
        else log.error(facts, 'the end of a segment cannot be read and is cut off');
        await cutOff(file, end);
      }
      // A place behind the end is none: better a repeat than a loss.
      const taken = id === stored.segment && stored.offset <= end ? stored.offset : 0;
      if (this.#segments.length === 0) this.#cursor = { segment: id, offset: taken };
      this.#segments.push({ id, bytes: end });
      this.#records += readFrames(content.subarray(taken, end)).records.length;
    }
    if (this.#records === 0) await this.#reset();
  }

  /** Nothing waits: begins anew. */
  async #reset(): Promise<void> {
    for (const { id } of this.#segments) await rm(segmentPath(this.#options.folder, id));
    // Ids go on, so that an old cursor never points into a new segment or behind it.
    this.#cursor = { segment: Math.max(this.#segments.at(-1)?.id ?? 0, this.#cursor.segment) + 1, offset: 0 };
    this.#segments.length = 0;
  }

  async #readCursor(): Promise<Position> {
    try {
      const stored = await readCursor(this.#options.folder);
      if (stored) return stored;
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the cursor of the spool cannot be read: all of it is sent again');
    }
    return { segment: 0, offset: 0 };
  }

  /** Null when what is left of the segment cannot be read: it is damaged to its end. */
  async #read(segment: Segment, offset: number, rest: number, limitBytes: number): Promise<Page | null> {
    const bytes = Math.min(rest, limitBytes);
    const file = await open(segmentPath(this.#options.folder, segment.id), 'r');
    try {
      let frames = readFrames(await readAt(file, offset, bytes));
      // One that is larger than a page.
      if (frames.records.length === 0 && frames.nextBytes > bytes && frames.nextBytes <= rest) {
        frames = readFrames(await readAt(file, offset, frames.nextBytes));
      }
      // Damaged ones only: with what comes behind them, they can be told from a page's end.
      if (frames.records.length === 0 && bytes < rest) frames = readFrames(await readAt(file, offset, rest));
      if (frames.records.length === 0) return null;
      return { records: frames.records, next: { segment: segment.id, offset: offset + frames.end } };
    } finally {
      await file.close();
    }
  }

  async #dropFirst(): Promise<void> {
    const first = this.#segments.shift()!;
    this.#cursor = { segment: this.#segments[0]!.id, offset: 0 };
    await rm(segmentPath(this.#options.folder, first.id));
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const joined: Append[] = [];
      let size = 0;
      while (this.#waiting.length > 0 && (joined.length === 0 || size < FLUSH_BYTES)) {
        const append = this.#waiting.shift()!;
        joined.push(append);
        size += append.bytes.length;
      }
      try {
        await this.#write(
          Buffer.concat(joined.map(({ bytes }) => bytes)),
          joined.reduce((sum, { count }) => sum + count, 0),
        );
        for (const { resolve } of joined) resolve();
      } catch (cause) {
        const error = new RideError('RIDE_UNAVAILABLE', 'The spool for events cannot be written', { cause });
        for (const { reject } of joined) reject(error);
      } finally {
        this.#waitingBytes -= size;
      }
    }
    this.#flushing = null;
  }

  async #write(bytes: Buffer, count: number): Promise<void> {
    const handle = await this.#open();
    const segment = this.#segments.at(-1)!;
    try {
      await writeAt(handle, segment.bytes, bytes);
    } catch (error) {
      // After a failed flush nobody knows what the disk has: this segment ends where it was known to be whole.
      this.#handle = null;
      await handle.truncate(segment.bytes).catch((cause: unknown) => {
        this.#options.log.warn({ err: cause }, 'the end of a segment stays behind, unfinished');
      });
      await handle.close();
      throw error;
    }
    segment.bytes += bytes.length;
    this.#records += count;
  }

  /** The segment that takes more. */
  async #open(): Promise<FileHandle> {
    const { folder, segmentBytes } = this.#options;
    if (this.#handle && this.#segments.at(-1)!.bytes < segmentBytes) return this.#handle;
    const full = this.#handle;
    this.#handle = null;
    await full?.close();
    const id = Math.max((this.#segments.at(-1)?.id ?? 0) + 1, this.#cursor.segment);
    const handle = await createSegment(folder, id);
    if (this.#segments.length === 0) this.#cursor = { segment: id, offset: 0 };
    this.#segments.push({ id, bytes: 0 });
    this.#handle = handle;
    return handle;
  }
}
