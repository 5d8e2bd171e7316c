/**
 * What the sessions of this node follow: a feed for each topic, subscriptions between feeds and sessions, and the books that
 * clients keep. Messages of the bus come in here.
 */
import { RideError } from '../errors.ts';
import type { Bus, TopicPosition as Position } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { SessionDirectory } from '../ports/session-directory.ts';
import { peek } from './envelope.ts';
import { Feed, type FeedOptions } from './feed.ts';
import type { Frame } from './frame.ts';
import type { Lamport } from './lamport.ts';
import type { SubscribeResult } from './messages/definition.ts';
import type { Missed } from './replay.ts';
import type { Session } from './session.ts';
import type { Snapshots } from './snapshots.ts';
import { Subscription } from './subscription.ts';
import { type Hearing, ownTopic, tripOf } from './topics.ts';
import type { Turn } from './turn.ts';
import { Veil } from './veil.ts';

export interface FollowsOptions {
  maxSubscriptions: number;
  bus: Bus;
  lamport: Lamport;
  meter: Meter;
  log: Logger;
  /** Every message that reaches this node, before its subscribers; for what the node itself must know. */
  onFrame?(frame: Frame): void;
  /** The newest value of a topic that has one, and the state of what it is about. */
  snapshots?: Snapshots;
  /** Is told who follows a trip. */
  directory: Pick<SessionDirectory, 'followed' | 'unfollowed'>;
  /** What an open session follows has changed. */
  onSubscriptions?(session: Session): void;
}

export type Announce = (result: SubscribeResult) => void;

const NONE: readonly string[] = [];

export class Follows {
  readonly #options: FollowsOptions;
  readonly #feedOptions: FeedOptions;
  readonly #feeds = new Map<string, Feed>();
  /** Where `check` goes on; an iterator of a Map takes in what changes meanwhile. */
  #checking: Iterator<Feed, undefined> = this.#feeds.values();

  constructor(options: FollowsOptions, turn: Turn) {
    this.#options = options;
    const { meter, lamport, bus, log } = options;
    this.#feedOptions = { bus, log, turn, meter, ...(options.onFrame ? { onFrame: options.onFrame } : {}) };
    bus.onMessage((message) => {
      // Whoever else publishes on a channel must not end every node that listens.
      try {
        const outside = peek(message.payload);
        lamport.merge(outside.lamport);
        this.#feeds.get(message.topic)?.receive(message, outside);
      } catch (error) {
        log.warn({ err: error, topic: message.topic }, 'a message that cannot be read was ignored');
      }
    });
    bus.onAway((topics) => {
      for (const topic of topics) this.#feeds.get(topic)?.away();
    });
    bus.onBack((topics) => {
      for (const topic of topics) void this.#feeds.get(topic)?.back();
    });
  }

  /**
   * Follows a topic. Live frames are collected from the first moment, so nothing falls between history and now. When it fails for a
   * topic that is followed already, that goes on.
   * @param announce called between what was missed and what is live; the topic's newest value follows it, after the state of the trip
   *   when some of what was missed is no longer kept
   * @param hearing from which event on what is said there is for him; without it all of it is
   * @throws RideError RIDE_UNAVAILABLE, RIDE_CONFLICT when it was unsubscribed meanwhile, RIDE_INVALID_INPUT above the limit; what `hearing` throws
   */
  async subscribe(
    session: Session,
    topic: string,
    since?: Position,
    announce?: Announce,
    hearing?: Hearing | null,
  ): Promise<SubscribeResult> {
    const place = async (subscription: Subscription): Promise<Missed | null> => {
      if (since) return subscription.catchUp(since);
      if (!subscription.isLive) subscription.begin();
      return null;
    };
    const done = (subscription: Subscription, missed: Missed | null): SubscribeResult => {
      if (missed) this.#count(missed, missed.recovered ? 'recovered' : 'gap', 'topic');
      const { offset, epoch } = subscription.position;
      const { recovered, count } = missed ?? { recovered: true, count: 0 };
      const result = { topic, recovered, offset, epoch, replayed: count };
      announce?.(result);
      return result;
    };
    return this.#follow(session, topic, place, done, hearing);
  }

  /**
   * Follows the user's own topic after what was delivered to him. When some of what waited is no longer kept, `announce` says so
   * before the rest follows.
   * @throws RideError RIDE_UNAVAILABLE
   */
  async followInbox(session: Session, since: Position, announce: Announce): Promise<void> {
    const topic = ownTopic(session.principal);
    const place = (subscription: Subscription): Promise<Missed> =>
      subscription.catchUp(since, ({ from, count }) =>
        announce({ topic, recovered: false, offset: from.offset, epoch: from.epoch, replayed: count }),
      );
    await this.#follow(session, topic, place, (_, missed) =>
      this.#count(missed, missed.recovered ? 'inbox' : 'inbox_gap', 'inbox'),
    );
  }

  #count({ frames }: Missed, outcome: string, source: 'topic' | 'inbox'): void {
    const { meter } = this.#options;
    meter.stream('recovery', outcome);
    meter.stream('replayed', source, frames.length);
  }

  /** @param done called between what was missed and what is live */
  async #follow<M extends Missed | null, T>(
    session: Session,
    topic: string,
    place: (subscription: Subscription) => Promise<M>,
    done: (subscription: Subscription, missed: M) => T,
    hearing?: Hearing | null,
  ): Promise<T> {
    const subscription = session.subscriptions.get(topic) ?? this.#attach(session, topic);
    const feed = this.#feeds.get(topic)!;
    const isStill = (): boolean => session.subscriptions.get(topic) === subscription;
    const mustStand = (): void => {
      if (!isStill()) throw new RideError('RIDE_CONFLICT', 'The subscription ended meanwhile', { field: 'topic' });
    };
    return subscription.inTurn(async () => {
      const wasLive = subscription.isLive;
      try {
        mustStand();
        await feed.open();
        if (hearing) {
          subscription.veil ??= new Veil(session.principal.userId);
          subscription.veil.lift(await hearing());
        }
        mustStand();
        // Asked for only now that what is newer will come by itself.
        const newestValue = this.#options.snapshots?.newest(topic) ?? null;
        const placed = place(subscription);
        // A failure ends neither: none may still be at work on a subscription that goes on.
        await Promise.allSettled([placed, newestValue]);
        const [missed, newest] = await Promise.all([placed, newestValue]);
        // What came between the answer and the place is not sent any more, also when it said that the topic is his by now.
        if (hearing && !subscription.veil!.isLifted) subscription.veil!.lift(await hearing());
        await feed.meet(subscription.position.epoch);
        // Of what is no longer kept nothing was sent, and nothing live is before the state: asked for last, it is no older than the place.
        const isGap = missed?.recovered === false && missed.count === 0;
        const state = isGap ? await this.#options.snapshots?.state(topic) : null;
        const left = isGap ? newest : await subscription.closeUp(newest);
        mustStand();
        const result = done(subscription, missed);
        if (state) session.send(state);
        subscription.goLive(left);
        this.#options.onSubscriptions?.(session);
        return result;
      } catch (error) {
        // Who followed the topic before he asked again goes on as he was.
        if (isStill() && wasLive) subscription.goLive();
        else if (isStill()) this.#detach(session, topic);
        throw error;
      }
    });
  }

  #attach(session: Session, topic: string): Subscription {
    // Its end took its subscriptions along; what is still being handled must not bring one back.
    if (session.closed) throw new RideError('RIDE_UNAVAILABLE', 'The session has ended');
    this.#assertFewer(session.subscriptions.size);
    let feed = this.#feeds.get(topic);
    if (!feed) {
      feed = new Feed(topic, this.#feedOptions);
      this.#feeds.set(topic, feed);
    }
    const subscription = new Subscription(session, feed);
    if (session.booked?.has(topic)) subscription.place.book();
    feed.subscriptions.add(subscription);
    session.subscriptions.add(subscription);
    const tripId = tripOf(topic);
    if (tripId !== null) this.#options.directory.followed(tripId, session.id);
    return subscription;
  }

  #assertFewer(topics: number): void {
    if (topics < this.#options.maxSubscriptions) return;
    const rule = `one of at most ${this.#options.maxSubscriptions} topics at a time`;
    throw new RideError('RIDE_INVALID_INPUT', `topic must be ${rule}`, { field: 'topic', rule });
  }

  /**
   * Only the client's own word says what it has of a topic, also of one that it will follow: a client that reads slowly could not
   * say so in time if it had to wait for its place.
   * @throws RideError RIDE_INVALID_INPUT above the limit of subscriptions
   */
  keepBooks(session: Session, topic: string): void {
    session.booked ??= new Set();
    if (!session.booked.has(topic)) this.#assertFewer(session.booked.size);
    session.booked.add(topic);
    session.subscriptions.get(topic)?.place.book();
  }

  /** The session is done with the topic, and with its books of it, so that one topic after the other finds room. */
  unsubscribe(session: Session, topic: string): void {
    session.booked?.delete(topic);
    this.#detach(session, topic);
  }

  #detach(session: Session, topic: string): void {
    const subscription = session.subscriptions.get(topic);
    if (!subscription) return;
    session.subscriptions.delete(subscription);
    const tripId = tripOf(topic);
    if (tripId !== null) this.#options.directory.unfollowed(tripId, session.id);
    const feed = this.#feeds.get(topic)!;
    feed.subscriptions.delete(subscription);
    if (feed.subscriptions.size === 0) {
      feed.close();
      this.#feeds.delete(topic);
    }
    if (!session.closed) this.#options.onSubscriptions?.(session);
  }

  /** The trips that a session follows. */
  tripsOf(session: Session): readonly string[] {
    let tripIds: string[] | null = null;
    for (const { feed } of session.subscriptions) {
      const tripId = tripOf(feed.topic);
      if (tripId === null) continue;
      tripIds ??= [];
      tripIds.push(tripId);
    }
    return tripIds ?? NONE;
  }

  /** The session has ended. */
  release(session: Session): void {
    for (const { feed } of [...session.subscriptions]) this.#detach(session, feed.topic);
  }

  /** The sessions of this node that follow a topic. */
  *followersOf(topic: string): Iterable<Session> {
    // Only sessions are attached here.
    for (const { sink } of this.#feeds.get(topic)?.subscriptions ?? []) yield sink as Session;
  }

  /**
   * Holds the next topics against Redis, `share` of all (0 to 1): what was lost between Redis and here without the connection
   * having broken shows in no later message when it was the last one.
   */
  check(share: number): void {
    const places = new Map<string, Position>();
    for (let left = Math.ceil(this.#feeds.size * share); left > 0; left--) {
      let next = this.#checking.next();
      if (next.done) {
        this.#checking = this.#feeds.values();
        next = this.#checking.next();
      }
      const feed = next.value;
      if (!feed) break;
      places.set(feed.topic, feed.received);
    }
    if (places.size === 0) return;
    this.#compare(places).catch((error: unknown) => this.#options.log.debug({ err: error }, 'topics not checked'));
  }

  async #compare(places: ReadonlyMap<string, Position>): Promise<void> {
    const elsewhere = await this.#options.bus.elsewhere(places);
    await Promise.all([...elsewhere].map(([topic, position]) => this.#feeds.get(topic)?.check(position)));
  }
}
