/**
 * Envelopes on the wire: decoding what clients send into a typed refusal or a message, encoding what the server says, and
 * the few bytes of a published envelope that a node reads or adds without decoding it.
 */
import { create, fromBinary, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import { RideError } from '../errors.ts';
import type { BusMessage } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import { Frame } from './frame.ts';
import { readClientEnvelope } from './generated/client-envelope.ts';
import { type ClientEnvelope, ClientEnvelopeSchema, ServerEnvelopeSchema } from './generated/ride/v1/ride_pb.js';
import { type ServerEnvelope, writeServerEnvelope } from './generated/server-envelope.ts';
import type { ServerPayload } from './payload.ts';
import { Reader, UNUSUAL } from './reader.ts';
import { Writer } from './wire.ts';

/** Characters. */
export const MAX_CORR_ID = 64;
const envelopeKeys = new Set(ClientEnvelopeSchema.fields.flatMap((field) => [field.name, field.jsonName]));
const serverKinds = new Map(ServerEnvelopeSchema.oneofs[0]!.fields.map((field) => [field.number, field.name]));
const caseToKind = new Map(
  [...ClientEnvelopeSchema.oneofs[0]!.fields, ...ServerEnvelopeSchema.oneofs[0]!.fields].map((field) => [
    field.localName,
    field.name,
  ]),
);

/** `tripEvent` → `trip_event`. */
export const kindOf = (payloadCase: string): string => caseToKind.get(payloadCase) ?? payloadCase;

/** What protobuf-es says of the part at fault: a field, a key that is none, or a oneof that is set twice. */
const FAULTS = [/field ride\.v1\.\w+\.(\w+)/, /key "([^"]{1,64})" is unknown/, /oneof ride\.v1\.\w+\.(\w+)/];
const WIRE_RULE = 'as proto/ride/v1/ride.proto says';

function malformed(cause: unknown): RideError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const field = FAULTS.map((fault) => fault.exec(message)?.[1]).find((name) => name !== undefined) ?? 'payload';
  return new RideError('RIDE_MALFORMED', `The message cannot be decoded: ${message.slice(0, 200)}`, {
    field,
    rule: WIRE_RULE,
    cause,
  });
}

/** @param named what the client called it; undefined when it named nothing that is known */
export function unknownMessage(named?: string): RideError {
  const field = named?.slice(0, MAX_CORR_ID) ?? 'payload';
  const what = named === undefined ? 'The envelope carries no known message' : `There is no message called ${field}`;
  const rule = `one of ${ClientEnvelopeSchema.oneofs[0]!.fields.map((f) => f.name).join(', ')}`;
  return new RideError('RIDE_UNKNOWN_MESSAGE', what, { field, rule });
}

function checked(envelope: ClientEnvelope): ClientEnvelope {
  if (envelope.corrId.length > MAX_CORR_ID) {
    const rule = `at most ${MAX_CORR_ID} characters`;
    throw new RideError('RIDE_INVALID_INPUT', `corr_id must be ${rule}`, { field: 'corr_id', rule });
  }
  return envelope;
}

/** @throws RideError RIDE_MALFORMED, RIDE_UNKNOWN_MESSAGE, RIDE_INVALID_INPUT */
export function decodeJson(text: string): ClientEnvelope {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw malformed(error);
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw malformed(new Error('not a JSON object'));
  const unknown = Object.keys(json).find((key) => !envelopeKeys.has(key));
  if (unknown !== undefined) throw unknownMessage(unknown);
  try {
    return checked(fromJson(ClientEnvelopeSchema, json));
  } catch (error) {
    throw error instanceof RideError ? error : malformed(error);
  }
}

const reader = new Reader();

/** By the static decoder; null for what the library has to look at. */
export function decodeUsual(bytes: Buffer): ClientEnvelope | null {
  try {
    return readClientEnvelope(reader, reader.start(bytes));
  } catch (error) {
    if (error === UNUSUAL) return null;
    throw error;
  } finally {
    reader.done();
  }
}

/** @throws RideError RIDE_MALFORMED, RIDE_INVALID_INPUT */
export function decodeBinary(bytes: Buffer): ClientEnvelope {
  try {
    return checked(decodeUsual(bytes) ?? fromBinary(ClientEnvelopeSchema, bytes));
  } catch (error) {
    throw error instanceof RideError ? error : malformed(error);
  }
}

/** The corr_id of a message that could not be decoded, so that the refusal still finds its asker; '' when there is none. */
export function corrIdOf(text: string): string {
  return /"corr_?[iI]d"\s*:\s*"([^"\\]{1,64})"/.exec(text.slice(0, 4096))?.[1] ?? '';
}

export type EnvelopeHeader = Omit<ServerEnvelope, 'payload' | 'offset' | 'epoch'>;

const writer = new Writer();

export function encodeEnvelope(header: EnvelopeHeader, payload: ServerPayload): Buffer {
  const { corrId, lamport, nodeId, sequence, eventId, topic, sentAtMs } = header;
  writer.reset();
  writeServerEnvelope(writer, { corrId, lamport, nodeId, sequence, eventId, topic, sentAtMs, payload });
  return writer.finish();
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

const OFFSET_TAG = (7 << 3) | 0;
const EPOCH_TAG = (8 << 3) | 2;

/** Where the varint that was read last ends: read several times a message, it must leave nothing to collect. */
let varintEnd = 0;

/** Reads the varint at `at`; Number is exact to 2^53, which offsets and clocks stay below. */
function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  let factor = 1;
  let i = at;
  for (;;) {
    const byte = bytes[i++];
    if (byte === undefined) throw new RangeError('truncated varint');
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      varintEnd = i;
      return value;
    }
    factor *= 128;
  }
}

/** What a node knows of a message without decoding it. */
export interface Outside {
  readonly kind: string;
  readonly lamport: number;
  /** Wall time of its sender, epoch ms; 0 when it does not say. */
  readonly sentAtMs: number;
}

/**
 * Kind, Lamport time and time of sending (wall, epoch ms) of an encoded ServerEnvelope, by stepping over its fields. The kind of
 * one that this version does not know is ''.
 * @throws RangeError when the bytes are no sequence of fields
 */
export function peek(bytes: Uint8Array): Outside {
  let kind = '';
  let lamport = 0;
  let sentAtMs = 0;
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    at = varintEnd;
    if (wire === 0) {
      const value = readVarint(bytes, at);
      if (field === 2) lamport = value;
      else if (field === 9) sentAtMs = value;
      at = varintEnd;
    } else if (wire === 2) {
      const length = readVarint(bytes, at);
      kind ||= serverKinds.get(field) ?? '';
      at = varintEnd + length;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else throw new RangeError(`no wire type: ${wire}`);
  }
  if (at !== bytes.length) throw new RangeError('truncated field');
  return { kind, lamport, sentAtMs };
}

const NOTHING = Buffer.alloc(0);
const NO_ENVELOPE: Outside = { kind: '', lamport: 0, sentAtMs: 0 };

/** Of a message that was not looked at when it came, as those of the history. One that is no envelope at all still has its place. */
export function outsideOf({ topic, offset, payload }: BusMessage, log: Logger): Outside {
  try {
    return peek(payload);
  } catch (error) {
    log.warn({ err: error, topic, offset }, 'a message of the history is no envelope: its readers get its place alone');
    return NO_ENVELOPE;
  }
}

/** The place of a message in its topic's history, without what it says: for whom that is not, and who still sees no hole. */
export function placeOf({ topic, kind, offset, epoch }: Frame): Frame {
  const envelope = create(ServerEnvelopeSchema, { topic, offset: BigInt(offset), epoch });
  return new Frame(Buffer.from(toBinary(ServerEnvelopeSchema, envelope)), kind, topic, offset, epoch);
}

/** A published payload with its place in the topic's history, which protobuf lets us append. */
export function frameOf(message: BusMessage, outside: Outside, log: Logger | null = null): Frame {
  const { topic, offset, epoch } = message;
  const { kind } = outside;
  const payload = outside === NO_ENVELOPE ? NOTHING : message.payload;
  if (offset === 0) return new Frame(payload, kind, topic, 0, '', log);
  const name = Buffer.from(epoch, 'latin1');
  const place = Buffer.from([OFFSET_TAG, ...varint(offset), EPOCH_TAG, ...varint(name.length)]);
  return new Frame(Buffer.concat([payload, place, name]), kind, topic, offset, epoch, log);
}
