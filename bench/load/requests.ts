/**
 * A load generator of HTTP/1.1, a process of its own: each connection asks again as soon as it was answered. Answers are
 * measured by their Content-Length, not read. It may be connected to several servers, of which one at a time is asked.
 */
import { connect, type Socket } from 'node:net';
import { serve } from '../harness/remote.ts';
import { type Latency, Samples } from '../harness/statistics.ts';
import { now } from '../harness/time.ts';

export interface Asker {
  path: string;
  headers: Record<string, string>;
  /** Posted as JSON, and answered by 201; without it the path is read. */
  body?: object;
  /** Beginning of its Idempotency-Key, of which each request has another. */
  keys?: string;
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
const CREATED = Buffer.from('HTTP/1.1 201');
const LENGTH = Buffer.from('ontent-length: ');
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const NO_NUMBER = '0000000000';

const latency = new Samples();
const count = { startedAt: now(), answers: 0, refused: 0, reason: '' };

/** The connections to one server. */
interface Crowd {
  clients: Client[];
  isAsking: boolean;
  /** Requests that are not answered yet. */
  underWay: number;
  /** Called when none is. */
  idle: (() => void) | null;
}

const crowds = new Map<string, Crowd>();

class Client {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #expected: Buffer;
  /** Where the number of the request stands in its key; -1 when it has none. */
  readonly #numberAt: number;
  readonly #crowd: Crowd;
  #number = 0;
  #askedAt = 0;
  #rest: Buffer | null = null;

  constructor(crowd: Crowd, host: string, port: number, { path, headers, body, keys }: Asker) {
    this.#crowd = crowd;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const content = body ? JSON.stringify(body) : '';
    if (body) lines.push(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(content)}\r\n`);
    const beforeNumber =
      `${body ? 'POST' : 'GET'} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${lines.join('')}` +
      (keys === undefined ? '' : `Idempotency-Key: ${keys}`);
    this.#numberAt = keys === undefined ? -1 : Buffer.byteLength(beforeNumber);
    this.#request = Buffer.from(`${beforeNumber}${keys === undefined ? '' : `${NO_NUMBER}\r\n`}\r\n${content}`);
    this.#expected = body ? CREATED : OK;
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
    if (this.#numberAt >= 0) {
      this.#request.write(String(this.#number++).padStart(NO_NUMBER.length, '0'), this.#numberAt, 'latin1');
    }
    this.#askedAt = now();
    this.#crowd.underWay++;
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
    if (data.compare(this.#expected, 0, OK.length, 0, OK.length) === 0) count.answers++;
    else {
      count.refused++;
      count.reason ||= data.toString('latin1', 0, 400);
    }
    latency.add(now() - this.#askedAt);
    this.#crowd.underWay--;
    if (this.#crowd.isAsking) this.ask();
    else if (this.#crowd.underWay === 0) this.#crowd.idle?.();
    return true;
  }
}

const api = {
  connect({ name, host, port, askers }: { name: string; host: string; port: number; askers: Asker[] }): void {
    const crowd: Crowd = { clients: [], isAsking: false, underWay: 0, idle: null };
    crowd.clients = askers.map((asker) => new Client(crowd, host, port, asker));
    crowds.set(name, crowd);
  },

  start(name: string): void {
    const crowd = crowds.get(name)!;
    crowd.isAsking = true;
    for (const client of crowd.clients) client.ask();
  },

  begin(): void {
    Object.assign(count, { startedAt: now(), answers: 0, refused: 0, reason: '' });
    latency.clear();
  },

  read(): RequestCount {
    const { startedAt, ...rest } = count;
    return { ...rest, windowMs: now() - startedAt, latency: latency.summary() };
  },

  /** Asks no more; resolves when all that was asked is answered. */
  async rest(name: string): Promise<void> {
    const crowd = crowds.get(name)!;
    crowd.isAsking = false;
    if (crowd.underWay === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    crowd.idle = resolve;
    await promise;
    crowd.idle = null;
  },

  close(): void {
    for (const { clients } of crowds.values()) for (const client of clients) client.close();
    crowds.clear();
  },
};

export type RequestsApi = typeof api;
serve(api);
