/**
 * The outbound buffer of one session: a first-in-first-out queue of shared frames, bounded in messages and bytes. Storage is
 * allocated as it is needed and let go of when it is empty, so that an idle session costs nothing.
 *
 * Answers to the client itself (acks, errors, heartbeats' answers, go-away) have a reserve on top, so that data never costs it one.
 *
 * Only a reader that is behind fills it: then newest-wins messages are conflated by topic and kind, in the place of the older
 * one, and ephemeral ones are dropped oldest first. The newest value of a topic may be the last for long, so it is never dropped:
 * as there is one a topic and kind, they take no room from others, and have as many bytes again.
 */
import type { Meter } from '../ports/meter.ts';
import type { Frame } from './frame.ts';

/** Messages of one session that are being handled at a time; beyond it what it sends waits. */
export const MAX_IN_FLIGHT = 128;
/** Urgent messages that are handled all the same. */
export const MAX_URGENT = 16;
/** Every message that is being handled when the bound is reached may be answered, and the server may add a word of its own. */
const RESERVE = { messages: MAX_IN_FLIGHT + MAX_URGENT + 16, bytes: 65_536 };

/** A place in the queue whose frame a newer one may take. */
interface Slot {
  frame: Frame;
}

export class Ring {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #slots: Slot[] | null = null;
  /** By topic and kind: the slot that holds the newest value that is still unsent. */
  #latest: Map<string, Slot> | null = null;
  #head = 0;
  /** Of what the bound counts. */
  #bytes = 0;
  #latestBytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#slots === null ? 0 : this.#slots.length - this.#head;
  }

  /** Messages that the bound counts. */
  get #counted(): number {
    return this.length - (this.#latest?.size ?? 0);
  }

  /** Share of the bound that is used, by whichever of messages and bytes is fuller. */
  get fill(): number {
    return Math.max(this.#counted / this.#maxMessages, this.#bytes / this.#maxBytes);
  }

  /**
   * Takes `frame` in as its delivery class has it, and tells `meter` what gave way. False when it has no room though nothing may give way
   * for it any more.
   */
  offer(frame: Frame, meter: Pick<Meter, 'dropped'>): boolean {
    if (frame.delivery === 'latest' && this.#conflate(frame)) {
      meter.dropped('latest');
      return true;
    }
    while (!this.#hasRoom(frame)) {
      if (frame.delivery !== 'latest' && this.#dropEphemeral()) meter.dropped('ephemeral');
      else if (frame.delivery === 'ephemeral') {
        meter.dropped('ephemeral');
        return true;
      } else return false;
    }
    this.#push(frame);
    return true;
  }

  /** True when `frame` fits. A frame larger than the whole bound still fits an empty ring. */
  #hasRoom(frame: Frame): boolean {
    const { delivery } = frame;
    if (delivery === 'latest') return this.#latestBytes === 0 || this.#latestBytes + frame.bytes <= this.#maxBytes;
    const counted = this.#counted;
    if (counted === 0) return true;
    const { messages, bytes } = delivery === 'reply' ? RESERVE : { messages: 0, bytes: 0 };
    return counted < this.#maxMessages + messages && this.#bytes + frame.bytes <= this.#maxBytes + bytes;
  }

  /** Of a newest-wins frame after `#conflate` found none. */
  #push(frame: Frame): void {
    const slot: Slot = { frame };
    this.#slots ??= [];
    this.#slots.push(slot);
    if (frame.delivery === 'latest') {
      this.#latest ??= new Map();
      this.#latest.set(keyOf(frame), slot);
      this.#latestBytes += frame.bytes;
    } else this.#bytes += frame.bytes;
  }

  /** Puts a newest-wins frame in the place of an older one of its topic and kind; false when there is none. */
  #conflate(frame: Frame): boolean {
    const slot = this.#latest?.get(keyOf(frame));
    if (!slot) return false;
    this.#latestBytes += frame.bytes - slot.frame.bytes;
    slot.frame = frame;
    return true;
  }

  shift(): Frame | undefined {
    const slots = this.#slots;
    if (slots === null) return undefined;
    const { frame } = slots[this.#head]!;
    this.#head++;
    this.#forget(frame);
    if (this.#head === slots.length) this.#clear();
    else if (this.#head > 64 && this.#head * 2 > slots.length) {
      this.#slots = slots.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }

  /** Removes the oldest ephemeral frame; false when there is none. */
  #dropEphemeral(): boolean {
    const slots = this.#slots;
    if (slots === null) return false;
    for (let at = this.#head; at < slots.length; at++) {
      const { frame } = slots[at]!;
      if (frame.delivery !== 'ephemeral') continue;
      slots.splice(at, 1);
      this.#forget(frame);
      if (this.#head === slots.length) this.#clear();
      return true;
    }
    return false;
  }

  #forget(frame: Frame): void {
    if (frame.delivery === 'latest') {
      this.#latest!.delete(keyOf(frame));
      this.#latestBytes -= frame.bytes;
    } else this.#bytes -= frame.bytes;
  }

  #clear(): void {
    this.#slots = null;
    this.#latest = null;
    this.#head = 0;
  }
}

const keyOf = (frame: Frame): string => `${frame.kind} ${frame.topic}`;
