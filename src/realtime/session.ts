/**
 * One connected device. It owns a bounded outbound buffer and its subscriptions; its shard flushes it, its transport writes.
 */
import type { Principal } from '../domain/roles.ts';
import type { ErrorCode } from '../errors.ts';
import type { Meter } from '../ports/meter.ts';
import type { Subscription } from './feed.ts';
import type { Frame } from './frame.ts';
import { serverMessages } from './messages/index.ts';
import { Ring } from './ring.ts';
import type { Transport } from './transport.ts';

/** What a session needs of its shard. */
export interface SessionOwner {
  markDirty(session: Session): void;
  /** Takes the session out and ends its connection. */
  drop(session: Session, code: ErrorCode, reason: string): void;
}

export interface SessionLimits {
  outboundMessages: number;
  outboundBytes: number;
}

/** Document A: pause reads above, resume below. */
const PAUSE_ABOVE = 0.75;
const RESUME_BELOW = 0.5;
/** Bytes handed to the transport at once; what is beyond waits in the ring, where it can still be dropped. */
const CHUNK_BYTES = 64 * 1024;

const deliveryOf = (kind: string): 'latest' | 'ordered' | 'ephemeral' | 'reply' =>
  (serverMessages as Record<string, { delivery: 'latest' | 'ordered' | 'ephemeral' }>)[kind]?.delivery ?? 'reply';

const isDroppable = (frame: Frame): boolean => {
  const delivery = deliveryOf(frame.kind);
  return delivery === 'ephemeral' || delivery === 'latest';
};

export class Session {
  readonly id: string;
  readonly principal: Principal;
  readonly namespace: string;
  readonly transport: Transport;
  readonly connectedAt: number;
  readonly subscriptions = new Map<string, Subscription>();
  /** Wall time of the last inbound message, epoch ms. */
  lastSeen: number;
  closed = false;
  /** In its shard's list of sessions to flush. */
  dirty = false;
  readonly #ring: Ring;
  readonly #shard: SessionOwner;
  readonly #meter: Meter;
  #waitingForDrain = false;
  /** Reads are held because the outbound buffer is nearly full. */
  #full = false;
  #holds = 0;

  constructor(
    id: string,
    principal: Principal,
    namespace: string,
    transport: Transport,
    shard: SessionOwner,
    limits: SessionLimits,
    meter: Meter,
    now: number,
  ) {
    this.id = id;
    this.principal = principal;
    this.namespace = namespace;
    this.transport = transport;
    this.connectedAt = now;
    this.lastSeen = now;
    this.#ring = new Ring(limits.outboundMessages, limits.outboundBytes);
    this.#shard = shard;
    this.#meter = meter;
  }

  get queued(): number {
    return this.#ring.length;
  }

  /** Queues a frame; a full buffer does what the frame's delivery class says. */
  send(frame: Frame): void {
    if (this.closed) return;
    if (!this.#ring.hasRoom(frame) && !this.#makeRoom(frame)) return;
    this.#ring.push(frame);
    if (!this.#full && this.#ring.fill > PAUSE_ABOVE) {
      this.#full = true;
      this.hold();
    }
    if (!this.#waitingForDrain) this.#shard.markDirty(this);
  }

  /** True when the frame may be queued after all. */
  #makeRoom(frame: Frame): boolean {
    while (!this.#ring.hasRoom(frame)) {
      if (this.#ring.dropOldest(isDroppable)) {
        this.#meter.dropped('ephemeral');
        continue;
      }
      if (isDroppable(frame)) {
        this.#meter.dropped('ephemeral');
        return false;
      }
      // Only what must not be lost is left: the client resumes from its offset.
      this.#meter.dropped('slow_reader');
      this.#shard.drop(this, 'RIDE_SLOW_READER', 'resume from the last offset');
      return false;
    }
    return true;
  }

  /** Writes what the peer takes; called by the shard once a turn. */
  flush(): void {
    this.dirty = false;
    if (this.closed || this.#waitingForDrain) return;
    while (this.#ring.length > 0 && !this.transport.blocked()) this.#writeChunk();
    if (this.#ring.length > 0) {
      this.#waitingForDrain = true;
      this.transport.onDrain(this.#drained);
    }
    if (this.#full && this.#ring.fill < RESUME_BELOW) {
      this.#full = false;
      this.release();
    }
  }

  readonly #drained = (): void => {
    this.#waitingForDrain = false;
    this.flush();
  };

  #writeChunk(): void {
    const frames: Frame[] = [];
    let bytes = 0;
    while (this.#ring.length > 0 && bytes < CHUNK_BYTES) {
      const frame = this.#ring.shift()!;
      bytes += frame.bytes;
      frames.push(frame);
      this.#meter.messagesOut(this.namespace, frame.kind, 1);
    }
    this.transport.write(frames);
  }

  /** Stops reading from the peer until as many releases have come. */
  hold(): void {
    if (this.#holds++ === 0) this.transport.pauseReading();
  }

  release(): void {
    if (--this.#holds === 0 && !this.closed) this.transport.resumeReading();
  }

  close(code: ErrorCode, reason: string): void {
    this.#shard.drop(this, code, reason);
  }
}
