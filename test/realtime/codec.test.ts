/** The static codec against the library: whatever it writes, protobuf-es reads back the same, and whatever it reads, too. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { create, type DescField, type DescMessage, fromBinary, ScalarType, toBinary, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import t from 'tap';
import { CODEC_FILE, generateCodec } from '../../script/codec.ts';
import { DECODER_FILE, generateDecoder } from '../../script/decoder.ts';
import { decodeUsual, encodeEnvelope } from '../../src/realtime/envelope.ts';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import type { ServerPayload } from '../../src/realtime/payload.ts';

t.test('the generated encoder is current', async (t) => {
  t.equal(await readFile(CODEC_FILE, 'utf8'), generateCodec(), 'run script/contracts');
});

const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.string({ maxLength: 50 }), fc.constant(''));

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  if (type === ScalarType.STRING) return text;
  if (type === ScalarType.BOOL) return fc.boolean();
  if (type === ScalarType.DOUBLE) return fc.double({ noNaN: true });
  const max = type === ScalarType.UINT32 ? 2 ** 32 - 1 : Number.MAX_SAFE_INTEGER;
  return fc.oneof(fc.nat(), fc.integer({ min: 0, max }), fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, max));
}

function anyValueOf(field: DescField): fc.Arbitrary<unknown> {
  if (field.fieldKind === 'message') return messageOf(field.message);
  if (field.fieldKind === 'scalar') return scalar(field.scalar);
  if (field.fieldKind === 'list' && field.message) return fc.array(messageOf(field.message), { maxLength: 40 });
  if (field.fieldKind === 'list') return fc.array(text, { maxLength: 5 });
  if (field.fieldKind === 'map') return fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true });
  throw new Error(`no values for ${field}`);
}

function messageOf(message: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const plain = message.fields.filter((field) => !field.oneof);
  return fc.record(Object.fromEntries(plain.map((field) => [field.localName, anyValueOf(field)])), {
    requiredKeys: [],
  });
}

/** What protobuf-es makes of the same values: 64-bit integers are bigints there. */
function normal(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(normal);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key, member]) => key !== '$typeName' && member !== undefined);
  return Object.fromEntries(entries.map(([key, member]) => [key, normal(member)]));
}

/** Proto3: a field that is left out reads as its default; optional ones stay absent. */
function withDefaults(message: DescMessage, value: Record<string, unknown>): Record<string, unknown> {
  const full: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (field.oneof) continue;
    const given = value[field.localName];
    if (field.fieldKind === 'message') {
      if (given !== undefined) full[field.localName] = withDefaults(field.message, given as Record<string, unknown>);
    } else if (field.fieldKind === 'list') {
      const list = (given ?? []) as unknown[];
      full[field.localName] = field.message
        ? list.map((one) => withDefaults(field.message!, one as Record<string, unknown>))
        : list;
    } else if (field.fieldKind === 'map') full[field.localName] = given ?? {};
    else if (given !== undefined) full[field.localName] = given;
    else if (field.fieldKind === 'scalar' && !field.proto.proto3Optional) {
      full[field.localName] = field.scalar === ScalarType.STRING ? '' : field.scalar === ScalarType.BOOL ? false : 0;
    }
  }
  return full;
}

t.test('what it writes is what the library reads, for every message', async (t) => {
  const header = {
    corrId: 'q',
    lamport: 7,
    nodeId: 'n',
    sequence: 9,
    eventId: '',
    topic: 'trip:é',
    sentAtMs: 1_700_000_000_000,
  };
  for (const field of ServerEnvelopeSchema.oneofs[0]!.fields) {
    fc.assert(
      fc.property(messageOf(field.message!), (value) => {
        const bytes = encodeEnvelope(header, { case: field.localName, value } as unknown as ServerPayload);
        const read = fromBinary(ServerEnvelopeSchema, bytes);
        assert.equal(read.topic, header.topic);
        assert.deepEqual(normal(read.payload.value), normal(withDefaults(field.message!, value)));
        // Canonical: the library would write the same bytes.
        assert.deepEqual(Buffer.from(toBinary(ServerEnvelopeSchema, read)), bytes);
      }),
      { numRuns: 40 },
    );
    t.pass(field.name);
  }
});

t.test('a number that is no whole number is refused and leaves nothing behind', async (t) => {
  const header = { lamport: 1, nodeId: 'n', sequence: 1, sentAtMs: 1 };
  const good = encodeEnvelope(header, { case: 'ack', value: { accepted: 1 } });
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 60]) {
    t.throws(() => encodeEnvelope(header, { case: 'ack', value: { accepted: bad } }), RangeError);
  }
  t.same(encodeEnvelope(header, { case: 'ack', value: { accepted: 1 } }), good);
});

t.test('the generated decoder is current', async (t) => {
  t.equal(await readFile(DECODER_FILE, 'utf8'), generateDecoder(), 'run script/contracts');
});

function clientScalar(type: ScalarType): fc.Arbitrary<unknown> {
  if (type === ScalarType.INT64)
    return fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt(0n, 2n ** 53n));
  if (type === ScalarType.UINT64) return fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 53n));
  if (type === ScalarType.INT32) return fc.integer();
  return scalar(type);
}

function clientValueOf(field: DescField): fc.Arbitrary<unknown> {
  if (field.fieldKind === 'message') return clientMessageOf(field.message);
  if (field.fieldKind === 'enum') return fc.constantFrom(...field.enum.values.map(({ number }) => number), 77);
  if (field.fieldKind === 'scalar') return clientScalar(field.scalar);
  if (field.fieldKind === 'list' && field.message) return fc.array(clientMessageOf(field.message), { maxLength: 5 });
  throw new Error(`no values for ${field}`);
}

const clientMessageOf = (message: DescMessage): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(message.fields.map((field) => [field.localName, clientValueOf(field)])), {
    requiredKeys: [],
  });

const payloads = ClientEnvelopeSchema.oneofs[0]!.fields;

const envelopes = fc
  .tuple(fc.string({ maxLength: 64 }), fc.bigInt(0n, 2n ** 53n), fc.constantFrom(...payloads))
  .chain(([corrId, lamport, field]) =>
    clientMessageOf(field.message!).map((value) =>
      toBinary(
        ClientEnvelopeSchema,
        create(ClientEnvelopeSchema, {
          corrId,
          lamport,
          payload: { case: field.localName, value: create(field.message!, value) },
        } as never),
      ),
    ),
  );

/** The same as the library, or left to it. */
function agree(bytes: Buffer): boolean {
  const fast = decodeUsual(bytes);
  if (fast === null) return false;
  const slow = fromBinary(ClientEnvelopeSchema, bytes);
  assert.deepEqual(normal(fast), normal(slow));
  assert.deepEqual(toJson(ClientEnvelopeSchema, fast), toJson(ClientEnvelopeSchema, slow));
  return true;
}

t.test('what it reads is what the library reads, and the rest is left to the library', async (t) => {
  let read = 0;
  fc.assert(
    fc.property(envelopes, (bytes) => {
      if (agree(Buffer.from(bytes))) read++;
    }),
    { numRuns: 1000 },
  );
  t.ok(read > 200, `${read} of 1000 read`);
});

t.test('damaged bytes are never read as something that the library refuses or reads otherwise', async (t) => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(envelopes, damage, fc.nat(), (bytes, changes, cut) => {
      const damaged = Buffer.from(bytes).subarray(0, bytes.length - (cut % 3));
      for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte;
      agree(damaged);
    }),
    { numRuns: 3000 },
  );
  t.pass();
});
