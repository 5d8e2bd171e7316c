/**
 * The client's end of HTTP/2 with gRPC messages on a bare socket, as far as one bidirectional call a stream needs it: frames
 * are found in place and messages handed out as positions in the read buffer. A client library would cost more than the
 * server it measures.
 */
import { connect, type Socket } from 'node:net';

// RFC 9113 section 6
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const ACK_FLAG = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const INITIAL_WINDOW_SIZE = 4;

const FRAME_HEADER = 9;
/** Compressed flag and length, before each message. */
const MESSAGE_HEADER = 5;
/** What a message takes on the wire besides itself. */
export const MESSAGE_OVERHEAD = FRAME_HEADER + MESSAGE_HEADER;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const DEFAULT_WINDOW = 65_535;
/** As good as no flow control from the server to us. */
const OUR_WINDOW = 0x7fff_0000;
const REPLENISH = 0x2000_0000;
const READ_BYTES = 256 * 1024;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export interface StreamListener {
  /** A whole message; `data` is overwritten after the call. */
  onMessage(stream: WireStream, data: Buffer, start: number, end: number): void;
  onEnd(stream: WireStream, reason: string): void;
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEADER);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** RFC 7541: literal fields without indexing and without Huffman, the plainest of all encodings. */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => {
    const content = Buffer.from(value, 'latin1');
    if (content.length < 127) return Buffer.concat([Buffer.from([content.length]), content]);
    const rest = content.length - 127;
    const length: number[] = [127];
    let left = rest;
    for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
    return Buffer.concat([Buffer.from([...length, left]), content]);
  };
  return Buffer.concat(Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export class WireStream {
  /** Position among the streams of its program. */
  readonly index: number;
  readonly id: number;
  readonly connection: WireConnection;
  /** Bytes that may be sent on it. */
  window = DEFAULT_WINDOW;
  received = 0;
  ended = false;
  /** An unfinished message. */
  rest: Buffer | null = null;

  constructor(index: number, id: number, connection: WireConnection) {
    this.index = index;
    this.id = id;
    this.connection = connection;
  }
}

export class WireConnection {
  readonly #listener: StreamListener;
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #byId = new Map<number, WireStream>();
  /** Streams in the order they were opened. */
  readonly streams: WireStream[] = [];
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #received = 0;
  #nextId = 1;
  #rest: Buffer | null = null;
  #closed = false;
  #settled = Promise.withResolvers<void>();
  /** Called when the server lets us send more. */
  onWindow: () => void = () => {};

  constructor(host: string, port: number, listener: StreamListener) {
    this.#listener = listener;
    this.#authority = `${host}:${port}`;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length, buffer) => this.#read(buffer as Buffer, length) },
    });
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('the connection ended'));
    const window = Buffer.concat([Buffer.from([0, INITIAL_WINDOW_SIZE]), uint32(OUR_WINDOW)]);
    this.#socket.write(PREFACE);
    this.#socket.write(frame(SETTINGS, 0, 0, window));
    this.#socket.write(frame(WINDOW_UPDATE, 0, 0, uint32(OUR_WINDOW - DEFAULT_WINDOW)));
  }

  /** The server has said how it wants to be spoken to. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  open(index: number, path: string, token: string): WireStream {
    const stream = new WireStream(index, this.#nextId, this);
    stream.window = this.#initialWindow;
    this.#nextId += 2;
    this.#byId.set(stream.id, stream);
    this.streams.push(stream);
    const block = headerBlock({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': path,
      ':authority': this.#authority,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${token}`,
    });
    this.#socket.write(frame(HEADERS, END_HEADERS, stream.id, block));
    return stream;
  }

  /** Whether the flow control lets a message of `bytes` out now; if so it is accounted for. */
  reserve(stream: WireStream, bytes: number): boolean {
    const cost = bytes + MESSAGE_HEADER;
    if (this.#window < cost || stream.window < cost) return false;
    this.#window -= cost;
    stream.window -= cost;
    return true;
  }

  write(data: Buffer): void {
    this.#socket.write(data);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#settled.reject(new Error(reason));
    this.#settled.promise.catch(() => {});
    for (const stream of this.streams) this.#endStream(stream, reason);
  }

  #endStream(stream: WireStream, reason: string): void {
    if (stream.ended) return;
    stream.ended = true;
    this.#listener.onEnd(stream, reason);
  }

  #read(buffer: Buffer, length: number): boolean {
    let data = buffer;
    let end = length;
    if (this.#rest !== null) {
      data = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      end = data.length;
      this.#rest = null;
    }
    let at = 0;
    while (end - at >= FRAME_HEADER) {
      const size = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
      const next = at + FRAME_HEADER + size;
      if (next > end) break;
      const id = data.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#frame(data[at + 3]!, data[at + 4]!, id, data, at + FRAME_HEADER, next);
      at = next;
    }
    if (at < end) this.#rest = Buffer.from(data.subarray(at, end));
    return true;
  }

  #frame(type: number, flags: number, id: number, data: Buffer, start: number, end: number): void {
    switch (type) {
      case DATA:
        if (flags & PADDED) throw new Error('padded frames are not understood');
        this.#data(this.#byId.get(id)!, data, start, end);
        break;
      case HEADERS: {
        // The first ones begin the answer; trailers end it, and say why in a compressed form that is not worth reading.
        const stream = this.#byId.get(id)!;
        if (flags & END_STREAM) this.#endStream(stream, 'the server ended the stream');
        break;
      }
      case RST_STREAM:
        this.#endStream(this.#byId.get(id)!, `reset by the server: ${data.readUInt32BE(start)}`);
        break;
      case SETTINGS:
        if (!(flags & ACK_FLAG)) this.#settings(data, start, end);
        break;
      case PING:
        if (!(flags & ACK_FLAG)) this.#socket.write(frame(PING, ACK_FLAG, 0, Buffer.from(data.subarray(start, end))));
        break;
      case GOAWAY:
        this.#end(`go away: ${data.readUInt32BE(start + 4)} ${data.toString('latin1', start + 8, end)}`);
        break;
      case WINDOW_UPDATE: {
        const more = data.readUInt32BE(start) & 0x7fff_ffff;
        if (id === 0) this.#window += more;
        else this.#byId.get(id)!.window += more;
        this.onWindow();
        break;
      }
    }
  }

  #settings(data: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at += 6) {
      if (data.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const window = data.readUInt32BE(at + 2);
      for (const stream of this.streams) stream.window += window - this.#initialWindow;
      this.#initialWindow = window;
    }
    this.#socket.write(frame(SETTINGS, ACK_FLAG, 0, Buffer.alloc(0)));
    this.#settled.resolve();
  }

  #data(stream: WireStream, data: Buffer, start: number, end: number): void {
    this.#received += end - start;
    stream.received += end - start;
    if (this.#received > REPLENISH) {
      this.#socket.write(frame(WINDOW_UPDATE, 0, 0, uint32(this.#received)));
      this.#received = 0;
    }
    if (stream.received > REPLENISH) {
      this.#socket.write(frame(WINDOW_UPDATE, 0, stream.id, uint32(stream.received)));
      stream.received = 0;
    }
    let bytes = data;
    let at = start;
    let stop = end;
    if (stream.rest !== null) {
      bytes = Buffer.concat([stream.rest, data.subarray(start, end)]);
      at = 0;
      stop = bytes.length;
      stream.rest = null;
    }
    while (stop - at >= MESSAGE_HEADER) {
      const next = at + MESSAGE_HEADER + bytes.readUInt32BE(at + 1);
      if (next > stop) break;
      this.#listener.onMessage(stream, bytes, at + MESSAGE_HEADER, next);
      at = next;
    }
    if (at < stop) stream.rest = Buffer.from(bytes.subarray(at, stop));
  }
}

/** Writes one message as a DATA frame of its stream into `target` at `at`; returns where it ends. */
export function writeMessage(target: Buffer, at: number, stream: WireStream, message: Uint8Array): number {
  const size = message.length + MESSAGE_HEADER;
  target.writeUIntBE(size, at, 3);
  target[at + 3] = DATA;
  target[at + 4] = 0;
  target.writeUInt32BE(stream.id, at + 5);
  target[at + 9] = 0;
  target.writeUInt32BE(message.length, at + 10);
  target.set(message, at + MESSAGE_OVERHEAD);
  return at + MESSAGE_OVERHEAD + message.length;
}
