/** The session broker: sessions in shards by user, and what they follow. One per process. */
import type { Principal } from '../domain/roles.ts';
import { type ErrorCode, RideError } from '../errors.ts';
import type { TopicPosition as Position } from '../ports/bus.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../ports/session-directory.ts';
import { type Announce, Follows, type FollowsOptions } from './follows.ts';
import type { SubscribeResult } from './messages/definition.ts';
import { Pauses } from './pauses.ts';
import { Session, type SessionLimits } from './session.ts';
import { Shard } from './shard.ts';
import type { Transport } from './transport.ts';
import { Turn } from './turn.ts';

export interface BrokerOptions extends FollowsOptions {
  nodeId: string;
  shardCount: number;
  maxSessions: number;
  maxSessionsPerUser: number;
  heartbeatTimeoutMs: number;
  limits: SessionLimits;
  directory: SessionDirectory;
  /** Longest time one turn writes before it reads again, milliseconds. */
  flushBudgetMs: number;
  /** The first session of a user on this node, and the end of his last one. */
  onUserHere?(userId: string): void;
  onUserGone?(userId: string): void;
  /** @param code why the server ended it; null when the connection was gone by itself */
  onEnded?(session: Session, code: ErrorCode | null): void;
}

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
  readonly #pauses: Pauses;
  readonly #follows: Follows;
  #total = 0;
  #draining = false;
  readonly #counts = {
    byNamespace: new Map<string, number>(),
    byRole: new Map<string, number>(),
    byCity: new Map<string, number>(),
  };

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { limits, meter } = options;
    this.#turn = new Turn(options.flushBudgetMs, options.log);
    const timeoutMs = options.heartbeatTimeoutMs;
    // A node that stands still half of the time waits for twice as long, and no longer however it goes on.
    this.#pauses = new Pauses(2 * timeoutMs);
    const shard = { timeoutMs, now: Date.now(), pauses: this.#pauses, turn: this.#turn, limits, meter };
    const onDropped = (session: Session, code: ErrorCode | null): void => this.#closed(session, code);
    this.#shards = Array.from({ length: options.shardCount }, (_, index) => new Shard(index, { ...shard, onDropped }));
    this.#follows = new Follows(options, this.#turn);
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
      expiresAt: principal.expiresAt,
      tokenHash: principal.tokenHash ?? '',
      tripIds: this.#follows.tripsOf(session),
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
    this.#follows.release(session);
    this.#options.meter.sessionClosed(session.namespace);
    this.#options.meter.stream('ended', code ?? 'gone');
    this.#options.directory.closed(this.#entry(session));
    this.#options.onEnded?.(session, code);
    const { userId } = session.principal;
    if (!this.#shardOf(session).byUser.has(userId)) this.#options.onUserGone?.(userId);
  }

  /** See Follows, as for the next three. */
  subscribe(...args: Parameters<Follows['subscribe']>): Promise<SubscribeResult> {
    return this.#follows.subscribe(...args);
  }

  followInbox(session: Session, since: Position, announce: Announce): Promise<void> {
    return this.#follows.followInbox(session, since, announce);
  }

  keepBooks(session: Session, topic: string): void {
    this.#follows.keepBooks(session, topic);
  }

  unsubscribe(session: Session, topic: string): void {
    this.#follows.unsubscribe(session, topic);
  }

  sessionsOf(userId: string): Iterable<Session> {
    return this.#shards[hashOf(userId) % this.#shards.length]!.byUser.get(userId) ?? [];
  }

  /** The sessions of this node that follow a topic. */
  followersOf(topic: string): Iterable<Session> {
    return this.#follows.followersOf(topic);
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

  /**
   * Drops silent sessions; call a few times per heartbeat interval.
   * @param stoodMs so long the node itself stood still just before, and could hear nobody
   */
  tick(now: number, stoodMs = 0): void {
    this.#pauses.note(now, stoodMs);
    for (const shard of this.#shards) shard.tick(now);
  }

  /** Holds the next topics against Redis, `share` of all (0 to 1); see Follows. */
  check(share: number): void {
    this.#follows.check(share);
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

  get draining(): boolean {
    return this.#draining;
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
