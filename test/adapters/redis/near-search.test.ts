/** The nearest of a GEO index: what a plain GEOSEARCH of the whole radius finds, whatever was asked before, by looking at fewer. */
import fc from 'fast-check';
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createNearSearch, type Near } from '../../../src/adapters/redis/near-search.ts';
import type { ScriptedRedis } from '../../../src/adapters/redis/scripts.ts';
import { startRedis } from '../../servers/redis.ts';

const CENTER = { lat: 40.75, lng: -73.98 };
const METRES_A_DEGREE = 111_320;
const INDEX = 'everyone';

t.test('the nearest', async (t) => {
  const { url } = await startRedis(t);
  const client = connectRedis({ url }, (error) => t.fail(error.message));
  t.teardown(() => client.quit());
  const circles: number[] = [];
  const redis = {
    call(...args: (string | number)[]) {
      circles.push(Number(args[6]));
      return (client.call as (...args: (string | number)[]) => Promise<unknown>)(...args);
    },
  } as unknown as ScriptedRedis;
  const plain = (center: typeof CENTER, radiusM: number, limit: number): Promise<Near[]> => {
    const from = ['FROMLONLAT', center.lng, center.lat, 'BYRADIUS', radiusM, 'm'];
    return client.call('GEOSEARCH', INDEX, ...from, 'ASC', 'COUNT', limit, 'WITHDIST') as Promise<unknown> as Promise<
      Near[]
    >;
  };
  const metres = fc.integer({ min: -4000, max: 4000 });
  const place = fc.record({ north: metres, east: metres }).map(({ north, east }) => ({
    lat: CENTER.lat + north / METRES_A_DEGREE,
    lng: CENTER.lng + east / (METRES_A_DEGREE * Math.cos((CENTER.lat * Math.PI) / 180)),
  }));
  const settle = async (places: readonly (typeof CENTER)[]): Promise<void> => {
    await client.del(INDEX);
    if (places.length === 0) return;
    await client.geoadd(INDEX, ...places.flatMap(({ lat, lng }, i) => [lng, lat, `driver-${i}`]));
  };

  await t.test('are those of the whole radius, whatever was asked before', async (t) => {
    const ask = fc.tuple(place, fc.integer({ min: 1, max: 8000 }), fc.integer({ min: 1, max: 50 }));
    await t.resolves(
      fc.assert(
        fc.asyncProperty(
          fc.array(place, { maxLength: 120 }),
          fc.array(ask, { minLength: 1, maxLength: 12 }),
          async (places, asks) => {
            await settle(places);
            const search = createNearSearch(redis, INDEX);
            for (const [center, radiusM, limit] of asks) {
              const metresOf = (found: readonly Near[]): string => found.map(([, distance]) => distance).join();
              const [found, wanted] = [await search(center, radiusM, limit), await plain(center, radiusM, limit)];
              // Of those who are equally far any may be named.
              if (metresOf(found) !== metresOf(wanted))
                throw new Error(`${metresOf(found)} and not ${metresOf(wanted)}`);
            }
          },
        ),
        { numRuns: 40 },
      ),
    );
  });

  await t.test('of a crowd are found in a small circle the next time', async (t) => {
    await settle(
      Array.from({ length: 400 }, (_, i) => ({
        lat: CENTER.lat + (i % 20) * 0.002,
        lng: CENTER.lng + Math.floor(i / 20) * 0.002,
      })),
    );
    const search = createNearSearch(redis, INDEX);
    circles.length = 0;
    t.equal((await search(CENTER, 3000, 10)).length, 10);
    t.same(circles.splice(0), [3000], 'of a place that nobody asked about, nothing is known');
    t.equal((await search(CENTER, 3000, 10)).length, 10);
    const [small, ...more] = circles.splice(0);
    t.same(more, []);
    t.ok(small! < 1500, `${small} m`);
  });

  await t.test('who have left are looked for in ever wider circles, few of them', async (t) => {
    const search = createNearSearch(redis, INDEX);
    await search(CENTER, 50_000, 10);
    await search(CENTER, 50_000, 10);
    await settle([{ lat: CENTER.lat + 0.1, lng: CENTER.lng }]);
    circles.length = 0;
    t.match(await search(CENTER, 50_000, 10), [['driver-0', /^11\d{3}\./]]);
    t.equal(circles.at(-1), 50_000);
    t.ok(circles.length <= 6, circles.join());
    circles.length = 0;
    await search(CENTER, 50_000, 10);
    t.same(circles, [50_000], 'where there are few, the whole radius is asked at once');
  });
});
