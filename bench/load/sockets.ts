/**
 * A load generator of WebSockets, a process of its own: any number of members that follow topics, publish to them, or both.
 * Counts what arrives and takes the latency of a sample, by the stamp that the event carries.
 */
import { serve } from '../harness/remote.ts';
import { type Latency, Samples } from '../harness/statistics.ts';
import { now, sinceStamp } from '../harness/time.ts';
import { bus } from './bus.ts';
import { createDialect, type Dialect, type DialectOptions, HEARTBEAT_MS, type Member } from './dialects.ts';
import { Outbox } from './outbox.ts';
import { type FrameListener, WireSocket } from './wire/websocket.ts';

export interface ConnectArgs {
  host: string;
  port: number;
  dialect: DialectOptions;
  members: Member[];
  /** Follow the members' topics at once. */
  follow: boolean;
  /** Look at every frame: for members that publish. Otherwise a frame is an event by its length alone. */
  lookAtAll: boolean;
  /** Shortest event; other messages are shorter. */
  minEventBytes: number;
  /** Address to connect from; one that has enough ports when there is none. */
  from?: string;
}

export interface Counted {
  /** How long was counted, milliseconds. */
  windowMs: number;
  events: number;
  acks: number;
  errors: number;
  bytes: number;
  /** Of events, from their publisher to this process. */
  latency: Latency;
  /** Of acks, from question to answer. */
  ackLatency: Latency;
  /** Connections that ended by themselves, and why. */
  ended: number;
  reason: string;
}

const CONNECT_AT_ONCE = 64;
const STAGE_LIMIT_MS = 30_000;
/** One event in as many is looked at for its latency. */
const SAMPLE_EVERY = 61;
const HEARTBEAT_STEPS = 100;
/** From this many connections on, one address has not enough ports. */
const PER_ADDRESS = 25_000;

let dialect: Dialect;
let minEventBytes = 0;
let members: Member[] = [];
let sockets: WireSocket[] = [];
let outbox: Outbox;
let heartbeats: NodeJS.Timeout | undefined;
let heartbeatMs = 0;
let untilSample = SAMPLE_EVERY;

const latency = new Samples();
const ackLatency = new Samples();
const count = { startedAt: now(), events: 0, acks: 0, errors: 0, bytes: 0, ended: 0, reason: '' };
/** What the connecting side waits for. */
const stages = { opened: 0, welcomed: 0, followed: 0 };
/** Connections, by index, that may be spoken on: Socket.IO ends one that says more than its greeting before it is welcome. */
let welcomed: boolean[] = [];
let changed = Promise.withResolvers<void>();

function advance(stage: keyof typeof stages): void {
  stages[stage]++;
  changed.resolve();
}

async function until(what: string, done: () => boolean): Promise<void> {
  const deadline = now() + STAGE_LIMIT_MS;
  while (!done()) {
    if (count.ended > 0) throw new Error(`a connection ended while waiting for ${what}: ${count.reason}`);
    if (count.errors > 0) throw new Error(`refused while waiting for ${what}: ${count.reason}`);
    if (now() >= deadline) throw new Error(`${what}: not after ${STAGE_LIMIT_MS} ms; ${JSON.stringify(stages)}`);
    const late = setTimeout(changed.resolve, deadline - now());
    await changed.promise;
    clearTimeout(late);
    changed = Promise.withResolvers();
  }
}

const listener: FrameListener = {
  wholeFrames: true,

  onOpen(socket) {
    const greeting = dialect.greeting();
    if (greeting) socket.write(greeting);
    advance('opened');
  },

  onFrame(socket, opcode, length, data, start) {
    count.bytes += length;
    if (!listener.wholeFrames) {
      if (length >= minEventBytes) event(data, start, start + length);
      else if (start >= 0 && dialect.pong && length === 1) socket.write(dialect.pong);
      return;
    }
    switch (dialect.meaning(opcode, data, start, start + length)) {
      case 'event':
        return event(data, start, start + length);
      case 'ack':
        count.acks++;
        return outbox.acked(socket.index, dialect.acked(), ackLatency);
      case 'ping':
        return socket.write(dialect.pong!);
      case 'welcome':
        keepHeartbeat(dialect.heartbeatMs(data, start, start + length));
        welcomed[socket.index] = true;
        return advance('welcomed');
      case 'followed':
        return advance('followed');
      case 'error':
        count.errors++;
        count.reason ||= dialect.errorOf(data, start, start + length);
        changed.resolve();
        // A refusal answers a message as an ack does: the loop goes on.
        return outbox.acked(socket.index, -1, ackLatency);
    }
  },

  onEnd(_socket, reason) {
    count.ended++;
    count.reason ||= reason;
    changed.resolve();
  },
};

function event(data: Buffer, start: number, end: number): void {
  count.events++;
  if (--untilSample > 0 || start < 0) return;
  untilSample = SAMPLE_EVERY;
  const sent = dialect.stampOf(data, start, end);
  if (!Number.isNaN(sent)) latency.add(sinceStamp(sent));
}

function reset(): void {
  Object.assign(count, { startedAt: now(), events: 0, acks: 0, errors: 0, bytes: 0, ended: 0, reason: '' });
  latency.clear();
  ackLatency.clear();
}

/** Each connection says something as often as the server wants; they take turns, so that it is never all at once. */
function keepHeartbeat(everyMs: number): void {
  if (everyMs === heartbeatMs) return;
  clearInterval(heartbeats);
  heartbeatMs = everyMs;
  const stepMs = everyMs / HEARTBEAT_STEPS;
  const startedAt = now();
  let step = 0;
  heartbeats = setInterval(() => {
    const heartbeat = dialect.heartbeat();
    // By the clock: a busy process is called less often, and nobody's turn may be left out or late for it.
    const due = Math.floor((now() - startedAt) / stepMs);
    for (step = Math.max(step, due - HEARTBEAT_STEPS); step < due; step++) {
      for (let i = step % HEARTBEAT_STEPS; i < sockets.length; i += HEARTBEAT_STEPS) {
        if (sockets[i]!.isOpen && (welcomed[i] || !dialect.welcomes)) sockets[i]!.write(heartbeat);
      }
    }
  }, stepMs);
}

async function follow(): Promise<void> {
  let asked = stages.followed;
  for (const [i, member] of members.entries()) {
    for (const topic of member.follows) {
      sockets[i]!.write(dialect.follow(topic));
      asked++;
      if (asked - stages.followed >= CONNECT_AT_ONCE) {
        await until('following', () => asked - stages.followed < CONNECT_AT_ONCE);
      }
    }
  }
  await until('following', () => stages.followed >= asked);
}

const api = {
  async connect(args: ConnectArgs): Promise<void> {
    api.close();
    dialect = createDialect(args.dialect);
    ({ members, minEventBytes } = args);
    listener.wholeFrames = true;
    Object.assign(stages, { opened: 0, welcomed: 0, followed: 0 });
    welcomed = [];
    reset();
    outbox = new Outbox(sockets, members, dialect);
    keepHeartbeat(HEARTBEAT_MS);
    const ready = (): number => (dialect.welcomes ? stages.welcomed : stages.opened);
    for (const [index, member] of members.entries()) {
      const localAddress = args.from ?? `127.0.0.${1 + Math.floor(index / PER_ADDRESS)}`;
      const target = {
        host: args.host,
        port: args.port,
        path: dialect.path(member),
        headers: dialect.headers(member),
        localAddress,
      };
      sockets.push(new WireSocket(index, target, listener));
      await until('welcome', () => index + 1 - ready() < CONNECT_AT_ONCE);
    }
    await until('welcome', () => ready() >= members.length);
    if (args.follow) await follow();
    listener.wholeFrames = args.lookAtAll;
  },

  /** Follows the members' topics, for a load that was connected without. */
  async follow(): Promise<void> {
    listener.wholeFrames = true;
    await follow();
  },

  /** Counts from now. */
  begin(): void {
    reset();
  },

  /** What was counted since `begin`. */
  read(): Counted {
    const { startedAt, ...rest } = count;
    return { ...rest, windowMs: now() - startedAt, latency: latency.summary(), ackLatency: ackLatency.summary() };
  },

  /** Publishes `perSecond` messages in all, by the publishing members in turn, however slow the answers are. */
  publish({ perSecond }: { perSecond: number }): void {
    outbox.atRate(perSecond);
  },

  /** Keeps `inFlight` messages of every publishing member unanswered. */
  loop({ inFlight }: { inFlight: number }): void {
    outbox.loop(inFlight);
  },

  /** Ends publishing; how many messages were sent since it began. */
  quiet(): { sent: number; seconds: number } {
    return outbox.stop();
  },

  /** Publishing as another node does, by the same process that receives: one that only waits costs the server a wake-up an event. */
  connectBus: bus.connect,
  connectRooms: bus.connectRooms,
  publishOnBus: bus.publish,
  quietBus: bus.quiet,

  close(): void {
    bus.close();
    clearInterval(heartbeats);
    heartbeatMs = 0;
    outbox?.stop();
    for (const socket of sockets) socket.close();
    sockets = [];
  },
};

export type SocketsApi = typeof api;
serve(api);
