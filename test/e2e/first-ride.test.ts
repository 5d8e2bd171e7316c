/** The first ride on one Redis and on a Redis Cluster: the same code, the same story. */
import t from 'tap';
import { beside, build } from '../helper.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { firstRide } from './first-ride.ts';

t.test('the first ride on one Redis', async (t) => firstRide(t, await build(t)));

t.test('the first ride, the rider on one node and the driver on another', async (t) => {
  const one = await build(t);
  await firstRide(t, one, await build(t, { env: beside(one) }));
});

t.test('the first ride on a Redis Cluster of six', async (t) => {
  const cluster = await startRedisCluster(t);
  await firstRide(t, await build(t, { env: { REDIS_URL: cluster.url } }));
});
