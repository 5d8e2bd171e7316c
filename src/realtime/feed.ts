/**
 * A feed is this node's end of one topic: it receives the topic's messages once, joins what one turn of the event loop brought,
 * and gives it to every local subscriber.
 *
 * Ordered messages carry an offset within an epoch. A subscriber gets each at most once and in order: one that joins with a
 * position is caught up from history first while live messages wait; a hole between two live messages is filled from history.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, BusMessage, HistoryPage, TopicPosition as Position } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import { frameOf, type Outside, outsideOf } from './envelope.ts';
import { Few } from './few.ts';
import { Batch, type Frame } from './frame.ts';
import { comesFirst } from './messages/index.ts';
import { BEGINNING, framed, PAGE, type Page } from './replay.ts';
import type { Stream, Subscription } from './subscription.ts';
import type { Joiner, Turn } from './turn.ts';

/** Live messages that wait for history, at most; history has what is beyond it. */
const MAX_HELD = { messages: 1000, bytes: 1 << 20 };
/** While history cannot be read, it is asked for again this often. */
const RETRY_MS = 200;
/** What feeds without history share: most have none. */
const NONE: readonly string[] = [];
const OPENED = Promise.resolve();

/** Handing out that takes less than this is followed by no rest, and no rest is longer than the other. */
const REST_FROM_MS = 1;
const REST_MAX_MS = 50;

export interface FeedOptions {
  bus: Bus;
  turn: Turn;
  log: Logger;
  meter: Pick<Meter, 'fanOut' | 'stream'>;
  /** Every message that reaches this node, before its subscribers. */
  onFrame?(frame: Frame): void;
}

export class Feed implements Joiner, Stream {
  readonly topic: string;
  readonly subscriptions = new Few<Subscription>();
  readonly #options: FeedOptions;
  /** Last ordered message that was received; at first, where the topic was when this node began to receive it. */
  received: Position = BEGINNING;
  /** Last ordered message that was given to the subscribers. */
  given: Position = BEGINNING;
  /** The epochs that this node has seen, in order. */
  #epochs: readonly string[] = NONE;
  /** What came this turn: none, one, or several. */
  #pending: Frame | Frame[] | null = null;
  /** When the oldest of that was sent (wall, epoch ms); 0 when it does not say. */
  #sentAtMs = 0;
  /** Something of that is not to wait for what others are handed. */
  #comesFirst = false;
  /** Live messages that wait until it is known what came before them; null while nothing is in doubt. */
  #held: BusMessage[] | null = [];
  /** Of what came to wait since nothing did. */
  #heldBytes = 0;
  /** Until then (process clock, ms) only what must not wait is handed out; see Turn. */
  #restUntil = 0;
  #opened: Promise<void> | null = null;
  /** The doubt is being looked into. */
  #isBusy = false;
  /** The connection is not there. */
  #isAway = false;
  /** The connection has been away, and nobody has looked yet what it missed. */
  #hasBroken = false;
  /** Something was lost for good: the subscribers were sent away, and the next one gets another feed. */
  #over = false;

  constructor(topic: string, options: FeedOptions) {
    this.topic = topic;
    this.#options = options;
  }

  /** Resolves when this node receives the topic and knows where it is in it. @throws RideError RIDE_UNAVAILABLE */
  open(): Promise<void> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async #open(): Promise<void> {
    const { bus } = this.#options;
    this.#isBusy = true;
    await bus.subscribe(this.topic);
    // What has come till now lies before the position; it may even be left over from an earlier subscription.
    this.#held = [];
    const { offset, epoch } = await bus.position(this.topic);
    this.#move(epoch === '' ? BEGINNING : { offset, epoch });
    this.given = this.received;
    if (this.#hasBroken) await this.#settle();
    else this.#release();
    this.#opened = OPENED;
  }

  /** No subscriber is left. */
  close(): void {
    this.#over = true;
    if (this.#opened !== null) this.#options.bus.unsubscribe(this.topic);
  }

  /** How many epochs of the topic this node has seen. */
  get epochs(): number {
    return this.#epochs.length;
  }

  /**
   * Whether `frame` comes after `place`, which was read when the feed had seen so many `epochs`. History may be ahead of the feed:
   * then all that the feed had seen till then lies before.
   */
  isAfter(frame: Frame, place: Position, epochs: number): boolean {
    if (frame.epoch === place.epoch) return frame.offset > place.offset;
    const reached = this.#epochs.indexOf(place.epoch);
    return this.#epochs.indexOf(frame.epoch) >= (reached < 0 ? epochs : reached);
  }

  follows(subscription: Subscription): boolean {
    return this.subscriptions.has(subscription);
  }

  #move(to: Position): void {
    if (to.epoch !== '' && to.epoch !== this.received.epoch) this.#epochs = [...this.#epochs, to.epoch];
    this.received = to;
  }

  /** A message of the bus; one that waited is looked at again. */
  receive(message: BusMessage, outside?: Outside): void {
    if (this.#over) return;
    if (this.#held !== null) {
      // What does not fit is not lost: ordered messages are in the history, others are soon replaced.
      if (this.#held.length < MAX_HELD.messages && this.#heldBytes < MAX_HELD.bytes) {
        this.#held.push(message);
        this.#heldBytes += message.payload.length;
      } else if (message.offset > 0) this.#hasBroken = true;
      return;
    }
    const { offset, epoch } = this.received;
    if (message.offset > 0 && message.epoch === epoch && message.offset <= offset) return;
    const known = message.epoch === epoch || epoch === '';
    if (message.offset === 0 || (known && message.offset === offset + 1)) this.#take(message, outside);
    else {
      this.#held = [message];
      void this.#settle();
    }
  }

  #take(message: BusMessage, outside = outsideOf(message, this.#options.log)): void {
    if (message.offset > 0) this.#move({ offset: message.offset, epoch: message.epoch });
    const { log, turn } = this.#options;
    const frame = frameOf(message, outside, log);
    this.#options.onFrame?.(frame);
    const isFirst = this.#pending === null;
    if (this.#pending === null) this.#pending = frame;
    else if (Array.isArray(this.#pending)) this.#pending.push(frame);
    else this.#pending = [this.#pending, frame];
    this.#sentAtMs = isFirst ? outside.sentAtMs : Math.min(this.#sentAtMs, outside.sentAtMs);
    // Whatever comes first is ordered: positions, which are nearly all, need no look.
    if (message.offset > 0 && comesFirst(outside.kind)) this.#comesFirst = true;
    const restMs = this.#restUntil === 0 ? 0 : this.#restUntil - performance.now();
    if (restMs <= 0 || frame.delivery === 'ordered') {
      if (isFirst || this.#restUntil > 0) turn.addJoiner(this);
      this.#restUntil = 0;
    } else if (isFirst) turn.addResting(this, restMs);
  }

  /** The turn ends: all that came goes to every subscriber as one. */
  join(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    this.given = this.received;
    const outgoing = Array.isArray(pending) ? new Batch(pending) : pending;
    const isFirst = this.#comesFirst;
    this.#comesFirst = false;
    for (const subscription of this.subscriptions) subscription.deliver(outgoing, isFirst);
    // Once for all that was joined, from its oldest. The clocks of two nodes may differ; nothing arrives before it was sent.
    if (this.#sentAtMs > 0) this.#options.meter.fanOut(Math.max(0, Date.now() - this.#sentAtMs) / 1000);
    // One at a time they come slower than they are handed out.
    if (outgoing === pending) return;
    const costMs = this.#options.turn.costMs(this.subscriptions.size);
    if (costMs >= REST_FROM_MS) this.#restUntil = performance.now() + costMs + Math.min(costMs, REST_MAX_MS);
  }

  /**
   * Pub/sub may have lost something between Redis and here: history has it. When it does not, nobody can say what was lost,
   * and the subscribers are sent away to resume, where they learn it.
   */
  async #settle(): Promise<void> {
    this.#isBusy = true;
    this.#held ??= [];
    try {
      do {
        const broken = this.#hasBroken;
        this.#hasBroken = false;
        for (let more = true; more; ) more = await this.#fill(broken);
      } while (this.#hasBroken);
      this.#options.meter.stream('repair', 'repaired');
    } catch (error) {
      if (this.#over) return;
      this.#options.log.warn({ err: error, topic: this.topic }, 'messages of a topic were lost; its readers resume');
      this.#over = true;
      this.#options.meter.stream('repair', 'lost');
      for (const { sink } of [...this.subscriptions])
        sink.close('RIDE_SLOW_READER', 'a message was lost; resume from the last offset');
    }
    this.#release();
  }

  /** Takes one page of what is missing; true when there may be more. `broken`: the connection was away. */
  async #fill(broken: boolean): Promise<boolean> {
    const asked = this.#held!.length;
    const { received } = this;
    const page = await this.#page();
    // A reader has found out meanwhile in which epoch the topic began: asked for again from there.
    if (this.received !== received) return true;
    const held = this.#held!;
    const isStranger = (m: BusMessage, i: number): boolean => i < asked && m.offset > 0 && m.epoch !== page.epoch;
    if (!page.complete) {
      const next = held.find((message) => message.offset > 0);
      const isNewEpoch = !broken && this.received.epoch !== '' && this.received.epoch !== page.epoch;
      // It is on its way, and until it is here nobody misses anything.
      if (isNewEpoch && !next) return false;
      if (!isNewEpoch || next?.offset !== 1) throw new Error('history does not have what was lost');
      // A new epoch follows at once on the old one.
      this.#held = held.filter((message) => message !== next);
      this.#take(next);
      return false;
    }
    if (received.offset === 0) {
      if (held.some(isStranger)) throw new Error('of an epoch that is over only a part came');
      this.#move({ epoch: page.epoch, offset: 0 });
    }
    // Of an epoch that had ended when this node came.
    this.#held = held.filter((message, i) => !isStranger(message, i));
    for (const message of page.messages) this.#take(message);
    return page.messages.length === PAGE;
  }

  /** What history has next; asked for until Redis answers, as in a failover, while live messages wait. */
  async #page(): Promise<HistoryPage> {
    for (;;) {
      try {
        return await this.#options.bus.history(this.topic, this.received, PAGE);
      } catch (error) {
        if (this.#over) throw error;
        this.#options.log.debug({ err: error, topic: this.topic }, 'history cannot be read yet; live messages wait');
        await sleep(RETRY_MS);
      }
    }
  }

  /** Nothing is in doubt any more: what waited follows. */
  #release(): void {
    this.#isBusy = false;
    if (this.#isAway || this.#over) return;
    const held = this.#held ?? [];
    this.#held = null;
    this.#heldBytes = 0;
    for (const message of held) this.receive(message);
  }

  /** A reader found the topic in an epoch that this node has not heard of: it is on its way, or this is the way to it. */
  async meet(epoch: string): Promise<void> {
    if (epoch === '' || this.#epochs.includes(epoch) || this.#held !== null) return;
    await this.#settle();
  }

  /** The connection to Redis broke: whatever comes next comes after a gap. */
  away(): void {
    this.#isAway = true;
    this.#held ??= [];
  }

  /** The connection stands again: looks for what was published meanwhile. */
  async back(): Promise<void> {
    this.#isAway = false;
    this.#hasBroken = true;
    if (!this.#isBusy) await this.#settle();
  }

  /** The topic is at this position in Redis: what leads there may have got lost on the way without a trace. */
  async check({ offset, epoch }: Position): Promise<void> {
    const isBehind = epoch === this.received.epoch ? offset > this.received.offset : epoch !== '';
    if (!isBehind || this.#held !== null) return;
    this.#hasBroken = true;
    await this.#settle();
  }

  /** For a reader. When the topic was empty till now, this is where it begins: nothing that follows may be lost unnoticed. */
  async history(since: Position, limit: number): Promise<Page> {
    const page = await this.#options.bus.history(this.topic, since, limit);
    if (this.received.epoch === '' && page.epoch !== '') this.#move({ epoch: page.epoch, offset: 0 });
    return framed(page, this.#options.log);
  }
}
