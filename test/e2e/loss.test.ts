/** What gets lost between Redis and a node while clients are connected is noticed and sent in its place, in order (R10). */
import t, { type Test } from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { type ScriptedRedis, withScripts } from '../../src/adapters/redis/scripts.ts';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import { connect, transports } from '../clients/peer.ts';
import { publisherOn } from '../clients/publisher.ts';
import { Roamer } from '../clients/roamer.ts';
import { build, type TestServer } from '../helper.ts';
import { member } from '../scene.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const CHECK_MS = 300;
const env = { HEARTBEAT_INTERVAL: '200ms', HEARTBEAT_TIMEOUT: '20s' };

function commandsOf(t: Test, s: TestServer): ScriptedRedis {
  const redis = withScripts(connectRedis({ url: s.redisUrl }, () => {}));
  t.after(() => redis.disconnect());
  return redis;
}

const noteOf = (id: number) => ({ id: `${id}`, title: '', body: '', tripId: '' });
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** A user on each transport, and a stream of numbered notes to all of them. */
async function audience(t: Test, s: TestServer) {
  const publisher = publisherOn(t, s.redisUrl, 10_000);
  const users = await Promise.all(
    transports.map(async (transport) => {
      const { id, token } = await member(s, 'rider');
      const roamer = new Roamer({
        at: s.at,
        transport,
        accessToken: token,
        way: 'places',
        heartbeatMs: 200,
        onGoAway() {},
        onError: (error) => t.fail(error),
      });
      t.after(() => roamer.close());
      await until(() => roamer.stays.length === 1, 'his session');
      const topic = `user:${id}`;
      // By his own place, which outlives whatever Redis knew.
      roamer.follow(topic);
      return { topic, roamer };
    }),
  );
  let sent = 0;
  return {
    users,
    get sent(): number {
      return sent;
    },
    /** One note to each; repeats what Redis did not take. */
    async send(): Promise<void> {
      const id = ++sent;
      for (const { topic } of users) {
        const order = { source: 'notes', seq: id };
        const publish = () => publisher.publishOrdered(topic, 'notification', noteOf(id), `${topic}-${id}`, order);
        await until(
          () =>
            publish().then(
              () => true,
              () => false,
            ),
          'Redis to take it',
        );
      }
    },
    /** Everyone has everything, once, in order. */
    async settled(t: Test): Promise<void> {
      for (const { topic, roamer } of users) {
        const taken = (): number[] => (roamer.books.taken.get(topic) ?? []).map((m) => Number(m.notification.id));
        await until(() => taken().at(-1) === sent, `note ${sent} on ${topic}`).catch(() => {});
        t.same(taken(), upTo(sent), topic);
        t.same(roamer.books.holes, [], 'without a hole');
        t.same(roamer.books.turns, [], 'in one epoch');
        t.same(roamer.books.gaps, [], 'and nothing is gone');
      }
    },
  };
}

t.test('connections that listen are killed again and again, and nobody notices', async (t) => {
  const s = await build(t, { env });
  const redis = commandsOf(t, s);
  const all = await audience(t, s);
  let killed = 0;
  for (let round = 0; round < 8; round++) {
    await all.send();
    killed += Number(await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    // What is published now reaches nobody.
    for (let i = 0; i < 5; i++) await all.send();
    const { sent } = all;
    if (round % 2 === 0) {
      await until(() => all.users.every(({ topic, roamer }) => roamer.offsetOf(topic) === sent), 'the repair');
    }
  }
  t.ok(killed >= 4, `${killed} connections were killed`);
  await all.settled(t);
  for (const { roamer } of all.users) t.equal(roamer.stays.length, 1, 'on the same session');
});

t.test('the last message of a topic gets lost without a trace, and none follows', async (t) => {
  const s = await build(t, { env: { ...env, TOPIC_CHECK_INTERVAL: `${CHECK_MS}ms` } });
  const redis = commandsOf(t, s);
  const publisher = publisherOn(t, s.redisUrl);
  for (const before of [0, 2]) {
    for (const transport of transports) {
      const { id, token } = await member(s, 'rider');
      const topic = `user:${id}`;
      const peer = await connect(t, s.at, transport, token);
      t.ok((await peer.ask({ heartbeat: {} })).ack);
      for (let n = 1; n <= before; n++)
        await publisher.publishOrdered(topic, 'notification', noteOf(n), `${topic}-${n}`);
      if (before > 0) await peer.inbox.find((m) => m.notification?.id === `${before}`, 'what came before');
      const header = { lamport: 1, nodeId: 'n', sequence: 1, eventId: `${topic}-lost`, topic, sentAtMs: Date.now() };
      const lost = encodeEnvelope(header, { case: 'notification', value: noteOf(before + 1) });
      const keys = [`memory:{${topic}}`, `history:{${topic}}`] as const;
      // On a channel that nobody listens to: what a node would have been sent and did not get.
      const outcome = await redis.ridePublishOrdered(
        ...keys,
        'nowhere',
        lost,
        '',
        0,
        '0',
        'e0',
        256,
        60_000,
        'PUBLISH',
        60_000,
        0,
      );
      t.equal(outcome, 'published');
      const found = await peer.inbox.find((m) => m.notification?.id === `${before + 1}`, 'the lost one');
      t.equal(Number(found.offset), before + 1, `${transport}, after ${before}`);
      t.ok((await peer.ask({ heartbeat: {} })).ack, 'on the same session');
    }
  }
});

t.test('Redis is restarted with what it knew: everything arrives', async (t) => {
  const redis = await startRedis(t, { appendOnly: true, args: ['--appendfsync', 'always'] });
  const s = await build(t, { env: { ...env, REDIS_URL: redis.url } });
  const all = await audience(t, s);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 3; i++) await all.send();
    await redis.restart();
    for (let i = 0; i < 3; i++) await all.send();
  }
  await all.settled(t);
});

t.test('Redis is restarted empty: who followed is told that something may be missing', async (t) => {
  const redis = await startRedis(t);
  const s = await build(t, { env: { ...env, REDIS_URL: redis.url } });
  const all = await audience(t, s);
  for (let i = 0; i < 3; i++) await all.send();
  await all.settled(t);
  await redis.kill();
  await redis.restart();
  for (const { topic, roamer } of all.users) {
    await until(() => roamer.stays.length > 1 && !roamer.stays.at(-1)!.end, `${topic} on another session`);
    t.match(roamer.stays[0]!.end, /resume from the last offset/);
    await until(() => roamer.books.gaps.includes(topic), `${topic} to be told`);
  }
});
t.end();
