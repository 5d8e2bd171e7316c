/**
 * Reads the protobuf wire format (protobuf.dev/programming-guides/encoding) as nearly every client writes it: numbers that
 * fit 2^53 and are negative only where that is usual, text in ASCII. The generated decoder (generated/client-envelope.ts) is made of these calls; on anything
 * else they throw UNUSUAL, and the library decodes the message or says what is wrong with it.
 */

/** Not an error: the message wants the library. Made once, since a stack for each would cost more than the decoding. */
export const UNUSUAL = new Error('to be decoded by the library');

const EMPTY = Buffer.alloc(0);
const FIRST_HIGH_BIT = 2 ** 28;
const LARGEST = Number.MAX_SAFE_INTEGER;

export class Reader {
  at = 0;
  #bytes: Buffer = EMPTY;
  #end = 0;

  /** Begins anew; the length of what is to be read. */
  start(bytes: Buffer): number {
    this.#bytes = bytes;
    this.at = 0;
    this.#end = bytes.length;
    return this.#end;
  }

  /** Lets the bytes go. */
  done(): void {
    this.#bytes = EMPTY;
  }

  /** Field number and wire type, encoded. */
  tag(): number {
    return this.uint31();
  }

  /** The end of a part that begins with its length. */
  length(): number {
    const length = this.uint31();
    const end = this.at + length;
    if (end > this.#end) throw UNUSUAL;
    return end;
  }

  uint31(): number {
    const value = this.#varint();
    if (value > 0x7fffffff) throw UNUSUAL;
    return value;
  }

  /** Below zero it is written as 64 bits of the complement, in ten bytes. */
  int32(): number {
    const bytes = this.#bytes;
    const { at } = this;
    let value = 0;
    for (let i = 0; i < 9; i++) {
      const byte = bytes[at + i]!;
      if (!(byte > 0x7f)) return this.uint31();
      // What is beyond 32 bits repeats the sign.
      if (i > 4 && byte !== 0xff) throw UNUSUAL;
      if (i < 5) value |= (byte & 0x7f) << (7 * i);
    }
    if ((bytes[at + 4]! & 0x78) !== 0x78 || bytes[at + 9] !== 1) throw UNUSUAL;
    this.at += 10;
    return value;
  }

  uint53(): bigint {
    return BigInt(this.#varint());
  }

  bool(): boolean {
    return this.#varint() !== 0;
  }

  double(): number {
    const { at } = this;
    this.at += 8;
    if (this.at > this.#end) throw UNUSUAL;
    return this.#bytes.readDoubleLE(at);
  }

  string(): string {
    const end = this.length();
    const bytes = this.#bytes;
    const { at } = this;
    for (let i = at; i < end; i++) if (bytes[i]! > 0x7f) throw UNUSUAL;
    this.at = end;
    return at === end ? '' : bytes.toString('latin1', at, end);
  }

  #varint(): number {
    const bytes = this.#bytes;
    let value = 0;
    let shift = 0;
    while (shift < 28) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw UNUSUAL;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      shift += 7;
    }
    // Bit operations work on 32 bits.
    for (let factor = FIRST_HIGH_BIT; factor <= LARGEST; factor *= 0x80) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw UNUSUAL;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > LARGEST) throw UNUSUAL;
        return value;
      }
    }
    throw UNUSUAL;
  }
}
