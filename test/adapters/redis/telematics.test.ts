/** What devices say of themselves, in Redis: however fast it comes, what is written is little. */
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { withScripts } from '../../../src/adapters/redis/scripts.ts';
import { createRedisTelematics } from '../../../src/adapters/redis/telematics.ts';
import { startRedis } from '../../servers/redis.ts';

t.test('of many heartbeats with news the first and the newest are written, a second apart', async (t) => {
  const { url } = await startRedis(t);
  const redis = withScripts(connectRedis({ url }, (error) => t.fail(error.message)));
  t.teardown(() => redis.quit());
  const board = createRedisTelematics(redis, 60_000);
  const startedAt = performance.now();
  const kept = Array.from({ length: 120 }, (_, i) => board.keep('driver', { signalDbm: i - 120, at: i }));
  await kept[0];
  t.strictSame(await board.of('driver'), { signalDbm: -120, at: 0 }, 'the first at once');
  await board.keep('other', { inBackground: true, at: 1 });
  t.strictSame(await board.of('other'), { inBackground: true, at: 1 }, 'nobody waits for another driver');
  await Promise.all(kept);
  t.ok(performance.now() - startedAt > 990);
  t.strictSame(await board.of('driver'), { signalDbm: -1, at: 119 }, 'the newest when it was its time');
  const calls = /cmdstat_set:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1];
  t.equal(calls, '3');
});
