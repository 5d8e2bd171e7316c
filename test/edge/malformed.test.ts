/** Messages that cannot be decoded, or are of no known kind, on every transport: a typed refusal, and the session lives on. */
import t from 'tap';
import { connect, encodeClient, openGrpc, openWebSocket } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { member, somewhere } from '../scene.ts';
import { isRefused, livesOn } from './streams.ts';

const WIRE = 'as proto/ride/v1/ride.proto says';
const KINDS = /^one of location_update, location_batch, .*received, check_in_reply$/;

const s = await build(t);

t.test('REST', async (t) => {
  const rider = await member(s, 'rider');
  const json = { code: 'RIDE_MALFORMED', field: 'body', rule: 'JSON' };
  const bad: [name: string, body: string, problem: object][] = [
    ['cut off', '{"pickup":{"lat":1', json],
    ['a NaN literal', '{"pickup":{"lat":NaN,"lng":1}}', json],
    ['an Infinity literal', '{"pickup":{"lat":-Infinity,"lng":1}}', json],
    ['nothing', '', json],
    ['a poisoned prototype', '{"__proto__":{"rider_id":"x"}}', json],
    ['no object', '[]', { code: 'RIDE_INVALID_INPUT', field: 'body', rule: 'object' }],
    ['null', 'null', { code: 'RIDE_INVALID_INPUT', field: 'body', rule: 'object' }],
  ];
  for (const [name, body, problem] of bad) {
    const answer = await s.rest('POST', '/api/v1/trips', rider.token, body);
    t.equal(answer.status, 400, name);
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/, name);
    t.hasStrict(answer.body, { ...problem, status: 400 }, name);
    t.equal(answer.body.type, `/docs/errors#${answer.body.code.toLowerCase()}`, name);
  }
  const form = await s.rest('POST', '/api/v1/trips', rider.token, 'pickup=here', { 'content-type': 'text/plain' });
  t.equal(form.status, 415);
  t.hasStrict(form.body, { code: 'RIDE_UNSUPPORTED_MEDIA_TYPE', field: 'Content-Type', rule: 'application/json' });
  const nowhere = await s.rest('GET', '/api/v1/flights', rider.token);
  t.equal(nowhere.status, 404, 'an unknown resource');
  t.hasStrict(nowhere.body, { code: 'RIDE_NOT_FOUND' });
  const method = await s.rest('DELETE', '/api/v1/trips/trip_x', rider.token);
  t.equal(method.status, 405, 'a method that the resource does not have');
  t.equal(method.headers.get('allow'), 'GET, HEAD');
  t.hasStrict(method.body, { code: 'RIDE_METHOD_NOT_ALLOWED', field: 'method', rule: 'GET, HEAD' });
  const asked = await s.rest('QUERY', '/api/v1/trips/trip_x', rider.token);
  t.equal(asked.status, 405, 'before anything is said of a body');
  t.equal(asked.headers.get('allow'), 'GET, HEAD');
  t.same((await s.rest('GET', '/api/v1/trips', rider.token)).body, { items: [] }, 'nothing was written');
});

t.test('WebSocket in JSON', async (t) => {
  const { token } = await member(s, 'driver');
  const peer = await connect(t, s.at, 'websocket-json', token);
  const bad: [name: string, text: string, field: string][] = [
    ['cut off', '{"heartbeat":', 'payload'],
    ['no JSON', 'hello', 'payload'],
    ['a list', '[{"heartbeat":{}}]', 'payload'],
    ['null', 'null', 'payload'],
    ['a text', '"heartbeat"', 'payload'],
    ['a NaN literal', '{"location_update":{"lat":NaN}}', 'payload'],
    ['a text for a number', '{"location_update":{"lat":"north"}}', 'lat'],
    ['a number past all numbers', '{"location_update":{"lat":1e400}}', 'lat'],
    ['a broken 64-bit integer', '{"location_update":{"recorded_at_ms":"12.5"}}', 'recorded_at_ms'],
    ['an unknown field', '{"location_update":{"latitude":1}}', 'latitude'],
    ['an unknown status', '{"ride_status":{"status":"STATUS_FLYING"}}', 'payload'],
    ['two messages in one', '{"heartbeat":{},"typing":{}}', 'payload'],
    ['half a surrogate pair', '{"chat_send":{"text":"\\ud800"}}', 'text'],
    ['an object for a text', '{"corr_id":{},"heartbeat":{}}', 'corr_id'],
    ['deep nesting', '['.repeat(20_000), 'payload'],
  ];
  for (const [name, text, field] of bad) {
    peer.raw(text);
    const answer = await peer.next((m) => m.error, name);
    isRefused(t, answer, { code: 'RIDE_MALFORMED', field, rule: WIRE }, name);
    t.notOk(answer.error.retryable, name);
    await livesOn(t, peer, name);
  }
  peer.raw('{"corr_id":"mine","location_update":{"lat":"north"}}');
  t.equal((await peer.next((m) => m.error)).corr_id, 'mine', 'the refusal finds its asker');
});

t.test('WebSocket in JSON: unknown messages', async (t) => {
  const { token } = await member(s, 'driver');
  const peer = await connect(t, s.at, 'websocket-json', token);
  const unknown = { code: 'RIDE_UNKNOWN_MESSAGE', rule: KINDS };
  isRefused(t, await peer.ask({ fly: {} }), { ...unknown, field: 'fly' }, 'a kind of no name');
  isRefused(t, await peer.ask({}), { ...unknown, field: 'payload' }, 'an empty envelope');
  isRefused(t, await peer.ask({ welcome: {} }), { ...unknown, field: 'welcome' }, 'a message of the server');
  await livesOn(t, peer, 'unknown messages');
  const long = 'x'.repeat(500);
  const answer = await peer.ask({ [long]: {} });
  t.equal(answer.error.field, 'x'.repeat(64), 'what is echoed is bounded');
});

const badBytes: [name: string, bytes: readonly number[]][] = [
  ['a length past the end', [0x0a, 0x05, 0x41]],
  ['a varint without an end', [0xff, 0xff, 0xff]],
  ['an illegal wire type', [0x07]],
  ['a text that is not UTF-8', [0x0a, 0x02, 0xff, 0xfe]],
  ['a double that is cut off', [0x52, 0x02, 0x09, 0x01]],
  ['JSON', [...Buffer.from('{"heartbeat":{}}')]],
];
/** Field 100 of the envelope: of a newer contract than the server's. */
const UNKNOWN_FIELD = Buffer.from([0xa2, 0x06, 0x00]);

for (const transport of ['websocket-protobuf', 'grpc'] as const) {
  t.test(`${transport}: malformed and unknown`, async (t) => {
    const { token } = await member(s, 'driver');
    const peer = await connect(t, s.at, transport, token);
    for (const [name, bytes] of badBytes) {
      peer.raw(Buffer.from(bytes));
      const answer = await peer.next((m) => m.error, name);
      isRefused(t, answer, { code: 'RIDE_MALFORMED', field: 'payload', rule: WIRE }, name);
      await livesOn(t, peer, name);
    }
    const unknown = { code: 'RIDE_UNKNOWN_MESSAGE', field: 'payload', rule: KINDS };
    isRefused(t, await peer.ask({}), unknown, 'an empty envelope');
    peer.raw(Buffer.concat([encodeClient({ corr_id: 'newer' }), UNKNOWN_FIELD]));
    const answer = await peer.inbox.find((m) => m.corr_id === 'newer');
    isRefused(t, answer, unknown, 'a message of a newer contract');
    peer.raw(Buffer.concat([encodeClient({ corr_id: 'both', heartbeat: {} }), UNKNOWN_FIELD]));
    t.ok(
      (await peer.inbox.find((m) => m.corr_id === 'both')).ack,
      'an unknown field beside a known message is skipped',
    );
  });
}

t.test('a WebSocket takes text and binary by the kind of the frame, and answers in its subprotocol', async (t) => {
  const { token } = await member(s, 'rider');
  const peer = await openWebSocket(s.at, 'websocket-protobuf', token);
  t.after(() => peer.cut());
  peer.raw('{"corr_id":"as-text","heartbeat":{}}');
  t.ok((await peer.inbox.find((m) => m.corr_id === 'as-text')).ack);
});

t.test('a text frame that is not UTF-8 ends a WebSocket with 1007', async (t) => {
  const { token } = await member(s, 'rider');
  const peer = await openWebSocket(s.at, 'websocket-json', token);
  // `ws` checks what it sends; below it nobody does.
  const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]);
  (peer.socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(frame);
  t.equal((await peer.ended).code, 1007);
});

t.test('a stream that is no gRPC message ends with a status and takes nobody along', async (t) => {
  const { token } = await member(s, 'driver');
  const other = await connect(t, s.at, 'grpc', token);
  const peer = openGrpc(s.at, token);
  await peer.next((m) => m.welcome);
  peer.raw(Buffer.alloc(300_000));
  const { code } = await peer.ended;
  t.equal(code, 8, 'RESOURCE_EXHAUSTED: far over the size limit');
  await livesOn(t, other, 'another session of the same user');
});

t.test('nothing of all this was written', async (t) => {
  const operator = await member(s, 'admin');
  const { body } = await s.rest('GET', '/admin/stats', operator.token);
  t.equal(
    Object.values(body.trips as Record<string, number>).reduce((a, b) => a + b, 0),
    0,
    'no trip',
  );
  t.equal(body.drivers.available, 0, 'no driver');
  const near = await s.rest(
    'GET',
    `/api/v1/drivers/nearby?lat=${somewhere().lat}&lng=0&radius_m=100000`,
    operator.token,
  );
  t.same(near.body.items, []);
});

t.end();
