/**
 * A feed is this node's end of one topic: it receives the topic's frames once and gives them to every local subscriber.
 *
 * Ordered frames carry an offset within an epoch. A subscriber gets each at most once and in order: one that joins with a
 * position is caught up from history first while live frames wait; a hole between two live frames is filled from history.
 */

import type { ErrorCode } from '../errors.ts';
import type { Bus, BusMessage } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import { frameOf, peek } from './envelope.ts';
import type { Frame } from './frame.ts';

/** History is read in pages of this many. */
const PAGE = 100;

/** Whoever takes frames: a session. */
export interface FrameSink {
  send(frame: Frame): void;
  close(code: ErrorCode, reason: string): void;
}

export interface Position {
  offset: number;
  epoch: string;
}

export class Subscription {
  readonly session: FrameSink;
  readonly feed: Feed;
  /** Last ordered frame given to the session. */
  offset = 0;
  epoch = '';
  /** Settles when the node receives the topic. */
  ready: Promise<void> = Promise.resolve();
  /** Live frames that wait while history is being read; null once the subscription is live. */
  #waiting: Frame[] | null = [];

  constructor(session: FrameSink, feed: Feed) {
    this.session = session;
    this.feed = feed;
  }

  deliver(frame: Frame): void {
    if (this.#waiting !== null) this.#waiting.push(frame);
    else this.#give(frame);
  }

  #give(frame: Frame): void {
    if (frame.offset > 0) {
      if (frame.epoch === this.epoch && frame.offset <= this.offset) return;
      this.epoch = frame.epoch;
      this.offset = frame.offset;
    }
    this.session.send(frame);
  }

  /** From a place in history: what was missed, in order. Returns how many, or null when some is no longer kept. */
  async catchUp(since: Position): Promise<number | null> {
    this.#waiting ??= [];
    this.epoch = since.epoch;
    this.offset = since.offset;
    const missed: Frame[] = [];
    for (;;) {
      const page = await this.feed.history(since.offset + missed.length, PAGE);
      const first = this.epoch === '' && since.offset === 0;
      if (first) this.epoch = page.epoch;
      if (page.epoch !== this.epoch || !page.complete) {
        this.offset = page.offset;
        this.epoch = page.epoch;
        return null;
      }
      missed.push(...page.frames);
      if (page.frames.length < PAGE) break;
    }
    for (const frame of missed) this.#give(frame);
    return missed.length;
  }

  /** From now on: only what is published after `position`. */
  startAt(position: Position): void {
    this.offset = position.offset;
    this.epoch = position.epoch;
  }

  /** History is done: what came meanwhile follows, then everything live. */
  goLive(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const frame of waiting) this.#give(frame);
  }
}

export class Feed {
  readonly topic: string;
  readonly subscriptions = new Set<Subscription>();
  readonly #bus: Bus;
  readonly #log: Logger;
  #offset = 0;
  #epoch = '';
  /** Live messages that wait while a hole is filled. */
  #repairing: BusMessage[] | null = null;

  constructor(topic: string, bus: Bus, log: Logger) {
    this.topic = topic;
    this.#bus = bus;
    this.#log = log;
  }

  /** A message of the bus. Returns the frame that was delivered, or null while it waits. */
  receive(message: BusMessage): Frame | null {
    if (this.#repairing !== null) {
      this.#repairing.push(message);
      return null;
    }
    if (message.offset > 0) {
      const known = this.#epoch === message.epoch;
      if (known && message.offset <= this.#offset) return null;
      if (known && message.offset > this.#offset + 1) {
        void this.#repair(message);
        return null;
      }
      this.#epoch = message.epoch;
      this.#offset = message.offset;
    }
    return this.#deliver(message);
  }

  #deliver(message: BusMessage): Frame {
    const frame = frameOf(message.payload, peek(message.payload).kind, message.offset, message.epoch);
    for (const subscription of this.subscriptions) subscription.deliver(frame);
    return frame;
  }

  /** Pub/sub lost something between Redis and here: history has it. */
  async #repair(...live: BusMessage[]): Promise<void> {
    this.#repairing = live;
    try {
      for (;;) {
        const page = await this.#bus.history(this.topic, this.#offset, PAGE);
        for (const message of page.messages) {
          this.#offset = message.offset;
          this.#epoch = page.epoch;
          this.#deliver(message);
        }
        if (page.messages.length < PAGE) break;
      }
    } catch (error) {
      this.#log.warn(
        { err: error, topic: this.topic },
        'a hole in a topic could not be filled; its readers must resume',
      );
      for (const { session } of [...this.subscriptions])
        session.close('RIDE_SLOW_READER', 'a message was lost; resume from the last offset');
    }
    const waiting = this.#repairing ?? [];
    this.#repairing = null;
    for (const message of waiting) this.receive(message);
  }

  /** The connection to Redis was away: look for what was published meanwhile. */
  async resync(): Promise<void> {
    if (this.#offset > 0 && this.#repairing === null) await this.#repair();
  }

  async history(
    sinceOffset: number,
    limit: number,
  ): Promise<{ frames: Frame[]; epoch: string; offset: number; complete: boolean }> {
    const page = await this.#bus.history(this.topic, sinceOffset, limit);
    const frames = page.messages.map((m) => frameOf(m.payload, peek(m.payload).kind, m.offset, page.epoch));
    return { frames, epoch: page.epoch, offset: page.offset, complete: page.complete };
  }

  position(): Promise<Position> {
    return this.#bus.position(this.topic);
  }
}
