/** Bounds of a node: sessions, subscriptions, and what an abrupt client leaves behind. */
import { Redis } from 'ioredis';
import t from 'tap';
import { connect, openGrpc, openWebSocket, type Peer, transports, UpgradeRefused } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide, member, requestedTrip, somewhere } from '../scene.ts';
import { until } from '../until.ts';
import { isRefused, livesOn } from './streams.ts';

const RESOURCE_EXHAUSTED = 8;

t.test(
  'MAX_SESSIONS: one more is refused with a hint when to come back, and a freed place is given away',
  async (t) => {
    const s = await build(t, { env: { MAX_SESSIONS: '3' } });
    const { token } = await member(s, 'rider');
    const peers: Peer[] = [];
    for (const transport of transports) peers.push(await connect(t, s.at, transport, token));

    const error = await openWebSocket(s.at, 'websocket-json', token).catch((thrown: unknown) => thrown);
    t.ok(error instanceof UpgradeRefused);
    t.hasStrict(error, {
      status: 503,
      headers: { 'retry-after': '1' },
      body: { code: 'RIDE_TOO_MANY_SESSIONS', retry_after_ms: 1000 },
    });
    const refused = await openGrpc(s.at, token).ended;
    t.equal(refused.code, RESOURCE_EXHAUSTED);
    t.hasStrict(refused.trailers, { 'ride-code': 'RIDE_TOO_MANY_SESSIONS', 'ride-retry-after-ms': '1000' });
    for (const peer of peers) await livesOn(t, peer, `${peer.transport}, in already`);
    t.equal((await s.rest('GET', '/api/v1/trips', token)).status, 200, 'REST needs no place');

    for (const peer of peers) {
      peer.cut();
      const operator = await member(s, 'admin');
      const sessions = async () => (await s.rest('GET', '/admin/stats', operator.token)).body.sessions.total;
      await until(async () => (await sessions()) === 2, 'the place to be free');
      await livesOn(t, await connect(t, s.at, peer.transport, token), `${peer.transport}, in the freed place`);
    }
  },
);

t.test('subscriptions of one session are bounded; the one too many does no harm', async (t) => {
  const s = await build(t, { env: { MAX_SUBSCRIPTIONS: '4' } });
  for (const transport of transports) {
    const { token } = await member(s, 'admin');
    const peer = await connect(t, s.at, transport, token);
    // The session's own topic counts.
    for (const n of [1, 2, 3]) t.ok((await peer.ask({ subscribe: { topic: `zone:z${n}` } })).subscribed);
    const refusal = { code: 'RIDE_INVALID_INPUT', field: 'topic', rule: 'one of at most 4 topics at a time' };
    isRefused(t, await peer.ask({ subscribe: { topic: 'zone:z4' } }), refusal, transport);
    t.ok((await peer.ask({ subscribe: { topic: 'zone:z1' } })).subscribed, 'one that is followed already is no more');
    t.ok((await peer.ask({ unsubscribe: { topic: 'zone:z1' } })).ack);
    t.ok((await peer.ask({ unsubscribe: { topic: 'zone:z1' } })).ack, 'to end it again is no error');
    t.ok((await peer.ask({ subscribe: { topic: 'zone:z4' } })).subscribed, 'there is room again');
  }
});

t.test('a client that keeps its own books may follow one topic after the other for as long as it lives', async (t) => {
  const s = await build(t, { env: { MAX_SUBSCRIPTIONS: '4' } });
  const { token } = await member(s, 'admin');
  const peer = await connect(t, s.at, 'websocket-json', token);
  for (let n = 1; n <= 6; n++) {
    const topic = `zone:z${n}`;
    t.ok((await peer.ask({ received: { topic, offset: 0 } })).ack, topic);
    t.ok((await peer.ask({ subscribe: { topic } })).subscribed);
    t.ok((await peer.ask({ unsubscribe: { topic } })).ack);
  }
  for (const n of [1, 2, 3, 4]) t.ok((await peer.ask({ received: { topic: `zone:z${n}`, offset: 0 } })).ack);
  const refusal = { code: 'RIDE_INVALID_INPUT', field: 'topic', rule: 'one of at most 4 topics at a time' };
  isRefused(t, await peer.ask({ received: { topic: 'zone:z5', offset: 0 } }), refusal, 'before any is followed');
});

t.test('positions that cannot be are refused, not taken for a failure of the server', async (t) => {
  const s = await build(t);
  const rider = await member(s, 'rider');
  const { id } = await requestedTrip(s, rider, somewhere());
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, rider.token);
    const first = await peer.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0' } });
    const { epoch, offset } = first.subscribed;
    for (const since_offset of ['18446744073709551615', '9007199254740993', String(Number(offset) + 1)]) {
      const { subscribed } = await peer.ask({ subscribe: { topic: `trip:${id}`, since_offset, epoch } });
      t.notOk(subscribed.recovered, `${transport}: an offset that was never given, ${since_offset}`);
      t.equal(String(subscribed.offset), String(offset), 'the topic is where it was');
    }
    const { subscribed } = await peer.ask({ subscribe: { topic: `trip:${id}`, since_offset: '0', epoch: 'other' } });
    t.notOk(subscribed.recovered, 'an epoch of another life');
    await livesOn(t, peer, transport);
  }
});

t.test('locations are limited alike by stream and by REST, however many a request holds', async (t) => {
  const s = await build(t, { env: { SOCKET_LIMIT_LOCATION: '10', SOCKET_LIMIT_WINDOW: '1h' } });
  const driver = await member(s, 'driver');
  const peer = await connect(t, s.at, 'websocket-json', driver.token);
  const fixes = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ lat: 1, lng: 2, recorded_at_ms: Date.now() - i }));
  const send = (count: number) =>
    s.rest('POST', '/api/v1/drivers/me/locations', driver.token, { updates: fixes(count) });

  t.equal((await send(6)).status, 200);
  t.ok((await peer.ask({ location_batch: { updates: fixes(3) } })).ack);
  const refused = await send(2);
  t.equal(refused.status, 429);
  const rule = 'at most 10 location messages in 3600 s';
  t.hasStrict(refused.body, { code: 'RIDE_RATE_LIMITED', field: 'updates', rule });
  t.ok(refused.body.retry_after_ms > 0);
  t.equal((await send(1)).status, 200, 'what is left');
  t.equal((await send(1)).status, 429);
  const answer = await peer.ask({ location_update: fixes(1)[0] });
  isRefused(t, answer, { code: 'RIDE_RATE_LIMITED', field: '', rule }, 'the stream');
  t.equal((await s.rest('GET', '/api/v1/drivers/me', driver.token)).status, 200, 'other requests go on');
});

t.test(
  'trips of a rider are limited, for each is looked after; a repeat and those of operators are not counted',
  async (t) => {
    const s = await build(t, { env: { TRIP_REQUEST_LIMIT: '3', TRIP_REQUEST_TTL: '1h' } });
    const [rider, other, desk] = [await member(s, 'rider'), await member(s, 'rider'), await member(s, 'service')];
    const at = somewhere();
    const journey = { pickup: at, dropoff: { ...at, lng: at.lng + 0.05 } };
    const ask = (token: string, key: string, more: object = {}) =>
      s.rest('POST', '/api/v1/trips', token, { ...journey, ...more }, { 'idempotency-key': key });
    const contact = { name: 'Ada', phone: '+12125550100' };
    const parcel = { description: 'books', weight_g: 100 };
    const delivery = { ...journey, pickup_contact: contact, dropoff_contact: contact, parcel };

    t.equal(
      (await ask(rider.token, 'one', { pickup: { lat: 91, lng: 0 } })).status,
      400,
      'what cannot be costs nothing',
    );
    t.equal((await ask(rider.token, 'one')).status, 201);
    t.equal((await ask(rider.token, 'two')).status, 201);
    t.equal(
      (await s.rest('POST', '/api/v1/deliveries', rider.token, delivery)).status,
      201,
      'a delivery is one of them',
    );
    const refused = await ask(rider.token, 'four');
    t.equal(refused.status, 429);
    t.hasStrict(refused.body, { code: 'RIDE_RATE_LIMITED', rule: 'at most 3 trips in 3600 s' });
    t.ok(refused.body.retry_after_ms > 0);
    t.ok(Number(refused.headers.get('retry-after')) > 0);
    t.equal((await s.rest('POST', '/api/v1/deliveries', rider.token, delivery)).status, 429);
    for (let i = 0; i < 5; i++) t.equal((await ask(rider.token, 'one')).status, 200, 'the same again');
    t.equal((await ask(other.token, 'one')).status, 201, 'another rider');
    for (let i = 0; i < 5; i++) t.equal((await ask(desk.token, `${i}`, { rider_id: rider.id })).status, 201, 'for him');
    const { items } = (await s.rest('GET', '/api/v1/trips', rider.token)).body;
    t.equal(items.length, 8);
  },
);

t.test('clients that vanish leave nothing behind', async (t) => {
  const s = await build(t);
  const redis = new Redis(s.redisUrl);
  t.after(() => redis.disconnect());
  const ride = await assignedRide(t, s);
  const channels = async () => (await redis.pubsub('CHANNELS', '*')).filter((name) => !String(name).startsWith('bull'));
  const operator = await member(s, 'admin');
  const total = async () => (await s.rest('GET', '/admin/stats', operator.token)).body.sessions.total;
  const before = { channels: await channels(), total: await total() };
  for (const transport of transports) {
    for (let round = 0; round < 5; round++) {
      const peer = await connect(t, s.at, transport, ride.rider.token);
      // Gone while the answers are still being made.
      peer.send({ subscribe: { topic: `trip:${ride.id}`, since_offset: '0' } });
      peer.send({ ride_status: { status: 'STATUS_LOOKING' } });
      peer.send({ chat_send: { trip_id: ride.id, message_id: `${transport}${round}`, text: 'are you there?' } });
      peer.cut();
      await peer.ended;
    }
    // Gone before the welcome, and in the middle of a message.
    if (transport === 'grpc') openGrpc(s.at, ride.rider.token).cut();
    else {
      const peer = await openWebSocket(s.at, transport, ride.rider.token);
      const raw = (peer.socket as unknown as { _socket: { write(b: Buffer): void; destroy(): void } })._socket;
      raw.write(Buffer.from([0x81, 0xfe, 0x10, 0x00, 0, 0, 0, 0, 0x7b]));
      raw.destroy();
    }
  }
  await until(async () => (await total()) === before.total, 'the sessions to be gone');
  await until(async () => (await channels()).length <= before.channels.length, 'the subscriptions to be gone');
  t.same((await channels()).sort(), before.channels.sort(), 'the node follows what it followed');
  await livesOn(t, ride.driver.peer, 'the other side of the trip');
});
t.end();
