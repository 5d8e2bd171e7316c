/** The streams' document: as the messages are, valid AsyncAPI 3, complete, and true of what really travels. */
import { readFile } from 'node:fs/promises';
import { DiagnosticSeverity, Parser } from '@asyncapi/parser';
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { Ajv, type ValidateFunction } from 'ajv';
import t from 'tap';
import { parse } from 'yaml';
import { ASYNCAPI_FILE, asyncapiDocument, asyncapiYaml } from '../../script/asyncapi.ts';
import { errorCodes, RideError } from '../../src/errors.ts';
import { decodeBinary, decodeJson } from '../../src/realtime/envelope.ts';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { clientMessages, serverMessages } from '../../src/realtime/messages/index.ts';
import { namespaces } from '../../src/websocket/upgrades.ts';
import { openEvents } from '../clients/events.ts';
import type { Message } from '../clients/inbox.ts';
import { connect } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide, member, north } from '../scene.ts';

// biome-ignore lint/suspicious/noExplicitAny: a document is read as it is
type Document = Record<string, any>;

const text = await readFile(ASYNCAPI_FILE, 'utf8');
const document = parse(text) as Document;
const { messages } = document.components as { messages: Record<string, Document> };
const clientKinds = Object.values(clientMessages).map(({ kind }) => kind);

// Unknown keywords are refused: a misspelt one would check nothing. `description` and such are known.
const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictRequired: false });
ajv.addVocabulary(['components']);
ajv.addSchema({ $id: 'asyncapi', components: { schemas: document.components.schemas } });
const compiled = new Map<string, ValidateFunction>();

/** Null, or why the payload is not one of the message of this name. */
function fault(name: string, payload: unknown): string | null {
  let validate = compiled.get(name);
  if (!validate) {
    validate = ajv.compile(JSON.parse(JSON.stringify(messages[name]!.payload).replaceAll('"#/', '"asyncapi#/')));
    compiled.set(name, validate);
  }
  return validate(payload) ? null : `${name}: ${ajv.errorsText(validate.errors)}`;
}

t.test('asyncapi/asyncapi.yaml is what the messages say', async (t) => {
  t.equal(text, asyncapiYaml(), 'run script/contracts');
  t.same(document, JSON.parse(JSON.stringify(asyncapiDocument())));
});

t.test('it is valid AsyncAPI 3, as its own parser sees it', async (t) => {
  const parser = new Parser();
  const { document: parsed, diagnostics } = await parser.parse(text);
  // Below a warning there is the remark that AsyncAPI 3.1 has come out.
  const faults = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
  t.same(faults, []);
  t.equal(parsed?.version(), '3.0.0');
  t.equal(parsed?.channels().length, namespaces.length + 2);

  for (const spoil of [
    (broken: Document) => broken.operations.ws_send.messages.push({ $ref: '#/channels/ws/messages/nonsense' }),
    (broken: Document) =>
      broken.operations.ws_send.messages.push({ $ref: '#/channels/trip_events/messages/event_gap' }),
    (broken: Document) => delete broken.info.version,
    (broken: Document) => (broken.operations.ws_send.action = 'shout'),
  ]) {
    const broken = structuredClone(document);
    spoil(broken);
    const found = (await parser.validate(JSON.stringify(broken))).filter(
      ({ severity }) => severity === DiagnosticSeverity.Error,
    );
    t.ok(found.length > 0, `and the parser does see what is wrong: ${spoil}`);
  }
});

t.test('every message, namespace and close code is in it', async (t) => {
  const kinds = [ClientEnvelopeSchema, ServerEnvelopeSchema].flatMap(({ oneofs }) => oneofs[0]!.fields);
  for (const { name, number } of kinds) {
    t.hasStrict(messages[name], { name, 'x-protobuf': { field: name, number } }, name);
    t.ok(messages[name]!.summary && messages[name]!.title, `${name}: is described`);
    t.equal(messages[name]!.examples.length, 1, `${name}: has an example`);
  }
  for (const { path, roles } of namespaces) {
    const channel = Object.values(document.channels as Document).find(({ address }) => address === path);
    for (const { kind, roles: senders } of Object.values(clientMessages)) {
      const mayBeSent = roles === null || senders.some((role) => roles.includes(role));
      t.equal(kind in channel!.messages, mayBeSent, `${path}: ${kind}`);
    }
  }
  const closes = Object.entries(errorCodes).flatMap(([error, spec]) => ('close' in spec && spec.close ? [error] : []));
  const documented = (document['x-close-codes'] as Document[]).flatMap(({ error }) => error ?? []);
  t.same(documented.sort(), closes.sort());
  const fields = Object.values(document.components.schemas as Document).flatMap(({ properties }) =>
    Object.values(properties as Document),
  );
  t.ok(fields.length > 100 && fields.every(({ description }) => description), 'every field is described');
});

t.test('examples of clients are what the server decodes, in both encodings', async (t) => {
  for (const kind of clientKinds) {
    const { payload } = messages[kind]!.examples[0];
    t.equal(fault(kind, payload), null);
    const decoded = decodeJson(JSON.stringify(payload));
    t.same(toJson(ClientEnvelopeSchema, decoded, { useProtoFieldName: true }), payload, kind);
    t.same(decodeBinary(Buffer.from(toBinary(ClientEnvelopeSchema, decoded))), decoded, `${kind}, in binary`);
  }
});

t.test('examples of the server are what its encoder writes, and complete', async (t) => {
  for (const { name: kind } of ServerEnvelopeSchema.oneofs[0]!.fields) {
    const { payload } = messages[kind]!.examples[0];
    t.equal(fault(kind, payload), null);
    const bytes = toBinary(ServerEnvelopeSchema, fromJson(ServerEnvelopeSchema, payload as JsonValue));
    t.same(toJson(ServerEnvelopeSchema, fromBinary(ServerEnvelopeSchema, bytes), { useProtoFieldName: true }), payload);
    t.ok(Object.keys(payload[kind]).length > 0, `${kind}: says something`);
  }
  for (const { kind, topics } of Object.values(serverMessages)) {
    const { topic } = messages[kind]!.examples[0].payload;
    t.ok(
      topics.some((one) => topic.startsWith(`${one}:`)),
      `${kind}: on a topic of its kinds`,
    );
  }
});

t.test('the schemas and the decoder refuse the same', async (t) => {
  const bad: [kind: string, payload: unknown][] = [
    ['heartbeat', { corr_id: 'x', heartbeat: {}, fly: {} }],
    ['heartbeat', { corr_id: 7, heartbeat: {} }],
    ['heartbeat', { corr_id: 'x'.repeat(65), heartbeat: {} }],
    ['heartbeat', { heartbeat: { client_time_ms: 'now' } }],
    ['heartbeat', { heartbeat: { signal_dbm: 1.5 } }],
    ['subscribe', { subscribe: { topic: 'x', since_offset: -1 } }],
    ['subscribe', { subscribe: { topic: 'x', sinceoffset: 1 } }],
    ['offer_reply', { offer_reply: { accept: 'yes' } }],
    ['ride_status', { ride_status: { status: 'STATUS_FLYING' } }],
    ['location_batch', { location_batch: { updates: {} } }],
    ['location_batch', { location_batch: { updates: [{ lat: 'north' }] } }],
  ];
  for (const [kind, payload] of bad) {
    const name = JSON.stringify(payload).slice(0, 60);
    t.ok(fault(kind, payload), name);
    t.throws(() => decodeJson(JSON.stringify(payload)), RideError, name);
  }
  const good: [kind: string, payload: unknown][] = [
    ['heartbeat', { heartbeat: {} }],
    ['heartbeat', { lamport: 7, heartbeat: { client_time_ms: -5 } }],
    ['subscribe', { subscribe: { topic: 'x', since_offset: '18446744073709551615' } }],
  ];
  for (const [kind, payload] of good) {
    t.equal(fault(kind, payload), null);
    t.doesNotThrow(() => decodeJson(JSON.stringify(payload)));
  }
});

t.test('what really travels is as documented', async (t) => {
  const s = await build(t, { env: { ZONE_BROADCAST_INTERVAL: '100ms' } });
  const operator = await connect(t, s.at, 'websocket-json', (await member(s, 'admin')).token);
  for (const topic of ['city:testville', 'sos:alerts']) await operator.ask({ subscribe: { topic } });
  const ride = await assignedRide(t, s);
  const rider = await connect(t, s.at, 'websocket-json', ride.rider.token, { path: '/ws/client' });
  await rider.ask({ subscribe: { topic: `trip:${ride.id}`, since_offset: '0' } });
  await rider.ask({ subscribe: { topic: `presence:${ride.driver.id}` } });
  const auth = { authorization: `Bearer ${ride.rider.token}` };
  const events = await openEvents(t, s.at.http, `/api/v1/trips/${ride.id}/events/stream?since=:0`, auth);
  const { peer: driver } = ride.driver;
  const here = { ...north(ride.at, 40), recorded_at_ms: Date.now(), speed_mps: 0, trip_id: ride.id };
  await driver.ask({ location_update: here });
  await driver.ask({ location_update: { lat: 91 } });
  await driver.ask({ chat_send: { trip_id: ride.id, message_id: 'm1', text: 'here' } });
  await driver.ask({ typing: { trip_id: ride.id, active: true } });
  await driver.ask({ sos_trigger: { trip_id: ride.id, lat: 0, lng: 0, note: 'test' } });
  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  await operator.inbox.find((m) => m.zone_broadcast, 'the city');
  await operator.inbox.find((m) => m.sos_alert, 'the alert');
  for (const { inbox } of [rider, events]) {
    await inbox.find((m) => m.trip_event?.type === 'completed', 'the end');
    await inbox.find((m) => m.typing_notice, 'typing');
  }
  await rider.inbox.find((m) => m.eta_refresh, 'how far he is');
  const drained = s.stop();
  await Promise.all([rider.ended, operator.ended, events.ended, drained]);

  const seen = new Set<string>();
  for (const message of [operator, rider, driver].flatMap(({ inbox }) => inbox.all)) {
    const kind = Object.keys(message).find((key) => key in messages)!;
    seen.add(kind);
    t.equal(fault(kind, message), null);
  }
  for (const { event, ...rest } of events.inbox.all.filter(({ event }) => event !== undefined) as Message[]) {
    const name = `event_${event}`;
    seen.add(name);
    t.ok(messages[name], name);
    t.equal(fault(name, rest[event]), null);
    const { headers } = messages[name]!;
    t.equal(rest.id !== undefined, 'id' in headers.properties, `${name}: id`);
  }
  const said = Object.keys(messages).filter((name) => !clientKinds.includes(name));
  t.same(
    said.filter((name) => !seen.has(name)),
    // Nothing on this ride is missed, declined or told, no hazard comes up, no area is crossed and nobody rates.
    ['notification', 'offer_closed', 'check_in', 'geofence_event', 'anomaly_flag', 'rating_given', 'event_gap'],
  );
});

t.test('it is served beside the API', async (t) => {
  const s = await build(t);
  const answer = await s.rest('GET', '/docs/asyncapi.yaml');
  t.equal(answer.status, 200);
  t.match(answer.headers.get('content-type'), /^application\/vnd\.aai\.asyncapi\+yaml/);
  t.equal(answer.body, text);
});
t.end();
