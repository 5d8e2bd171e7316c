/**
 * Writes asyncapi/asyncapi.yaml: the streams as AsyncAPI 3, from the definitions of the messages, the descriptors and comments of
 * the proto file, the namespaces of the WebSocket gateway and the registry of errors. Nothing has to run for it.
 */
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { errorCodes, grpcStatus } from '../src/errors.ts';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../src/realtime/generated/ride/v1/ride_pb.js';
import { DEFAULT_CLOSE } from '../src/websocket/gateway.ts';
import { BINARY_PROTOCOL, JSON_PROTOCOL, namespaces } from '../src/websocket/upgrades.ts';
import { clientKinds, envelopeMessages, eventMessages, kindsOf, serverKinds } from './asyncapi/messages.ts';
import { type Comments, type Json, messageSchema, messagesOf, readComments } from './asyncapi/schemas.ts';

export const ASYNCAPI_FILE = new URL('../asyncapi/asyncapi.yaml', import.meta.url);

const HEAD = '# Written by script/contracts from src/realtime/messages and proto/ride/v1/ride.proto; do not edit.\n';

const info = {
  title: 'Ridestream streams',
  version: '1.0.0',
  description:
    'How clients talk with Ridestream in real time: one pair of envelopes over WebSocket (JSON or protobuf) and gRPC, and a trip as ' +
    'server-sent events. docs/protocol.md says how a session goes: sign-in, delivery classes, recovery, heartbeats, limits, ends.\n\n' +
    'Payloads are shown in protobuf JSON with the names of the proto file. What has its default value is left out, 64-bit integers ' +
    'are texts, instants are epoch milliseconds. In binary the same envelope is ride.v1.ClientEnvelope or ride.v1.ServerEnvelope of ' +
    'proto/ride/v1/ride.proto; x-protobuf names the field of each message.',
  license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
};

const tags = [
  { name: 'client', description: 'Sent by clients' },
  { name: 'server', description: 'Sent by the server' },
  { name: 'event', description: 'Server-sent events' },
];

const ref = (path: string): Json => ({ $ref: `#/${path}` });
const securityOf = (...names: string[]): Json[] => names.map((name) => ref(`components/securitySchemes/${name}`));

const HEADER_TOKENS = ['bearer', 'reconnect_header'];
const BROWSER_TOKENS = ['bearer_subprotocol', 'query_token', 'reconnect_subprotocol', 'reconnect_query'];

const servers = {
  websocket: {
    host: 'localhost:8080',
    protocol: 'ws',
    protocolVersion: '13',
    description: 'HTTP_LISTEN_ADDR. Behind TLS it is wss.',
    security: securityOf(...HEADER_TOKENS, ...BROWSER_TOKENS),
  },
  http: {
    host: 'localhost:8080',
    protocol: 'http',
    description: 'HTTP_LISTEN_ADDR, for server-sent events. Behind TLS it is https.',
    security: securityOf('bearer', 'query_token'),
  },
  grpc: {
    host: 'localhost:7443',
    protocol: 'grpc',
    description: 'GRPC_LISTEN_ADDR; the tokens are metadata. With GRPC_TLS_CERT_FILE it is TLS.',
    security: securityOf('bearer', 'reconnect_metadata'),
  },
};

const inHeader = (name: string, description: string): Json => ({ type: 'httpApiKey', in: 'header', name, description });
const inQuery = (name: string, description: string): Json => ({ type: 'httpApiKey', in: 'query', name, description });

const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'Header (on gRPC metadata) Authorization: Bearer <token>.',
  },
  bearer_subprotocol: inHeader('Sec-WebSocket-Protocol', 'bearer.<token> beside the real subprotocol, for browsers.'),
  query_token: inQuery('access_token', 'The same token, for clients that can set no header.'),
  reconnect_header: inHeader(
    'x-reconnect-token',
    'The reconnect_token of an earlier welcome, good for one connection.',
  ),
  reconnect_subprotocol: inHeader('Sec-WebSocket-Protocol', 'reconnect.<token> beside the real subprotocol.'),
  reconnect_query: inQuery('reconnect_token', 'The reconnect token, for clients that can set no header.'),
  reconnect_metadata: inHeader('reconnect-token', 'The reconnect token as metadata of gRPC.'),
};

const accessTokenQuery = { type: 'string', description: 'The token, where no header can be set.' };

/** The handshake of a WebSocket. */
const webSocketBinding = {
  ws: {
    method: 'GET',
    query: {
      type: 'object',
      properties: {
        access_token: accessTokenQuery,
        reconnect_token: { type: 'string', description: 'The reconnect token, where no header can be set.' },
      },
    },
    headers: {
      type: 'object',
      properties: {
        'Sec-WebSocket-Protocol': {
          type: 'string',
          description: `${JSON_PROTOCOL} (text frames, the default) or ${BINARY_PROTOCOL} (binary frames); beside it bearer.<token> or reconnect.<token>.`,
          examples: [JSON_PROTOCOL, BINARY_PROTOCOL],
        },
        Authorization: { type: 'string', description: 'Bearer <token>.' },
        'x-reconnect-token': { type: 'string', description: 'The reconnect token of an earlier welcome.' },
      },
    },
    bindingVersion: '0.1.0',
  },
};

const messageRefs = (kinds: readonly string[]): Json =>
  Object.fromEntries(kinds.map((kind) => [kind, ref(`components/messages/${kind}`)]));

const nameOf = (path: string): string => path.slice(1).replaceAll('/', '_');

/** Sessions in both directions. */
interface Stream {
  id: string;
  what: string;
  channel: Json;
  receives: readonly string[];
}

const webSockets: readonly Stream[] = namespaces.map(({ path, roles }) => {
  const receives = kindsOf(roles);
  return {
    id: nameOf(path),
    what: path,
    receives,
    channel: {
      address: path,
      title: `WebSocket ${path}`,
      description: `Sessions of ${roles ? roles.join('s and ') : 'user'}s${roles ? '' : ' of any role'}. The first message is welcome; x-close-codes has the ends.`,
      servers: [ref('servers/websocket')],
      messages: messageRefs([...receives, ...serverKinds]),
      bindings: webSocketBinding,
    },
  };
});

const grpcStream: Stream = {
  id: 'grpc',
  what: 'gRPC',
  receives: clientKinds,
  channel: {
    address: '/ride.v1.RideStreamService/Connect',
    title: 'gRPC stream',
    description:
      'One bidirectional stream is one session. Messages are protobuf; refusals are statuses with trailers ride-code, ride-field, ride-rule and ride-retry-after-ms.',
    servers: [ref('servers/grpc')],
    messages: messageRefs([...clientKinds, ...serverKinds]),
  },
};

const streams = [...webSockets, grpcStream];

function operationsOf({ id, what, receives }: Stream): [string, Json][] {
  const channel = ref(`channels/${id}`);
  const messages = (kinds: readonly string[]): Json[] => kinds.map((kind) => ref(`channels/${id}/messages/${kind}`));
  const receive = (summary: string, kinds: readonly string[], answer: string): Json => ({
    action: 'receive',
    channel,
    title: summary,
    summary: `${summary}. Each message is answered once, under its corr_id: by ${answer}, or by error.`,
    messages: messages(kinds),
    reply: { channel, messages: messages([answer, 'error']) },
  });
  return [
    [
      `${id}_receive`,
      receive(
        `What clients send on ${what}`,
        receives.filter((kind) => kind !== 'subscribe'),
        'ack',
      ),
    ],
    [`${id}_subscribe`, receive(`Topics are followed on ${what}`, ['subscribe'], 'subscribed')],
    [
      `${id}_send`,
      {
        action: 'send',
        channel,
        title: `What the server says on ${what}`,
        summary: 'The welcome, what happens on the topics that the session follows, and go_away.',
        messages: messages(serverKinds.filter((kind) => kind !== 'ack')),
      },
    ],
  ];
}

const EVENTS_ID = 'trip_events';

function eventsChannel(names: readonly string[]): Json {
  return {
    address: '/api/v1/trips/{trip_id}/events/stream',
    title: 'Server-sent events of a trip',
    description:
      'A session that only listens: what was missed since the given place, then subscribed or gap, then what is live. Comments keep it alive.',
    servers: [ref('servers/http')],
    parameters: { trip_id: { description: 'The id of a trip that the caller may read.' } },
    messages: messageRefs(names),
  };
}

function eventsOperation(names: readonly string[]): Json {
  return {
    action: 'send',
    channel: ref(`channels/${EVENTS_ID}`),
    title: 'A trip as server-sent events',
    summary: 'Resumes from Last-Event-ID, the id of the last event that was seen, or from the query since.',
    messages: names.map((name) => ref(`channels/${EVENTS_ID}/messages/${name}`)),
    bindings: {
      http: {
        method: 'GET',
        query: {
          type: 'object',
          properties: {
            since: { type: 'string', description: 'As Last-Event-ID, where it cannot be set; :0 is the beginning.' },
            access_token: accessTokenQuery,
          },
        },
        bindingVersion: '0.3.0',
      },
    },
  };
}

const constantCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();

/** How a session ends by the server; from 4500 on a client does not come back as it is. */
function closeCodes(): Json[] {
  const statuses = new Map<number, string>(
    Object.entries(grpcStatus).map(([name, code]) => [code, constantCase(name)]),
  );
  const own = Object.entries(errorCodes).flatMap(([error, spec]) =>
    'close' in spec && spec.close !== undefined
      ? [
          {
            code: spec.close,
            error,
            grpc_status: statuses.get(spec.grpc),
            reconnect: spec.close < 4500,
            meaning: spec.title,
          },
        ]
      : [],
  );
  const other = { code: DEFAULT_CLOSE, reconnect: true, meaning: 'Any other error, with the gRPC status of its own' };
  return [...own, other].sort((a, b) => a.code - b.code);
}

function schemasOf(comments: Comments): Json {
  const schemas = new Map<string, Json>();
  for (const [envelope, writer] of [
    [ClientEnvelopeSchema, 'client'],
    [ServerEnvelopeSchema, 'server'],
  ] as const) {
    for (const [name, message] of messagesOf(envelope)) {
      if (schemas.has(name)) throw new Error(`${name} is sent by both sides`);
      schemas.set(name, messageSchema(message, writer, comments));
    }
  }
  return Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The document as plain data. */
export function asyncapiDocument(): Json {
  const comments = readComments();
  const events = eventMessages(comments);
  const names = Object.keys(events);
  return {
    asyncapi: '3.0.0',
    id: 'urn:ridestream:streams',
    info: { ...info, tags },
    defaultContentType: 'application/json',
    servers,
    channels: {
      ...Object.fromEntries(streams.map(({ id, channel }) => [id, channel])),
      [EVENTS_ID]: eventsChannel(names),
    },
    operations: {
      ...Object.fromEntries(streams.flatMap(operationsOf)),
      [`${EVENTS_ID}_send`]: eventsOperation(names),
    },
    components: {
      messages: { ...envelopeMessages(comments), ...events },
      schemas: schemasOf(comments),
      correlationIds: {
        corr_id: { description: 'Chosen by the client, echoed in the answer.', location: '$message.payload#/corr_id' },
      },
      securitySchemes,
    },
    'x-close-codes': closeCodes(),
  };
}

export const asyncapiYaml = (): string =>
  HEAD + stringify(asyncapiDocument(), { lineWidth: 120, aliasDuplicateObjects: false });

if (import.meta.main) await writeFile(ASYNCAPI_FILE, asyncapiYaml());
