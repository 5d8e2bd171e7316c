/**
 * One connected device. What it is sent during a turn of the event loop waits until the turn's end and goes out in one write;
 * what its peer does not take waits in its bounded ring, where the delivery class of each message decides what a full ring does.
 */
import type { Principal } from '../domain/roles.ts';
import type { ErrorCode } from '../errors.ts';
import type { Meter } from '../ports/meter.ts';
import type { SavedSession } from '../ports/reconnects.ts';
import type { Trace } from '../ports/tracing.ts';
import { Frame, type Outgoing } from './frame.ts';
import { Ring } from './ring.ts';
import { Subscriptions } from './subscription.ts';
import type { Transport } from './transport.ts';

export type SavedTopics = SavedSession['topics'];

/** What a session needs of its shard. */
export interface SessionOwner {
  /** `flush` will be called at the end of this turn, or of one soon after when much is to be written. */
  markDirty(session: Session): void;
  /** `flush` will be called at the end of this turn, before all that. */
  markFirst(session: Session): void;
  /** Takes the session out and ends its connection. */
  drop(session: Session, code: ErrorCode, reason: string): void;
  readonly limits: SessionLimits;
  readonly meter: Meter;
}

export interface SessionLimits {
  outboundMessages: number;
  outboundBytes: number;
}

/** Document A: pause reads above, resume below. */
const PAUSE_ABOVE = 0.75;
const RESUME_BELOW = 0.5;

export class Session {
  readonly id: string;
  readonly principal: Principal;
  readonly namespace: string;
  readonly transport: Transport;
  /** Wall time, epoch ms. */
  readonly connectedAt: number;
  readonly subscriptions = new Subscriptions();
  /** What its client said of the trace that it belongs to; null when nothing. */
  traceContext: Omit<Trace, 'corrId'> | null = null;
  /** Wall time of the last inbound message, epoch ms. */
  lastSeen: number;
  closed = false;
  /** What the client's next connection may be signed in with; '' when there is none. */
  reconnectToken = '';
  /** Saved topics of an earlier connection that are not followed again yet. */
  restoring: SavedTopics | null = null;
  /** Topics of which the client keeps its own books, followed already or not yet; null while there are none. */
  booked: Set<string> | null = null;
  /** Wall time at which was noted last what the client has, epoch ms. */
  notedAt: number;
  /** Wall time at which the reconnect token was written last, epoch ms. */
  savedAt = 0;
  /** It is to connect again after so many milliseconds: its end is no farewell. */
  sentAwayMs: number | null = null;
  /** Of a peer that only listens: the topic that it came for, and its end is the session's. Null of one that may follow others. */
  listensTo: string | null = null;
  /** What it is told may come; before that, only its welcome. */
  isWelcome = false;
  /** Where the wheel of its shard has it. */
  slot: Set<Session> | null = null;
  /** In its shard's list of sessions to flush. */
  dirty = false;
  /** In the list of those that are flushed first. */
  first = false;
  readonly #owner: SessionOwner;
  /** What was sent this turn, in order; null, one, or several. */
  #turn: Outgoing | Outgoing[] | null = null;
  /** What the peer did not take; null while it keeps up, which is nearly always. */
  #ring: Ring | null = null;
  #waitingForDrain = false;
  /** What comes in is held because the outbound buffer is nearly full. */
  #full = false;
  #holds = 0;
  /** What was written to it, and how much of that there was when `wasSpokenTo` was asked last. */
  #written = 0;
  #known = 0;
  /** The peer took something since it was asked last. */
  #moved = true;
  /** Nothing is read of the peer: its silence is ours. */
  paused = false;
  /** Called when what comes in is no longer held. */
  onReleased: (() => void) | null = null;
  /** Called when nothing waits any more. */
  #onIdle: (() => void)[] | null = null;

  constructor(
    id: string,
    principal: Principal,
    namespace: string,
    transport: Transport,
    owner: SessionOwner,
    now: number,
  ) {
    this.id = id;
    this.principal = principal;
    this.namespace = namespace;
    this.transport = transport;
    this.connectedAt = now;
    this.lastSeen = now;
    this.notedAt = now;
    this.#owner = owner;
  }

  /** Messages that wait for this session. */
  get queued(): number {
    const turn = this.#turn;
    const fresh = turn === null ? 0 : Array.isArray(turn) ? turn.length : turn.frames.length;
    return fresh + (this.#ring?.length ?? 0);
  }

  /** Everything was handed to the connection, which takes more. */
  get idle(): boolean {
    return this.#turn === null && this.#ring === null && !this.#waitingForDrain;
  }

  /** Resolves when it is idle, or has ended. */
  drained(): Promise<void> {
    if (this.idle || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle ??= [];
      this.#onIdle.push(resolve);
    });
  }

  /** Wakes who waits for it; called when it is idle and when it ends. */
  settle(): void {
    const listeners = this.#onIdle;
    if (listeners === null || !(this.idle || this.closed)) return;
    this.#onIdle = null;
    for (const listener of listeners) listener();
  }

  /** Sends one message, or what a topic joined, at the end of this turn; what `comesFirst`, before what the many are handed. */
  send(outgoing: Outgoing, comesFirst = false): void {
    if (this.closed) return;
    if (this.#waitingForDrain) {
      for (const frame of outgoing.frames) this.#wait(frame);
      return;
    }
    if (this.#turn === null) this.#turn = outgoing;
    else if (Array.isArray(this.#turn)) this.#turn.push(outgoing);
    else this.#turn = [this.#turn, outgoing];
    if (comesFirst) {
      if (this.first) return;
      this.first = true;
      this.#owner.markFirst(this);
    } else if (!this.dirty) {
      this.dirty = true;
      this.#owner.markDirty(this);
    }
  }

  /** Writes what this turn brought; called by the shard at the turn's end. */
  flush(): void {
    this.dirty = false;
    this.first = false;
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null || this.closed) return;
    if (!Array.isArray(turn)) this.#write(turn);
    else {
      this.transport.cork();
      for (const outgoing of turn) this.#write(outgoing);
      this.transport.uncork();
    }
    // Asked only now: while corked, our own bytes would look like a peer that does not take them.
    this.#checkPeer();
    if (this.#onIdle !== null) this.settle();
  }

  /** Whether something was written to it since this was asked last, but for the one answer that a no brings. */
  wasSpokenTo(): boolean {
    const was = this.#written > this.#known;
    this.#known = was ? this.#written : this.#written + 1;
    return was;
  }

  #write(outgoing: Outgoing): void {
    this.transport.write(outgoing);
    this.#written++;
    this.#count(outgoing);
  }

  /** Keeps what comes next for a peer that takes no more. */
  #checkPeer(): void {
    if (!this.transport.blocked()) return;
    this.#waitingForDrain = true;
    this.transport.onDrain(() => this.#drained());
  }

  #count(outgoing: Outgoing): void {
    const { meter } = this.#owner;
    if (outgoing instanceof Frame) {
      meter.messagesOut(this.namespace, outgoing.kind, 1);
      return;
    }
    const { frames } = outgoing;
    const first = frames[0]!.kind;
    let run = 0;
    for (const frame of frames) {
      if (frame.kind === first) run++;
      else meter.messagesOut(this.namespace, frame.kind, 1);
    }
    meter.messagesOut(this.namespace, first, run);
  }

  /** Queues a frame for a peer that is behind. */
  #wait(frame: Frame): void {
    if (this.closed) return;
    const { limits } = this.#owner;
    this.#ring ??= new Ring(limits.outboundMessages, limits.outboundBytes);
    const ring = this.#ring;
    if (!ring.offer(frame, this.#owner.meter)) {
      // Only what must not be lost is left: the client resumes from its offset, and gets the newest values anew.
      this.#owner.meter.dropped('slow_reader');
      this.#owner.drop(this, 'RIDE_SLOW_READER', 'resume from the last offset');
      return;
    }
    if (!this.#full && ring.fill > PAUSE_ABOVE) {
      this.#full = true;
      this.#owner.meter.stream('backpressure', 'held');
      this.hold();
    }
  }

  /** The peer takes again: what waited goes first, as much as it takes. */
  #drained(): void {
    this.#waitingForDrain = false;
    this.#moved = true;
    const ring = this.#ring;
    if (this.closed) return;
    if (ring === null) {
      this.settle();
      return;
    }
    this.transport.cork();
    while (ring.length > 0 && !this.transport.blocked()) this.#write(ring.shift()!);
    this.transport.uncork();
    this.#checkPeer();
    if (ring.length > 0 && !this.#waitingForDrain) {
      // The peer took all at once: the rest follows, and nothing may overtake it.
      this.#waitingForDrain = true;
      setImmediate(() => this.#drained());
    }
    if (ring.length === 0) this.#ring = null;
    if (this.#full && ring.fill < RESUME_BELOW) {
      this.#full = false;
      this.release();
    }
    this.settle();
  }

  /** Nothing of what the peer sends is to be handled but what is urgent, until as many releases have come. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (--this.#holds === 0 && !this.closed) this.onReleased?.();
  }

  get held(): boolean {
    return this.#holds > 0;
  }

  /** Stops reading from the peer. */
  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.#owner.meter.stream('backpressure', 'paused');
    this.transport.pauseReading();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    // What it sent meanwhile, its heartbeats too, is only read now.
    this.lastSeen = Date.now();
    this.transport.resumeReading();
  }

  /** The peer has taken nothing of what waits for it since this was asked last. */
  isStalled(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return this.#waitingForDrain && !moved;
  }

  close(code: ErrorCode, reason: string): void {
    this.#owner.drop(this, code, reason);
  }
}
