/**
 * What sessions queue: published messages as finished bytes, encoded at most once per encoding and shared by everyone who
 * reads them. A `Frame` is one message; a `Batch` is what a topic got during one turn of the event loop, joined once for all
 * its subscribers, so that a busy topic costs each of them one write a turn.
 */
import { create, fromBinary, toJsonString } from '@bufbuild/protobuf';
import type { Logger } from '../ports/logger.ts';
import { type ServerEnvelope, ServerEnvelopeSchema } from './generated/ride/v1/ride_pb.js';
import { deliveryOf } from './messages/index.ts';

export type Encoding = 'json' | 'binary';

const TEXT_FRAME = 0x81; // FIN + opcode 1, RFC 6455 section 5.2
const BINARY_FRAME = 0x82; // FIN + opcode 2

const GRPC_PREFIX = 5;

/** A server's (unmasked) WebSocket frame around `payload`. */
export function webSocketFrame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.length;
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = opcode;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(payload, header);
  return frame;
}

/** One or more messages, ready to be written. */
export interface Outgoing {
  readonly frames: readonly Frame[];
  /** Bytes of the binary encoding; what the bounds of a session count. */
  readonly bytes: number;
  webSocket(encoding: Encoding): Buffer;
  /** Finished gRPC messages, one after the other. */
  grpc(): Buffer;
}

/** Writes a length-prefixed message, uncompressed (gRPC over HTTP2, "Length-Prefixed-Message"); returns where it ends. */
function writeGrpc(target: Buffer, at: number, message: Buffer): number {
  const start = at + GRPC_PREFIX;
  target[at] = 0;
  target.writeUInt32BE(message.length, at + 1);
  target.set(message, start);
  return start + message.length;
}

export class Frame implements Outgoing {
  /** The envelope as binary protobuf. */
  readonly binary: Buffer;
  /** Name of the payload, `trip_event`. */
  readonly kind: string;
  readonly topic: string;
  readonly offset: number;
  readonly epoch: string;
  readonly #log: Logger | null;
  #wsText: Buffer | null = null;
  #wsBinary: Buffer | null = null;
  #grpc: Buffer | null = null;

  /** @param log of a message that others made: what cannot be decoded of it is told there, and not thrown */
  constructor(binary: Buffer, kind: string, topic = '', offset = 0, epoch = '', log: Logger | null = null) {
    this.binary = binary;
    this.kind = kind;
    this.topic = topic;
    this.offset = offset;
    this.epoch = epoch;
    this.#log = log;
  }

  get frames(): readonly Frame[] {
    return [this];
  }

  get bytes(): number {
    return this.binary.length;
  }

  get delivery(): ReturnType<typeof deliveryOf> {
    return deliveryOf(this.kind);
  }

  /**
   * What `read` makes of the envelope. A node knows only the outside of what others publish: when the inside is broken, that ends
   * neither the node nor its readers. It is then an envelope with its place alone, so that whoever counts offsets sees no hole.
   */
  decode<T>(read: (envelope: ServerEnvelope) => T): T {
    try {
      return read(fromBinary(ServerEnvelopeSchema, this.binary));
    } catch (error) {
      if (this.#log === null) throw error;
      const { topic, offset, epoch } = this;
      this.#log.warn(
        { err: error, topic, offset },
        'the inside of a message is broken: its readers get its place alone',
      );
      return read(create(ServerEnvelopeSchema, { topic, offset: BigInt(offset), epoch }));
    }
  }

  /** The envelope as protobuf JSON with the proto's field names, UTF-8. */
  get text(): Buffer {
    return this.decode((envelope) =>
      Buffer.from(toJsonString(ServerEnvelopeSchema, envelope, { useProtoFieldName: true })),
    );
  }

  /** Finished WebSocket bytes. */
  webSocket(encoding: Encoding): Buffer {
    if (encoding === 'json') {
      this.#wsText ??= webSocketFrame(TEXT_FRAME, this.text);
      return this.#wsText;
    }
    this.#wsBinary ??= webSocketFrame(BINARY_FRAME, this.binary);
    return this.#wsBinary;
  }

  grpc(): Buffer {
    if (this.#grpc === null) {
      this.#grpc = Buffer.allocUnsafe(GRPC_PREFIX + this.binary.length);
      writeGrpc(this.#grpc, 0, this.binary);
    }
    return this.#grpc;
  }
}

/** Frames of one topic, in order, as one buffer per encoding. */
export class Batch implements Outgoing {
  readonly frames: readonly Frame[];
  readonly bytes: number;
  #wsText: Buffer | null = null;
  #wsBinary: Buffer | null = null;
  #grpc: Buffer | null = null;

  constructor(frames: readonly Frame[]) {
    this.frames = frames;
    let bytes = 0;
    for (const frame of frames) bytes += frame.bytes;
    this.bytes = bytes;
  }

  webSocket(encoding: Encoding): Buffer {
    if (encoding === 'json') {
      this.#wsText ??= Buffer.concat(this.frames.map((frame) => frame.webSocket('json')));
      return this.#wsText;
    }
    this.#wsBinary ??= Buffer.concat(this.frames.map((frame) => frame.webSocket('binary')));
    return this.#wsBinary;
  }

  grpc(): Buffer {
    if (this.#grpc === null) {
      this.#grpc = Buffer.allocUnsafe(GRPC_PREFIX * this.frames.length + this.bytes);
      let at = 0;
      for (const { binary } of this.frames) at = writeGrpc(this.#grpc, at, binary);
    }
    return this.#grpc;
  }
}
