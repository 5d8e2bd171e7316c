/**
 * One session's end of a topic: where the session is in it, the replay of what it missed, and then what comes live, each ordered
 * message once and in order.
 */
import type { ErrorCode } from '../errors.ts';
import type { TopicPosition as Position } from '../ports/bus.ts';
import { Few } from './few.ts';
import { Batch, type Frame, type Outgoing } from './frame.ts';
import { Place } from './place.ts';
import { BEGINNING, type Missed, PAGE, type Page, type ReadPage, readMissed } from './replay.ts';
import type { Veil } from './veil.ts';

/** Live messages that may wait for a reader that takes its time over what it missed; they are shared with all who wait for them. */
const MAX_WAITING = { messages: 4096, bytes: 4 << 20 };
/** Such a reader is given a page of as many messages or bytes at a time, and the next when it has taken that. */
const PAGE_BYTES = 65_536;

/** Whoever takes messages: a session. */
export interface Sink {
  /** @param comesFirst it does not wait for what others are handed in a busy turn */
  send(outgoing: Outgoing, comesFirst: boolean): void;
  /** Resolves when all that was sent has been handed over, or there is no one any more to take it. */
  drained(): Promise<void>;
  close(code: ErrorCode, reason: string): void;
}

/** The topic as its subscriptions see it. */
export interface Stream {
  readonly topic: string;
  /** Last ordered message that was received, and that was given to the subscriptions. */
  readonly received: Position;
  readonly given: Position;
  /** How many epochs of the topic this node has seen. */
  readonly epochs: number;
  isAfter(frame: Frame, place: Position, epochs: number): boolean;
  history(since: Position, limit: number): Promise<Page>;
  follows(subscription: Subscription): boolean;
}

export class Subscription {
  readonly sink: Sink;
  readonly feed: Stream;
  /** What the client surely has. */
  readonly place = new Place();
  /** Before what the session may not hear of the topic; null: it hears all. */
  veil: Veil | null = null;
  /** Last ordered message given to the sink, while that may differ from the feed's. */
  #at: Position = BEGINNING;
  /** How many epochs the feed had seen when the sink was placed. */
  #epochs = 0;
  /** Live messages that wait while history is being read; null once the subscription is live. */
  #waiting: Frame[] | null = [];
  #waitingBytes = 0;
  /** What the feed brings next is new to the sink as a whole, so that nothing has to be looked at one by one. */
  #inStep = false;
  /** The last task, while there is one. */
  #tail: Promise<unknown> | null = null;

  constructor(sink: Sink, feed: Stream) {
    this.sink = sink;
    this.feed = feed;
  }

  /** Where the sink is. */
  get position(): Position {
    return this.#inStep ? this.feed.given : this.#at;
  }

  /** History is behind it. */
  get isLive(): boolean {
    return this.#waiting === null;
  }

  /** Runs `task` after those under way: two replays at once would take each other's place. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#tail === null ? task() : this.#tail.then(task);
    const ended = mine
      .catch(() => {})
      .then(() => {
        if (this.#tail === ended) this.#tail = null;
      });
    this.#tail = ended;
    return mine;
  }

  /** What the topic brought in one turn. */
  deliver(outgoing: Outgoing, comesFirst: boolean): void {
    if (this.#inStep) {
      this.#send(outgoing, comesFirst);
      return;
    }
    if (this.#waiting !== null) {
      for (const frame of outgoing.frames) this.#waiting.push(frame);
      this.#waitingBytes += outgoing.bytes;
      if (this.#waiting.length > MAX_WAITING.messages || this.#waitingBytes > MAX_WAITING.bytes)
        this.sink.close('RIDE_SLOW_READER', 'resume from the last offset');
      return;
    }
    for (const frame of outgoing.frames) this.#give(frame, comesFirst);
    this.#fallIn();
  }

  /** From here on the sink is where the feed is, if it has come that far. */
  #fallIn(): void {
    const { given } = this.feed;
    this.#inStep = given.epoch === this.#at.epoch && given.offset >= this.#at.offset;
    if (this.#inStep) this.#at = given;
  }

  #give(frame: Frame, comesFirst = false): void {
    if (frame.offset > 0) {
      if (!this.feed.isAfter(frame, this.#at, this.#epochs)) return;
      this.#at = { offset: frame.offset, epoch: frame.epoch };
    }
    this.#send(frame, comesFirst);
  }

  #send(outgoing: Outgoing, comesFirst: boolean): void {
    const heard = this.veil === null ? outgoing : this.veil.over(outgoing);
    if (heard !== null) this.sink.send(heard, comesFirst);
  }

  /**
   * From a place in history: what was missed, in order and no faster than the sink takes it.
   * @param onGap some of it is no longer kept: called before what is kept follows. Without it nothing follows.
   */
  async catchUp(since: Position, onGap?: (missed: Missed) => void): Promise<Missed> {
    this.#waiting ??= [];
    this.#at = this.position;
    this.#inStep = false;
    this.place.begin(since);
    let epochs = 0;
    const read: ReadPage = async (at, limit) => {
      const { epochs: seen } = this.feed;
      const page = await this.feed.history(at, limit);
      // What came live meanwhile is of an epoch before the one that was read, if of another; after an empty topic comes everything.
      epochs = page.epoch === '' ? seen : this.feed.epochs;
      return page;
    };
    const missed = await readMissed(read, since, onGap !== undefined);
    this.#startAt(missed.from, epochs);
    this.place.begin(missed.from);
    if (!missed.recovered) onGap?.(missed);
    let { frames } = missed;
    const end = missed.from.offset + missed.count;
    while (await this.#giveAll(frames, epochs)) {
      if (this.#at.offset >= end) break;
      const page = await read(this.#at, Math.min(PAGE, end - this.#at.offset));
      if (!page.complete || page.epoch !== this.#at.epoch || page.frames.length === 0) {
        // Where it is it has no hole; what follows it learns when it comes back.
        this.sink.close('RIDE_SLOW_READER', 'what was missed is no longer kept; resume from the last offset');
        break;
      }
      ({ frames } = page);
    }
    return missed;
  }

  /** Part of what was missed, no faster than the sink takes it; false when its session ended, or unsubscribed. */
  async #giveAll(missed: readonly Frame[], epochs: number): Promise<boolean> {
    for (let at = 0; at < missed.length; ) {
      await this.sink.drained();
      if (!this.feed.follows(this)) return false;
      const frames = pageOf(missed, at);
      this.#send(frames.length === 1 ? frames[0]! : new Batch(frames), false);
      const { offset, epoch } = frames.at(-1)!;
      this.#startAt({ offset, epoch }, epochs);
      at += frames.length;
    }
    return true;
  }

  /**
   * Gives out what came while history was read, until so little is left that it can follow at once: going live with all of it
   * would overfill the outbound buffer of a reader that is still taking what it missed, and end it.
   * @returns `newest`, or null when one that is no older has been given
   */
  async closeUp(newest: Frame | null): Promise<Frame | null> {
    let left = newest;
    while (this.#waiting !== null && this.#waiting.length > 0) {
      await this.sink.drained();
      if (!this.feed.follows(this)) break;
      const frames = pageOf(this.#waiting, 0);
      if (frames.length === this.#waiting.length) break;
      this.#waiting = this.#waiting.slice(frames.length);
      for (const frame of frames) {
        this.#waitingBytes -= frame.bytes;
        this.#give(frame);
        if (frame.kind === left?.kind) left = null;
      }
    }
    return left;
  }

  /** From now on. */
  begin(): void {
    this.#startAt(this.feed.received, this.feed.epochs);
    this.place.begin(this.feed.received);
  }

  /** Only what comes after `position`, which was read when the feed had seen so many `epochs`. */
  #startAt(position: Position, epochs: number): void {
    this.#at = position;
    this.#epochs = epochs;
  }

  /** History is done: `newest`, then what came meanwhile, then everything live. */
  goLive(newest: Frame | null = null): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#waitingBytes = 0;
    // One that came meanwhile is no older, and another follows if it is.
    if (newest && !waiting.some(({ kind }) => kind === newest.kind)) this.sink.send(newest, false);
    for (const frame of waiting) this.#give(frame);
    this.#fallIn();
  }
}

/** What a session follows. It is looked for one by one: a session follows few topics, most of them one. */
export class Subscriptions extends Few<Subscription> {
  get(topic: string): Subscription | undefined {
    for (const subscription of this) if (subscription.feed.topic === topic) return subscription;
    return undefined;
  }
}

/** From `at` on, at least one. */
function pageOf(frames: readonly Frame[], at: number): Frame[] {
  let end = at + 1;
  for (let bytes = frames[at]!.bytes; end < frames.length && end - at < PAGE; end++) {
    bytes += frames[end]!.bytes;
    if (bytes > PAGE_BYTES) break;
  }
  return frames.slice(at, end);
}
