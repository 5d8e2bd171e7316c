/**
 * One stream of the gRPC method as a transport of the realtime core. It is served from an interceptor (gRPC proposal L112): the
 * call begins and ends by grpc-js, its messages are read from and written to the HTTP/2 stream as bytes. What grpc-js puts between
 * would cost more than the rest of a message together. See docs/decisions/0008-grpc-fast-path.md.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { asRideError, type ErrorCode } from '../errors.ts';
import type { Connection } from '../realtime/connection.ts';
import type { Outgoing } from '../realtime/frame.ts';
import type { Transport } from '../realtime/transport.ts';
import { insideOf } from './call.ts';
import { BadStream, MessageReader } from './messages.ts';
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
/** The client ended its side within a message: it did not say all that it began to. */
const CUT_OFF: Status = { code: status.INTERNAL, details: 'The stream ended within a message', metadata: null };

/** Makes the receiving end of a stream that begins. @throws what refuses it */
export type Open = (stream: GrpcStream, metadata: Metadata) => Promise<Connection>;

export interface GrpcStreamOptions {
  open: Open;
  /** A longer message ends the stream. */
  maxMessageBytes: number;
  closeTimeoutMs?: number | undefined;
}

export class GrpcStream extends ServerInterceptingCall implements Transport {
  readonly #call: ServerInterceptingCallInterface;
  readonly #options: GrpcStreamOptions;
  readonly #stream: ServerHttp2Stream;
  readonly #messages: MessageReader;
  /** Null until it is open; nothing is read before. */
  #connection: Connection | null = null;
  /** Nothing is written any more. */
  #isOver = false;
  #isPaused = false;
  /** Messages are being handed out. */
  #isReading = false;
  /** The client has ended its side, which is noted when all that it said is handed out. */
  #isEnding = false;
  /** What was written between `cork` and `uncork`. */
  #corked: Buffer[] | null = null;
  #corkedBytes = 0;
  /** Writes that the peer has not taken. */
  #writes = 0;
  #onDrain: (() => void) | null = null;

  constructor(call: ServerInterceptingCallInterface, options: GrpcStreamOptions) {
    super(call);
    this.#call = call;
    this.#options = options;
    const { stream, incomingEncoding } = insideOf(call);
    this.#stream = stream;
    this.#messages = new MessageReader(options.maxMessageBytes, incomingEncoding);
    // In the place of grpc-js, which has stopped the stream until a message is asked for.
    stream.removeAllListeners('data').removeAllListeners('end');
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => {
      this.#isEnding = true;
      this.#read();
    });
  }

  /** What carries it. */
  get carrier(): ServerHttp2Stream {
    return this.#stream;
  }

  /** grpc-js begins the call: its events come here, and not to the listener that feeds a handler. */
  override start(): void {
    this.#call.start(this);
  }

  async onReceiveMetadata(metadata: Metadata): Promise<void> {
    try {
      this.#connection = await this.#options.open(this, metadata);
      // It was given up while it was being opened.
      if (this.#isOver) this.#connection.gone();
      else if (!this.#isPaused) this.resumeReading();
    } catch (thrown) {
      this.#end(statusOf(asRideError(thrown)));
    }
  }

  /** Messages and the end of the client's side come by the HTTP/2 stream. */
  onReceiveMessage(): void {}
  onReceiveHalfClose(): void {}

  onCancel(): void {
    this.#isOver = true;
    this.#connection?.gone();
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#messages.push(chunk);
    this.#read();
  }

  /** Hands out what has come until it is told to pause. */
  #read(): void {
    if (this.#isReading || this.#connection === null) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && !this.#isOver) {
        const message = this.#messages.next();
        if (message === null) break;
        this.#connection.binary(message);
      }
    } catch (error) {
      if (!(error instanceof BadStream)) throw error;
      this.#end(error.status);
    } finally {
      this.#isReading = false;
    }
    if (this.#isEnding && !this.#isPaused) this.#halfClosed(this.#connection);
  }

  /** The client will say no more; what it said is still answered. */
  #halfClosed(connection: Connection): void {
    this.#isEnding = false;
    const finish = (): void => {
      if (!this.#isOver) void connection.finish().then(() => this.#end(this.#messages.isPartial ? CUT_OFF : DONE));
    };
    // The immediate comes after what was read meanwhile.
    setTimeout(() => setImmediate(finish), RESET_MS);
  }

  pauseReading(): void {
    this.#isPaused = true;
    this.#stream.pause();
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#read();
    if (!this.#isPaused) this.#stream.resume();
  }

  write(outgoing: Outgoing): void {
    if (this.#isOver) return;
    const bytes = outgoing.grpc();
    if (this.#corked === null) this.#send(bytes);
    else {
      this.#corked.push(bytes);
      this.#corkedBytes += bytes.length;
    }
  }

  cork(): void {
    this.#corked = [];
  }

  uncork(): void {
    const corked = this.#corked!;
    this.#corked = null;
    this.#corkedBytes = 0;
    if (corked.length === 0 || this.#isOver) return;
    this.#send(corked.length === 1 ? corked[0]! : Buffer.concat(corked));
  }

  /** Finished messages; the same buffer goes to every stream that gets them. */
  #send(messages: Buffer): void {
    const stream = this.#stream;
    // At its deadline grpc-js ends a call by itself.
    if (stream.writableEnded || stream.destroyed) return;
    if (!stream.headersSent) this.#call.sendMetadata(new Metadata());
    this.#writes++;
    stream.write(messages, this.#sent);
  }

  readonly #sent = (): void => {
    if (--this.#writes > 0) return;
    const listener = this.#onDrain;
    this.#onDrain = null;
    listener?.();
  };

  blocked(): boolean {
    return this.#stream.writableLength + this.#corkedBytes + this.#writes * WRITE_BYTES >= HIGH_WATER_BYTES;
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
    // A stream that no session counts any more would keep its memory for as long as the peer likes.
    const stream = this.#stream;
    if (stream.destroyed) return;
    const { closeTimeoutMs = CLOSE_TIMEOUT_MS } = this.#options;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), closeTimeoutMs);
    stream.once('close', () => clearTimeout(timer));
  }
}
