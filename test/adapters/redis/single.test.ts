/** The Redis adapters keep their ports' promises on one server. */
import t from 'tap';
import { startRedis } from '../../servers/redis.ts';
import { allConformance, redisPlace } from './place.ts';

t.test('one Redis', async (t) => {
  const server = await startRedis(t);
  const place = await redisPlace(t, server.url, async () => {
    await place.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  });
  await allConformance(t, 'one Redis', place);
});

t.test('a position is replaced in a Redis that has no memory to spare', async (t) => {
  const server = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const { redis, positions } = await redisPlace(t, server.url, async () => {});
  const node = positions.node();
  const rest = { driverId: 'd', tripId: '', lng: 0, vehicleClass: 'standard', city: 'c', source: 'stream' } as const;
  await node.record({ ...rest, lat: 1, recordedAt: 1, speedMps: 5 });
  await redis.config('SET', 'maxmemory', '1');
  await t.rejects(redis.set('any', 'thing'), /OOM/);
  t.equal(await node.record({ ...rest, lat: 2, recordedAt: 2 }), true);
  t.hasStrict(await node.ofDriver('d'), { lat: 2, recordedAt: 2, speedMps: undefined });
});
