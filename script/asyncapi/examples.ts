/** One example of each message as it travels: what clients send by their definitions, what the server says by its own encoder. */
import { encodeEnvelope, frameOf, kindOf, peek } from '../../src/realtime/envelope.ts';
import { Frame } from '../../src/realtime/frame.ts';
import type { ClientMessage, ServerMessage } from '../../src/realtime/messages/definition.ts';
import { clientMessages, serverMessages } from '../../src/realtime/messages/index.ts';
import type { ServerPayload } from '../../src/realtime/payload.ts';
import type { Json } from './schemas.ts';

const NOW = 1421322000000;
const TOPICS: Record<string, string> = {
  trip: 'trip:trip_nyc_01jd0000000000000000000003',
  booking: 'booking:bkg_nyc_01jd0000000000000000000007',
  user: 'user:driver-1',
  presence: 'presence:driver-1',
  zone: 'zone:872a100d2ffffff',
  city: 'city:nyc',
  sos: 'sos:alerts',
};

/** What the server says to one session, and whether it is an answer. */
const replies: { answers: boolean; payload: ServerPayload }[] = [
  {
    answers: false,
    payload: {
      case: 'welcome',
      value: {
        sessionId: 'ses_nyc_01jd0000000000000000000000',
        userId: 'driver-1',
        role: 'driver',
        serverTimeMs: NOW,
        heartbeatIntervalMs: 5000,
        heartbeatTimeoutMs: 15_000,
        maxPayloadBytes: 65_536,
        activeTripIds: ['trip_nyc_01jd0000000000000000000003'],
        reconnectToken: 'pXq0s7Zt1mYw5bKc9uGd3hRf',
        restoredTopics: ['trip:trip_nyc_01jd0000000000000000000003'],
      },
    },
  },
  { answers: true, payload: { case: 'ack', value: { accepted: 1, serverTimeMs: NOW } } },
  {
    answers: true,
    payload: {
      case: 'error',
      value: {
        code: 'RIDE_RATE_LIMITED',
        message: 'Too many messages: at most 100 general messages in 60 s',
        rule: 'at most 100 general messages in 60 s',
        retryable: true,
        retryAfterMs: 600,
      },
    },
  },
  { answers: false, payload: { case: 'goAway', value: { reason: 'draining', reconnectAfterMs: 3120 } } },
  {
    answers: true,
    payload: {
      case: 'subscribed',
      value: {
        topic: 'trip:trip_nyc_01jd0000000000000000000003',
        recovered: true,
        offset: 3,
        epoch: 'a81b6c02',
        replayed: 3,
      },
    },
  },
];

/** What stands in the text frame. */
const asJson = (frame: Frame): Json => JSON.parse(frame.text.toString());

function published({ kind, delivery, topics, example, toWire }: ServerMessage): Json {
  const topic = TOPICS[topics[0]!]!;
  const eventId = delivery === 'ordered' ? `evt_nyc_01jd0000000000000000000004.${kind}` : '';
  const header = { lamport: 61, nodeId: 'n2', sequence: 3, eventId, topic, sentAtMs: NOW };
  const payload = encodeEnvelope(header, toWire(example as never));
  const place = delivery === 'ordered' ? { offset: 3, epoch: 'a81b6c02' } : { offset: 0, epoch: '' };
  return asJson(frameOf({ topic, payload, ...place }, peek(payload)));
}

/** By kind. */
export const clientExamples: Readonly<Record<string, Json>> = Object.fromEntries(
  (Object.values(clientMessages) as ClientMessage[]).map(({ kind, example }) => [
    kind,
    { corr_id: '7', [kind]: example },
  ]),
);

/** By kind. */
export const serverExamples: Readonly<Record<string, Json>> = Object.fromEntries([
  ...replies.map(({ answers, payload }) => {
    const header = { corrId: answers ? '7' : '', lamport: 44, nodeId: 'n1', sequence: 9, sentAtMs: NOW };
    const kind = kindOf(payload.case);
    return [kind, asJson(new Frame(encodeEnvelope(header, payload), kind))];
  }),
  ...(Object.values(serverMessages) as ServerMessage[]).map((message) => [message.kind, published(message)]),
]);
