/**
 * One stream of the gRPC method as a transport of the realtime core. It is served from an interceptor (gRPC proposal L112),
 * which is told a call's events as they come and gives messages as bytes: the two Node streams that grpc-js puts before a handler
 * would cost more than the rest of a message together. See docs/decisions/0008-grpc-fast-path.md.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { asRideError, type ErrorCode } from '../errors.ts';
import type { Connection } from '../realtime/connection.ts';
import { Batch, Frame, type Outgoing } from '../realtime/frame.ts';
import type { Transport } from '../realtime/transport.ts';
import { type Status, statusOf } from './status.ts';

/** Bytes that may wait for the peer before it counts as one that does not take them; as a socket of Node's has it. */
const HIGH_WATER_BYTES = 65_536;
/** What a waiting write holds besides its message. */
const WRITE_BYTES = 512;
/** grpc-js cancels a call by ending its side and resetting the stream a moment later: that is no farewell. */
const RESET_MS = 20;
/** How long a peer may take to read what is left, and to end its own side. */
const CLOSE_TIMEOUT_MS = 10_000;
const DONE: Status = { code: status.OK, details: 'OK', metadata: null };

/** What carries a call; grpc-js keeps it to itself. */
export const streamOf = (call: ServerInterceptingCallInterface): ServerHttp2Stream =>
  (call as unknown as { stream: ServerHttp2Stream }).stream;

/** Makes the receiving end of a stream that begins. @throws what refuses it */
export type Open = (stream: GrpcStream, metadata: Metadata) => Promise<Connection>;

/** Several length-prefixed messages, handed to grpc-js as the inside of one. */
class Joined {
  readonly #bytes: Buffer;
  /** grpc-js adds the five bytes of a prefix. */
  readonly byteLength: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.byteLength = bytes.length - 5;
  }

  /** Takes the place of that prefix too. */
  copy(target: Buffer): void {
    target.set(this.#bytes);
  }
}

/** What grpc-js calls to get the bytes of a message; it asks of them their `byteLength`, and to `copy` themselves. */
export const serialize = (outgoing: Frame | Batch): Buffer =>
  outgoing instanceof Frame ? outgoing.binary : (new Joined(outgoing.grpc()) as unknown as Buffer);

export class GrpcStream extends ServerInterceptingCall implements Transport {
  readonly #call: ServerInterceptingCallInterface;
  readonly #open: Open;
  readonly #closeTimeoutMs: number;
  #connection: Connection | null = null;
  /** Nothing is written any more. */
  #isOver = false;
  #isPaused = false;
  /** A message is asked for, and has come meanwhile. */
  #isAsking = false;
  #hasCome = false;
  /** What was written between `cork` and `uncork`. */
  #corked: Outgoing[] | null = null;
  #waitingBytes = 0;
  #onDrain: (() => void) | null = null;

  constructor(call: ServerInterceptingCallInterface, open: Open, closeTimeoutMs = CLOSE_TIMEOUT_MS) {
    super(call);
    this.#call = call;
    this.#open = open;
    this.#closeTimeoutMs = closeTimeoutMs;
  }

  /** What carries it. */
  get carrier(): ServerHttp2Stream {
    return streamOf(this.#call);
  }

  /** grpc-js begins the call: its events come here, and not to the listener that feeds a handler. */
  override start(): void {
    this.#call.start(this);
  }

  async onReceiveMetadata(metadata: Metadata): Promise<void> {
    try {
      this.#connection = await this.#open(this, metadata);
      // It was given up while it was being opened.
      if (this.#isOver) this.#connection.gone();
      else this.#read();
    } catch (thrown) {
      this.#end(statusOf(asRideError(thrown)));
    }
  }

  onReceiveMessage(bytes: Buffer): void {
    this.#hasCome = true;
    this.#connection!.binary(bytes);
    this.#read();
  }

  /** The client will say no more; what it said is still answered. */
  onReceiveHalfClose(): void {
    const finish = (): void => {
      if (!this.#isOver) void this.#connection!.finish().then(() => this.#end(DONE));
    };
    // The immediate comes after what was read meanwhile.
    setTimeout(() => setImmediate(finish), RESET_MS);
  }

  onCancel(): void {
    this.#isOver = true;
    this.#connection?.gone();
  }

  /** Asks for the next message, one at a time; in a loop, for one that waits comes at once. */
  #read(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    do {
      if (this.#isPaused || this.#isOver) break;
      this.#hasCome = false;
      this.#call.startRead();
    } while (this.#hasCome);
    this.#isAsking = false;
  }

  pauseReading(): void {
    this.#isPaused = true;
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#read();
  }

  write(outgoing: Outgoing): void {
    if (this.#isOver) return;
    this.#waitingBytes += outgoing.bytes;
    if (this.#corked === null) this.#send(outgoing);
    else this.#corked.push(outgoing);
  }

  cork(): void {
    this.#corked = [];
  }

  uncork(): void {
    const corked = this.#corked!;
    this.#corked = null;
    if (corked.length === 0 || this.#isOver) return;
    this.#send(corked.length === 1 ? corked[0]! : new Batch(corked.flatMap(({ frames }) => frames)));
  }

  #send(outgoing: Outgoing): void {
    const { bytes } = outgoing;
    this.#waitingBytes += WRITE_BYTES;
    this.#call.sendMessage(outgoing, () => this.#sent(bytes + WRITE_BYTES));
  }

  #sent(bytes: number): void {
    this.#waitingBytes -= bytes;
    if (this.#waitingBytes > 0) return;
    const listener = this.#onDrain;
    this.#onDrain = null;
    listener?.();
  }

  blocked(): boolean {
    return this.#waitingBytes >= HIGH_WATER_BYTES;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  close(code: ErrorCode, reason: string): void {
    this.#end(statusOf({ code, message: reason }));
  }

  /** What was written goes before it, if the peer takes it in time. */
  #end(ending: Status): void {
    this.#isOver = true;
    this.#call.sendStatus(ending);
    // A stream that no session counts any more would keep its memory for as long as the peer likes. grpc-js offers no way to cut it.
    const stream = this.carrier;
    if (stream.destroyed) return;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), this.#closeTimeoutMs);
    stream.once('close', () => clearTimeout(timer));
  }
}
