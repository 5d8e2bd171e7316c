/**
 * The messages in the bytes of a stream: gRPC's length-prefixed messages (gRPC over HTTP2, "Length-Prefixed-Message"), found in
 * place. grpc-js copies each, keeps a promise for each and stops and starts the HTTP/2 stream around each.
 */
import { gunzipSync, inflateSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import type { Status } from './status.ts';

/** Compressed or not, then the length. */
const PREFIX = 5;
const FIRST_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

/** What is wrong with the bytes of a stream, which ends it. */
export class BadStream extends Error {
  readonly status: Status;

  constructor(code: status, details: string) {
    super(details);
    this.status = { code, details, metadata: null };
  }
}

export class MessageReader {
  readonly #maxBytes: number;
  readonly #encoding: string;
  /** What came and was not taken yet: whole messages, and the beginning of one. */
  #bytes: Buffer = EMPTY;
  #at = 0;
  /** The buffer is ours to write behind what came: how far it is filled; -1 when it is the one that came. */
  #filled = -1;

  /**
   * @param maxBytes a longer message, compressed or not, ends the stream
   * @param encoding how a message is compressed that says it is: the call's `grpc-encoding`
   */
  constructor(maxBytes: number, encoding: string) {
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** Bytes that the peer sent. */
  push(chunk: Buffer): void {
    const rest = this.#end - this.#at;
    if (rest === 0) {
      this.#bytes = chunk;
      this.#at = 0;
      this.#filled = -1;
      return;
    }
    // A message may come in many small pieces: its buffer grows by doubling, so that each byte is moved few times.
    if (this.#filled < 0 || this.#filled + chunk.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * (rest + chunk.length)));
      this.#bytes.copy(larger, 0, this.#at, this.#end);
      this.#bytes = larger;
      this.#at = 0;
      this.#filled = rest;
    }
    chunk.copy(this.#bytes, this.#filled);
    this.#filled += chunk.length;
  }

  get #end(): number {
    return this.#filled < 0 ? this.#bytes.length : this.#filled;
  }

  /** The next whole message, in place; null when there is none yet. @throws BadStream */
  next(): Buffer | null {
    const bytes = this.#bytes;
    const start = this.#at + PREFIX;
    const end = this.#end;
    if (start > end) return this.#none();
    const flag = bytes[this.#at]!;
    if (flag > 1) throw new BadStream(status.INTERNAL, `Received message with unknown compressed flag ${flag}`);
    const length = bytes.readUInt32BE(start - 4);
    const maxBytes = this.#maxBytes;
    if (length > maxBytes)
      throw new BadStream(status.RESOURCE_EXHAUSTED, `Received message larger than max (${length} vs ${maxBytes})`);
    if (start + length > end) return null;
    this.#at = start + length;
    const message = bytes.subarray(start, this.#at);
    return flag === 1 ? this.#inflated(message) : message;
  }

  /** A message has begun and is not whole. */
  get isPartial(): boolean {
    return this.#at < this.#end;
  }

  /** Nothing is kept of what was taken whole. */
  #none(): null {
    if (this.#at === this.#end) {
      this.#bytes = EMPTY;
      this.#at = 0;
      this.#filled = -1;
    }
    return null;
  }

  /** At once, since a message is short and its order counts. */
  #inflated(message: Buffer): Buffer {
    const maxBytes = this.#maxBytes;
    const encoding = this.#encoding;
    const inflate = { gzip: gunzipSync, deflate: inflateSync }[encoding];
    if (inflate === undefined)
      throw new BadStream(status.UNIMPLEMENTED, `Received message compressed with unsupported encoding "${encoding}"`);
    try {
      return inflate(message, { maxOutputLength: maxBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw new BadStream(
          status.RESOURCE_EXHAUSTED,
          `Received message that decompresses to a size larger than ${maxBytes}`,
        );
      throw new BadStream(status.INTERNAL, 'Failed to decompress message');
    }
  }
}
