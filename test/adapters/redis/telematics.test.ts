/** What devices say of themselves, in Redis: however fast it comes, what is written is little. */
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createOutage } from '../../../src/adapters/redis/outage.ts';
import { withScripts } from '../../../src/adapters/redis/scripts.ts';
import { createRedisTelematics } from '../../../src/adapters/redis/telematics.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { quiet } from '../../realtime/node.ts';
import { startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

t.test('of many heartbeats with news the first and the newest are written, a second apart', async (t) => {
  const { url } = await startRedis(t);
  const redis = withScripts(connectRedis({ url }, (error) => t.fail(error.message)));
  t.teardown(() => redis.quit());
  const board = createRedisTelematics(redis, 60_000, quiet);
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

t.test('while Redis is away that is said once, however many drivers there are', async (t) => {
  const server = await startRedis(t);
  const redis = withScripts(connectRedis({ url: server.url }, () => {}));
  t.teardown(() => redis.disconnect());
  const said: [string, object, string][] = [];
  const log: Logger = { ...quiet, warn: (facts, text) => void said.push(['warn', facts, text]) };
  const board = createRedisTelematics(redis, 60_000, log);
  const hear = (from: number) =>
    Promise.allSettled(Array.from({ length: 50 }, (_, i) => board.keep(`driver-${from + i}`, { at: 1 })));
  const statuses = (all: PromiseSettledResult<void>[]) => [...new Set(all.map(({ status }) => status))];
  t.same(statuses(await hear(0)), ['fulfilled']);
  await server.kill();
  for (const from of [100, 200]) t.same(statuses(await hear(from)), ['rejected']);
  t.match(said, [['warn', { err: Error }, /telematics not kept/]]);
  t.equal(said.length, 1);
});

t.test('an outage begins once, ends once, and may come again', async (t) => {
  const said: [string, object, string][] = [];
  const tell = (level: string) => (facts: object, text: string) => void said.push([level, facts, text]);
  const log: Logger = { ...quiet, info: tell('info'), warn: tell('warn') };
  let now = 0;
  const tried = createOutage(log, 'not written', () => now);
  const lost = new Error('away');
  tried();
  for (const error of [lost, lost, undefined, lost, undefined]) tried(error);
  t.same(said, [['warn', { err: lost }, 'not written']], 'a part that answers meanwhile ends nothing');
  now = 5000;
  for (const error of [undefined, undefined, lost]) tried(error);
  t.same(said.slice(1), [
    ['info', { failures: 3 }, 'no longer: not written'],
    ['warn', { err: lost }, 'not written'],
  ]);
});

t.test('each driver rests for himself, and whoever has nothing new is not written again', async (t) => {
  const { url } = await startRedis(t);
  const redis = withScripts(connectRedis({ url }, (error) => t.fail(error.message)));
  t.teardown(() => redis.quit());
  const board = createRedisTelematics(redis, 60_000, quiet);
  const startedAt = performance.now();
  await board.keep('first', { signalDbm: -1, at: 1 });
  await until(() => performance.now() - startedAt > 300, 'some of his rest');
  const secondAt = performance.now();
  await board.keep('second', { signalDbm: -2, at: 2 });
  await board.keep('silent', { signalDbm: -3, at: 3 });
  await Promise.all([
    board.keep('second', { signalDbm: -4, at: 4 }).then(() => t.ok(performance.now() - secondAt > 990, 'second')),
    board.keep('first', { signalDbm: -5, at: 5 }).then(() => t.ok(performance.now() - startedAt > 990, 'first')),
  ]);
  for (const [driver, at] of Object.entries({ first: 5, second: 4, silent: 3 }))
    t.equal((await board.of(driver))?.at, at, driver);
  const calls = /cmdstat_set:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1];
  t.equal(calls, '5');
});
