/**
 * A load generator of HTTP/1.1 GETs, a process of its own: each connection asks again as soon as it was answered. Answers are
 * measured by their Content-Length, not read.
 */
import { connect, type Socket } from 'node:net';
import { serve } from '../harness/remote.ts';
import { type Latency, Samples } from '../harness/statistics.ts';
import { now } from '../harness/time.ts';

export interface Asker {
  path: string;
  headers: Record<string, string>;
}

export interface RequestCount {
  windowMs: number;
  answers: number;
  refused: number;
  reason: string;
  latency: Latency;
}

const READ_BYTES = 64 * 1024;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
const OK = Buffer.from('HTTP/1.1 200');
const LENGTH = Buffer.from('ontent-length: ');
const END_OF_HEAD = Buffer.from('\r\n\r\n');

const latency = new Samples();
const count = { startedAt: now(), answers: 0, refused: 0, reason: '' };
let clients: Client[] = [];
let asking = false;

class Client {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #askedAt = 0;
  #rest: Buffer | null = null;

  constructor(host: string, port: number, { path, headers }: Asker) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${lines.join('')}\r\n`);
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length, buffer) => this.#read(buffer as Buffer, length) },
    });
    const failed = (reason: string) => () => {
      count.refused++;
      count.reason ||= reason;
    };
    this.#socket.on('error', failed('a connection failed'));
    this.#socket.on('end', failed('the server ended a connection'));
  }

  ask(): void {
    this.#askedAt = now();
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#socket.removeAllListeners('end');
    this.#socket.destroy();
  }

  #read(buffer: Buffer, length: number): boolean {
    const data =
      this.#rest === null ? buffer.subarray(0, length) : Buffer.concat([this.#rest, buffer.subarray(0, length)]);
    this.#rest = null;
    const head = data.indexOf(END_OF_HEAD);
    const at = data.indexOf(LENGTH);
    let size = 0;
    if (head >= 0) for (let i = at + LENGTH.length; data[i]! >= 48; i++) size = size * 10 + data[i]! - 48;
    if (head < 0 || data.length < head + 4 + size) {
      this.#rest = Buffer.from(data);
      return true;
    }
    if (data.compare(OK, 0, OK.length, 0, OK.length) === 0) count.answers++;
    else {
      count.refused++;
      count.reason ||= data.toString('latin1', 0, 400);
    }
    latency.add(now() - this.#askedAt);
    if (asking) this.ask();
    return true;
  }
}

const api = {
  connect({ host, port, askers }: { host: string; port: number; askers: Asker[] }): void {
    clients = askers.map((asker) => new Client(host, port, asker));
  },

  start(): void {
    asking = true;
    for (const client of clients) client.ask();
  },

  begin(): void {
    Object.assign(count, { startedAt: now(), answers: 0, refused: 0, reason: '' });
    latency.clear();
  },

  read(): RequestCount {
    const { startedAt, ...rest } = count;
    return { ...rest, windowMs: now() - startedAt, latency: latency.summary() };
  },

  quiet(): void {
    asking = false;
  },

  close(): void {
    asking = false;
    for (const client of clients) client.close();
    clients = [];
  },
};

export type RequestsApi = typeof api;
serve(api);
