/**
 * A shard owns the sessions of some users: their index, a wheel that finds silent ones, and the flush of those that have
 * something to say. There is one timer a server and none a session.
 */
import type { ErrorCode } from '../errors.ts';
import type { Session } from './session.ts';

const WHEEL_SLOTS = 64;

export class Shard {
  readonly sessions = new Map<string, Session>();
  readonly byUser = new Map<string, Set<Session>>();
  readonly #wheel: Set<Session>[] = Array.from({ length: WHEEL_SLOTS }, () => new Set());
  readonly #timeoutMs: number;
  readonly #slotMs: number;
  readonly #onDropped: (session: Session) => void;
  #dirty: Session[] = [];
  #flushScheduled = false;
  #tickedAt: number;

  constructor(timeoutMs: number, now: number, onDropped: (session: Session) => void) {
    this.#timeoutMs = timeoutMs;
    // The wheel is a little longer than the timeout, so that no session falls due behind the hand.
    this.#slotMs = Math.max(10, Math.ceil(timeoutMs / (WHEEL_SLOTS - 2)));
    this.#tickedAt = now;
    this.#onDropped = onDropped;
  }

  add(session: Session): void {
    this.sessions.set(session.id, session);
    const peers = this.byUser.get(session.principal.userId);
    if (peers) peers.add(session);
    else this.byUser.set(session.principal.userId, new Set([session]));
    this.#slotOf(session.lastSeen + this.#timeoutMs).add(session);
  }

  #slotOf(due: number): Set<Session> {
    return this.#wheel[Math.ceil(due / this.#slotMs) % WHEEL_SLOTS]!;
  }

  /** Takes the session out and ends its connection. Safe to repeat. */
  drop(session: Session, code: ErrorCode, reason: string): void {
    if (this.remove(session)) session.transport.close(code, reason);
  }

  /** Takes the session out; false when it was out already. */
  remove(session: Session): boolean {
    if (session.closed) return false;
    session.closed = true;
    this.sessions.delete(session.id);
    const peers = this.byUser.get(session.principal.userId);
    peers?.delete(session);
    if (peers?.size === 0) this.byUser.delete(session.principal.userId);
    this.#onDropped(session);
    return true;
  }

  markDirty(session: Session): void {
    if (session.dirty) return;
    session.dirty = true;
    this.#dirty.push(session);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.flush);
  }

  /** Everything that gathered during this turn of the event loop goes out in one write a session. */
  readonly flush = (): void => {
    this.#flushScheduled = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const session of dirty) session.flush();
  };

  /** Moves the hand to `now`: sessions that were heard of go to a later slot, silent ones are dropped. */
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
    const due = session.lastSeen + this.#timeoutMs;
    if (session.principal.expiresAt <= now) this.drop(session, 'RIDE_TOKEN_EXPIRED', 'sign in again');
    else if (due > now) this.#slotOf(due).add(session);
    else this.drop(session, 'RIDE_HEARTBEAT_MISSED', `no message for ${now - session.lastSeen} ms`);
  }
}
