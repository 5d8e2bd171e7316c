/** What is remembered of an engine's answers, in the process and in a real Redis, and what is asked anew. */
import { once } from 'node:events';
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createRedisRouteLegs } from '../../../src/adapters/redis/route-legs.ts';
import { cachedEngine } from '../../../src/adapters/routing/cached.ts';
import { guardedEngine } from '../../../src/adapters/routing/guarded.ts';
import { RideError } from '../../../src/errors.ts';
import type { LegCache, RoutingEngine } from '../../../src/ports/routing.ts';
import { corner } from '../../servers/grid-town.ts';
import { startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

const HOUR_MS = 3_600_000;
const AT = 394_800 * HOUR_MS;
const quiet = { warn() {} };

/** Answers with the question's number, and null for what lies in the south. */
function oracle() {
  const state = { asked: 0, questions: 0, ill: false };
  const engine: RoutingEngine = {
    name: 'oracle',
    lineTo: async () => null,
    async legsTo(from) {
      state.questions++;
      if (state.ill) throw new RideError('RIDE_UNAVAILABLE', 'ill');
      return from.map(({ lat }) => (lat < 40 ? null : { durationS: ++state.asked, distanceM: 1000.5 }));
    },
  };
  return { engine, state };
}

function cacheOver(shared: LegCache | null, options: { size?: number; ttlMs?: number } = {}) {
  const { engine, state } = oracle();
  const time = { now: 0 };
  const counts: Record<string, number> = {};
  const cached = cachedEngine(engine, {
    shared,
    size: options.size ?? 100,
    ttlMs: options.ttlMs ?? HOUR_MS,
    resolution: 10,
    sharedWaitMs: 1000,
    meter: {
      cached(level, result, count) {
        counts[`${level} ${result}`] = (counts[`${level} ${result}`] ?? 0) + count;
      },
    },
    log: quiet,
    now: () => time.now,
  });
  const legs = async (...from: { lat: number; lng: number }[]) => cached.legsTo(from, corner(0, 0), AT);
  return { cached, state, time, counts, legs };
}

const far = (n: number) => corner(10, n);

t.test('in the process: asked once, in order, until it is too old', async (t) => {
  const c = cacheOver(null, { ttlMs: 1000 });
  const first = await c.legs(far(1), far(2), far(3));
  t.same(await c.legs(far(3), far(1)), [first[2], first[0]]);
  t.same(
    await c.legs(far(2), far(9), far(1)).then((legs) => [legs[0], legs[2]]),
    [first[1], first[0]],
    'mixed with new ones',
  );
  t.equal(c.state.asked, 4);
  c.time.now += 1000;
  await c.legs(far(1));
  t.equal(c.state.asked, 5);
  t.same(c.counts, { 'process hit': 4, 'process miss': 5 });
});

t.test('a way that is short for the cells is always asked for', async (t) => {
  const c = cacheOver(null);
  await c.legs(corner(1, 1));
  await c.legs(corner(1, 1));
  t.equal(c.state.asked, 2);
  t.same(c.counts, {});
});

t.test('that no road leads is remembered too', async (t) => {
  const c = cacheOver(null);
  const south = { lat: 39, lng: -74 };
  t.same(await c.legs(south), [null]);
  t.same(await c.legs(south), [null]);
  t.equal(c.state.questions, 1);
});

t.test('by hour of the day, and by direction', async (t) => {
  const c = cacheOver(null);
  const [a, b] = [far(1), corner(0, 0)];
  await c.cached.legsTo([a], b, AT);
  await c.cached.legsTo([a], b, AT + HOUR_MS);
  await c.cached.legsTo([b], a, AT);
  t.equal(c.state.asked, 3);
  await c.cached.legsTo([a], b, AT + 24 * HOUR_MS);
  t.equal(c.state.asked, 3, 'the same hour of another day');
});

t.test('the least recently used goes first', async (t) => {
  const c = cacheOver(null, { size: 2 });
  await c.legs(far(1));
  await c.legs(far(3));
  await c.legs(far(1));
  await c.legs(far(5));
  await c.legs(far(1));
  t.equal(c.state.asked, 3, 'the first is still there');
  await c.legs(far(3));
  t.equal(c.state.asked, 4, 'the second is not');
});

t.test('on a real Redis', async (t) => {
  const server = await startRedis(t);
  const redis = connectRedis({ url: server.url }, () => {});
  t.teardown(() => redis.disconnect());
  await once(redis, 'ready');
  const shared = createRedisRouteLegs(redis, 60_000);

  await t.test('another node finds what one has asked for', async (t) => {
    const [one, other] = [cacheOver(shared), cacheOver(shared)];
    const south = { lat: 39, lng: -74 };
    const legs = await one.legs(far(1), south, far(2));
    await until(async () => (await redis.keys('route:legs:oracle:*')).length === 1, 'it is shared');
    t.same(await other.legs(far(2), south, far(1)), [legs[2], null, legs[0]]);
    t.equal(other.state.questions, 0);
    t.same(other.counts, { 'process miss': 3, 'redis hit': 3 });
  });

  await t.test('what is shared ends some time after the first of its hour', async (t) => {
    const [key] = await redis.keys('route:legs:oracle:*');
    const before = await redis.pttl(key!);
    t.ok(before > 0 && before <= 60_000);
    await redis.pexpire(key!, 5000);
    await cacheOver(shared).legs(far(7));
    await until(async () => (await redis.hlen(key!)) === 4, 'one more');
    t.ok((await redis.pttl(key!)) <= 5000, 'a later way does not put the end off');
  });

  await t.test('values that are not ours count as unknown', async (t) => {
    const [key] = await redis.keys('route:legs:oracle:*');
    for (const field of await redis.hkeys(key!)) await redis.hset(key!, field, 'rubbish');
    const c = cacheOver(shared);
    t.match(await c.legs(far(1)), [{ distanceM: 1000.5 }]);
    t.equal(c.state.asked, 1);
  });

  await t.test('Redis away: the engine is asked, nothing fails', async (t) => {
    await redis.flushall();
    await server.kill();
    const c = cacheOver(shared);
    t.match(await c.legs(far(1)), [{ distanceM: 1000.5 }]);
    t.ok(c.counts['redis failed']! >= 1);
    t.match(await c.legs(far(1)), [{ distanceM: 1000.5 }], 'the process remembers');
    t.equal(c.state.asked, 1);
  });
});

t.test('in front of an open breaker what is remembered still serves', async (t) => {
  const { engine, state } = oracle();
  const states: string[] = [];
  const guarded = guardedEngine(engine, {
    threshold: 2,
    resetMs: 60_000,
    meter: { breaker: (_engine, state) => void states.push(state) },
  });
  const cached = cachedEngine(guarded, {
    shared: null,
    size: 10,
    ttlMs: HOUR_MS,
    resolution: 10,
    meter: { cached() {} },
    log: quiet,
  });
  const ask = (n: number) => cached.legsTo([far(n)], corner(0, 0), AT);
  const [leg] = await ask(1);
  state.ill = true;
  for (const n of [3, 5, 7]) await t.rejects(ask(n), { code: 'RIDE_UNAVAILABLE' });
  t.equal(state.questions, 3, 'the third was not asked');
  t.same(await ask(1), [leg]);
  t.same(states, ['closed', 'open']);
});
