/** What is made up on purpose gets a refusal and never a failure of the server. */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import t from 'tap';
import { encodeServer } from '../clients/peer.ts';
import { build } from '../helper.ts';

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
