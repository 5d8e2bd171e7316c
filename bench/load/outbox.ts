/** What a socket load sends: at a rate that nothing slows down, or as fast as the answers come. One write a socket and turn. */
import type { Samples } from '../harness/statistics.ts';
import { now } from '../harness/time.ts';
import type { Dialect, Member } from './dialects.ts';
import { CORR_DIGITS } from './wire/protobuf.ts';
import type { WireSocket } from './wire/websocket.ts';

/** Times of questions by their number; a power of two, more than can be unanswered. */
const REMEMBERED = 1 << 20;
const CORR_WRAP = 10 ** CORR_DIGITS;
const TICK_MS = 1;

export class Outbox {
  readonly #sockets: readonly WireSocket[];
  readonly #writers: (ReturnType<Dialect['writer']> | null)[];
  /** Indexes of the members that publish. */
  readonly #publishers: number[] = [];
  /** Messages to send in this turn, by member. */
  readonly #due: Uint32Array;
  readonly #askedAt = new Float64Array(REMEMBERED);
  #dirty: number[] = [];
  #scheduled = false;
  #looping = false;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;
  #sent = 0;
  #startedAt = 0;

  constructor(sockets: readonly WireSocket[], members: readonly Member[], dialect: Dialect) {
    this.#sockets = sockets;
    this.#due = new Uint32Array(members.length);
    this.#writers = members.map((member, index) => {
      if (member.publishesTo === '') return null;
      this.#publishers.push(index);
      return dialect.writer(member);
    });
  }

  atRate(perSecond: number): void {
    this.#begin();
    let next = 0;
    let given = 0;
    this.#timer = setInterval(() => {
      const wanted = Math.floor(((now() - this.#startedAt) / 1000) * perSecond);
      for (; given < wanted; given++) {
        this.#add(this.#publishers[next]!);
        next = (next + 1) % this.#publishers.length;
      }
      this.#flush();
    }, TICK_MS);
  }

  loop(inFlight: number): void {
    this.#begin();
    this.#looping = true;
    for (const index of this.#publishers) for (let i = 0; i < inFlight; i++) this.#add(index);
    this.#flush();
  }

  stop(): { sent: number; seconds: number } {
    clearInterval(this.#timer);
    this.#looping = false;
    return { sent: this.#sent, seconds: (now() - this.#startedAt) / 1000 };
  }

  /** A message of `index` was answered; `corr` is its number or -1. */
  acked(index: number, corr: number, latency: Samples): void {
    if (corr >= 0) latency.add(now() - this.#askedAt[corr % REMEMBERED]!);
    if (!this.#looping) return;
    this.#add(index);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  #begin(): void {
    this.stop();
    if (this.#publishers.length === 0) throw new Error('no member publishes');
    this.#sent = 0;
    this.#startedAt = now();
  }

  #add(index: number): void {
    if (this.#due[index]!++ === 0) this.#dirty.push(index);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    const at = now();
    for (const index of dirty) {
      const messages = this.#due[index]!;
      this.#due[index] = 0;
      const writer = this.#writers[index]!;
      const buffer = Buffer.allocUnsafe(messages * writer.bytes);
      let end = 0;
      for (let i = 0; i < messages; i++) {
        this.#askedAt[(this.#count % CORR_WRAP) % REMEMBERED] = at;
        end = writer.write(buffer, end, this.#count++);
      }
      this.#sent += messages;
      this.#sockets[index]!.write(buffer.subarray(0, end));
    }
  };
}
