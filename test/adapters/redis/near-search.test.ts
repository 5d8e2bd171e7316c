/** The nearest of a GEO index: what a plain GEOSEARCH of the whole radius finds, whatever was asked before, by looking at fewer. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createNearSearch } from '../../../src/adapters/redis/near-search.ts';
import { createRedisPositions } from '../../../src/adapters/redis/positions.ts';
import { withScripts } from '../../../src/adapters/redis/scripts.ts';
import { startRedis } from '../../servers/redis.ts';
import { quiet } from './place.ts';

const CENTER = { lat: 40.75, lng: -73.98 };
const METRES_A_DEGREE = 111_320;
const KEYS = { index: 'everyone', classes: 'everyone:class' };

type Search = (center: typeof CENTER, radiusM: number, limit: number) => Promise<number[]>;

t.test('the nearest', async (t) => {
  const { url } = await startRedis(t);
  const client = withScripts(connectRedis({ url }, (error) => t.fail(error.message)));
  t.teardown(() => client.quit());

  /** Metres of who is found. `circles`: the first of each search by script, all of those in steps; `scripts`: how many searches each was given. */
  function searchOn(inSteps: boolean, circles: number[] = [], scripts: number[] = []): Search {
    const seen = new Proxy(client, {
      get(target, name) {
        if (name === 'isCluster') return inSteps;
        const own = Reflect.get(target, name, target);
        if (typeof own !== 'function') return own;
        return (...args: (string | number)[]) => {
          if (name === 'call' && args[0] === 'GEOSEARCH') circles.push(Number(args[6]));
          if (name === 'rideFindNear') {
            scripts.push((args.length - 4) / 5);
            for (let at = 4; at < args.length; at += 5) circles.push(Number(args[at + 3]));
          }
          return own.apply(target, args);
        };
      },
    });
    const search = createNearSearch(seen, { ...KEYS, read: async () => null, readCount() {} });
    return async (center, radiusM, limit) => (await search(center, radiusM, limit)).map(({ distanceM }) => distanceM);
  }

  const plain: Search = async (center, radiusM, limit) => {
    const circle = ['FROMLONLAT', center.lng, center.lat, 'BYRADIUS', radiusM, 'm', 'ASC', 'COUNT', limit, 'WITHDIST'];
    const found = (await client.call('GEOSEARCH', KEYS.index, ...circle)) as [string, string][];
    return found.map(([, distance]) => Number(distance));
  };
  const metres = fc.integer({ min: -4000, max: 4000 });
  const place = fc.record({ north: metres, east: metres }).map(({ north, east }) => ({
    lat: CENTER.lat + north / METRES_A_DEGREE,
    lng: CENTER.lng + east / (METRES_A_DEGREE * Math.cos((CENTER.lat * Math.PI) / 180)),
  }));
  const settle = async (places: readonly (typeof CENTER)[]): Promise<void> => {
    await client.del(KEYS.index);
    if (places.length === 0) return;
    await client.geoadd(KEYS.index, ...places.flatMap(({ lat, lng }, i) => [lng, lat, `driver-${i}`]));
  };

  await t.test('are those of the whole radius, whatever was asked before', async (t) => {
    const ask = fc.tuple(place, fc.integer({ min: 1, max: 8000 }), fc.integer({ min: 1, max: 50 }));
    for (const inSteps of [false, true]) {
      await t.resolves(
        fc.assert(
          fc.asyncProperty(
            fc.array(place, { maxLength: 120 }),
            fc.array(ask, { minLength: 1, maxLength: 12 }),
            async (places, asks) => {
              await settle(places);
              const search = searchOn(inSteps);
              // Of those who are equally far any may be named.
              for (const one of asks) assert.deepEqual(await search(...one), await plain(...one));
            },
          ),
          { numRuns: 40 },
        ),
        inSteps ? 'in steps' : 'by script',
      );
    }
  });

  await t.test('sought by many at one moment are found together, as many at once as may be', async (t) => {
    const scripts: number[] = [];
    const search = searchOn(false, [], scripts);
    const asks = Array.from({ length: 100 }, (_, i) => ({ lat: CENTER.lat + i * 0.01, lng: CENTER.lng }));
    const all = () => Promise.all(asks.map((center) => search(center, 3000, 100)));
    const one = () => Promise.all(asks.map((center) => plain(center, 3000, 100)));
    await settle([]);
    t.same(await all(), await one());
    t.same(scripts.splice(0), [64, 36], 'nobody is found soon');
    await settle(asks.flatMap((center) => Array.from({ length: 30 }, () => center)));
    t.same(await all(), await one());
    t.ok(scripts.length > 20, `a crowd is read in parts: ${scripts.length}`);
    t.same(
      await Promise.allSettled([search(CENTER, -1, 10), search(CENTER, 100, 10)]).then((both) =>
        both.map((s) => s.status),
      ),
      ['rejected', 'rejected'],
      'what Redis refuses, nobody waits for',
    );
    t.equal((await search(CENTER, 100, 10)).length, 10);
  });

  await t.test('by script and in steps they come with class and position', async (t) => {
    const store = createRedisPositions(client, { ttlMs: 60_000, flushMs: 0, log: quiet });
    const position = { driverId: 'd', tripId: '', ...CENTER, recordedAt: 1, city: 'c', source: 'stream' } as const;
    await store.record({ ...position, vehicleClass: 'standard' });
    await store.setAvailable('d', 'xl');
    for (const limit of [5, 500])
      t.match(
        await store.nearby(CENTER, 100, limit),
        [{ position: { driverId: 'd', vehicleClass: 'xl', recordedAt: 1 } }],
        limit === 500 ? 'too many for a script' : 'by script',
      );
  });

  await t.test('of a crowd are found in a small circle the next time', async (t) => {
    await settle(
      Array.from({ length: 400 }, (_, i) => ({
        lat: CENTER.lat + (i % 20) * 0.002,
        lng: CENTER.lng + Math.floor(i / 20) * 0.002,
      })),
    );
    const circles: number[] = [];
    const search = searchOn(false, circles);
    t.equal((await search(CENTER, 3000, 10)).length, 10);
    t.same(circles.splice(0), [3000], 'of a place that nobody asked about, nothing is known');
    t.equal((await search(CENTER, 3000, 10)).length, 10);
    t.ok(circles[0]! < 1500, `${circles[0]} m`);
  });

  await t.test('who have left are looked for in ever wider circles, few of them', async (t) => {
    const circles: number[] = [];
    const search = searchOn(true, circles);
    await search(CENTER, 50_000, 10);
    await settle([{ lat: CENTER.lat + 0.1, lng: CENTER.lng }]);
    circles.length = 0;
    t.match(await search(CENTER, 50_000, 10), { length: 1 });
    t.equal(circles.at(-1), 50_000);
    t.ok(circles.length > 1 && circles.length <= 6, circles.join());
    circles.length = 0;
    await search(CENTER, 50_000, 10);
    t.same(circles, [50_000], 'where there are few, the whole radius is asked at once');
  });
});
