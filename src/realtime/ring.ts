/**
 * The outbound buffer of one session: a first-in-first-out queue of shared frames, bounded in messages and bytes. Storage is
 * allocated as it is needed and let go of when it is empty, so that an idle session costs nothing.
 */
import type { Frame } from './frame.ts';

export class Ring {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #frames: Frame[] | null = null;
  #head = 0;
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#frames === null ? 0 : this.#frames.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Share of the bound that is used, by whichever of messages and bytes is fuller. */
  get fill(): number {
    return Math.max(this.length / this.#maxMessages, this.#bytes / this.#maxBytes);
  }

  /** True when `frame` fits. A frame larger than the whole bound still fits an empty ring. */
  hasRoom(frame: Frame): boolean {
    return this.length === 0 || (this.length < this.#maxMessages && this.#bytes + frame.bytes <= this.#maxBytes);
  }

  push(frame: Frame): void {
    this.#frames ??= [];
    this.#frames.push(frame);
    this.#bytes += frame.bytes;
  }

  shift(): Frame | undefined {
    const frames = this.#frames;
    if (frames === null) return undefined;
    const frame = frames[this.#head]!;
    this.#head++;
    this.#bytes -= frame.bytes;
    if (this.#head === frames.length) {
      this.#frames = null;
      this.#head = 0;
    } else if (this.#head > 64 && this.#head * 2 > frames.length) {
      this.#frames = frames.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }

  /** Removes the oldest frame that `match` holds for; true when there was one. */
  dropOldest(match: (frame: Frame) => boolean): boolean {
    const frames = this.#frames;
    if (frames === null) return false;
    const at = frames.findIndex((frame, index) => index >= this.#head && match(frame));
    if (at < 0) return false;
    this.#bytes -= frames[at]!.bytes;
    frames.splice(at, 1);
    if (this.#head === frames.length) {
      this.#frames = null;
      this.#head = 0;
    }
    return true;
  }
}
