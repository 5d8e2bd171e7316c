/**
 * A load generator of gRPC streams, a process of its own: drivers that send locations and wait for the acks, followers of a
 * topic, or idle ones. The streams are spread evenly over the connections.
 */
import { serve } from '../harness/remote.ts';
import { type Latency, Samples } from '../harness/statistics.ts';
import { now, sinceStamp, stamp } from '../harness/time.ts';
import { type Member, signToken } from './dialects.ts';
import { MESSAGE_OVERHEAD, type StreamListener, WireConnection, type WireStream, writeMessage } from './wire/http2.ts';
import {
  ACK,
  CORR_DIGITS,
  ERROR,
  errorText,
  heartbeatMessage,
  LOCATION,
  LocationTemplate,
  read,
  SUBSCRIBED,
  stampOfLocation,
  subscribeMessage,
  WELCOME,
} from './wire/protobuf.ts';

export interface StreamArgs {
  host: string;
  port: number;
  /** A server that only sends back what it gets: no welcome, and every message is an ack. */
  echo: boolean;
  secret: string;
  members: Member[];
  connections: number;
  /** Locations in one message. */
  batch: number;
}

export interface StreamCount {
  windowMs: number;
  messages: number;
  events: number;
  errors: number;
  ended: number;
  reason: string;
  /** From question to answer. */
  latency: Latency;
  eventLatency: Latency;
}

const PATH = '/ride.v1.RideStreamService/Connect';
const REMEMBERED = 1 << 20;
const CORR_WRAP = 10 ** CORR_DIGITS;
const STAGE_LIMIT_MS = 30_000;
const AT_ONCE = 64;
const TICK_MS = 1;
const HEARTBEAT_MS = 5000;
const HEARTBEAT_STEPS = 100;
const SAMPLE_EVERY = 61;

let args: StreamArgs;
let connections: WireConnection[] = [];
let streams: WireStream[] = [];
let templates: LocationTemplate[] = [];
/** Messages to send in this turn, by stream. */
let due = new Uint32Array(0);
let dirty: number[] = [];
let scheduled = false;
let looping = false;
let timer: NodeJS.Timeout | undefined;
let heartbeats: NodeJS.Timeout | undefined;
let sent = 0;
let publishedFrom = 0;
let untilSample = SAMPLE_EVERY;
const askedAt = new Float64Array(REMEMBERED);
const latency = new Samples();
const eventLatency = new Samples();
const count = { startedAt: now(), messages: 0, events: 0, errors: 0, ended: 0, reason: '' };
const stages = { welcomed: 0, followed: 0 };
let changed = Promise.withResolvers<void>();

async function until(what: string, done: () => boolean): Promise<void> {
  const deadline = now() + STAGE_LIMIT_MS;
  while (!done()) {
    if (count.ended + count.errors > 0) throw new Error(`${what}: ${count.reason}`);
    if (now() >= deadline) throw new Error(`${what}: not after ${STAGE_LIMIT_MS} ms; ${JSON.stringify(stages)}`);
    const late = setTimeout(changed.resolve, deadline - now());
    await changed.promise;
    clearTimeout(late);
    changed = Promise.withResolvers();
  }
}

function answered(stream: WireStream, corr: number): void {
  count.messages++;
  if (corr >= 0) latency.add(now() - askedAt[corr % REMEMBERED]!);
  if (!looping) return;
  add(stream.index);
  if (scheduled) return;
  scheduled = true;
  setImmediate(flush);
}

const listener: StreamListener = {
  onMessage(stream, data, start, end) {
    const { kind, corr, payloadStart, payloadEnd } = read(data, start, end);
    if (args.echo || kind === ACK) return answered(stream, corr);
    if (kind === LOCATION) {
      count.events++;
      if (--untilSample > 0) return;
      untilSample = SAMPLE_EVERY;
      eventLatency.add(sinceStamp(stampOfLocation(data, payloadStart, payloadEnd)));
    } else if (kind === WELCOME) {
      stages.welcomed++;
      changed.resolve();
    } else if (kind === SUBSCRIBED) {
      stages.followed++;
      changed.resolve();
    } else if (kind === ERROR) {
      count.errors++;
      count.reason ||= errorText(data, start, end);
      changed.resolve();
      answered(stream, -1);
    }
  },
  onEnd(_stream, reason) {
    count.ended++;
    count.reason ||= reason;
    changed.resolve();
  },
};

function add(index: number): void {
  if (due[index]!++ === 0) dirty.push(index);
}

/** One write a connection and turn; what the flow control keeps back goes with the next window. */
function flush(): void {
  scheduled = false;
  const now_ = now();
  const epoch = Date.now();
  const byConnection = new Map<WireConnection, number[]>();
  for (const index of dirty) {
    const { connection } = streams[index]!;
    const list = byConnection.get(connection);
    if (list) list.push(index);
    else byConnection.set(connection, [index]);
  }
  dirty = [];
  for (const [connection, indexes] of byConnection) {
    let messages = 0;
    for (const index of indexes) messages += due[index]!;
    const size = templates[indexes[0]!]!.length;
    const buffer = Buffer.allocUnsafe(messages * (MESSAGE_OVERHEAD + size));
    let at = 0;
    for (const index of indexes) {
      const stream = streams[index]!;
      while (due[index]! > 0 && connection.reserve(stream, size)) {
        due[index]!--;
        askedAt[(sent % CORR_WRAP) % REMEMBERED] = now_;
        at = writeMessage(buffer, at, stream, templates[index]!.fill(sent, epoch, stamp()));
        sent++;
      }
      if (due[index]! > 0) dirty.push(index);
    }
    if (at > 0) connection.write(buffer.subarray(0, at));
  }
}

function say(stream: WireStream, message: Buffer): void {
  if (!stream.connection.reserve(stream, message.length)) return;
  const buffer = Buffer.allocUnsafe(MESSAGE_OVERHEAD + message.length);
  writeMessage(buffer, 0, stream, message);
  stream.connection.write(buffer);
}

function startHeartbeats(): void {
  let step = 0;
  heartbeats = setInterval(() => {
    step = (step + 1) % HEARTBEAT_STEPS;
    for (let i = step; i < streams.length; i += HEARTBEAT_STEPS) say(streams[i]!, heartbeatMessage());
  }, HEARTBEAT_MS / HEARTBEAT_STEPS);
}

function reset(): void {
  Object.assign(count, { startedAt: now(), messages: 0, events: 0, errors: 0, ended: 0, reason: '' });
  latency.clear();
  eventLatency.clear();
}

const api = {
  async connect(to: StreamArgs): Promise<void> {
    api.close();
    args = to;
    Object.assign(stages, { welcomed: 0, followed: 0 });
    reset();
    for (let i = 0; i < to.connections; i++) {
      const connection = new WireConnection(to.host, to.port, listener);
      connection.onWindow = () => dirty.length > 0 && flush();
      connections.push(connection);
      await connection.settled;
    }
    for (const [index, member] of to.members.entries()) {
      const connection = connections[index % connections.length]!;
      streams.push(connection.open(index, PATH, signToken(member, to.secret)));
      if (!to.echo) await until('welcome', () => streams.length - stages.welcomed < AT_ONCE);
    }
    if (!to.echo) await until('welcome', () => stages.welcomed >= streams.length);
    due = new Uint32Array(streams.length);
    templates = to.members.map((m) => new LocationTemplate(m.place, m.publishesTo.replace(/^trip:/, ''), to.batch));
    let asked = 0;
    for (const [index, { follows }] of to.members.entries()) {
      for (const topic of follows) {
        say(streams[index]!, subscribeMessage(topic));
        asked++;
      }
    }
    await until('following', () => stages.followed >= asked);
    startHeartbeats();
  },

  begin(): void {
    reset();
  },

  read(): StreamCount {
    const { startedAt, ...rest } = count;
    return { ...rest, windowMs: now() - startedAt, latency: latency.summary(), eventLatency: eventLatency.summary() };
  },

  /** Keeps `inFlight` messages of every stream unanswered. */
  loop({ inFlight }: { inFlight: number }): void {
    looping = true;
    for (let index = 0; index < streams.length; index++) for (let i = 0; i < inFlight; i++) add(index);
    flush();
  },

  /** Sends `perSecond` messages in all, by the streams in turn, however slow the answers are. */
  publish({ perSecond }: { perSecond: number }): void {
    publishedFrom = now();
    let given = 0;
    timer = setInterval(() => {
      const wanted = Math.floor(((now() - publishedFrom) / 1000) * perSecond);
      for (; given < wanted; given++) add(given % streams.length);
      flush();
    }, TICK_MS);
  },

  quiet(): void {
    clearInterval(timer);
    looping = false;
    due.fill(0);
    dirty = [];
  },

  close(): void {
    clearInterval(timer);
    clearInterval(heartbeats);
    looping = false;
    for (const connection of connections) connection.close();
    connections = [];
    streams = [];
    dirty = [];
  },
};

export type StreamsApi = typeof api;
serve(api);
