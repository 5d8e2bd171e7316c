/**
 * Takes the messages of channels out of what a connection reads, and leaves everything else to ioredis. A node reads more of them
 * than of all else together, and the client's parser, made for any reply, took longer over one than handing it out takes.
 *
 * As the RESP specification has it (redis.io/docs/latest/develop/reference/protocol-spec), RESP3 and RESP2:
 * `>3\r\n$7\r\nmessage\r\n$<n>\r\n<channel>\r\n$<n>\r\n<data>\r\n`, with `*` for `>` in RESP2 and `smessage` of shard channels.
 */

const CR = 13;
const DIGIT_0 = 48;
const ARRAY = 42; // *
const PUSH = 62; // >
const BULKS = new Set([36, 33, 61]); // $ ! =
const LISTS = new Set([ARRAY, PUSH, 126]); // * > ~
const MAPS = new Set([37, 124]); // % |
/** What is not here yet. */
const INCOMPLETE = -1;

export class PushedMessages {
  /** What every message begins with, behind the first byte. */
  readonly #head: Buffer;
  readonly #onMessage: (channel: string, data: Buffer) => void;
  readonly #rest: (bytes: Buffer) => void;
  /** The beginning of a reply whose end is not here yet, and how many bytes it needs at least. */
  #parts: Buffer[] = [];
  #length = 0;
  #needed = 0;
  /** Where the number or reply that was read last ends. */
  #end = 0;

  /** @param rest is given whole replies, in their place among the messages */
  constructor(
    kind: 'message' | 'smessage',
    onMessage: (channel: string, data: Buffer) => void,
    rest: (bytes: Buffer) => void,
  ) {
    this.#head = Buffer.from(`3\r\n$${kind.length}\r\n${kind}\r\n$`);
    this.#onMessage = onMessage;
    this.#rest = rest;
  }

  /** `chunk` as it came; the data of a message is a part of it. */
  read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#length > 0) {
      this.#parts.push(chunk);
      this.#length += chunk.length;
      if (this.#length < this.#needed) return;
      bytes = Buffer.concat(this.#parts, this.#length);
      this.#parts = [];
      this.#length = 0;
    }
    let at = 0;
    // Replies for ioredis that follow each other are given to it together.
    let restFrom = 0;
    while (at < bytes.length) {
      const isMessage = this.#isMessage(bytes, at);
      if (isMessage && restFrom < at) {
        this.#rest(bytes.subarray(restFrom, at));
        restFrom = at;
      }
      const end = isMessage ? this.#hand(bytes, at) : this.#replyEnd(bytes, at);
      if (end === INCOMPLETE) break;
      if (isMessage) restFrom = end;
      at = end;
    }
    if (restFrom < at) this.#rest(bytes.subarray(restFrom, at));
    if (at === bytes.length) return;
    this.#parts = [at === 0 ? bytes : bytes.subarray(at)];
    this.#length = bytes.length - at;
    this.#needed -= at;
  }

  #isMessage(bytes: Buffer, at: number): boolean {
    if (bytes[at] !== PUSH && bytes[at] !== ARRAY) return false;
    const head = this.#head;
    for (let i = 0; i < head.length; i++) if (bytes[at + 1 + i] !== head[i]) return false;
    return true;
  }

  /** Hands out the message at `at` when all of it is here; where it ends. */
  #hand(bytes: Buffer, at: number): number {
    // The `$` of the channel is the last byte of the head. Behind its length, `#end` is where a string begins.
    const channelEnd = this.#bulkEnd(bytes, at + this.#head.length);
    if (channelEnd === INCOMPLETE) return INCOMPLETE;
    const channel = this.#end;
    const end = this.#bulkEnd(bytes, channelEnd);
    if (end === INCOMPLETE) return INCOMPLETE;
    this.#onMessage(bytes.toString('utf8', channel, channelEnd - 2), bytes.subarray(this.#end, end - 2));
    return end;
  }

  /** A number up to the end of its line, after which `#end` is; INCOMPLETE when that is not here. */
  #number(bytes: Buffer, at: number): number {
    let value = 0;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === CR) {
        this.#end = i + 2;
        return value;
      }
      value = value * 10 + byte - DIGIT_0;
    }
    return INCOMPLETE;
  }

  /** Where the string whose length is announced at `at` ends. */
  #bulkEnd(bytes: Buffer, at: number): number {
    // `$-1` is nothing (RESP2).
    if (bytes[at + 1] === 45) return this.#lineEnd(bytes, at);
    const length = this.#number(bytes, at + 1);
    if (length === INCOMPLETE) return this.#missing(bytes.length + 1);
    const end = this.#end + length + 2;
    return end <= bytes.length ? end : this.#missing(end);
  }

  #lineEnd(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    return end < 0 ? this.#missing(bytes.length + 1) : end + 2;
  }

  #missing(needed: number): number {
    this.#needed = needed;
    return INCOMPLETE;
  }

  /** Where any reply that begins at `at` ends. */
  #replyEnd(bytes: Buffer, at: number): number {
    const type = bytes[at];
    if (type === undefined) return this.#missing(bytes.length + 1);
    if (BULKS.has(type)) return this.#bulkEnd(bytes, at);
    const isMap = MAPS.has(type);
    if (!isMap && !LISTS.has(type)) return this.#lineEnd(bytes, at);
    const lineEnd = this.#lineEnd(bytes, at);
    if (lineEnd === INCOMPLETE) return INCOMPLETE;
    // `*-1` is nothing (RESP2). Attributes (`|`) are followed by the reply that they are about.
    const count = bytes[at + 1] === 45 ? 0 : this.#number(bytes, at + 1);
    const members = isMap ? 2 * count + (type === 124 ? 1 : 0) : count;
    let end = lineEnd;
    for (let i = 0; i < members && end !== INCOMPLETE; i++) end = this.#replyEnd(bytes, end);
    return end;
  }
}
