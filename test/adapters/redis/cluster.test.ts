/** The Redis adapters keep their ports' promises on a Redis Cluster; keys and channels find their slots. */
import t from 'tap';
import { nodeOf, runAll, slotOf } from '../../../src/adapters/redis/slots.ts';
import { startRedisCluster } from '../../servers/redis-cluster.ts';
import { allConformance, redisPlace } from './place.ts';

t.test('a Redis Cluster of six', async (t) => {
  const cluster = await startRedisCluster(t);
  const place = await redisPlace(t, cluster.url, async () => {
    for (const node of cluster.nodes) await node.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  });

  await t.test('slots are those of CLUSTER KEYSLOT', async (t) => {
    const keys = ['a', '', 'trip:{x}', '{}a', '{a', 'a}b', '{{a}}', 'x{a}{b}', 'Zürich', '日本', 'k'.repeat(300)];
    for (const key of keys) {
      t.equal(slotOf(key), Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', key)), key);
      t.equal(nodeOf(place.redis, key), `127.0.0.1:${(await cluster.masterOf(key)).port}`, `master of ${key}`);
    }
  });

  await t.test(
    'commands for all nodes answer in the order they were given, and the first failure is told',
    async (t) => {
      const keys = Array.from({ length: 100 }, (_, i) => `key-${i}`);
      await runAll(
        place.redis,
        keys.map((key) => ['set', key, `value of ${key}`]),
      );
      const values = await runAll(
        place.redis,
        keys.map((key) => ['get', key]),
      );
      t.same(
        values,
        keys.map((key) => `value of ${key}`),
      );
      await t.rejects(
        runAll(place.redis, [
          ['get', 'key-1'],
          ['lpush', 'key-2', 'x'],
          ['get', 'key-3'],
        ]),
        /WRONGTYPE/,
      );
    },
  );

  await allConformance(t, 'a cluster', place);
});
