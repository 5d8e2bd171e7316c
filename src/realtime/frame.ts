/**
 * A published message, encoded at most once per encoding and shared by all who read it: finished WebSocket bytes with their
 * header, or a ready gRPC message. Sessions queue references to frames, never copies.
 */
import { fromBinary, toJsonString } from '@bufbuild/protobuf';
import { ServerEnvelopeSchema } from './generated/ride/v1/ride_pb.js';

export type Encoding = 'json' | 'binary';

const TEXT_FRAME = 0x81; // FIN + opcode 1, RFC 6455 section 5.2
const BINARY_FRAME = 0x82; // FIN + opcode 2

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

export class Frame {
  /** The envelope as binary protobuf. */
  readonly binary: Buffer;
  /** Name of the payload, `trip_event`. */
  readonly kind: string;
  readonly offset: number;
  readonly epoch: string;
  #text: Buffer | null = null;
  #wsText: Buffer | null = null;
  #wsBinary: Buffer | null = null;

  constructor(binary: Buffer, kind: string, offset = 0, epoch = '') {
    this.binary = binary;
    this.kind = kind;
    this.offset = offset;
    this.epoch = epoch;
  }

  /** The envelope as protobuf JSON with the proto's field names, UTF-8. */
  get text(): Buffer {
    this.#text ??= Buffer.from(
      toJsonString(ServerEnvelopeSchema, fromBinary(ServerEnvelopeSchema, this.binary), { useProtoFieldName: true }),
    );
    return this.#text;
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

  get bytes(): number {
    return this.binary.length;
  }
}
