/** Messages that can be decoded and break a rule: each is refused by field and rule on every transport, and leaves no trace. */
import t from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { member } from '../scene.ts';
import { type BadMessage, isRefused, livesOn, nothingWritten, refusedAlike } from './streams.ts';

const s = await build(t, { env: { MAX_PAYLOAD_BYTES: '4096', LOCATION_BATCH_MAX: '3' } });

const LAT = 'a number from -90 to 90';
const LNG = 'a number from -180 to 180';
const fix = (more: object): Message => ({ lat: 1, lng: 2, recorded_at_ms: Date.now(), ...more });
const position = (more: object): Message => ({ location_update: fix(more) });
const invalid = (field: string, rule: string | RegExp) => ({ code: 'RIDE_INVALID_INPUT', field, rule });
const notANumber = ['websocket-protobuf', 'grpc'] as const;
const asText = ['websocket-json'] as const;

const positions: BadMessage[] = [
  { name: 'north of the pole', message: position({ lat: 90.0001 }), refusal: invalid('lat', LAT) },
  { name: 'south of the pole', message: position({ lat: -91 }), refusal: invalid('lat', LAT) },
  { name: 'east of the date line', message: position({ lng: 180.1 }), refusal: invalid('lng', LNG) },
  { name: 'west of the date line', message: position({ lng: -1e9 }), refusal: invalid('lng', LNG) },
  { name: 'no latitude', message: { location_update: { lng: 1, recorded_at_ms: 1 } }, refusal: invalid('lat', LAT) },
  { name: 'no longitude', message: { location_update: { lat: 1, recorded_at_ms: 1 } }, refusal: invalid('lng', LNG) },
  { name: 'a real NaN', message: position({ lat: Number.NaN }), refusal: invalid('lat', LAT), only: notANumber },
  { name: 'real infinity', message: position({ lng: Infinity }), refusal: invalid('lng', LNG), only: notANumber },
  { name: '"NaN"', message: position({ lat: 'NaN' }), refusal: invalid('lat', LAT), only: asText },
  { name: '"Infinity"', message: position({ lng: '-Infinity' }), refusal: invalid('lng', LNG), only: asText },
  {
    name: 'no time',
    message: { location_update: { lat: 1, lng: 1 } },
    refusal: invalid('recorded_at_ms', 'epoch milliseconds'),
  },
  {
    name: 'a time before 1970',
    message: position({ recorded_at_ms: -5 }),
    refusal: invalid('recorded_at_ms', 'epoch milliseconds'),
  },
  {
    name: 'a time to come',
    message: position({ recorded_at_ms: Date.now() + 3_600_000 }),
    refusal: invalid('recorded_at_ms', /^at most \d+ ms ahead of the server's clock$/),
  },
  {
    name: 'backwards',
    message: position({ speed_mps: -1 }),
    refusal: invalid('speed_mps', 'a number from 0 to 150'),
  },
  {
    name: 'a heading past the circle',
    message: position({ heading_deg: 360.5 }),
    refusal: invalid('heading_deg', 'a number from 0 to 360'),
  },
  {
    name: 'an accuracy below zero',
    message: position({ accuracy_m: -0.1 }),
    refusal: invalid('accuracy_m', 'a number from 0 to 100000'),
  },
  {
    name: 'one of a batch',
    message: { location_batch: { updates: [fix({}), fix({ lat: 95 })] } },
    refusal: invalid('updates[1].lat', LAT),
  },
  {
    name: 'an empty batch',
    message: { location_batch: { updates: [] } },
    refusal: invalid('updates', 'a list of 1 to 3 positions'),
  },
  {
    name: 'a batch too long',
    message: { location_batch: { updates: [fix({}), fix({}), fix({}), fix({})] } },
    refusal: invalid('updates', 'a list of 1 to 3 positions'),
  },
];

const ofDrivers: BadMessage[] = [
  {
    name: 'no status',
    message: { ride_status: {} },
    refusal: invalid('status', 'a status other than STATUS_UNSPECIFIED'),
  },
  {
    name: 'a step of no trip',
    message: { ride_status: { status: 'STATUS_ARRIVED' } },
    refusal: invalid('trip_id', 'the id of the trip that this is a step of'),
  },
  {
    name: 'a reply to no offer',
    message: { offer_reply: { trip_id: 'x', accept: true } },
    refusal: invalid('offer_id', 'the id of the offer'),
  },
  {
    name: 'a reply for no trip',
    message: { offer_reply: { offer_id: 'x', accept: true } },
    refusal: invalid('trip_id', 'the id of the offered trip'),
  },
  {
    name: 'a long reason',
    message: { offer_reply: { offer_id: 'x', trip_id: 'y', reason: 'r'.repeat(201) } },
    refusal: invalid('reason', 'at most 200 characters'),
  },
];

const NO_TRIP = { code: 'RIDE_NOT_FOUND', field: 'trip_id', rule: 'the id of a trip' };
const ofEveryone: BadMessage[] = [
  {
    name: 'half a place',
    message: { sos_trigger: { lat: 1 } },
    refusal: invalid('lng', 'given together with the other coordinate'),
  },
  { name: 'a place off the earth', message: { sos_trigger: { lat: 91, lng: 1 } }, refusal: invalid('lat', LAT) },
  {
    name: 'a long cry',
    message: { sos_trigger: { note: 'x'.repeat(1001) } },
    refusal: invalid('note', 'at most 1000 characters'),
  },
  {
    name: 'no topic',
    message: { subscribe: { topic: '' } },
    refusal: invalid(
      'topic',
      'trip:<id>, order:<id>, booking:<id>, user:<id>, presence:<user id>, zone:<h3>, city:<city> or sos:alerts; the id is 1 to 180 printable ASCII characters without a space or a brace',
    ),
  },
  {
    name: 'a topic of no kind',
    message: { subscribe: { topic: 'weather:today' } },
    refusal: invalid('topic', /^trip:<id>/),
  },
  {
    name: 'a topic with braces',
    message: { subscribe: { topic: 'presence:x{y}' } },
    refusal: invalid('topic', /without a space or a brace$/),
  },
  {
    name: 'a topic with a line break',
    message: { subscribe: { topic: 'trip:a\nb' } },
    refusal: invalid('topic', /^trip:<id>/),
  },
  {
    name: 'a topic without an end',
    message: { subscribe: { topic: `zone:${'8'.repeat(300)}` } },
    refusal: invalid('topic', /^trip:<id>/),
  },
  {
    name: 'a trip that is none',
    message: { subscribe: { topic: 'trip:nope' } },
    refusal: { ...NO_TRIP, field: 'topic' },
  },
  {
    name: 'nothing received',
    message: { received: {} },
    refusal: invalid('event_id', 'the id of a message that arrived'),
  },
  {
    name: 'a message without text',
    message: { chat_send: { trip_id: 'x', message_id: 'm', text: '  ' } },
    refusal: invalid('text', '1 to 2000 characters'),
  },
  {
    name: 'a novel',
    message: { chat_send: { trip_id: 'x', message_id: 'm', text: 'x'.repeat(2001) } },
    refusal: invalid('text', '1 to 2000 characters'),
  },
  {
    name: 'a message without an id',
    message: { chat_send: { trip_id: 'x', text: 'hello' } },
    refusal: invalid('message_id', '1 to 64 characters'),
  },
  {
    name: 'chat of no trip',
    message: { chat_send: { trip_id: 'nope', message_id: 'm', text: 'hello' } },
    refusal: NO_TRIP,
  },
  { name: 'typing in no trip', message: { typing: { trip_id: 'nope', active: true } }, refusal: NO_TRIP },
];

t.test('a driver’s messages', (t) => refusedAlike(t, s, 'driver', [...positions, ...ofDrivers, ...ofEveryone]));
t.test('a rider’s messages', (t) => refusedAlike(t, s, 'rider', ofEveryone));

t.test('what only drivers send', async (t) => {
  const forbidden = (field: string, rule: string) => ({ code: 'RIDE_FORBIDDEN', field, rule });
  const cases: BadMessage[] = [
    {
      name: 'a location',
      message: position({}),
      refusal: forbidden('location_update', 'sent by driver'),
    },
    {
      name: 'locations',
      message: { location_batch: { updates: [fix({})] } },
      refusal: forbidden('location_batch', 'sent by driver'),
    },
    {
      name: 'an answer to an offer',
      message: { offer_reply: { offer_id: 'x', trip_id: 'y', accept: true } },
      refusal: forbidden('offer_reply', 'sent by driver'),
    },
  ];
  const status = { message: { ride_status: { status: 'STATUS_LOOKING' } }, name: 'a status' };
  for (const role of ['rider', 'admin', 'dispatcher', 'service']) {
    const more = role === 'rider' ? [] : [{ ...status, refusal: forbidden('ride_status', 'sent by driver or rider') }];
    await refusedAlike(t, s, role, [...cases, ...more]);
  }
  await refusedAlike(t, s, 'rider', [
    {
      name: 'a step of a driver',
      message: { ride_status: { status: 'STATUS_ARRIVED', trip_id: 'x' } },
      refusal: forbidden('status', 'STATUS_LOOKING or STATUS_OFFLINE'),
    },
  ]);
});

t.test('oversized: over the limit a refusal, far over it the end', async (t) => {
  const rule = 'at most 4096 bytes';
  for (const transport of transports) {
    const { token } = await member(s, 'driver');
    const peer = await connect(t, s.at, transport, token);
    peer.send({ heartbeat: { app_version: 'x'.repeat(5000) } });
    const answer = await peer.next((m) => m.error);
    isRefused(t, answer, { code: 'RIDE_PAYLOAD_TOO_LARGE', field: 'payload', rule }, transport);
    await livesOn(t, peer, transport);
    peer.send({ heartbeat: { app_version: 'x'.repeat(50_000) } });
    const { code } = await peer.ended;
    t.equal(code, transport === 'grpc' ? 8 : 1009, `${transport}: the end`);
    await livesOn(t, await connect(t, s.at, transport, token), `${transport}: and again`);
  }
});

t.test('a long corr_id is refused, on every transport', async (t) => {
  for (const transport of transports) {
    const { token } = await member(s, 'rider');
    const peer = await connect(t, s.at, transport, token);
    peer.send({ corr_id: 'c'.repeat(65), heartbeat: {} });
    isRefused(t, await peer.next((m) => m.error), invalid('corr_id', 'at most 64 characters'), transport);
    await livesOn(t, peer, transport);
  }
});

t.test('nothing of all this was written', (t) => nothingWritten(t, s, 0));
t.end();
