/** The session broker: sessions in shards by user, feeds by topic, subscriptions between them. One per process. */
import type { Principal } from '../domain/roles.ts';
import { type ErrorCode, RideError } from '../errors.ts';
import type { Bus, TopicPosition as Position } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../ports/session-directory.ts';
import { peek } from './envelope.ts';
import { Feed, type FeedOptions } from './feed.ts';
import type { Frame } from './frame.ts';
import type { Lamport } from './lamport.ts';
import type { SubscribeResult } from './messages/definition.ts';
import type { Missed } from './replay.ts';
import { Session, type SessionLimits } from './session.ts';
import { Shard } from './shard.ts';
import { Subscription } from './subscription.ts';
import { ownTopic } from './topics.ts';
import type { Transport } from './transport.ts';
import { Turn } from './turn.ts';

export interface BrokerOptions {
  nodeId: string;
  shardCount: number;
  maxSessions: number;
  maxSessionsPerUser: number;
  maxSubscriptions: number;
  heartbeatTimeoutMs: number;
  limits: SessionLimits;
  bus: Bus;
  directory: SessionDirectory;
  lamport: Lamport;
  meter: Meter;
  log: Logger;
  /** Longest time one turn writes before it reads again, milliseconds. */
  flushBudgetMs: number;
  /** Every message that reaches this node, before its subscribers; for what the node itself must know. */
  onFrame?(frame: Frame): void;
  /** The first session of a user on this node, and the end of his last one. */
  onUserHere?(userId: string): void;
  onUserGone?(userId: string): void;
  /** The newest value of a topic that has one. */
  newest?(topic: string): Promise<Frame | null> | null;
  /** @param code why the server ended it; null when the connection was gone by itself */
  onEnded?(session: Session, code: ErrorCode | null): void;
  /** What an open session follows has changed. */
  onSubscriptions?(session: Session): void;
}

export type Announce = (result: SubscribeResult) => void;

/** FNV-1a, 32 bits: spreads user ids over shards. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Names that nobody has any more are forgotten. */
function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #shards: Shard[];
  readonly #turn: Turn;
  readonly #feedOptions: FeedOptions;
  readonly #feeds = new Map<string, Feed>();
  /** Where `check` goes on; an iterator of a Map takes in what changes meanwhile. */
  #checking: Iterator<Feed, undefined> = this.#feeds.values();
  #total = 0;
  #draining = false;
  readonly #counts = {
    byNamespace: new Map<string, number>(),
    byRole: new Map<string, number>(),
    byCity: new Map<string, number>(),
  };

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { limits, meter, lamport, bus, log } = options;
    this.#turn = new Turn(options.flushBudgetMs);
    const shard = { timeoutMs: options.heartbeatTimeoutMs, now: Date.now(), turn: this.#turn, limits, meter };
    const onDropped = (session: Session, code: ErrorCode | null): void => this.#closed(session, code);
    this.#shards = Array.from({ length: options.shardCount }, (_, index) => new Shard(index, { ...shard, onDropped }));
    this.#feedOptions = { bus, log, turn: this.#turn, ...(options.onFrame ? { onFrame: options.onFrame } : {}) };
    bus.onMessage((message) => {
      let header: ReturnType<typeof peek>;
      try {
        header = peek(message.payload);
      } catch (error) {
        // Whoever else publishes on a channel must not end every node that listens.
        log.warn({ err: error, topic: message.topic }, 'a message that is no envelope was ignored');
        return;
      }
      lamport.merge(header.lamport);
      const feed = this.#feeds.get(message.topic);
      if (!feed) return;
      feed.receive(message);
      // The clocks of two nodes may differ; nothing arrives before it was sent.
      meter.fanOut(Math.max(0, Date.now() - header.sentAtMs) / 1000);
    });
    bus.onAway((topics) => {
      for (const topic of topics) this.#feeds.get(topic)?.away();
    });
    bus.onBack((topics) => {
      for (const topic of topics) void this.#feeds.get(topic)?.back();
    });
  }

  get size(): number {
    return this.#total;
  }

  /**
   * A connection that is signed in becomes a session.
   * @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_USER_SESSIONS, RIDE_DRAINING: refuse the connection
   */
  open(id: string, principal: Principal, namespace: string, transport: Transport): Session {
    this.assertOpen(principal.userId);
    const shard = this.#shards[hashOf(principal.userId) % this.#shards.length]!;
    const session = new Session(id, principal, namespace, transport, shard, Date.now());
    shard.add(session);
    if (shard.byUser.get(principal.userId)!.size === 1) this.#options.onUserHere?.(principal.userId);
    this.#total++;
    this.#count(session, 1);
    this.#options.meter.sessionOpened(namespace);
    this.#options.directory.opened(this.#entry(session));
    return session;
  }

  /** @throws RideError when no session, or none of this user, may be opened now; asked before a connection is upgraded. */
  assertOpen(userId?: string): void {
    if (this.#draining)
      throw new RideError('RIDE_DRAINING', 'The server is draining; connect again', { retryAfterMs: 100 });
    if (this.#total >= this.#options.maxSessions) {
      throw new RideError('RIDE_TOO_MANY_SESSIONS', `The server holds ${this.#total} sessions, as many as it may`, {
        retryAfterMs: 1000,
      });
    }
    if (userId === undefined) return;
    const { maxSessionsPerUser, heartbeatTimeoutMs } = this.#options;
    const own = this.#shards[hashOf(userId) % this.#shards.length]!.byUser.get(userId)?.size ?? 0;
    if (own >= maxSessionsPerUser) {
      const rule = `at most ${maxSessionsPerUser} sessions of a user`;
      // A device that vanished is noticed within the heartbeat timeout.
      throw new RideError('RIDE_USER_SESSIONS', `There are ${own}: ${rule}`, {
        rule,
        retryAfterMs: heartbeatTimeoutMs,
      });
    }
  }

  /** The connection is gone by itself. */
  lost(session: Session): void {
    this.#shardOf(session).remove(session);
  }

  #shardOf(session: Session): Shard {
    return this.#shards[hashOf(session.principal.userId) % this.#shards.length]!;
  }

  #entry(session: Session): DirectoryEntry {
    const { id: sessionId, namespace, connectedAt, principal } = session;
    return {
      sessionId,
      userId: principal.userId,
      role: principal.role,
      namespace,
      nodeId: this.#options.nodeId,
      connectedAt,
    };
  }

  #count({ namespace, principal }: Session, by: number): void {
    add(this.#counts.byNamespace, namespace, by);
    add(this.#counts.byRole, principal.role, by);
    add(this.#counts.byCity, principal.city, by);
  }

  #closed(session: Session, code: ErrorCode | null): void {
    this.#total--;
    this.#count(session, -1);
    for (const { feed } of [...session.subscriptions]) this.#detach(session, feed.topic);
    this.#options.meter.sessionClosed(session.namespace);
    this.#options.directory.closed(this.#entry(session));
    this.#options.onEnded?.(session, code);
    const { userId } = session.principal;
    if (!this.#shardOf(session).byUser.has(userId)) this.#options.onUserGone?.(userId);
  }

  /**
   * Follows a topic. Live frames are collected from the first moment, so nothing falls between history and now. When it fails for a
   * topic that is followed already, that goes on.
   * @param announce called between what was missed and what is live; the topic's newest value follows it
   * @throws RideError RIDE_UNAVAILABLE, RIDE_CONFLICT when it was unsubscribed meanwhile, RIDE_INVALID_INPUT above the limit
   */
  async subscribe(session: Session, topic: string, since?: Position, announce?: Announce): Promise<SubscribeResult> {
    const place = async (subscription: Subscription): Promise<Missed | null> => {
      if (since) return subscription.catchUp(since);
      if (!subscription.isLive) subscription.begin();
      return null;
    };
    return this.#follow(session, topic, place, (subscription, missed) => {
      const { offset, epoch } = subscription.position;
      const { recovered, frames } = missed ?? { recovered: true, frames: [] };
      const result = { topic, recovered, offset, epoch, replayed: frames.length };
      announce?.(result);
      return result;
    });
  }

  /**
   * Follows the user's own topic after what was delivered to him. When some of what waited is no longer kept, `announce` says so
   * before the rest follows.
   * @throws RideError RIDE_UNAVAILABLE
   */
  async followInbox(session: Session, since: Position, announce: Announce): Promise<void> {
    const topic = ownTopic(session.principal);
    const place = (subscription: Subscription): Promise<Missed> =>
      subscription.catchUp(since, ({ from, frames }) =>
        announce({ topic, recovered: false, offset: from.offset, epoch: from.epoch, replayed: frames.length }),
      );
    await this.#follow(session, topic, place, () => {});
  }

  /** @param done called between what was missed and what is live */
  async #follow<M, T>(
    session: Session,
    topic: string,
    place: (subscription: Subscription) => Promise<M>,
    done: (subscription: Subscription, missed: M) => T,
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
        mustStand();
        // Asked for only now that what is newer will come by itself.
        const newestValue = this.#options.newest?.(topic) ?? null;
        const placed = place(subscription);
        // A failure ends neither: none may still be at work on a subscription that goes on.
        await Promise.allSettled([placed, newestValue]);
        const [missed, newest] = await Promise.all([placed, newestValue]);
        await feed.meet(subscription.position.epoch);
        const left = await subscription.closeUp(newest);
        mustStand();
        const result = done(subscription, missed);
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
    const feed = this.#feeds.get(topic)!;
    feed.subscriptions.delete(subscription);
    if (feed.subscriptions.size === 0) {
      feed.close();
      this.#feeds.delete(topic);
    }
    if (!session.closed) this.#options.onSubscriptions?.(session);
  }

  sessionsOf(userId: string): Iterable<Session> {
    return this.#shards[hashOf(userId) % this.#shards.length]!.byUser.get(userId) ?? [];
  }

  /** The sessions of this node that follow a topic. */
  *followersOf(topic: string): Iterable<Session> {
    // Only sessions are attached here.
    for (const { sink } of this.#feeds.get(topic)?.subscriptions ?? []) yield sink as Session;
  }

  /** The user has a session on this node. */
  hasUser(userId: string): boolean {
    return this.#shards[hashOf(userId) % this.#shards.length]!.byUser.has(userId);
  }

  *users(): Iterable<string> {
    for (const shard of this.#shards) yield* shard.byUser.keys();
  }

  *sessions(): Iterable<Session> {
    for (const shard of this.#shards) yield* shard.sessions.values();
  }

  /** Every session as the directory has it. */
  *entries(): Iterable<DirectoryEntry> {
    for (const session of this.sessions()) yield this.#entry(session);
  }

  /** Drops silent sessions; call a few times per heartbeat interval. */
  tick(now: number): void {
    for (const shard of this.#shards) shard.tick(now);
  }

  /**
   * Holds the next topics against Redis, `share` of all (0 to 1): what was lost between Redis and here without the connection
   * having broken shows in no later message when it was the last one.
   */
  check(share: number): void {
    const log = this.#options.log;
    for (let left = Math.ceil(this.#feeds.size * share); left > 0; left--) {
      let next = this.#checking.next();
      if (next.done) {
        this.#checking = this.#feeds.values();
        next = this.#checking.next();
      }
      const feed = next.value;
      if (!feed) return;
      feed.check().catch((error: unknown) => log.debug({ err: error, topic: feed.topic }, 'topic not checked'));
    }
  }

  stats(): NodeStats {
    const { byNamespace, byRole, byCity } = this.#counts;
    return {
      nodeId: this.#options.nodeId,
      total: this.#total,
      byNamespace: Object.fromEntries(byNamespace),
      byRole: Object.fromEntries(byRole),
      byCity: Object.fromEntries(byCity),
    };
  }

  queueDepth(): number {
    let depth = 0;
    for (const session of this.sessions()) depth += session.queued;
    return depth;
  }

  /** No new sessions from now on. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** Writes everything that waits for the end of the turn. */
  flush(): void {
    this.#turn.flush();
  }
}
