/** What is made up on purpose gets a refusal and never a failure of the server. */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import t from 'tap';
import { createRedisBus } from '../../src/adapters/redis/bus.ts';
import { withScripts } from '../../src/adapters/redis/scripts.ts';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { openEvents } from '../clients/events.ts';
import { connect, encodeServer } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { quiet } from '../realtime/node.ts';
import { assignedRide, member } from '../scene.ts';

t.test('a token that is named twice is no token', async (t) => {
  const s = await build(t);
  for (const path of [
    '/ws?access_token=a&access_token=b',
    '/api/v1/trips/x/events/stream?access_token=a&access_token=b',
  ]) {
    const { status, body } = await s.rest('GET', path);
    t.equal(status, 401, path);
    t.equal(body.code, 'RIDE_UNAUTHENTICATED');
  }
});

t.test('a page token that was made up, digest and all, is refused', async (t) => {
  const s = await build(t);
  const admin = await s.token('admin', 'admin-1');
  for (const body of ['null', '{}', '[{"a":1},"x"]', '[[1],{}]', '[1]', 'notjson']) {
    const all = JSON.stringify(['trips', [], 'createdAt', 'desc', body]);
    const digest = createHash('sha256').update(all).digest('base64url').slice(0, 16);
    const token = Buffer.from(digest + body).toString('base64url');
    const answer = await s.rest('GET', `/api/v1/trips?page_token=${token}`, admin);
    t.equal(answer.status, 400, body);
    t.equal(answer.body.field, 'page_token', body);
  }
});

t.test('an SOS names a trip, not a book', async (t) => {
  const s = await build(t);
  const rider = await s.ws('/ws/client', await s.token('rider', 'rider-1'));
  const { error } = await rider.ask({ sos_trigger: { trip_id: 't'.repeat(12_000) } });
  t.hasStrict(error, { code: 'RIDE_INVALID_INPUT', field: 'trip_id' });
  t.ok((await rider.ask({ sos_trigger: { trip_id: '' } })).ack);
});

t.test('what someone else publishes on a channel is ignored, and what follows it arrives', async (t) => {
  const s = await build(t);
  const rider = await s.ws('/ws/client', await s.token('rider', 'rider-1'));
  t.ok((await rider.ask({ subscribe: { topic: 'user:rider-1' } })).subscribed);
  const redis = new Redis(s.redisUrl);
  t.teardown(() => redis.disconnect());
  const topic = 'user:rider-1';
  const ours = Buffer.concat([
    Buffer.from('\n'),
    encodeServer({ topic, typing_notice: { trip_id: 'trip-1', user_id: 'driver-1', active: true } }),
  ]);
  // Without a header; with one that names no place; with bytes that are no fields; with a field that is cut off.
  for (const forged of [
    '',
    'hello',
    'hello\n',
    'e x\n',
    'e -1\n',
    'e 1e99\n',
    '\nhello',
    '\n\x80',
    '\n\x0a\xff',
    '@x\nhello',
  ]) {
    await redis.publish(topic, Buffer.from(forged, 'latin1'));
    await redis.publish(topic, ours);
    t.ok(await rider.next((m) => m.typing_notice, 'the notice after it'), JSON.stringify(forged));
  }
});

t.test(
  'a message that is sound outside and broken inside ends nobody, on any transport, and leaves no hole',
  async (t) => {
    const s = await build(t);
    const ride = await assignedRide(t, s);
    const topic = `trip:${ride.id}`;
    const redis = new Redis(s.redisUrl);
    t.teardown(() => redis.disconnect());
    const bus = createRedisBus(withScripts(redis), {
      url: s.redisUrl,
      historyLength: 256,
      historyTtlMs: 60_000,
      onError() {},
      log: quiet,
    });
    t.teardown(() => bus.close());
    const { fields } = ServerEnvelopeSchema.oneofs[0]!;
    const text = await connect(t, s.at, 'websocket-json', ride.rider.token);
    const { token } = await member(s, 'admin');
    const others = [await connect(t, s.at, 'websocket-json', token), await connect(t, s.at, 'websocket-json', token)];
    for (const peer of [text, ...others]) await peer.ask({ subscribe: { topic } });
    const headers = { authorization: `Bearer ${ride.rider.token}` };
    const events = await openEvents(t, s.at.http, `/api/v1/trips/${ride.id}/events/stream`, headers);
    await events.next((m) => m.subscribed);
    // The tag of a payload, its length, and a field that is cut off.
    const trip = fields.find(({ name }) => name === 'trip_event')!.number;
    const tagOf = (field: number): number[] => [(((field << 3) | 2) % 0x80) | 0x80, (field << 3) >> 7];
    const inside = (field: number): Buffer => Buffer.from([...tagOf(field), 1, 0xff]);
    const wrap = (payload: Buffer): Buffer => Buffer.concat([Buffer.from('\n'), payload]);
    for (const { name, number } of fields) {
      const whole = encodeServer({ topic, typing_notice: { trip_id: ride.id, user_id: name, active: true } });
      await redis.publish(topic, wrap(inside(number)));
      await redis.publish(topic, wrap(whole));
      for (const peer of [text, ...others, events]) {
        t.ok(await peer.next((m) => m.typing_notice?.user_id === name, `the notice after ${name}`), name);
      }
    }
    // One that is remembered keeps its place, for who is there and for who comes back.
    t.equal(await bus.publishOrdered(topic, inside(trip)), 'published');
    t.equal(await bus.publishOrdered(topic, Buffer.from([0xff])), 'published', 'nor need it be an envelope');
    const chat = { trip_id: ride.id, message_id: 'm', text: 'after it' };
    t.equal(await bus.publishOrdered(topic, Buffer.from(encodeServer({ topic, chat_message: chat }))), 'published');
    for (const peer of [text, ...others, events]) t.ok(await peer.next((m) => m.chat_message, 'what came after it'));
    const back = await connect(t, s.at, 'websocket-json', ride.rider.token);
    const { subscribed } = await back.ask({ subscribe: { topic, since_offset: '0' } });
    t.equal(subscribed?.recovered, true);
    t.ok(await back.next((m) => m.chat_message, 'it again'));
  },
);
