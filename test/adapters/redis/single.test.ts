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
