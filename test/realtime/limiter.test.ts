/** Leased token buckets on a real Redis: what a user may send, on one node and on several, with Redis there and away. */
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { createRedisTokenBuckets } from '../../src/adapters/redis/token-buckets.ts';
import type { TokenBuckets } from '../../src/ports/token-buckets.ts';
import { Limiter } from '../../src/realtime/limiter.ts';
import type { TestScope } from '../helper.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

/** So long a window that nothing comes back while a test runs. */
const HOUR_MS = 3_600_000;
const LIMITS = { general: 100, location: 1000, chat: 50 };

interface Node {
  limiter: Limiter;
  /** Round trips to the shared bucket so far. */
  asked(): number;
}

function nodeOn(t: TestScope, redis: RedisServer, windowMs = HOUR_MS, now?: () => number, limits = LIMITS): Node {
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  const real = createRedisTokenBuckets(client);
  let asked = 0;
  const buckets: TokenBuckets = {
    take(...args) {
      asked++;
      return real.take(...args);
    },
    giveBack: (...args) => real.giveBack(...args),
  };
  return { limiter: new Limiter({ buckets, limits, windowMs, ...(now ? { now } : {}) }), asked: () => asked };
}

/** Sends `count` messages at once; how many were let through, and the longest wait of the others. */
async function burst(limiter: Limiter, user: string, count: number, rateClass: 'general' | 'chat' = 'general') {
  const waits = await Promise.all(Array.from({ length: count }, () => limiter.spend(user, rateClass, 1)));
  return { allowed: waits.filter((wait) => wait === 0).length, longestMs: Math.max(...waits) };
}

/** What does not wait is done within so many turns of the event loop; a second of an idle one has many thousands. */
const FEW_TURNS = 300;

/** Turns of the event loop since then. */
function countTurns(t: { after(hook: () => void): void }): () => number {
  let turns = 0;
  let next = setImmediate(function count() {
    turns++;
    next = setImmediate(count);
  });
  t.after(() => clearImmediate(next));
  return () => turns;
}

t.test('a burst gets the whole limit and no more, by a few round trips', async (t) => {
  const { limiter, asked } = nodeOn(t, await startRedis(t));
  const first = await burst(limiter, 'u', 500);
  t.equal(first.allowed, 100);
  t.ok(first.longestMs > 0 && first.longestMs <= HOUR_MS / 100, `the next token comes in ${first.longestMs} ms`);
  t.ok(asked() <= 12, `${asked()} round trips`);
  const before = asked();
  t.equal((await burst(limiter, 'u', 500)).allowed, 0);
  t.ok(asked() - before <= 1, 'the refused do not ask');
  t.equal((await burst(limiter, 'u', 60, 'chat')).allowed, 50, 'another class has a bucket of its own');
  t.equal((await burst(limiter, 'v', 100)).allowed, 100, 'another user too');
});

t.test('one by one, the lease is topped up before it is used up', async (t) => {
  const { limiter, asked } = nodeOn(t, await startRedis(t));
  let awaited = 0;
  for (let i = 0; i < 100; i++) {
    const wait = limiter.spend('u', 'general', 1);
    if (typeof wait !== 'number') awaited++;
    t.equal(await wait, 0);
    // The answer of Redis has time to come, as between messages of a device.
    await until(() => limiter.idle('u'), 'nothing to be asked for');
  }
  t.equal(awaited, 1, 'only the first message waited');
  t.ok(asked() <= 20, `${asked()} round trips`);
  t.not(await limiter.spend('u', 'general', 1), 0, 'the limit holds');
});

t.test('nobody overtakes another of the same user and class', async (t) => {
  const client = connectRedis({ url: (await startRedis(t)).url }, () => {});
  t.after(() => client.disconnect());
  const real = createRedisTokenBuckets(client);
  const told: number[] = [];
  let next = 0;
  const charge = (): void => {
    const mine = next++;
    limiter.charge('u', 'general', 1, () => told.push(mine));
  };
  const buckets: TokenBuckets = {
    take(...args) {
      const reply = real.take(...args);
      // At every moment between the answer and those who wait for it.
      void reply.then(async () => {
        for (let n = 0; n < 12; n++) {
          charge();
          await null;
        }
      });
      return reply;
    },
    giveBack: (...args) => real.giveBack(...args),
  };
  const limiter = new Limiter({ buckets, limits: { ...LIMITS, general: 10_000 }, windowMs: HOUR_MS });
  while (next < 300) {
    charge();
    charge();
    await new Promise(setImmediate);
  }
  await until(() => told.length === next && limiter.idle('u'), 'all to be told');
  t.same(told, [...told.keys()]);
});

t.test('what is left counts down by what was spent, whatever is leased', async (t) => {
  const redis = await startRedis(t);
  const { limiter } = nodeOn(t, redis);
  for (let n = 1; n <= 100; n++) {
    await limiter.spend('u', 'general', 1);
    t.equal(limiter.left('u', 'general'), 100 - n);
    if (n % 3 === 0) await until(() => limiter.idle('u'), 'nothing to be asked for');
  }
  await limiter.spend('u', 'general', 1);
  t.equal(limiter.left('u', 'general'), 0);
  const away = nodeOn(t, redis).limiter;
  await burst(away, 'u', 1);
  await redis.kill();
  await burst(away, 'v', 40);
  t.equal(away.left('v', 'general'), 60, 'by itself too');
});

t.test('what is in hand pays at once and counts as all else; what is not costs nothing', async (t) => {
  const { limiter, asked } = nodeOn(t, await startRedis(t));
  t.equal(limiter.spendInHand('u', 'general', 1), null, 'nothing is leased yet');
  t.equal(asked(), 0, 'and nothing was asked for');
  let inHand = 0;
  for (let n = 1; n <= 100; n++) {
    const left = limiter.spendInHand('u', 'general', 1);
    if (left === null) t.equal(await limiter.spend('u', 'general', 1), 0);
    else {
      inHand++;
      t.equal(left, 100 - n);
    }
    t.equal(limiter.left('u', 'general'), 100 - n);
    await until(() => limiter.idle('u'), 'nothing to be asked for');
  }
  t.equal(inHand, 99, 'all but the first: the lease is topped up');
  t.equal(limiter.spendInHand('u', 'general', 1), null, 'the limit holds');
});

t.test('who waits as long as he is told is let through', async (t) => {
  const { limiter } = nodeOn(t, await startRedis(t), 10_000);
  await burst(limiter, 'u', 100);
  for (let i = 0; i < 3; i++) {
    let wait = 0;
    // On a slow machine some have come back meanwhile.
    while (wait === 0) wait = await limiter.spend('u', 'general', 1);
    t.ok(wait <= 110, `a token each 100 ms: ${wait}`);
    await new Promise((resolve) => setTimeout(resolve, wait + 1));
    t.equal(await limiter.spend('u', 'general', 1), 0);
  }
});

t.test('a batch costs what it carries; the refusal of a large one leaves room for a small one', async (t) => {
  const { limiter } = nodeOn(t, await startRedis(t));
  t.equal(await limiter.spend('d', 'location', 950), 0);
  const wait = await limiter.spend('d', 'location', 100);
  t.ok(wait > (HOUR_MS * 49) / 1000, `fifty tokens are missing: ${wait} ms`);
  t.equal(await limiter.spend('d', 'location', 1), 0);
  t.equal(await limiter.spend('d', 'location', 49), 0);
  t.not(await limiter.spend('d', 'location', 1), 0);
  t.equal(await limiter.spend('e', 'location', 5000), 0, 'one larger than the bucket takes the whole bucket');
  t.not(await limiter.spend('e', 'location', 1), 0);
});

t.test('two nodes share one bucket; what one did not spend it gives back', async (t) => {
  const redis = await startRedis(t);
  const a = nodeOn(t, redis);
  const b = nodeOn(t, redis);
  t.equal((await burst(a.limiter, 'u', 41)).allowed, 41);
  const rest = (await burst(b.limiter, 'u', 200)).allowed;
  t.ok(rest <= 59 && rest >= 49, `${rest}: the rest but for the other's lease of at most ten`);
  a.limiter.release('u');
  let back = 0;
  await until(async () => {
    back += (await burst(nodeOn(t, redis).limiter, 'u', 200)).allowed;
    return back >= 59 - rest;
  }, 'what was given back');
  t.equal(back, 59 - rest, 'to the last token');
});

t.test(
  'spread over many nodes, a user gets what he may but for what lies in leases: never less than half',
  async (t) => {
    const redis = await startRedis(t);
    const nodes = Array.from({ length: 20 }, () => nodeOn(t, redis).limiter);
    // Where he goes next is anyone's guess; that it is one of a few for a while is the worst for leases.
    for (const few of [1, 3, 20]) {
      const user = `spread-${few}`;
      let allowed = 0;
      for (let sent = 0; sent < 400; sent++) {
        const first = Math.floor(sent / 40) * few;
        const node = nodes[(first + (sent % few)) % nodes.length]!;
        if ((await node.spend(user, 'general', 1)) === 0) allowed++;
        await until(() => node.idle(user), 'nothing to be asked for');
      }
      t.ok(allowed >= 50 && allowed <= 100, `${few} at a time: ${allowed} of 100`);
    }
  },
);

t.test('a bucket too small for leases is exact on any number of nodes', async (t) => {
  const redis = await startRedis(t);
  const nodes = [0, 1, 2].map(() => nodeOn(t, redis, HOUR_MS, undefined, { ...LIMITS, general: 9 }).limiter);
  for (let sent = 0; sent < 9; sent++) t.equal(await nodes[sent % 3]!.spend('u', 'general', 1), 0);
  for (const node of nodes) t.not(await node.spend('u', 'general', 1), 0);
});

t.test('a connection that is gone is not waited for', async (t) => {
  const redis = await startRedis(t);
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  const buckets = createRedisTokenBuckets(client);
  const shape = { capacity: 10, windowMs: HOUR_MS };
  t.same(await buckets.take('u', shape, 1, 4), { granted: 4, waitMs: 0, left: 6 });
  t.hasStrict(await buckets.take('u', shape, 7, 7), { granted: 0, left: 6 });
  await redis.kill();
  await until(() => client.status === 'reconnecting', 'the client to notice');
  const turns = countTurns(t);
  await t.rejects(buckets.take('u', shape, 1, 1), { code: 'RIDE_UNAVAILABLE' });
  t.ok(turns() < FEW_TURNS, `${turns()} turns of the event loop`);
});

t.test('Redis away: each node holds the limit by itself, and nobody waits for long', async (t) => {
  const redis = await startRedis(t);
  const a = nodeOn(t, redis);
  const b = nodeOn(t, redis);
  t.equal((await burst(a.limiter, 'u', 30)).allowed, 30);
  await redis.kill();
  const more = (await burst(a.limiter, 'u', 500)).allowed;
  t.ok(more >= 60 && more <= 70, `${more}: what this node had left of the limit`);
  t.equal((await burst(b.limiter, 'u', 500)).allowed, 100, 'the other node allows as much: n nodes, n limits');
  t.equal((await burst(a.limiter, 'v', 100)).allowed, 100, 'and another user is not touched');
  await redis.restart();
  let user = 0;
  await until(async () => {
    const name = `after-${++user}`;
    return (await burst(a.limiter, name, 500)).allowed + (await burst(b.limiter, name, 500)).allowed === 100;
  }, 'one limit for both again');
});

t.test('a Redis that hangs counts as away', async (t) => {
  const redis = await startRedis(t);
  const { limiter } = nodeOn(t, redis);
  await burst(limiter, 'u', 1);
  process.kill(redis.pid(), 'SIGSTOP');
  t.after(() => process.kill(redis.pid(), 'SIGCONT'));
  t.equal((await burst(limiter, 'v', 200)).allowed, 100, 'it never answers, and is not waited for for ever');
  const turns = countTurns(t);
  t.equal((await burst(limiter, 'w', 200)).allowed, 100);
  t.ok(turns() < FEW_TURNS, `and the next does not wait at all: ${turns()} turns of the event loop`);
  process.kill(redis.pid(), 'SIGCONT');
});

t.test(
  'more callers than there is room for: the longest unheard of are forgotten, nobody is let through for it',
  async (t) => {
    const redis = await startRedis(t);
    const { limiter } = nodeOn(t, redis);
    t.equal((await burst(limiter, 'u', 150)).allowed, 100);
    await Promise.all(Array.from({ length: 220_000 }, (_, n) => limiter.left(`other-${n}`, 'general')));
    t.ok(limiter.size <= 200_000, `${limiter.size} users are remembered`);
    t.equal((await burst(limiter, 'u', 150)).allowed, 0, 'the bucket remembers');
  },
);

t.test('who has not been heard of for a window is forgotten', async (t) => {
  let now = Date.now();
  const { limiter } = nodeOn(t, await startRedis(t), 1000, () => now);
  await burst(limiter, 'u', 5);
  t.equal(limiter.size, 1);
  now += 1000;
  await burst(limiter, 'v', 5);
  t.equal(limiter.size, 2, 'kept for one more');
  now += 1000;
  await burst(limiter, 'v', 5);
  t.equal(limiter.size, 1);
});
