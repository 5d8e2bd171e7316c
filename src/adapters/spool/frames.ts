/**
 * Records as they lie in a spool's segments. A frame is: length of the body (u32), its CRC-32 (u32), the body; the body is: length
 * of the head (u32), the head (JSON: everything but the payload), the payload. Numbers are big-endian.
 */
import { crc32 } from 'node:zlib';
import type { SinkRecord } from '../../ports/event-sink.ts';

const HEADER_BYTES = 8;
/** A longer body is no frame: its length was damaged. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;

export function encodeFrame({ payload, ...rest }: SinkRecord): Buffer {
  const head = Buffer.from(JSON.stringify(rest));
  const bodyBytes = 4 + head.length + payload.length;
  if (bodyBytes > MAX_BODY_BYTES) throw new RangeError(`a record of ${bodyBytes} bytes is too large for the spool`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes);
  frame.writeUInt32BE(head.length, HEADER_BYTES);
  head.copy(frame, HEADER_BYTES + 4);
  payload.copy(frame, HEADER_BYTES + 4 + head.length);
  frame.writeUInt32BE(bodyBytes, 0);
  frame.writeUInt32BE(crc32(frame.subarray(HEADER_BYTES)), 4);
  return frame;
}

function decodeBody(body: Buffer): SinkRecord {
  const headBytes = body.readUInt32BE(0);
  const head = JSON.parse(body.toString('utf8', 4, 4 + headBytes)) as Omit<SinkRecord, 'payload'>;
  return { ...head, payload: Buffer.from(body.subarray(4 + headBytes)) };
}

export interface Frames {
  records: SinkRecord[];
  /** Frames whose checksum does not fit, with whole ones behind them: damaged on the disk after they were written. */
  damaged: number;
  /** Where the last whole frame ends. What lies behind was not written to its end, or is not here yet. */
  end: number;
  /** Bytes from `end` that the next frame takes, as far as its length can be read; 0 when it cannot. */
  nextBytes: number;
}

/** Reads whole frames from the beginning of `bytes`. */
export function readFrames(bytes: Buffer): Frames {
  const records: SinkRecord[] = [];
  let damaged = 0;
  let suspects = 0;
  let end = 0;
  let at = 0;
  let nextBytes = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    const bodyBytes = bytes.readUInt32BE(at);
    if (bodyBytes < 4 || bodyBytes > MAX_BODY_BYTES) break;
    if (at + HEADER_BYTES + bodyBytes > bytes.length) {
      nextBytes = at - end + HEADER_BYTES + bodyBytes;
      break;
    }
    const body = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + bodyBytes);
    const isWhole = crc32(body) === bytes.readUInt32BE(at + 4);
    at += HEADER_BYTES + bodyBytes;
    if (!isWhole) {
      // The last one was cut short by a crash; one with whole frames behind it was damaged later.
      suspects++;
      continue;
    }
    records.push(decodeBody(body));
    damaged += suspects;
    suspects = 0;
    end = at;
  }
  return { records, damaged, end, nextBytes };
}
