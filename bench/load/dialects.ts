/**
 * What the generator says to each kind of server: how a connection signs in and follows a topic, what an event looks like on
 * its way in, and how an event is known on its way out.
 */
import { createHmac } from 'node:crypto';
import { stamp } from '../harness/time.ts';
import {
  ACK,
  ERROR,
  errorText,
  heartbeatIntervalOf,
  heartbeatMessage,
  LOCATION,
  LocationTemplate,
  type Place,
  read,
  SUBSCRIBED,
  seen,
  stampOfLocation,
  subscribeMessage,
  WELCOME,
} from './wire/protobuf.ts';
import { BINARY, FRAME_OVERHEAD, maskedFrame, TEXT, writeFrame } from './wire/websocket.ts';

export type Kind = 'ride' | 'plain' | 'socketio' | 'echo';

/** One connection of a load: who it is, what it follows and where it publishes. */
export interface Member {
  userId: string;
  role: 'driver' | 'rider' | 'admin';
  follows: readonly string[];
  /** Topic that its events go to; '' when it publishes to none. */
  publishesTo: string;
  place: Place;
}

export interface DialectOptions {
  kind: Kind;
  /** Of the server, to sign tokens with. */
  secret: string;
  /** Locations in one message of ours. */
  batch: number;
  /** Bytes of a peer's event. */
  eventBytes: number;
}

/** What a frame of the server means. */
export type Meaning = 'event' | 'welcome' | 'followed' | 'ack' | 'ping' | 'error' | 'other';

export interface Dialect {
  path(member: Member): string;
  headers(member: Member): Record<string, string>;
  /** The server says welcome before it is spoken to. */
  welcomes: boolean;
  /** Said when the handshake is done. */
  greeting(): Buffer | null;
  /** Asks to follow one topic; each answer means 'followed'. */
  follow(topic: string): Buffer;
  /** Sent now and then so that the server knows the connection lives. */
  heartbeat(): Buffer;
  /** How often the server wants one, by its welcome. */
  heartbeatMs(data: Buffer, start: number, end: number): number;
  pong: Buffer | null;
  /** Makes the writer of a member's messages: fills `target` from `at` with the next one, returns where it ends. */
  writer(member: Member): { bytes: number; write(target: Buffer, at: number, count: number): number };
  meaning(opcode: number, data: Buffer, start: number, end: number): Meaning;
  /** The number that an ack answers; -1 when it says none. */
  acked(): number;
  /** Of an event, what `stamp` was when it was sent. */
  stampOf(data: Buffer, start: number, end: number): number;
  /** Of an error, for people. */
  errorOf(data: Buffer, start: number, end: number): string;
}

/** Where the server asks for none: as ours does by default. */
export const HEARTBEAT_MS = 5000;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as the server's sign-in makes it (HS256), so that thousands need not be fetched one by one. */
export function signToken(member: Pick<Member, 'userId' | 'role'>, secret: string): string {
  const now = Math.floor(Date.now() / 1000);
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: member.userId, role: member.role, iat: now, exp: now + 24 * 3600 })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

const RIDE_PATHS = { driver: '/ws/driver', rider: '/ws/client', admin: '/ws/admin' } as const;

function rideDialect({ secret, batch }: DialectOptions): Dialect {
  return {
    welcomes: true,
    path: (member) => RIDE_PATHS[member.role],
    headers: (member) => ({
      Authorization: `Bearer ${signToken(member, secret)}`,
      'Sec-WebSocket-Protocol': 'ride.v1.protobuf',
    }),
    greeting: () => null,
    follow: (topic) => maskedFrame(BINARY, subscribeMessage(topic)),
    heartbeat: () => maskedFrame(BINARY, heartbeatMessage()),
    heartbeatMs(data, start, end) {
      const { payloadStart, payloadEnd } = read(data, start, end);
      return heartbeatIntervalOf(data, payloadStart, payloadEnd);
    },
    pong: null,
    writer(member) {
      const template = new LocationTemplate(member.place, member.publishesTo.replace(/^trip:/, ''), batch);
      return {
        bytes: template.length + FRAME_OVERHEAD,
        write: (target, at, count) => writeFrame(target, at, BINARY, template.fill(count, Date.now(), stamp())),
      };
    },
    meaning(_opcode, data, start, end) {
      switch (read(data, start, end).kind) {
        case LOCATION:
          return 'event';
        case ACK:
          return 'ack';
        case WELCOME:
          return 'welcome';
        case SUBSCRIBED:
          return 'followed';
        case ERROR:
          return 'error';
        default:
          return 'other';
      }
    },
    acked: () => seen.corr,
    stampOf(data, start, end) {
      const { kind, payloadStart, payloadEnd } = read(data, start, end);
      return kind === LOCATION ? stampOfLocation(data, payloadStart, payloadEnd) : Number.NaN;
    },
    errorOf: (data, start, end) => errorText(data, start, end),
  };
}

/** Of the plain peers: a text frame names a topic to follow, a binary one is an event: topic number, stamp, padding. */
function plainDialect({ eventBytes }: DialectOptions): Dialect {
  return {
    welcomes: false,
    path: () => '/',
    headers: () => ({}),
    greeting: () => null,
    follow: (topic) => maskedFrame(TEXT, Buffer.from(topic)),
    heartbeat: () => maskedFrame(TEXT, Buffer.alloc(0)),
    heartbeatMs: () => HEARTBEAT_MS,
    pong: null,
    writer(member) {
      const event = Buffer.alloc(eventBytes, '.');
      event.writeUInt32LE(Number(member.publishesTo), 0);
      return {
        bytes: eventBytes + FRAME_OVERHEAD,
        write(target, at) {
          event.writeDoubleLE(stamp(), 4);
          return writeFrame(target, at, BINARY, event);
        },
      };
    },
    meaning: (opcode) => (opcode === BINARY ? 'event' : 'followed'),
    acked: () => -1,
    stampOf: (data, start) => data.readDoubleLE(start + 4),
    errorOf: () => '',
  };
}

/** Of a server that sends back what it gets: messages of ours, without the rest of the conversation. */
function echoDialect(options: DialectOptions): Dialect {
  return {
    ...rideDialect(options),
    welcomes: false,
    path: () => '/',
    headers: () => ({}),
    meaning(opcode, data, start, end) {
      if (opcode !== BINARY) return 'other';
      read(data, start, end);
      return 'ack';
    },
  };
}

const STAMP_CHARS = 12;
const EVENT_HEAD = '42["e","';

/** What an event of Socket.IO carries: the stamp and padding to so many bytes on the wire. */
export function socketIoPayload(eventBytes: number): () => string {
  const padding = '.'.repeat(Math.max(0, eventBytes - EVENT_HEAD.length - 2 - STAMP_CHARS));
  return () => `${stamp().toFixed(5).padStart(STAMP_CHARS, '0')}${padding}`;
}
const ENGINE_MESSAGE = 52; // '4'
const ENGINE_PING = 50; // '2'
const SOCKET_EVENT = 50; // '2'
const SOCKET_ACK = 51; // '3'

/** Engine.IO 4 and Socket.IO 5 by WebSocket alone, as the protocol documents of the project say. */
function socketIoDialect({ eventBytes }: DialectOptions): Dialect {
  const payload = socketIoPayload(eventBytes);
  const text = (content: string): Buffer => maskedFrame(TEXT, Buffer.from(content));
  return {
    welcomes: true,
    path: () => '/socket.io/?EIO=4&transport=websocket',
    headers: () => ({}),
    greeting: () => text('40'),
    follow: (topic) => text(`420["join","${topic}"]`),
    heartbeat: () => text('42["beat"]'),
    heartbeatMs: () => HEARTBEAT_MS,
    pong: text('3'),
    writer(member) {
      const head = `42["pub","${member.publishesTo}","`;
      return {
        bytes: head.length + payload().length + 2 + FRAME_OVERHEAD,
        write: (target, at) => writeFrame(target, at, TEXT, Buffer.from(`${head}${payload()}"]`, 'latin1')),
      };
    },
    meaning(_opcode, data, start, end) {
      if (data[start] === ENGINE_PING) return 'ping';
      if (data[start] !== ENGINE_MESSAGE || end - start < 2) return 'other';
      if (data[start + 1] === SOCKET_EVENT) return 'event';
      if (data[start + 1] === SOCKET_ACK) return 'followed';
      return data[start + 1] === 48 ? 'welcome' : 'other';
    },
    acked: () => -1,
    stampOf: (data, start) =>
      Number(data.toString('latin1', start + EVENT_HEAD.length, start + EVENT_HEAD.length + STAMP_CHARS)),
    errorOf: () => '',
  };
}

const dialects = { ride: rideDialect, plain: plainDialect, socketio: socketIoDialect, echo: echoDialect };

export const createDialect = (options: DialectOptions): Dialect => dialects[options.kind](options);
