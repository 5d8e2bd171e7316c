/** Requests a minute by tier, paid from buckets in Redis over all nodes; one caller's excess is his own (property 5). */
import fc from 'fast-check';
import Fastify from 'fastify';
import fp from 'fastify-plugin';
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import type { Principal } from '../../src/domain/roles.ts';
import { type RequestBudget, rateLimitPlugin } from '../../src/plugins/rate-limit.ts';
import { build } from '../helper.ts';
import { type Member, member } from '../scene.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const DEFAULT = 4;
const AUTHENTICATED = 6;
const PREMIUM = 9;
const env = {
  RATE_LIMIT_DEFAULT: String(DEFAULT),
  RATE_LIMIT_AUTHENTICATED: String(AUTHENTICATED),
  RATE_LIMIT_PREMIUM: String(PREMIUM),
};

/** A server with low limits; tokens come from another one on the same secret, whose limits they do not touch. */
async function limited(t: Parameters<typeof build>[0]) {
  const issuer = await build(t);
  const s = await build(t, { env });
  return { issuer, s };
}

const list = '/api/v1/trips';

t.test('tiers: 429 with the wait, and headers that count down', async (t) => {
  const { issuer, s } = await limited(t);
  const tiers: [who: Member, limit: number, name: string][] = [
    [await member(issuer, 'rider'), AUTHENTICATED, 'a rider'],
    [await member(issuer, 'driver', { premium: true }), PREMIUM, 'a premium driver'],
    [await member(issuer, 'service'), PREMIUM, 'a service'],
    [await member(issuer, 'admin'), PREMIUM, 'an admin'],
  ];
  for (const [{ token }, limit, name] of tiers) {
    for (let n = 1; n <= limit; n++) {
      const { status, headers } = await s.rest('GET', list, token);
      t.equal(status, 200, `${name}: ${n} of ${limit}`);
      t.equal(headers.get('ratelimit-limit'), String(limit));
      t.equal(headers.get('ratelimit-remaining'), String(limit - n));
      t.match(headers.get('ratelimit-reset'), /^([1-9]|[1-5]\d|60)$/, 'seconds');
    }
    const refused = await s.rest('GET', list, token);
    t.equal(refused.status, 429, `${name}: one more`);
    t.match(refused.headers.get('content-type'), /^application\/problem\+json/);
    t.hasStrict(refused.body, { code: 'RIDE_RATE_LIMITED', rule: `at most ${limit} requests a minute` });
    t.ok(refused.body.retry_after_ms > 0 && refused.body.retry_after_ms <= 60_000, 'with the wait');
    t.equal(refused.headers.get('retry-after'), String(Math.ceil(refused.body.retry_after_ms / 1000)));
    t.equal(refused.headers.get('ratelimit-remaining'), '0');
  }
});

t.test('tiers of one height pay from one bucket, in hand or not', async (t) => {
  const app = Fastify();
  t.after(() => app.close());
  const paid: string[] = [];
  const [inHand, asked] = [new Map<string, number>(), new Map<string, number>()];
  const budget: RequestBudget = {
    spendInHand(_caller, tier) {
      const tokens = inHand.get(tier) ?? 0;
      if (tokens === 0) return null;
      inHand.set(tier, tokens - 1);
      paid.push(tier);
      return 9 - paid.length;
    },
    spend(_caller, tier) {
      asked.set(tier, (asked.get(tier) ?? 0) + 1);
      inHand.set(tier, 8);
      paid.push(tier);
      return 0;
    },
    left: () => 9 - paid.length,
  };
  app.decorateRequest('principal');
  await app.register(fp(async () => {}, { name: 'auth' }));
  app.addHook('onRequest', async (request) => {
    request.principal = { userId: 'u', role: 'rider' } as Principal;
  });
  await app.register(rateLimitPlugin, { budget, tiers: { default: 9, authenticated: 9, premium: 20 } });
  app.get('/', () => 'here');
  for (let n = 1; n <= 9; n++) {
    const { headers } = await app.inject('/');
    t.hasStrict(headers, { 'ratelimit-limit': '9', 'ratelimit-remaining': String(9 - n) });
  }
  t.equal(new Set(paid).size, 1);
  t.same([...asked.values()], [1], 'all but the first in hand');
});

t.test('without sign-in the address counts: requests for tokens and bad tokens alike', async (t) => {
  const s = await build(t, { env });
  const ask = () => s.rest('POST', '/api/v1/auth/token', undefined, { role: 'rider' });
  const bad = () => s.rest('GET', list, 'rubbish');
  const missing = () => s.rest('GET', '/admin/stats');
  t.equal((await ask()).status, 200);
  t.equal((await bad()).status, 401);
  t.equal((await missing()).status, 401);
  t.equal((await ask()).status, 200);
  for (const one of [bad, ask, missing]) t.equal((await one()).status, 429, 'all of them from now on');
  for (const probe of ['/livez', '/readyz', '/startupz'])
    t.equal((await s.rest('GET', probe)).status, 200, `${probe} is never limited`);
});

t.test('what no route answers counts against the address too, signed in or not', async (t) => {
  const { issuer, s } = await limited(t);
  const { token } = await member(issuer, 'rider');
  const nowhere = () => s.rest('GET', '/api/v1/nowhere', token);
  const outside = () => s.rest('GET', '/.env');
  const wrongMethod = () => s.rest('DELETE', list, token);
  const ask = () => s.rest('POST', '/api/v1/auth/token', undefined, { role: 'rider' });
  const first = await nowhere();
  t.equal(first.status, 404);
  t.equal(first.headers.get('ratelimit-limit'), String(DEFAULT));
  t.equal(first.headers.get('ratelimit-remaining'), String(DEFAULT - 1));
  t.equal((await outside()).status, 404);
  t.equal((await wrongMethod()).status, 405);
  t.equal((await ask()).status, 200);
  for (const one of [nowhere, outside, wrongMethod]) {
    const { status, headers, body } = await one();
    t.equal(status, 429);
    t.hasStrict(body, { code: 'RIDE_RATE_LIMITED', rule: `at most ${DEFAULT} requests a minute` });
    t.equal(headers.get('retry-after'), String(Math.ceil(body.retry_after_ms / 1000)));
    t.equal(headers.get('ratelimit-remaining'), '0');
  }
  t.equal((await ask()).status, 429, 'one bucket with all else that has no sign-in');
  t.equal((await s.rest('GET', list, token)).status, 200, 'a user has his own');
  for (const served of ['/livez', '/docs/errors']) t.equal((await s.rest('GET', served)).status, 200, served);
});

t.test('a user is counted over all nodes and all routes, /admin too', async (t) => {
  const { issuer, s } = await limited(t);
  const second = await build(t, { env: { ...env, REDIS_URL: s.redisUrl } });
  const { token } = await member(issuer, 'admin');
  for (let n = 0; n < PREMIUM; n++) {
    const node = n % 2 === 0 ? s : second;
    const path = n % 3 === 0 ? '/admin/stats' : list;
    t.equal((await node.rest('GET', path, token)).status, 200, `${n}: ${path}`);
  }
  for (const node of [s, second]) {
    for (const path of ['/admin/stats', list]) t.equal((await node.rest('GET', path, token)).status, 429, path);
  }
});

t.test('property 5: whatever anyone sends beyond his limit, nobody else notices', async (t) => {
  const { issuer, s } = await limited(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 3 * AUTHENTICATED, maxLength: 40 }),
      async (order) => {
        const users = await Promise.all([0, 1, 2].map(() => member(issuer, 'rider')));
        const sent = [0, 0, 0];
        for (const who of order) {
          const { status } = await s.rest('GET', list, users[who]!.token);
          sent[who]!++;
          const expected = sent[who]! <= AUTHENTICATED ? 200 : 429;
          if (status !== expected) throw new Error(`user ${who}, request ${sent[who]}: ${status}, not ${expected}`);
        }
      },
    ),
    { numRuns: 12 },
  );
});

t.test('a limit that is spent by leases: every request counts, on every node', async (t) => {
  const LIMIT = 60;
  const higher = { ...env, RATE_LIMIT_AUTHENTICATED: String(LIMIT) };
  const redis = await startRedis(t);
  const issuer = await build(t);
  const [a, b] = [
    await build(t, { env: { ...higher, REDIS_URL: redis.url } }),
    await build(t, { env: { ...higher, REDIS_URL: redis.url } }),
  ];
  const asker = connectRedis({ url: redis.url }, () => {});
  t.after(() => asker.disconnect());
  // Out of the buckets of all users so far.
  const taken = async (): Promise<number> => {
    const keys = await asker.keys('bucket:authenticated:*');
    const levels = await Promise.all(keys.map((key) => asker.hget(key, 'level')));
    return levels.reduce((sum, level) => sum + LIMIT - Math.floor(Number(level)), 0);
  };

  const one = await member(issuer, 'rider');
  const statuses: number[] = [];
  let last = LIMIT;
  for (let n = 0; n < LIMIT + 5; n++) {
    const { status, headers } = await a.rest('GET', list, one.token);
    statuses.push(status);
    const remaining = Number(headers.get('ratelimit-remaining'));
    t.ok(remaining <= last, `${remaining} left after ${last}`);
    last = Math.max(remaining, 1);
  }
  const allowed = statuses.filter((status) => status === 200).length;
  // A token a second comes back.
  t.ok(allowed >= LIMIT && allowed < LIMIT + 5, `${allowed} of ${LIMIT + 5} on one node`);
  t.equal((await b.rest('GET', list, one.token)).status, 429, 'the other node knows');

  const two = await member(issuer, 'rider');
  const before = await taken();
  const answers = await Promise.all(
    Array.from({ length: 4 * LIMIT }, (_, n) => (n % 2 === 0 ? a : b).rest('GET', list, two.token)),
  );
  const through = answers.filter(({ status }) => status === 200).length;
  t.ok(through >= LIMIT - LIMIT / 10 && through <= LIMIT + 5, `${through} of a burst on two nodes`);
  t.ok((await taken()) - before <= LIMIT + 5, 'no more was leased than the bucket held');
  for (const { status, headers, body } of answers) {
    if (status === 200) continue;
    t.hasStrict(body, { code: 'RIDE_RATE_LIMITED' });
    t.equal(headers.get('ratelimit-remaining'), '0');
    t.ok(body.retry_after_ms > 0 && body.retry_after_ms <= 60_000);
  }
  const third = await member(issuer, 'rider');
  t.equal((await b.rest('GET', list, third.token)).status, 200, 'others notice nothing');
});

t.test('Redis away: each node holds the limits by itself, and does not shut the door', async (t) => {
  const redis = await startRedis(t);
  const issuer = await build(t);
  const shared = { ...env, REDIS_URL: redis.url };
  const [a, b] = [await build(t, { env: shared }), await build(t, { env: shared })];
  const { token } = await member(issuer, 'rider');
  const ask = (node: typeof a) => node.rest('GET', list, token);
  t.equal((await ask(a)).status, 200);
  await redis.kill();
  for (let n = 2; n <= AUTHENTICATED; n++) {
    t.equal((await ask(a)).status, 200, `${n}: what needs only the store is answered`);
  }
  const refused = await ask(a);
  t.equal(refused.status, 429, 'one more than the limit');
  t.equal(refused.headers.get('ratelimit-limit'), String(AUTHENTICATED));
  t.equal((await ask(b)).status, 200, 'another node knows nothing of it');
  const other = await member(issuer, 'rider');
  t.equal((await a.rest('GET', list, other.token)).status, 200, 'and another user is not touched');
  await redis.restart();
  await until(async () => {
    const late = await member(issuer, 'service');
    const remaining = [a, b, a, b].map(async (node) =>
      Number((await node.rest('GET', list, late.token)).headers.get('ratelimit-remaining')),
    );
    return Math.min(...(await Promise.all(remaining))) === PREMIUM - 4;
  }, 'one count for both nodes again');
});
