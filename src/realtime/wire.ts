/**
 * Writes the protobuf wire format (protobuf.dev/programming-guides/encoding) into one buffer that is used again and again. The
 * generated encoder (generated/server-envelope.ts) is made of these calls; fields with their default value are left out, as
 * proto3 has it.
 */

const FIRST_BYTES = 16_384;

export class Writer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  /** A copy of what was written; the writer starts again. */
  finish(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(bytes, 0, 0, this.#at);
    this.#at = 0;
    return bytes;
  }

  /** After a failed encoding nothing of it may stay. */
  reset(): void {
    this.#at = 0;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }

  /** A varint of a whole number from 0 to 2^53 - 1. */
  #varint(value: number): void {
    let rest = value;
    // Bit operations work on 32 bits: larger numbers are taken apart by division first.
    while (rest > 0x7fffffff) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** uint32, uint64, int32, int64 and enums that are not negative. `tag` is the field's number and wire type, encoded. */
  uint(tag: number, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`field ${tag >>> 3}: ${value} is no whole number from 0 to 2^53 - 1`);
    this.#reserve(16);
    this.#varint(tag);
    this.#varint(value);
  }

  bool(tag: number, value: boolean): void {
    this.#reserve(16);
    this.#varint(tag);
    this.#bytes[this.#at++] = value ? 1 : 0;
  }

  double(tag: number, value: number): void {
    this.#reserve(16);
    this.#varint(tag);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  string(tag: number, value: string): void {
    // A UTF-16 unit becomes at most three bytes.
    this.#reserve(16 + value.length * 3);
    this.#varint(tag);
    const start = this.#at;
    if (value.length < 40 && this.#ascii(value, start + 1)) {
      this.#bytes[start] = value.length;
      this.#at = start + 1 + value.length;
      return;
    }
    const length = Buffer.byteLength(value);
    this.#varint(length);
    this.#bytes.write(value, this.#at, length, 'utf8');
    this.#at += length;
  }

  /** Short names and ids are faster byte by byte than through a native call; false when `value` is not plain ASCII. */
  #ascii(value: string, at: number): boolean {
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      this.#bytes[at + i] = code;
    }
    return true;
  }

  /** Begins a message field; give what it returns to `end`. */
  begin(tag: number): number {
    this.#reserve(16);
    this.#varint(tag);
    // Most messages are shorter than 128 bytes: one byte of length, moved apart when it does not do.
    return this.#at++;
  }

  end(start: number): void {
    const length = this.#at - start - 1;
    if (length < 0x80) {
      this.#bytes[start] = length;
      return;
    }
    const extra = length < 0x4000 ? 1 : length < 0x200000 ? 2 : 3;
    this.#reserve(extra);
    this.#bytes.copyWithin(start + 1 + extra, start + 1, this.#at);
    this.#at = start;
    this.#varint(length);
    this.#at += length;
  }
}
