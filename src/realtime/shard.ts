/**
 * A shard owns the sessions of some users: their index, and a wheel that finds silent ones. There is one timer a server and
 * none a session.
 */
import type { ErrorCode } from '../errors.ts';
import type { Meter } from '../ports/meter.ts';
import { Few } from './few.ts';
import type { Pauses } from './pauses.ts';
import type { Session, SessionLimits, SessionOwner } from './session.ts';
import type { Turn } from './turn.ts';

const WHEEL_SLOTS = 64;
/** Proxies cut a connection off on which nothing moved for half a minute or so. */
const KEEP_ALIVE_MS = 15_000;

export interface ShardOptions {
  timeoutMs: number;
  /** Wall time, epoch ms. */
  now: number;
  /** Of the node, which notes them before each tick. */
  pauses: Pauses;
  turn: Turn;
  limits: SessionLimits;
  meter: Meter;
  /** @param code why the server ended it; null when the connection was gone by itself */
  onDropped(session: Session, code: ErrorCode | null): void;
}

export class Shard implements SessionOwner {
  readonly sessions = new Map<string, Session>();
  readonly byUser = new Map<string, Few<Session>>();
  readonly limits: SessionLimits;
  readonly meter: Meter;
  readonly #wheel: Set<Session>[] = Array.from({ length: WHEEL_SLOTS }, () => new Set());
  readonly #index: number;
  readonly #options: ShardOptions;
  readonly #slotMs: number;
  #tickedAt: number;

  constructor(index: number, options: ShardOptions) {
    this.#index = index;
    this.#options = options;
    this.limits = options.limits;
    this.meter = options.meter;
    // The wheel is a little longer than the timeout, so that no session falls due behind the hand.
    this.#slotMs = Math.max(10, Math.ceil(options.timeoutMs / (WHEEL_SLOTS - 2)));
    this.#tickedAt = options.now;
  }

  add(session: Session): void {
    this.sessions.set(session.id, session);
    let peers = this.byUser.get(session.principal.userId);
    if (!peers) {
      peers = new Few();
      this.byUser.set(session.principal.userId, peers);
    }
    peers.add(session);
    this.#await(session, this.#dueOf(session));
  }

  /** When its silence is over. One that can only listen is spoken to before others mistake its silence. */
  #dueOf({ lastSeen, transport }: Session): number {
    const { timeoutMs } = this.#options;
    return lastSeen + (transport.keepAlive ? Math.min(timeoutMs, KEEP_ALIVE_MS) : timeoutMs);
  }

  /** Looks at the session again when its silence is due, or its sign-in ends. */
  #await(session: Session, due: number): void {
    const at = Math.min(due, session.principal.expiresAt);
    session.slot = this.#wheel[Math.ceil(at / this.#slotMs) % WHEEL_SLOTS]!;
    session.slot.add(session);
  }

  markDirty(session: Session): void {
    this.#options.turn.addSession(this.#index, session);
  }

  markFirst(session: Session): void {
    this.#options.turn.addFirst(session);
  }

  /** Takes the session out and ends its connection. Safe to repeat. */
  drop(session: Session, code: ErrorCode, reason: string): void {
    if (this.remove(session, code)) session.transport.close(code, reason);
  }

  /** Takes the session out; false when it was out already. */
  remove(session: Session, code: ErrorCode | null = null): boolean {
    if (session.closed) return false;
    session.closed = true;
    session.settle();
    this.sessions.delete(session.id);
    session.slot?.delete(session);
    const peers = this.byUser.get(session.principal.userId);
    peers?.delete(session);
    if (peers?.size === 0) this.byUser.delete(session.principal.userId);
    this.#options.onDropped(session, code);
    return true;
  }

  /**
   * Moves the hand to `now`: sessions that were heard of go to a later slot, silent ones are dropped. For as long as the node stood still
   * since a session was heard of, it is waited for again.
   */
  tick(now: number): void {
    const from = Math.floor(this.#tickedAt / this.#slotMs);
    const to = Math.floor(now / this.#slotMs);
    this.#tickedAt = now;
    for (let slot = Math.max(from + 1, to - WHEEL_SLOTS + 1); slot <= to; slot++) {
      const due = this.#wheel[slot % WHEEL_SLOTS]!;
      if (due.size === 0) continue;
      this.#wheel[slot % WHEEL_SLOTS] = new Set();
      for (const session of due) this.#judge(session, now);
    }
  }

  #judge(session: Session, now: number): void {
    if (session.closed) return;
    const due = this.#dueOf(session);
    const excused = due > now ? due : due + this.#options.pauses.since(session.lastSeen);
    if (session.principal.expiresAt <= now) this.drop(session, 'RIDE_TOKEN_EXPIRED', 'sign in again');
    else if (due > now) this.#await(session, due);
    else if (excused > now) this.#await(session, Math.min(excused, now + this.#options.timeoutMs));
    else if (session.paused) this.#judgeUnread(session, now);
    else if (session.transport.keepAlive?.()) {
      session.lastSeen = now;
      this.#await(session, this.#dueOf(session));
    } else this.drop(session, 'RIDE_HEARTBEAT_MISSED', `no message for ${now - session.lastSeen} ms`);
  }

  /** Nobody knows what it has said, for its messages are not read; but it has to take something of what waits for it. */
  #judgeUnread(session: Session, now: number): void {
    if (session.isStalled()) this.drop(session, 'RIDE_SLOW_READER', 'resume from the last offset');
    else {
      session.lastSeen = now;
      this.#await(session, this.#dueOf(session));
    }
  }
}
