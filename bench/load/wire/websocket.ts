/**
 * The client's end of a WebSocket on a bare socket, made to cost less than the server it measures: frames are found by their
 * headers in the buffer they were read into, all connections share one buffer, and no payload is copied or decoded.
 */
import { connect, type Socket } from 'node:net';

export const TEXT = 1;
export const BINARY = 2;
const CLOSE = 8;

const FIN = 0x80;
const MASKED = 0x80;
/** RFC 6455 wants a mask; which one is the client's choice. */
const MASK = Buffer.from([0x5a, 0xc3, 0x96, 0x0f]);

/** Appends one masked frame around `payload` to `target` at `at`; returns where it ends. */
export function writeFrame(target: Buffer, at: number, opcode: number, payload: Uint8Array): number {
  const length = payload.length;
  let i = at;
  target[i++] = FIN | opcode;
  if (length < 126) target[i++] = MASKED | length;
  else if (length < 65_536) {
    target[i++] = MASKED | 126;
    target.writeUInt16BE(length, i);
    i += 2;
  } else throw new RangeError('a frame of more than 65,535 bytes');
  target.set(MASK, i);
  i += 4;
  for (let j = 0; j < length; j++) target[i + j] = payload[j]! ^ MASK[j & 3]!;
  return i + length;
}

/** Most bytes that `writeFrame` adds to a payload. */
export const FRAME_OVERHEAD = 8;

export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD);
  return frame.subarray(0, writeFrame(frame, 0, opcode, payload));
}

/** What a connection tells its owner. `start` and `end` lie in `data`, which is overwritten after the call. */
export interface FrameListener {
  /** The handshake is done. */
  onOpen(socket: WireSocket): void;
  /**
   * A frame. `start` is where its payload begins in `data`, or -1 when it is not all there; it never is -1 while
   * `wholeFrames` holds.
   */
  onFrame(socket: WireSocket, opcode: number, length: number, data: Buffer, start: number): void;
  /** Wait for all of a frame before telling of it. */
  wholeFrames: boolean;
  onEnd(socket: WireSocket, reason: string): void;
}

const READ_BYTES = 256 * 1024;
/** Shared by all connections: a read is finished before the next one begins. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export interface WireTarget {
  host: string;
  port: number;
  path: string;
  headers: Readonly<Record<string, string>>;
  /** Address to connect from, for more than 28,000 connections. */
  localAddress?: string;
}

export class WireSocket {
  /** Position among the connections of its program. */
  readonly index: number;
  readonly socket: Socket;
  readonly #listener: FrameListener;
  #open = false;
  #ended = false;
  /** Bytes of the present frame's payload that are still to come. */
  #skip = 0;
  /** An unfinished frame, when its payload is wanted, or an unfinished header. */
  #rest: Buffer | null = null;

  constructor(index: number, target: WireTarget, listener: FrameListener) {
    this.index = index;
    this.#listener = listener;
    const { host, port, localAddress } = target;
    this.socket = connect({
      host,
      port,
      localAddress,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length, buffer) => this.#read(buffer as Buffer, length) },
    });
    this.socket.on('connect', () => this.socket.write(handshake(target)));
    this.socket.on('error', (error) => this.#end(error.message));
    this.socket.on('close', () => this.#end('the connection ended'));
  }

  /** The handshake is done and the connection has not ended. */
  get isOpen(): boolean {
    return this.#open && !this.#ended;
  }

  write(data: Buffer): void {
    this.socket.write(data);
  }

  close(): void {
    this.#ended = true;
    this.socket.destroy();
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.socket.destroy();
    this.#listener.onEnd(this, reason);
  }

  #read(buffer: Buffer, length: number): boolean {
    let data = buffer;
    let end = length;
    let at = 0;
    if (this.#rest !== null) {
      data = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      end = data.length;
      this.#rest = null;
    }
    if (!this.#open) {
      at = this.#upgrade(data, end);
      if (at < 0) return true;
    }
    this.#scan(data, at, end);
    return true;
  }

  /** Where the frames begin, or -1 while the answer to the handshake is not whole. */
  #upgrade(data: Buffer, end: number): number {
    const head = data.subarray(0, end).indexOf('\r\n\r\n');
    if (head < 0) {
      this.#rest = Buffer.from(data.subarray(0, end));
      return -1;
    }
    const answer = data.toString('latin1', 0, head);
    if (!answer.startsWith('HTTP/1.1 101')) {
      this.#end(`the handshake was refused: ${data.toString('latin1', 0, end).slice(0, 300)}`);
      return -1;
    }
    this.#open = true;
    this.#listener.onOpen(this);
    return head + 4;
  }

  #scan(data: Buffer, from: number, end: number): void {
    const listener = this.#listener;
    let at = from;
    if (this.#skip > 0) {
      const step = Math.min(this.#skip, end - at);
      this.#skip -= step;
      at += step;
    }
    while (at < end) {
      const header = headerLength(data, at, end);
      const length = header < 0 ? 0 : payloadLength(data, at, header);
      const next = at + header + length;
      if (header < 0 || (next > end && listener.wholeFrames)) {
        this.#rest = Buffer.from(data.subarray(at, end));
        return;
      }
      const opcode = data[at]! & 0x0f;
      if (opcode === CLOSE) {
        this.#end(`closed by the server: ${closeReason(data, at + header, next)}`);
        return;
      }
      listener.onFrame(this, opcode, length, data, next > end ? -1 : at + header);
      if (next > end) this.#skip = next - end;
      at = next;
    }
  }
}

/** Bytes before the payload; -1 when they are not all there. A server does not mask. */
function headerLength(data: Buffer, at: number, end: number): number {
  const left = end - at;
  if (left < 2) return -1;
  const first = data[at + 1]!;
  const header = first < 126 ? 2 : first === 126 ? 4 : 10;
  return left < header ? -1 : header;
}

function payloadLength(data: Buffer, at: number, header: number): number {
  if (header === 2) return data[at + 1]!;
  return header === 4 ? (data[at + 2]! << 8) | data[at + 3]! : data.readUInt32BE(at + 6);
}

const closeReason = (data: Buffer, start: number, end: number): string =>
  end - start < 2 ? 'no reason' : `${data.readUInt16BE(start)} ${data.toString('utf8', start + 2, end)}`;

function handshake({ host, port, path, headers }: WireTarget): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
