/** What other versions left in the queues: nothing of it is lost without a word, and nothing of it fails for ever. */
import { Queue } from 'bullmq';
import t from 'tap';
import { createQueues } from '../../../src/adapters/bullmq/queues.ts';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createClock } from '../../../src/adapters/system/clock.ts';
import { quiet } from '../../realtime/node.ts';
import { startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

t.test('jobs that nobody here knows', async (t) => {
  const { url, port } = await startRedis(t);
  const redis = connectRedis({ url }, () => {});
  const earlier = new Queue('high', { connection: { host: '127.0.0.1', port }, prefix: '{queue-high}' });
  const said: unknown[] = [];
  const queues = createQueues({
    redisUrl: url,
    redis,
    clock: createClock({ speed: 1, anchor: 0, start: 0 }),
    log: { ...quiet, warn: (fields: unknown) => void said.push(fields) },
    concurrency: { critical: 1, high: 1, normal: 1 },
  });
  t.after(async () => {
    await queues.close();
    await earlier.close();
    redis.disconnect();
  });
  await earlier.add('long_gone', {}, { attempts: 2, backoff: { type: 'fixed', delay: 1 } });
  await earlier.upsertJobScheduler('round', { every: 50 }, { name: 'round', opts: { removeOnComplete: true } });
  await queues.start([], []);

  await until(async () => (await earlier.getFailedCount()) === 1, 'the end of its attempts');
  const [failed] = await earlier.getFailed();
  t.equal(failed?.failedReason, 'no job is called long_gone');
  t.equal(failed?.attemptsMade, 2, 'another node might have known it');
  await until(async () => (await earlier.getJobSchedulersCount()) === 0, 'the end of what recurs');
  await until(async () => (await earlier.getJobCountByTypes('waiting', 'active', 'delayed')) === 0, 'the last of it');
  t.equal(await earlier.getFailedCount(), 1, 'what recurred did not fail');
  t.same(
    new Set(said.map((fields) => (fields as { job: string }).job)),
    new Set(['long_gone', 'round']),
    'said of both',
  );
});
