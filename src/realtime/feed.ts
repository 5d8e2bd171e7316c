/**
 * A feed is this node's end of one topic: it receives the topic's messages once, joins what one turn of the event loop brought,
 * and gives it to every local subscriber.
 *
 * Ordered messages carry an offset within an epoch. A subscriber gets each at most once and in order: one that joins with a
 * position is caught up from history first while live messages wait; a hole between two live messages is filled from history.
 */
import type { ErrorCode } from '../errors.ts';
import type { Bus, BusMessage } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import { frameOf, peek } from './envelope.ts';
import { Batch, type Frame, type Outgoing } from './frame.ts';
import { Place } from './place.ts';
import { type Missed, PAGE, type Page, readMissed } from './replay.ts';
import type { Joiner, Turn } from './turn.ts';

/** Live messages that may wait for a reader that takes its time over what it missed. */
const MAX_WAITING = 4096;

/** Whoever takes messages: a session. */
export interface Sink {
  send(outgoing: Outgoing): void;
  /** Resolves when all that was sent has been handed over, or there is no one any more to take it. */
  drained(): Promise<void>;
  close(code: ErrorCode, reason: string): void;
}

export interface Position {
  offset: number;
  epoch: string;
}

export interface FeedOptions {
  bus: Bus;
  turn: Turn;
  log: Logger;
  /** Every message that reaches this node, before its subscribers. */
  onFrame?(frame: Frame): void;
}

export class Subscription {
  readonly sink: Sink;
  readonly feed: Feed;
  /** What the client surely has. */
  readonly place = new Place();
  /** Settles when the node receives the topic. */
  ready: Promise<void> = Promise.resolve();
  /** Last ordered message given to the sink, while that may differ from the feed's. */
  #offset = 0;
  #epoch = '';
  /** Live messages that wait while history is being read; null once the subscription is live. */
  #waiting: Frame[] | null = [];
  /** What the feed brings next is new to the sink as a whole, so that nothing has to be looked at one by one. */
  #inStep = false;

  constructor(sink: Sink, feed: Feed) {
    this.sink = sink;
    this.feed = feed;
  }

  /** Where the sink is. */
  get position(): Position {
    return this.#inStep ? this.feed.given : { offset: this.#offset, epoch: this.#epoch };
  }

  /** History is behind it. */
  get isLive(): boolean {
    return this.#waiting === null;
  }

  /** What the topic brought in one turn. */
  deliver(outgoing: Outgoing): void {
    if (this.#inStep) {
      this.sink.send(outgoing);
      return;
    }
    if (this.#waiting !== null) {
      this.#waiting.push(...outgoing.frames);
      if (this.#waiting.length > MAX_WAITING) this.sink.close('RIDE_SLOW_READER', 'resume from the last offset');
      return;
    }
    for (const frame of outgoing.frames) this.#give(frame);
    const { given } = this.feed;
    this.#inStep = given.epoch !== this.#epoch || given.offset >= this.#offset;
  }

  #give(frame: Frame): void {
    if (frame.offset > 0) {
      if (frame.epoch === this.#epoch && frame.offset <= this.#offset) return;
      this.#epoch = frame.epoch;
      this.#offset = frame.offset;
    }
    this.sink.send(frame);
  }

  /**
   * From a place in history: what was missed, in order and no faster than the sink takes it.
   * @param onGap some of it is no longer kept: called before what is kept follows. Without it nothing follows.
   */
  async catchUp(since: Position, onGap?: (missed: Missed) => void): Promise<Missed> {
    this.#waiting ??= [];
    this.#inStep = false;
    this.place.begin(since);
    const missed = await readMissed((at, limit) => this.feed.history(at, limit), since, onGap !== undefined);
    this.startAt(missed.from);
    this.place.begin(missed.from);
    if (!missed.recovered) onGap?.(missed);
    for (let at = 0; at < missed.frames.length; at += PAGE) {
      await this.sink.drained();
      // Its session ended, or unsubscribed.
      if (!this.feed.subscriptions.has(this)) break;
      const frames = missed.frames.slice(at, at + PAGE);
      this.sink.send(frames.length === 1 ? frames[0]! : new Batch(frames));
      this.startAt(frames.at(-1)!);
    }
    return missed;
  }

  /** From `position` on: only what comes after it. */
  startAt(position: Position): void {
    this.#offset = position.offset;
    this.#epoch = position.epoch;
  }

  /** History is done: `newest`, then what came meanwhile, then everything live. */
  goLive(newest: Frame | null = null): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    // One that came meanwhile is no older, and another follows if it is.
    if (newest && !waiting.some(({ kind }) => kind === newest.kind)) this.sink.send(newest);
    for (const frame of waiting) this.#give(frame);
  }
}

export class Feed implements Joiner {
  readonly topic: string;
  readonly subscriptions = new Set<Subscription>();
  readonly #options: FeedOptions;
  /** Last ordered message that was received. */
  #received: Position = { offset: 0, epoch: '' };
  /** Last ordered message that was given to the subscribers. */
  given: Position = this.#received;
  /** What came this turn: none, one, or several. */
  #pending: Frame | Frame[] | null = null;
  /** Live messages that wait while a hole is filled. */
  #repairing: BusMessage[] | null = null;

  constructor(topic: string, options: FeedOptions) {
    this.topic = topic;
    this.#options = options;
  }

  /** A message of the bus. */
  receive(message: BusMessage): void {
    if (this.#repairing !== null) {
      this.#repairing.push(message);
      return;
    }
    const { offset, epoch } = this.#received;
    if (message.offset > 0 && message.epoch === epoch) {
      if (message.offset <= offset) return;
      if (message.offset > offset + 1) {
        void this.#repair([message]);
        return;
      }
    }
    this.#take(message);
  }

  #take(message: BusMessage): void {
    if (message.offset > 0) this.#received = { offset: message.offset, epoch: message.epoch };
    const { kind } = peek(message.payload);
    const frame = frameOf(message, kind);
    this.#options.onFrame?.(frame);
    if (this.#pending === null) {
      this.#pending = frame;
      this.#options.turn.addJoiner(this);
    } else if (Array.isArray(this.#pending)) this.#pending.push(frame);
    else this.#pending = [this.#pending, frame];
  }

  /** The turn ends: all that came goes to every subscriber as one. */
  join(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    this.given = this.#received;
    const outgoing = Array.isArray(pending) ? new Batch(pending) : pending;
    for (const subscription of this.subscriptions) subscription.deliver(outgoing);
  }

  /** Pub/sub lost something between Redis and here: history has it. */
  async #repair(live: BusMessage[]): Promise<void> {
    this.#repairing = live;
    try {
      for (;;) {
        const page = await this.#options.bus.history(this.topic, this.#received, PAGE);
        if (!page.complete) throw new Error('history no longer has what was lost');
        for (const message of page.messages) this.#take(message);
        if (page.messages.length < PAGE) break;
      }
    } catch (error) {
      this.#options.log.warn(
        { err: error, topic: this.topic },
        'a hole in a topic could not be filled; its readers resume',
      );
      for (const { sink } of [...this.subscriptions])
        sink.close('RIDE_SLOW_READER', 'a message was lost; resume from the last offset');
    }
    const waiting = this.#repairing;
    this.#repairing = null;
    for (const message of waiting) this.receive(message);
  }

  /** The connection to Redis was away: look for what was published meanwhile. */
  async resync(): Promise<void> {
    if (this.#received.offset > 0 && this.#repairing === null) await this.#repair([]);
  }

  /** Compares with Redis, for a message that got lost on the way without a trace. */
  async check(): Promise<void> {
    const { offset, epoch } = await this.position();
    const received = this.#received;
    if (epoch === received.epoch ? offset > received.offset : epoch !== '') await this.resync();
  }

  async history(since: Position, limit: number): Promise<Page> {
    const { messages, epoch, offset, complete } = await this.#options.bus.history(this.topic, since, limit);
    return { frames: messages.map((message) => frameOf(message, peek(message.payload).kind)), epoch, offset, complete };
  }

  position(): Promise<Position> {
    return this.#options.bus.position(this.topic);
  }
}
