/**
 * As much of protobuf as a load generator needs: messages are written once as templates whose few changing fields have a
 * fixed width and place, and answers are read by stepping over their fields. Field numbers are those of ride.proto.
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const tag = (field: number, wire: number): Buffer => varint(field * 8 + wire);

export const integer = (field: number, value: number): Buffer => Buffer.concat([tag(field, VARINT), varint(value)]);

export function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, FIXED64), bytes]);
}

export const bytes = (field: number, value: Uint8Array | string): Buffer => {
  const content = Buffer.from(value);
  return Buffer.concat([tag(field, BYTES), varint(content.length), content]);
};

// ClientEnvelope
const CORR_ID = 1;
const LOCATION_UPDATE = 10;
const LOCATION_BATCH = 11;
const HEARTBEAT = 13;
const SUBSCRIBE = 18;
// LocationUpdate
const LAT = 1;
const LNG = 2;
const RECORDED_AT_MS = 3;
const SPEED_MPS = 4;
const HEADING_DEG = 5;
const ACCURACY_M = 6;
const TRIP_ID = 7;

/** Digits of a corr_id; it counts messages, so that an answer finds the time its question was sent. */
export const CORR_DIGITS = 7;
const CORR_WRAP = 10 ** CORR_DIGITS;
/** An epoch in milliseconds takes six bytes until the year 2109. */
const EPOCH_BYTES = 6;

export const subscribeMessage = (topic: string): Buffer => bytes(SUBSCRIBE, bytes(1, topic));
export const heartbeatMessage = (): Buffer => bytes(HEARTBEAT, integer(1, Date.now()));

export interface Place {
  lat: number;
  lng: number;
}

function location(place: Place, tripId: string): Buffer {
  const fields = [
    double(LAT, place.lat),
    double(LNG, place.lng),
    integer(RECORDED_AT_MS, Date.now()),
    double(SPEED_MPS, 7.5),
    double(HEADING_DEG, 120),
    double(ACCURACY_M, 0),
  ];
  return Buffer.concat(tripId === '' ? fields : [...fields, bytes(TRIP_ID, tripId)]);
}

/** A location_update, or with `batch` above 1 a location_batch, that is sent again and again with new times. */
export class LocationTemplate {
  readonly #bytes: Buffer;
  readonly #epochs: number[] = [];
  readonly #stamps: number[] = [];

  constructor(place: Place, tripId: string, batch: number) {
    const corr = bytes(CORR_ID, '0'.repeat(CORR_DIGITS));
    const one = location(place, tripId);
    const body =
      batch === 1
        ? bytes(LOCATION_UPDATE, one)
        : bytes(LOCATION_BATCH, Buffer.concat(Array.from({ length: batch }, () => bytes(1, one))));
    this.#bytes = Buffer.concat([corr, body]);
    // Within one location the epoch stands behind lat and lng, the stamp behind speed and heading.
    const epochAt = 9 + 9 + 1;
    const stampAt = epochAt + EPOCH_BYTES + 9 + 9 + 1;
    for (let at = this.#bytes.indexOf(one); at >= 0; at = this.#bytes.indexOf(one, at + one.length)) {
      this.#epochs.push(at + epochAt);
      this.#stamps.push(at + stampAt);
    }
    if (this.#stamps.length !== batch) throw new Error('the template does not hold its locations');
  }

  get length(): number {
    return this.#bytes.length;
  }

  /**
   * The message with number `count` as corr_id, measured `now`, epoch ms; `stamp` travels as accuracy_m to the followers.
   * The same buffer each time.
   */
  fill(count: number, epochMs: number, stamp: number): Buffer {
    const b = this.#bytes;
    let rest = count % CORR_WRAP;
    for (let i = CORR_DIGITS + 1; i >= 2; i--) {
      b[i] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    for (const at of this.#epochs) writeEpoch(b, at, epochMs);
    for (const at of this.#stamps) b.writeDoubleLE(stamp, at);
    return b;
  }
}

function writeEpoch(target: Buffer, at: number, epochMs: number): void {
  let rest = epochMs;
  for (let i = 0; i < EPOCH_BYTES - 1; i++) {
    target[at + i] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  target[at + EPOCH_BYTES - 1] = rest;
}

/** Fields of ServerEnvelope.payload that the generators tell apart. */
export const WELCOME = 20;
export const ACK = 21;
export const ERROR = 22;
export const LOCATION = 26;
export const SUBSCRIBED = 34;
const FIRST_PAYLOAD = 20;
const LOCATION_ACCURACY = 7;
const WELCOME_HEARTBEAT_INTERVAL = 5;

/** Where the last `readVarint` ended. */
let cursor = 0;

function readVarint(data: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  for (let i = at; ; i++) {
    const byte = data[i]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      cursor = i + 1;
      return value;
    }
    factor *= 0x80;
  }
}

/** What is known of a ServerEnvelope after stepping over it; overwritten by the next `read`. */
export const seen = { kind: 0, payloadStart: 0, payloadEnd: 0, corr: -1 };

/** Steps over an envelope: which payload it carries and where, and the number in its corr_id (-1: none). */
export function read(data: Buffer, start: number, end: number): typeof seen {
  seen.kind = 0;
  seen.corr = -1;
  let at = start;
  while (at < end) {
    const key = readVarint(data, at);
    const wire = key & 7;
    if (wire === BYTES) {
      const length = readVarint(data, cursor);
      const content = cursor;
      at = content + length;
      const field = key >> 3;
      if (field === CORR_ID && length === CORR_DIGITS) seen.corr = digits(data, content);
      else if (field >= FIRST_PAYLOAD) {
        seen.kind = field;
        seen.payloadStart = content;
        seen.payloadEnd = at;
      }
    } else if (wire === VARINT) {
      readVarint(data, cursor);
      at = cursor;
    } else at = cursor + (wire === FIXED64 ? 8 : 4);
  }
  return seen;
}

function digits(data: Buffer, at: number): number {
  let value = 0;
  for (let i = 0; i < CORR_DIGITS; i++) value = value * 10 + data[at + i]! - 48;
  return value;
}

/** accuracy_m of a Location, which carries the publisher's stamp; NaN when it has none. */
export function stampOfLocation(data: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const key = readVarint(data, at);
    const wire = key & 7;
    if (wire === FIXED64) {
      if (key >> 3 === LOCATION_ACCURACY) return data.readDoubleLE(cursor);
      at = cursor + 8;
    } else if (wire === BYTES) {
      const length = readVarint(data, cursor);
      at = cursor + length;
    } else {
      readVarint(data, cursor);
      at = cursor;
    }
  }
  return Number.NaN;
}

/** heartbeat_interval_ms of a Welcome. */
export function heartbeatIntervalOf(data: Buffer, start: number, end: number): number {
  for (let at = start; at < end; ) {
    const field = readVarint(data, at) >> 3;
    // Every field before it is a string or a whole number.
    const isText = (data[at]! & 7) === BYTES;
    const value = readVarint(data, cursor);
    if (field === WELCOME_HEARTBEAT_INTERVAL) return value;
    at = isText ? cursor + value : cursor;
  }
  return Number.NaN;
}

/** The text of an Error payload, for people. */
export function errorText(data: Buffer, start: number, end: number): string {
  return data.toString('utf8', start, end).replace(/[^\x20-\x7e]+/g, ' ');
}
