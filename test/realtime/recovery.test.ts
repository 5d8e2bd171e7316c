/**
 * Recovery of a topic (R9): whatever is published, lost on the way, forgotten by Redis, and whoever comes, goes and comes back
 * meanwhile, a reader that is told `recovered` gets everything after its position, once and in order.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { eventIdOf, type Node, type Peer, realtimeNode } from './node.ts';
import { type Happening, happening, play } from './readers.ts';

const START = { offset: 0, epoch: '' };

async function fresh(t: Test, historyLength = 256): Promise<Node> {
  return realtimeNode(t, (await startRedis(t)).url, { historyLength });
}

const ids = (peer: Peer): string[] => peer.frames.filter((frame) => frame.offset > 0).map(eventIdOf);

async function forget(node: Node, topic: string): Promise<void> {
  await node.redis.del(`memory:{${topic}}`, `history:{${topic}}`);
}

/** Programs that were not played well once: a topic that was empty begins, and is forgotten, while the connection is away. */
function remembered(): [Happening[]][] {
  const does = (op: Happening['does'], rush = false): Happening => ({ rush, does: op });
  const publish = does({ op: 'publish', lost: false });
  const follows = (reader: number, where: 'now' | 'start' | 'last', rush = false): Happening =>
    does({ op: 'subscribe', reader, where }, rush);
  const [cut, forget] = [does({ op: 'cut' }), does({ op: 'forget' })];
  const lost = does({ op: 'publish', lost: true });
  const leave = does({ op: 'leave', reader: 2 });
  return [
    [
      [
        follows(0, 'now'),
        follows(2, 'now'),
        cut,
        leave,
        follows(2, 'last', true),
        lost,
        forget,
        does({ op: 'latest' }),
      ],
    ],
    [[follows(0, 'now'), cut, ...Array(4).fill(publish), follows(0, 'start', true), publish, publish, forget]],
  ];
}

t.test('random programs: readers lose nothing, get nothing twice and nothing out of order', async (t) => {
  const node = await fresh(t, 4);
  const property = fc.asyncProperty(fc.array(happening, { minLength: 2, maxLength: 25 }), async (program) => {
    const faults = await play(node, program);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
  await t.resolves(fc.assert(property, { numRuns: 60, examples: remembered() }));
});

t.test('a hole between live messages is filled from history', async (t) => {
  const node = await fresh(t);
  const { session, peer } = node.connect();
  await node.broker.subscribe(session, 'trip:1');
  for (let i = 1; i <= 250; i++) await node.publish('trip:1', `e${i}`, i > 1 && i < 250);
  await until(() => ids(peer).length >= 250, 'the messages');
  t.same(
    ids(peer),
    Array.from({ length: 250 }, (_, i) => `e${i + 1}`),
  );
  t.same(node.meter.facts, { 'repair repaired': 1 });
});

t.test('what came while the connection was away follows, also where no live message had come before', async (t) => {
  const node = await fresh(t);
  await node.publish('trip:known', 'old');
  const readers = await Promise.all(
    ['trip:empty', 'trip:known', 'trip:caught-up'].map(async (topic) => {
      const { session, peer } = node.connect();
      await node.broker.subscribe(session, topic, topic === 'trip:caught-up' ? START : undefined);
      return { topic, peer };
    }),
  );
  await node.cutListener();
  for (const { topic } of readers) await node.publish(topic, 'missed');
  for (const { topic, peer } of readers) {
    await until(() => ids(peer).length > 0, `what ${topic} missed`);
    t.same(ids(peer), ['missed'], topic);
  }
});

t.test('a hole that history cannot fill sends the readers away, and they are told', async (t) => {
  const node = await fresh(t, 4);
  const { session, peer } = node.connect();
  await node.broker.subscribe(session, 'trip:1');
  await node.publish('trip:1', 'first');
  await until(() => ids(peer).length === 1, 'the first');
  const { epoch, offset } = peer.frames.at(-1)!;
  for (let i = 0; i < 6; i++) await node.publish('trip:1', `lost-${i}`, true);
  await node.publish('trip:1', 'last');
  await until(() => peer.closed !== null, 'the end of the session');
  t.equal(peer.closed, 'RIDE_SLOW_READER');
  t.same(ids(peer), ['first'], 'nothing after the hole');
  t.same(node.meter.facts, { 'repair lost': 1, 'ended RIDE_SLOW_READER': 1 });
  const again = node.connect();
  const result = await node.broker.subscribe(again.session, 'trip:1', { epoch, offset });
  t.hasStrict(result, { recovered: false, offset: 8, epoch, replayed: 0 });
  t.same(again.peer.frames, []);
  t.equal(node.meter.facts['recovery gap'], 1);
});

t.test('Redis forgot the topic while the connection was away: nobody knows what was lost, and says so', async (t) => {
  for (const when of ['away', 'back'] as const) {
    const node = await fresh(t);
    const { session, peer } = node.connect();
    await node.broker.subscribe(session, 'user:u');
    await node.publish('user:u', 'first');
    await until(() => ids(peer).length === 1, 'the first');
    await node.cutListener();
    await node.publish('user:u', 'lost');
    await forget(node, 'user:u');
    const noticed = async (): Promise<boolean> => peer.closed !== null || (await node.listeners('user:u')) > 0;
    if (when === 'back') await until(noticed, 'the node to listen again');
    await node.publish('user:u', 'of a new epoch');
    await until(() => peer.closed !== null, `the end of the session (${when})`);
    t.same(ids(peer), ['first']);
    const { epoch, offset } = peer.frames[0]!;
    const again = node.connect();
    const result = await node.broker.subscribe(again.session, 'user:u', { epoch, offset });
    t.hasStrict(result, { recovered: false, offset: 1, replayed: 0 });
    t.not(result.epoch, epoch);
  }
});

t.test('what a reader got of a topic that was empty is known, also while the connection is away', async (t) => {
  for (const since of [START, { offset: 7, epoch: 'another' }]) {
    const node = await fresh(t);
    await node.broker.subscribe(node.connect().session, 'trip:1');
    await node.redis.acl('SETUSER', 'default', '-subscribe');
    await node.cutListener();
    await until(async () => (await node.listeners('trip:1')) === 0, 'the connection to be away');
    await node.publish('trip:1', 'first');
    const { session, peer } = node.connect();
    const place = await node.broker.subscribe(session, 'trip:1', since);
    t.hasStrict(place, { recovered: since === START, offset: 1 });
    await node.publish('trip:1', 'lost');
    await forget(node, 'trip:1');
    await node.redis.acl('SETUSER', 'default', '+subscribe');
    const listening = async (): Promise<boolean> => peer.closed !== null || (await node.listeners('trip:1')) > 0;
    await until(listening, 'the connection to be back');
    await node.publish('trip:1', 'of a new epoch');
    await until(() => peer.closed !== null || ids(peer).includes('of a new epoch'), 'what becomes of the reader');
    t.equal(peer.closed, 'RIDE_SLOW_READER', 'nobody knows what was lost, and it is told');
    t.same(ids(peer), since === START ? ['first'] : []);
    const { epoch, offset } = place;
    const again = await node.broker.subscribe(node.connect().session, 'trip:1', { epoch, offset });
    t.hasStrict(again, { recovered: false, offset: 1, replayed: 0 });
  }
});

t.test('a new epoch while the connection holds goes on without a break', async (t) => {
  const node = await fresh(t);
  const { session, peer } = node.connect();
  await node.broker.subscribe(session, 'trip:1');
  await node.publish('trip:1', 'a');
  await node.publish('trip:1', 'b');
  await forget(node, 'trip:1');
  await node.publish('trip:1', 'c');
  await node.publish('trip:1', 'd');
  await until(() => ids(peer).length === 4, 'all four');
  t.same(ids(peer), ['a', 'b', 'c', 'd']);
  t.same(
    peer.frames.map((frame) => frame.offset),
    [1, 2, 1, 2],
  );
  t.equal(peer.closed, null);
});

t.test('a position ahead of the topic is not believed', async (t) => {
  const node = await fresh(t);
  await node.publish('trip:1', 'a');
  const { epoch } = await node.bus.position('trip:1');
  const { session, peer } = node.connect();
  const result = await node.broker.subscribe(session, 'trip:1', { epoch, offset: 7 });
  t.hasStrict(result, { recovered: false, offset: 1, epoch });
  await node.publish('trip:1', 'b');
  await until(() => ids(peer).length > 0, 'the next one');
  t.same(ids(peer), ['b'], 'what follows is not taken for known');
});

t.test('two subscriptions of one session to one topic at once: both get what they asked for', async (t) => {
  const node = await fresh(t);
  for (const id of ['a', 'b', 'c']) await node.publish('trip:1', id);
  const { session, peer } = node.connect();
  const [live, replay] = await Promise.all([
    node.broker.subscribe(session, 'trip:1'),
    node.broker.subscribe(session, 'trip:1', START),
  ]);
  t.hasStrict(live, { recovered: true, offset: 3, replayed: 0 });
  t.hasStrict(replay, { recovered: true, offset: 3, replayed: 3 });
  node.broker.flush();
  t.same(ids(peer), ['a', 'b', 'c']);
  await node.publish('trip:1', 'd');
  await until(() => ids(peer).length === 4, 'the live one');
  t.same(ids(peer), ['a', 'b', 'c', 'd']);
});

t.test('a session that ends while it subscribes leaves nothing behind', async (t) => {
  const node = await fresh(t);
  const { session } = node.connect();
  const subscribing = node.broker.subscribe(session, 'trip:1', START);
  node.broker.lost(session);
  await t.rejects(subscribing, { code: /^RIDE_(CONFLICT|UNAVAILABLE)$/ });
  await t.rejects(async () => node.broker.subscribe(session, 'trip:1'), { code: 'RIDE_UNAVAILABLE' });
  await until(async () => (await node.listeners('trip:1')) === 0, 'the channel to be left');
  const other = node.connect();
  await node.broker.subscribe(other.session, 'trip:1');
  t.equal(await node.listeners('trip:1'), 1, 'the next one is served');
  node.broker.unsubscribe(other.session, 'trip:1');
  node.broker.unsubscribe(other.session, 'trip:1');
  await until(async () => (await node.listeners('trip:1')) === 0, 'the channel to be left');
});
