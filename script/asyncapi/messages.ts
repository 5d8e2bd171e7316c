/** The messages of the streams as AsyncAPI has them: one for each case of the two envelopes, one for each server-sent event. */
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { MAX_CORR_ID } from '../../src/realtime/envelope.ts';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import type { ClientMessage, ServerMessage } from '../../src/realtime/messages/definition.ts';
import { clientMessages, deliveryOf, serverMessages } from '../../src/realtime/messages/index.ts';
import { clientExamples, serverExamples } from './examples.ts';
import { type Comments, fieldSchema, type Json, type Writer } from './schemas.ts';

const clients = Object.values(clientMessages) as ClientMessage[];
const servers = Object.values(serverMessages) as ServerMessage[];

export const clientKinds: readonly string[] = ClientEnvelopeSchema.oneofs[0]!.fields.map(({ name }) => name);
export const serverKinds: readonly string[] = ServerEnvelopeSchema.oneofs[0]!.fields.map(({ name }) => name);

/** Kinds that a role may send. */
export const kindsOf = (roles: readonly string[] | null): string[] =>
  clientKinds.filter((kind) =>
    clients.find((message) => message.kind === kind)!.roles.some((role) => roles === null || roles.includes(role)),
  );

const titleOf = (kind: string): string => kind.replaceAll('_', ' ').replace(/^./, (first) => first.toUpperCase());

/** The envelope with this one payload. */
function envelopeSchema(envelope: DescMessage, field: DescField, writer: Writer, comments: Comments): Json {
  const header = envelope.fields.filter((one) => !one.oneof);
  const properties = Object.fromEntries(
    [...header, field].map((one) => [
      one.name,
      one === field
        ? { $ref: `#/components/schemas/${field.message!.name}` }
        : fieldSchema(envelope, one, writer, comments),
    ]),
  );
  if (writer === 'client') properties.corr_id = { ...properties.corr_id, maxLength: MAX_CORR_ID };
  return {
    type: 'object',
    properties,
    required: [field.name],
    additionalProperties: writer === 'server',
  };
}

const sentence = (text: string): string => text.split(/(?<=\.) /)[0]!;

function message(envelope: DescMessage, field: DescField, writer: Writer, comments: Comments): Json {
  const kind = field.name;
  const client = clients.find((one) => one.kind === kind);
  const server = servers.find((one) => one.kind === kind);
  const doc = client?.doc ?? server?.doc ?? comments.get(field.message!.typeName);
  if (!doc) throw new Error(`${kind} is not described`);
  return {
    name: kind,
    title: titleOf(kind),
    summary: sentence(doc),
    description: doc,
    correlationId: { $ref: '#/components/correlationIds/corr_id' },
    tags: [{ name: writer }],
    payload: envelopeSchema(envelope, field, writer, comments),
    examples: [{ name: kind, payload: (writer === 'client' ? clientExamples : serverExamples)[kind] }],
    'x-protobuf': { message: envelope.typeName, field: kind, number: field.number },
    ...(client ? { 'x-roles': [...client.roles], 'x-limit': client.rate } : { 'x-delivery-class': deliveryOf(kind) }),
    ...(server ? { 'x-topics': server.topics.map((topic) => `${topic}:`) } : {}),
  };
}

/** By kind. */
export function envelopeMessages(comments: Comments): Record<string, Json> {
  const of = (envelope: DescMessage, writer: Writer): [string, Json][] =>
    envelope.oneofs[0]!.fields.map((field) => [field.name, message(envelope, field, writer, comments)]);
  return Object.fromEntries([...of(ClientEnvelopeSchema, 'client'), ...of(ServerEnvelopeSchema, 'server')]);
}

const EVENT_ID = '^[A-Za-z0-9_-]{0,64}:[0-9]{1,15}$';

/** Payload and examples of the events that have no message of their own name. */
const ownEvents: Record<string, { summary: string; payload: Json; example: Json; hasId: boolean }> = {
  gap: {
    summary:
      'In place of subscribed: some of what was missed is no longer kept, none of it follows; read the trip again.',
    payload: { $ref: '#/components/schemas/Subscribed' },
    example: { topic: 'trip:trip_nyc_01jd0000000000000000000003', offset: '9', epoch: 'a81b6c02' },
    hasId: true,
  },
  closed: {
    summary: 'The server ends the stream; with retryable, come again.',
    payload: {
      type: 'object',
      required: ['code', 'message', 'retryable'],
      properties: {
        code: { type: 'string', description: 'RIDE_..., one of docs/errors.md.' },
        message: { type: 'string', description: 'For people who read logs.' },
        retryable: { type: 'boolean', description: 'Whether the stream may be taken up again.' },
      },
    },
    example: { code: 'RIDE_TOKEN_EXPIRED', message: 'the token has expired', retryable: false },
    hasId: false,
  },
};

/** Kinds of the envelope's messages that a follower of a trip gets as events. */
const EVENTS = [
  ...servers.filter(({ topics }) => topics.includes('trip')).map(({ kind }) => kind),
  'subscribed',
  'go_away',
];

function event(name: string, summary: string, hasId: boolean, payload: Json, example: unknown): Json {
  return {
    name,
    title: `Event ${titleOf(name).toLowerCase()}`,
    summary,
    contentType: 'application/json',
    tags: [{ name: 'event' }],
    headers: {
      type: 'object',
      description: 'Lines of the event beside its data.',
      properties: {
        event: { type: 'string', const: name },
        ...(hasId
          ? { id: { type: 'string', pattern: EVENT_ID, description: 'The place: epoch, colon, offset.' } }
          : {}),
        ...(name === 'go_away'
          ? { retry: { type: 'string', pattern: '^[0-9]+$', description: 'Reconnect after so many milliseconds.' } }
          : {}),
      },
    },
    payload,
    examples: [{ name, payload: example }],
  };
}

/** By name: `event_trip_event`. */
export function eventMessages(comments: Comments): Record<string, Json> {
  const fields = ServerEnvelopeSchema.oneofs[0]!.fields;
  const like = EVENTS.map((kind): [string, Json] => {
    const { message } = fields.find((field) => field.name === kind)!;
    const doc = servers.find((one) => one.kind === kind)?.doc ?? comments.get(message!.typeName)!;
    const hasId = kind === 'subscribed' || deliveryOf(kind) === 'ordered';
    const payload = { $ref: `#/components/schemas/${message!.name}` };
    return [`event_${kind}`, event(kind, sentence(doc), hasId, payload, serverExamples[kind]![kind])];
  });
  const own = Object.entries(ownEvents).map(([name, { summary, hasId, payload, example }]): [string, Json] => [
    `event_${name}`,
    event(name, summary, hasId, payload, example),
  ]);
  return Object.fromEntries([...like, ...own]);
}
