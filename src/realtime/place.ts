/**
 * Up to where a client surely has what it was sent of one topic: what its next connection begins after. Either the client says
 * so itself (`received`), or the server concludes it: what was written before the client's message before last, at least one
 * heartbeat interval ago, has arrived by now. Never further, so that a message may come twice but is not lost.
 */
import type { TopicPosition as Position } from '../ports/bus.ts';

export class Place {
  /** Null until the client has a place in the topic. */
  confirmed: Position | null = null;
  /** What had been written when the client was heard of last. */
  #written: Position | null = null;
  /** The client keeps its own books: nothing is concluded any more. */
  #isBooked = false;

  /** The client is at `position`, by its own word or because it starts there. */
  begin(position: Position): void {
    this.confirmed = position;
    this.#written = position;
  }

  /** The client was heard of, an interval after the last time. Returns whether it surely has more than before. */
  heard(written: Position): boolean {
    if (this.#isBooked || this.#written === null) return false;
    const isNew = !isSame(this.#written, this.confirmed);
    this.confirmed = this.#written;
    this.#written = written;
    return isNew;
  }

  /** The client keeps its own books from now on. */
  book(): void {
    this.#isBooked = true;
  }

  /** The client has everything up to `position`. Returns whether that is more than before. */
  acknowledge({ epoch, offset }: Position): boolean {
    this.#isBooked = true;
    if (epoch === '' || (epoch === this.confirmed?.epoch && offset <= this.confirmed.offset)) return false;
    this.confirmed = { epoch, offset };
    return true;
  }
}

const isSame = (a: Position, b: Position | null): boolean => a.offset === b?.offset && a.epoch === b.epoch;
