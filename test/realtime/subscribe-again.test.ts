/** To subscribe again to what is followed: when that fails, what was followed goes on without a gap. */
import t from 'tap';
import { redisAway } from '../../src/adapters/redis/connection.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { eventIdOf, realtimeNode } from './node.ts';

const TOPIC = 'trip:again';

t.test('a topic that is followed already outlives a subscription to it that fails', async (t) => {
  const node = await realtimeNode(t, (await startRedis(t)).url);
  const { peer, session } = node.connect();
  await node.broker.subscribe(session, TOPIC);
  const seen = (): string[] => peer.frames.filter(({ offset }) => offset > 0).map(eventIdOf);
  await node.publish(TOPIC, 'before');
  await until(() => seen().length === 1, 'the first');
  const history = node.bus.history;
  let failures = 0;
  node.bus.history = async () => {
    failures++;
    await node.publish(TOPIC, 'meanwhile');
    throw redisAway(new Error('broken'));
  };
  const since = { offset: 0, epoch: '' };
  await t.rejects(node.broker.subscribe(session, TOPIC, since), { code: 'RIDE_UNAVAILABLE' });
  t.equal(failures, 1);
  node.bus.history = history;
  await node.publish(TOPIC, 'after');
  await until(() => seen().includes('after'), 'the topic to go on');
  t.same(seen(), ['before', 'meanwhile', 'after']);
  const result = await node.broker.subscribe(session, TOPIC, since);
  t.hasStrict(result, { recovered: true, replayed: 3, offset: 3 });
});

t.test('one that was not followed yet is not followed when it fails', async (t) => {
  const node = await realtimeNode(t, (await startRedis(t)).url);
  const { session } = node.connect();
  node.bus.history = async () => {
    throw redisAway(new Error('broken'));
  };
  const since = { offset: 0, epoch: '' };
  await t.rejects(node.broker.subscribe(session, TOPIC, since), { code: 'RIDE_UNAVAILABLE' });
  t.equal(session.subscriptions.get(TOPIC), undefined);
});
t.end();
