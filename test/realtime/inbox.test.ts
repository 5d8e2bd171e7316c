/** The offline queue (R11): what is sent to an absent user waits, and arrives once, in order, on his next connection. */
import t, { type Test } from 'tap';
import { readMetrics, sum } from '../clients/metrics.ts';
import { connect, type Peer, refusalOf, resuming, transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import { beside, build, type TestServer } from '../helper.ts';
import { member } from '../scene.ts';
import { until } from '../until.ts';

const INTERVAL_MS = 100;
const env = { HEARTBEAT_INTERVAL: `${INTERVAL_MS}ms`, HEARTBEAT_TIMEOUT: '20s' };

const idsOf = (peer: Peer): string[] => peer.inbox.all.filter((m) => m.notification).map((m) => m.notification.id);
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);

/** A user and what is sent to him. */
async function somebody(t: Test, s: TestServer, historyLength?: number) {
  const user = await member(s, 'rider');
  const topic = `user:${user.id}`;
  const publisher = publisherOn(t, s.redisUrl, historyLength);
  let sent = 0;
  return {
    ...user,
    topic,
    /** Sends so many numbered notes. */
    async send(count: number): Promise<void> {
      for (let i = 0; i < count; i++) {
        const id = `${++sent}`;
        const note = { id, title: 'note', body: '', tripId: '' };
        await publisher.publishOrdered(topic, 'notification', note, `${topic}-${id}`);
      }
    },
    /** What a device without a memory gets by connecting. */
    async gets(server: TestServer, last: number): Promise<string[]> {
      const peer = await connect(t, server.at, 'websocket-json', user.token);
      await peer.inbox.find((m) => m.notification?.id === `${last}`, `note ${last}`);
      peer.cut();
      return idsOf(peer);
    },
  };
}

/** The client is heard of twice, an interval apart: what it was sent before has arrived. */
async function beHeard(peer: Peer): Promise<void> {
  for (let times = 0; times < 2; times++) {
    const from = performance.now();
    await until(() => performance.now() > from + INTERVAL_MS, 'an interval');
    await peer.ask({ heartbeat: {} });
  }
}

/** Where the server believes the user to be. */
const inboxOf = (s: TestServer, id: string): Promise<Record<string, string>> =>
  s.server.app.redis.commands!.hgetall(`inbox:${id}`);

const s = await build(t, { env });

for (const transport of transports) {
  t.test(`${transport}: what came while he was away arrives in order, unasked, and then no more`, async (t) => {
    const user = await somebody(t, s);
    await user.send(150);
    const first = await connect(t, s.at, transport, user.token);
    await user.send(1);
    await first.inbox.find((m) => m.notification?.id === '151', 'the live one');
    t.same(idsOf(first), numbers(1, 151));
    t.notOk(
      first.inbox.all.some((m) => m.subscribed),
      'nothing is missing, so nothing is said',
    );
    await beHeard(first);
    first.cut();
    await user.send(2);
    const second = await connect(t, s.at, transport, user.token);
    await second.inbox.find((m) => m.notification?.id === '153', 'the last');
    t.same(idsOf(second), ['152', '153']);
  });
}

t.test('what may not have arrived comes again: on a line that broke before he was heard of twice', async (t) => {
  const s = await build(t, { env: { ...env, HEARTBEAT_INTERVAL: '5s' } });
  const user = await somebody(t, s);
  await user.send(3);
  const first = await connect(t, s.at, 'grpc', user.token);
  await first.inbox.find((m) => m.notification?.id === '3', 'all');
  for (let i = 0; i < 10; i++) await first.ask({ heartbeat: {} });
  first.cut();
  t.same(await user.gets(s, 3), numbers(1, 3));
});

t.test('a message that was written after he was heard of last is not taken for arrived', async (t) => {
  const user = await somebody(t, s);
  await user.send(2);
  const first = await connect(t, s.at, 'websocket-protobuf', user.token);
  await first.inbox.find((m) => m.notification?.id === '2', 'both');
  const from = performance.now();
  await until(() => performance.now() > from + INTERVAL_MS, 'an interval');
  await first.ask({ heartbeat: {} });
  await user.send(1);
  await first.inbox.find((m) => m.notification?.id === '3', 'the third');
  const then = performance.now();
  await until(() => performance.now() > then + INTERVAL_MS, 'an interval');
  await first.ask({ heartbeat: {} });
  await until(async () => (await inboxOf(s, user.id)).offset === '2', 'the first two are noted');
  first.cut();
  t.same(await user.gets(s, 3), ['3']);
});

t.test('who acknowledges is taken at his word: no less, no more, on every transport', async (t) => {
  for (const transport of transports) {
    const user = await somebody(t, s);
    await user.send(5);
    const first = await connect(t, s.at, transport, user.token);
    const { topic } = user;
    t.ok((await first.ask({ received: { topic, offset: 0 } })).ack, 'he keeps his own books');
    const third = await first.inbox.find((m) => m.notification?.id === '3', 'the third');
    const { epoch } = third;
    await first.inbox.find((m) => m.notification?.id === '5', 'all');
    await beHeard(first);
    t.same(await inboxOf(s, user.id), {}, 'nothing is concluded');
    t.ok((await first.ask({ received: { topic, offset: Number(third.offset), epoch } })).ack);
    t.ok((await first.ask({ received: { topic, offset: 1, epoch } })).ack, 'an old one does no harm');
    t.ok((await first.ask({ received: { topic, offset: 99, epoch: 'gone' } })).ack, 'nor one of another epoch');
    await until(async () => (await inboxOf(s, user.id)).offset === '3', 'it is noted');
    await beHeard(first);
    first.cut();
    t.same(await user.gets(s, 5), ['4', '5'], transport);
  }
});

t.test('who says beforehand that he keeps his own books is believed from the first message on', async (t) => {
  const { token } = await member(s, 'admin');
  for (const transport of transports) {
    const user = await somebody(t, s);
    const { topic } = user;
    await user.send(3);
    const first = await connect(t, s.at, transport, token);
    t.ok((await first.ask({ received: { topic, offset: 0 } })).ack, 'before he follows it');
    t.ok((await first.ask({ subscribe: { topic, since_offset: 0 } })).subscribed.recovered);
    await beHeard(first);
    await beHeard(first);
    const { reconnect_token } = first.inbox.all.find((m) => m.welcome)!.welcome;
    first.cut();
    const second = await connect(t, s.at, transport, undefined, resuming(transport, reconnect_token));
    await second.inbox.find((m) => m.subscribed?.topic === topic, 'the topic again');
    t.same(idsOf(second), numbers(1, 3), transport);
  }
});

t.test('what cannot be acknowledged is refused by field and rule', async (t) => {
  const user = await somebody(t, s);
  await user.send(2);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, user.token);
    const { epoch } = await peer.inbox.find((m) => m.notification?.id === '2', 'both');
    const refused = async (received: object, error: object) =>
      t.hasStrict((await peer.ask({ received })).error, { code: 'RIDE_INVALID_INPUT', ...error });
    await refused({}, { field: 'event_id' });
    await refused({ topic: 'trip:none', offset: 1, epoch }, { field: 'topic', rule: 'one that this session follows' });
    await refused({ topic: 'x'.repeat(201), offset: 0 }, { field: 'topic', rule: 'at most 200 characters' });
    await refused(
      { topic: user.topic, offset: 3, epoch },
      { field: 'offset', rule: 'at most 2, the last that was sent' },
    );
    t.ok((await peer.ask({ received: { event_id: 'e' } })).ack, 'as before');
  }
});

t.test('when some of it is no longer kept, he is told first, and gets the rest', async (t) => {
  const user = await somebody(t, s, 8);
  await user.send(20);
  const before = await readMetrics(s.at.metrics);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, user.token);
    await peer.inbox.find((m) => m.notification?.id === '20', 'the last');
    const ordered = peer.inbox.all.filter((m) => m.subscribed || m.notification);
    t.hasStrict(ordered[0]!.subscribed, { topic: user.topic, replayed: 8 });
    t.notOk(ordered[0]!.subscribed.recovered);
    t.equal(Number(ordered[0]!.subscribed.offset), 12, 'he is before what follows');
    t.same(idsOf(peer), numbers(13, 20));
    peer.cut();
  }
  const after = await readMetrics(s.at.metrics);
  for (const [name, labels, grown] of [
    ['ride_stream_recoveries_total', { outcome: 'inbox_gap' }, transports.length],
    ['ride_stream_replayed_total', { source: 'inbox' }, 8 * transports.length],
  ] as const)
    t.equal(sum(after, name, labels) - sum(before, name, labels), grown, name);
});

t.test('the bounds are settings: how much waits, and how long', async (t) => {
  const s = await build(t, { env: { ...env, INBOX_LENGTH: '3', INBOX_TTL: '4s', HISTORY_LENGTH: '100' } });
  // By its own nodes: what follows from trips is published there.
  const at = { lat: 1, lng: 1 };
  const driver = await member(s, 'driver');
  const { commands } = s.server.app.redis;
  const [history, memory] = [`history:{user:${driver.id}}`, `memory:{user:${driver.id}}`] as const;
  await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, {
    updates: [{ ...at, recorded_at_ms: Date.now() }],
  });
  await s.rest('PUT', '/api/v1/drivers/me/status', driver.token, { status: 'looking' });
  for (let n = 0; n < 3; n++) {
    const rider = await member(s, 'rider');
    const body = { pickup: at, dropoff: { lat: 1.01, lng: 1 } };
    const { id } = (await s.rest('POST', '/api/v1/trips', rider.token, body)).body;
    await until(async () => Number(await commands!.hget(memory, 'offset')) === 2 * n + 1, 'an offer');
    await s.rest('POST', `/api/v1/trips/${id}/cancel`, rider.token, {});
    await until(async () => Number(await commands!.hget(memory, 'offset')) === 2 * n + 2, 'its end');
  }
  t.equal(await commands!.xlen(history), 3);
  await until(async () => (await commands!.exists(history)) === 0, 'what waited too long to be gone');
  t.equal(await commands!.hget(memory, 'offset'), '6', 'that there was something is still known');
  const peer = await connect(t, s.at, 'grpc', driver.token);
  t.notOk((await peer.inbox.find((m) => m.subscribed, 'word of it')).subscribed.recovered);
});

t.test('a long absence is caught up at the pace of the reader, however small its buffer', async (t) => {
  const s = await build(t, { env: { ...env, OUTBOUND_BUFFER: '8' } });
  const user = await somebody(t, s, 4000);
  await user.send(3000);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, user.token);
    peer.pause();
    await user.send(1);
    peer.resume();
    const last = 3000 + transports.indexOf(transport) + 1;
    await peer.inbox.find((m) => m.notification?.id === `${last}`, 'the last');
    t.same(idsOf(peer), numbers(1, last), transport);
    peer.cut();
  }
});

t.test('several devices and nodes: what one has is not sent to the next, and the place never goes back', async (t) => {
  const a = await build(t, { env });
  const b = await build(t, { env: { ...env, ...beside(a) } });
  const user = await somebody(t, a);
  const phone = await connect(t, a.at, 'grpc', user.token);
  const tablet = await connect(t, b.at, 'websocket-json', user.token);
  await user.send(4);
  const last = await phone.inbox.find((m) => m.notification?.id === '4', 'all, on the phone');
  await tablet.inbox.find((m) => m.notification?.id === '4', 'all, on the tablet');
  const { topic } = user;
  const { epoch } = last;
  t.ok((await phone.ask({ received: { topic, offset: 4, epoch } })).ack);
  await until(async () => (await inboxOf(a, user.id)).offset === '4', 'it is noted');
  t.ok((await tablet.ask({ received: { topic, offset: 2, epoch } })).ack);
  // On the same connection to Redis as that write, so after it.
  t.equal((await inboxOf(b, user.id)).offset, '4');

  phone.cut();
  tablet.cut();
  await user.send(1);
  t.same(await user.gets(b, 5), ['5'], 'a third device');
  const token = tablet.inbox.all.find((m) => m.welcome)!.welcome.reconnect_token;
  const back = await connect(t, a.at, 'websocket-json', undefined, resuming('websocket-json', token));
  await back.inbox.find((m) => m.notification?.id === '5', 'the last');
  t.same(idsOf(back), ['3', '4', '5'], 'by its own token a device goes on where it was itself');
});

t.test('Redis away: a token is no sign-in, and the refusal says when to try again', async (t) => {
  const user = await somebody(t, s);
  const peer = await connect(t, s.at, 'websocket-json', user.token);
  const token = peer.inbox.all[0]!.welcome.reconnect_token;
  const redis = s.server.app.redis.commands!;
  redis.disconnect();
  await until(() => redis.status === 'end', 'the connection to be gone');
  for (const transport of transports) {
    const refusal = await refusalOf(s.at, transport, undefined, resuming(transport, token));
    t.hasStrict(refusal, { code: 'RIDE_UNAVAILABLE' }, transport);
  }
  await redis.connect();
  t.equal((await connect(t, s.at, 'grpc', undefined, resuming('grpc', token))).inbox.all.length > 0, true);
});
t.end();
