/**
 * A reader that catches up reads at its own pace (R10): however much it missed, and however much comes meanwhile, it ends only
 * when it no longer reads.
 */
import t, { type Test } from 'tap';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import { Frame, type Outgoing } from '../../src/realtime/frame.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { eventIdOf, type Node, Peer, principal, realtimeNode } from './node.ts';

const BUFFER = 32;
const BACKLOG = 250;
const START = { offset: 0, epoch: '' };

/** Takes one write, and the next one only a turn later. */
class Deliberate extends Peer {
  /** Reads nothing beyond its first write until it is told to go on. */
  goesOn = true;
  /** Bytes that it was given in one write, at most. */
  largest = 0;

  override write(outgoing: Outgoing): void {
    super.write(outgoing);
    this.largest = Math.max(this.largest, outgoing.bytes);
    if (this.stuck) return;
    this.stuck = true;
    if (this.goesOn) setImmediate(() => this.drain());
  }
}

async function fresh(t: Test, historyLength = 10_000): Promise<Node> {
  const limits = { outboundMessages: BUFFER, outboundBytes: 1 << 20 };
  return realtimeNode(t, (await startRedis(t)).url, { historyLength, limits });
}

function deliberate({ broker }: Node, id: string) {
  const peer = new Deliberate();
  return { peer, session: broker.open(id, principal('u'), 'ws', peer) };
}

const numbers = (peer: Peer): number[] =>
  peer.frames.filter(({ offset }) => offset > 0).map((frame) => Number(eventIdOf(frame)));
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

t.test('more than the outbound buffer comes while a reader takes what it missed', async (t) => {
  const node = await fresh(t);
  let sent = 0;
  const publish = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await node.publish('trip:1', String(++sent));
  };
  await publish(BACKLOG);
  const { peer, session } = deliberate(node, 'ses-1');
  peer.goesOn = false;
  let place = 0;
  const following = node.broker.subscribe(session, 'trip:1', START, ({ offset }) => {
    place = offset;
    t.equal(numbers(peer).length + session.queued, offset, 'the place that is announced is where the reader is');
  });
  await until(() => peer.frames.length > 0, 'the first page');
  await publish(BACKLOG);
  await until(async () => (await node.bus.position('trip:1')).offset === sent, 'all of it is there');
  peer.goesOn = true;
  peer.drain();
  await following;
  t.ok(place > BACKLOG, `most had come by then: ${place}`);
  await until(() => peer.closed !== null || numbers(peer).length >= sent, 'everything');
  t.equal(peer.closed, null, 'it reads, so it stays');
  t.same(numbers(peer), upTo(sent));
});

t.test('of what is no longer kept the state comes first, however much came while it was looked for', async (t) => {
  const header = { lamport: 1, nodeId: 'n', sequence: 1, topic: 'trip:1', sentAtMs: 0 };
  const state = new Frame(
    encodeEnvelope({ ...header, eventId: 'state' }, { case: 'tripEvent', value: { tripId: '1' } }),
    'trip_event',
    'trip:1',
  );
  const begun = Promise.withResolvers<void>();
  const come = Promise.withResolvers<void>();
  const newest = async (): Promise<null> => {
    begun.resolve();
    await come.promise;
    return null;
  };
  const node = await realtimeNode(t, (await startRedis(t)).url, {
    snapshots: { newest, state: async () => state },
  });
  const { peer, session } = node.connect();
  const read = Promise.withResolvers<void>();
  const { history } = node.bus;
  node.bus.history = (...args) => {
    const page = history(...args);
    page.then(() => read.resolve(), read.reject);
    return page;
  };
  const told: number[] = [];
  const following = node.broker.subscribe(session, 'trip:1', { offset: 7, epoch: 'another' }, ({ offset }) => {
    told.push(offset, peer.frames.length + session.queued);
  });
  await Promise.all([begun.promise, read.promise]);
  for (const n of upTo(BACKLOG)) await node.publish('trip:1', String(n));
  await until(() => session.subscriptions.get('trip:1')?.feed.given.offset === BACKLOG, 'all of them to wait');
  come.resolve();
  t.hasStrict(await following, { recovered: false, offset: 0 });
  t.same(told, [0, 0], 'told before anything');
  await until(() => numbers(peer).length === BACKLOG, 'what is live');
  t.same(peer.frames.map(eventIdOf), ['state', ...upTo(BACKLOG).map(String)]);
});

t.test('large messages are given a few at a time', async (t) => {
  const node = await fresh(t);
  const body = 'x'.repeat(10_000);
  for (const n of upTo(40)) {
    const header = { lamport: n, nodeId: 'n', sequence: n, eventId: String(n), topic: 'trip:1', sentAtMs: 0 };
    await node.bus.publishOrdered('trip:1', encodeEnvelope(header, { case: 'notification', value: { body } }));
  }
  const { peer, session } = deliberate(node, 'ses-1');
  await node.broker.subscribe(session, 'trip:1', START);
  await until(() => numbers(peer).length === 40, 'everything');
  t.same(numbers(peer), upTo(40));
  t.ok(peer.largest < 80_000, `at most ${peer.largest} bytes in one write`);
});

t.test('what waits for a reader that stopped reading is bounded in bytes too', async (t) => {
  const node = await fresh(t);
  for (const n of upTo(BACKLOG)) await node.publish('trip:1', String(n));
  const { peer, session } = deliberate(node, 'ses-1');
  peer.goesOn = false;
  node.broker.subscribe(session, 'trip:1', START).catch(() => {});
  await until(() => peer.frames.length > 0, 'the first page');
  const header = { lamport: 1, nodeId: 'n', sequence: 1, eventId: 'large', topic: 'trip:1', sentAtMs: 0 };
  const large = encodeEnvelope(header, { case: 'notification', value: { body: 'x'.repeat(60_000) } });
  for (let n = 0; n < 60; n++) await node.bus.publishOrdered('trip:1', large);
  const { offset } = await node.bus.position('trip:1');
  await until(() => session.subscriptions.get('trip:1')?.feed.given.offset === offset, 'all of them to wait');
  t.equal(peer.closed, null, 'less than may wait');
  for (let n = 0; n < 20; n++) await node.bus.publishOrdered('trip:1', large);
  await until(() => peer.closed !== null, 'the end');
  t.equal(peer.closed, 'RIDE_SLOW_READER');
});

t.test('of very much that was missed, what is not held is read when the reader has come so far', async (t) => {
  for (const isGone of [false, true]) {
    const node = await fresh(t, 400);
    const header = { lamport: 1, nodeId: 'n', sequence: 1, topic: 'trip:1', sentAtMs: 0 };
    const publish = async (from: number, to: number, bytes: number): Promise<void> => {
      const value = { body: 'x'.repeat(bytes) };
      for (let n = from; n <= to; n++) {
        const message = encodeEnvelope({ ...header, eventId: String(n) }, { case: 'notification', value });
        await node.bus.publishOrdered('trip:1', message);
      }
    };
    await publish(1, 350, 15_000);
    let reads = 0;
    const { history } = node.bus;
    node.bus.history = (...args) => {
      reads++;
      return history(...args);
    };
    const { peer, session } = deliberate(node, 'ses-1');
    peer.goesOn = false;
    const following = node.broker.subscribe(session, 'trip:1', START);
    await until(() => peer.frames.length > 0, 'the first page');
    t.equal(reads, 3, 'four megabytes of five');
    // What it has not read yet is kept, or no longer.
    await publish(351, isGone ? 800 : 360, 10);
    peer.goesOn = true;
    peer.drain();
    if (isGone) {
      await t.rejects(following, { code: 'RIDE_CONFLICT' });
      t.equal(peer.closed, 'RIDE_SLOW_READER');
      const got = numbers(peer);
      t.same(got, upTo(got.length), 'no hole in what it has');
      t.ok(got.length <= 300);
      const { epoch } = peer.frames[0]!;
      const last = { offset: got.length, epoch };
      const again = node.broker.subscribe(deliberate(node, 'ses-2').session, 'trip:1', last);
      t.hasStrict(await again, { recovered: false }, 'which it learns when it resumes');
    } else {
      t.hasStrict(await following, { recovered: true, replayed: 350 });
      await until(() => numbers(peer).length >= 360, 'everything');
      t.same(numbers(peer), upTo(360));
    }
  }
});

t.test('many topics at once', async (t) => {
  const node = await fresh(t);
  const topics = upTo(20).map((n) => `trip:${n}`);
  await Promise.all(
    topics.map(async (topic) => {
      for (const id of upTo(BACKLOG)) await node.publish(topic, String(id));
    }),
  );
  const { peer, session } = deliberate(node, 'ses-1');
  await Promise.all(topics.map((topic) => node.broker.subscribe(session, topic, START)));
  await until(() => peer.closed !== null || numbers(peer).length >= topics.length * BACKLOG, 'everything');
  t.equal(peer.closed, null);
  for (const topic of topics) {
    const own = peer.frames.filter((frame) => frame.topic === topic).map((frame) => Number(eventIdOf(frame)));
    t.same(own, upTo(BACKLOG), topic);
  }
});
t.end();
