/** The Redis adapters keep their ports' promises on a Redis Cluster; keys and channels find their slots. */
import t from 'tap';
import { takesWrites } from '../../../src/adapters/redis/connection.ts';
import { createRedisPresences } from '../../../src/adapters/redis/presences.ts';
import { keyIn, nodeOf, runAll, slotOf, slotsOfMasters } from '../../../src/adapters/redis/slots.ts';
import { userId } from '../../../src/domain/names.ts';
import type { BusMessage } from '../../../src/ports/bus.ts';
import { startRedisCluster } from '../../servers/redis-cluster.ts';
import { until } from '../../until.ts';
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

  await t.test('a key can be named for any slot', async (t) => {
    for (const slot of [0, 1, 5460, 5461, 16_383]) t.equal(slotOf(keyIn(slot, 'probe:')), slot, `${slot}`);
  });

  await t.test('every master is asked whether it takes writes', async (t) => {
    await takesWrites(place.redis);
    const masters = new Set(
      await Promise.all(slotsOfMasters(place.redis).map((slot) => cluster.masterOf(keyIn(slot, '')))),
    );
    t.equal(masters.size, 3);
    for (const master of masters) {
      await master.call('CONFIG', 'SET', 'maxmemory', '1');
      await t.rejects(takesWrites(place.redis), { code: 'RIDE_UNAVAILABLE', message: /full and refuses writes/ });
      await master.call('CONFIG', 'SET', 'maxmemory', '64mb');
      await takesWrites(place.redis);
    }
    for (const node of cluster.nodes) t.same(await node.call('KEYS', 'probe:*'), [], 'and nothing is left behind');
  });

  await t.test('whatever a user may be called, his topics and their keys share a slot', async (t) => {
    const every = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
    const allowed = every.filter((character) => userId.pattern.test(character));
    t.equal(allowed.length, 92);
    const bus = await place.node();
    const heard: BusMessage[] = [];
    bus.onMessage((message) => heard.push(message));
    const presences = createRedisPresences(place.redis, {
      nodeId: 'n',
      leaseMs: 60_000,
      encode: () => Buffer.from('x'),
    });
    await presences.renew();
    const names = [allowed.join(''), allowed.toReversed().join(''), ...allowed.map((character) => `x${character}y`)];
    t.same(await presences.join(names), []);
    for (const name of names) {
      for (const kind of ['user', 'presence', 'trip']) {
        const slot = slotOf(`${kind}:${name}`);
        for (const key of ['memory', 'history', 'online']) t.equal(slotOf(`${key}:{${kind}:${name}}`), slot, name);
      }
      await bus.subscribe(`user:${name}`);
      t.equal(await bus.publishOrdered(`user:${name}`, Buffer.from(name)), 'published');
    }
    await until(() => heard.length === names.length, 'all of them');
    t.same(heard.map(({ topic, offset }) => `${topic} ${offset}`).sort(), names.map((name) => `user:${name} 1`).sort());
  });

  await allConformance(t, 'a cluster', place);
});
