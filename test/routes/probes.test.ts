/** Probes tell the truth: alive is not ready, and what is not ready is named. */
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { createRedisOffers } from '../../src/adapters/redis/offers.ts';
import { driverKey } from '../../src/adapters/redis/position-fields.ts';
import { withScripts } from '../../src/adapters/redis/scripts.ts';
import { connect } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';
import { type Member, member } from '../scene.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

t.test('all is well', async (t) => {
  const s = await build(t);
  const { rest } = checkedRest(s);
  for (const probe of ['/livez', '/startupz']) {
    const { status, body } = await rest('GET', probe);
    t.equal(status, 200, probe);
    t.same(body, { status: 'ok' });
  }
  const ready = await rest('GET', '/readyz');
  t.equal(ready.status, 200);
  t.same(ready.body, { status: 'ok', parts: { store: 'ok', redis: 'ok' } });
});

t.test('before everything is opened it has not started, and is not ready', async (t) => {
  const { buildApp } = await import('../../src/app.ts');
  const { loadConfig } = await import('../../src/config.ts');
  const redis = await startRedis(t);
  const config = loadConfig({ REDIS_URL: redis.url, SQLITE_FILE: `${t.testdir()}/x.sqlite`, LOG_LEVEL: 'silent' });
  const server = await buildApp({ config: { ...config, redisUrl: redis.url, nodeId: 'early' } });
  t.after(() => server.close());
  await server.app.ready();
  t.equal((await server.app.inject('/livez')).statusCode, 200);
  t.equal((await server.app.inject('/startupz')).statusCode, 503);
  t.equal((await server.app.inject('/readyz')).statusCode, 503);
});

t.test('Redis away: not ready, and it says so; alive all the same; ready when it is back', async (t) => {
  const redis = await startRedis(t);
  const s = await build(t, { env: { REDIS_URL: redis.url } });
  const { rest } = checkedRest(s);
  await redis.kill();
  const away = await rest('GET', '/readyz');
  t.equal(away.status, 503);
  t.equal(away.body.status, 'unavailable');
  t.equal(away.body.parts.store, 'ok');
  t.not(away.body.parts.redis, 'ok', `it says what is wrong: ${away.body.parts.redis}`);
  t.equal((await rest('GET', '/livez')).status, 200, 'a restart would not help');
  t.equal((await rest('GET', '/startupz')).status, 200);
  await redis.restart();
  await until(async () => (await rest('GET', '/readyz')).status === 200, 'it to be ready again');
});

t.test('Redis full: it answers, and takes nothing, so it is not ready, and it says why', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const s = await build(t, { env: { REDIS_URL: redis.url } });
  const { rest } = checkedRest(s);
  const [driver, other] = [await member(s, 'driver'), await member(s, 'driver')];
  const locate = (who: Member, recordedAt: number) =>
    rest('POST', '/api/v1/drivers/me/locations', who.token, {
      updates: [{ lat: 1, lng: 1, recorded_at_ms: recordedAt }],
    });
  const since = Date.now() - 1000;
  t.equal((await locate(driver, since)).status, 200);
  const operator = connectRedis({ url: redis.url }, () => {});
  t.after(() => operator.disconnect());
  t.equal((await rest('GET', '/readyz')).status, 200);
  t.same(await operator.keys('probe:*'), [], 'asking leaves nothing behind');
  await operator.config('SET', 'maxmemory', '1');
  const full = await rest('GET', '/readyz');
  t.equal(full.status, 503);
  t.same(full.body.parts, { store: 'ok', redis: 'The live store (Redis) is full and refuses writes (OOM)' });
  const reserved = createRedisOffers(withScripts(operator)).reserve('driver', 'offer', 1000);
  await t.rejects(reserved, {
    code: 'RIDE_UNAVAILABLE',
    message: 'The live store (Redis) is full and refuses writes (OOM)',
  });
  t.hasStrict((await locate(driver, since + 1)).body, { accepted: 1 }, 'a position in the place of another fits');
  t.hasStrict(await operator.hgetall(driverKey(driver.id)), { timestamp: `${since + 1}` }, 'and is there');
  const refused = await locate(other, since);
  t.hasStrict(refused, { status: 503, body: { code: 'RIDE_UNAVAILABLE', detail: full.body.parts.redis } });
  t.equal(await operator.exists(driverKey(other.id)), 0, 'what is not acknowledged is not there');
  await operator.config('SET', 'maxmemory', '0');
  await until(async () => (await rest('GET', '/readyz')).status === 200, 'it to be ready again');
  t.hasStrict((await locate(other, since)).body, { accepted: 1 });
});

t.test('the store away: not ready, and it says so', async (t) => {
  const s = await build(t);
  await s.server.app.store.close();
  const { status, body } = await s.rest('GET', '/readyz');
  t.equal(status, 503);
  t.equal(body.parts.redis, 'ok');
  t.not(body.parts.store, 'ok');
  t.equal((await s.rest('GET', '/livez')).status, 200);
});

t.test('draining: not ready from the first moment, alive to the last', async (t) => {
  const s = await build(t, { env: { DRAIN_JITTER: '500ms' } });
  const { token } = await member(s, 'rider');
  const peer = await connect(t, s.at, 'websocket-json', token);
  const stopped = s.stop();
  const { status, body } = await s.rest('GET', '/readyz');
  t.equal(status, 503);
  t.hasStrict(body.parts, { server: 'draining', store: 'ok', redis: 'ok' });
  t.equal((await s.rest('GET', '/livez')).status, 200);
  t.equal((await s.rest('GET', '/api/v1/trips', token)).status, 200, 'what still comes is still answered');
  await peer.ended;
  await stopped;
});
