/** Rings of cells: everybody within the radius is found, once, at his ring, and a cell is asked for once. */
import fc from 'fast-check';
import { cellToLatLng, getPentagons, gridDiskDistances, gridDistance, latLngToCell } from 'h3-js';
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createRedisPositions } from '../../../src/adapters/redis/positions.ts';
import { withScripts } from '../../../src/adapters/redis/scripts.ts';
import { createRingSearch, outermostRing } from '../../../src/domain/dispatch/candidates.ts';
import { distanceM } from '../../../src/domain/geo.ts';
import type { Position, Positions } from '../../../src/ports/positions.ts';
import { quiet } from '../../realtime/node.ts';
import { startRedis } from '../../servers/redis.ts';

const RESOLUTION = 8;
const { url } = await startRedis(t);
const redis = withScripts(connectRedis({ url }, () => {}));
t.teardown(() => redis.disconnect());
const real = createRedisPositions(redis, { ttlMs: 3_600_000, flushMs: 0, log: quiet });

/** Only these drivers are available; their index counts how often it is asked. */
async function world(drivers: readonly Position[]) {
  await redis.flushall();
  await Promise.all(drivers.map((position) => real.record(position)));
  await Promise.all(drivers.map(({ driverId }) => real.setAvailable(driverId, 'standard')));
  let asked = 0;
  const positions: Positions = {
    ...real,
    nearby(...where) {
      asked++;
      return real.nearby(...where);
    },
  };
  return { positions, asked: () => asked };
}

const spot = (lat: number, lng: number, around: number) =>
  fc.record({
    lat: fc.double({ min: lat - around, max: lat + around, noNaN: true }),
    lng: fc.double({ min: lng - around, max: lng + around, noNaN: true }),
  });
const at = (place: { lat: number; lng: number }, i: number): Position => ({
  ...place,
  driverId: `driver-${i}`,
  tripId: '',
  recordedAt: 1_421_322_000_000,
  vehicleClass: 'standard',
  city: 'testville',
  source: 'stream',
});

t.test('whoever is within the radius is found once, at his ring', async (t) => {
  const cities = fc.constantFrom([40.75, -73.98], [1.35, 103.8], [-33.9, 151.2], [64.1, -21.9], [0.3, 32.6]);
  const cases = cities.chain(([lat, lng]) =>
    fc.record({
      pickup: spot(lat!, lng!, 0.002),
      drivers: fc.array(spot(lat!, lng!, 0.06), { maxLength: 40 }),
      radiusM: fc.integer({ min: 100, max: 7000 }),
    }),
  );
  await t.resolves(
    fc.assert(
      fc.asyncProperty(cases, async ({ pickup, drivers, radiusM }) => {
        const all = drivers.map((place, i) => at(place, i));
        const search = createRingSearch((await world(all)).positions, {
          resolution: RESOLUTION,
          radiusM,
          enough: 1000,
        });
        const found = await search(pickup, () => true);
        const ids = found.map(({ position }) => position.driverId).sort();
        const within = all.filter((p) => distanceM(p, pickup) <= radiusM).map(({ driverId }) => driverId);
        if (`${ids}` !== `${within.sort()}`) throw new Error(`${ids}, not ${within}`);
        const cell = latLngToCell(pickup.lat, pickup.lng, RESOLUTION);
        for (const { position, ring } of found) {
          const is = gridDistance(cell, latLngToCell(position.lat, position.lng, RESOLUTION));
          if (ring !== is) throw new Error(`ring ${ring}, is ${is}`);
        }
      }),
      { numRuns: 100 },
    ),
  );
});

t.test('beside a pentagon of the grid, too, where distances cannot be counted', async (t) => {
  const around = gridDiskDistances(getPentagons(RESOLUTION)[3]!, 4);
  const from = around[3]![4]!;
  const rings = gridDiskDistances(from, 6);
  const drivers = rings.flat().map((cell, i) => {
    const [lat, lng] = cellToLatLng(cell);
    return at({ lat, lng }, i);
  });
  const [lat, lng] = cellToLatLng(from);
  const { positions } = await world(drivers);
  const search = createRingSearch(positions, { resolution: RESOLUTION, radiusM: 20_000, enough: rings.flat().length });
  const found = await search({ lat, lng }, () => true);
  t.equal(found.length, drivers.length);
  const wrong = found.filter(
    ({ position, ring }) => !rings[ring]!.includes(latLngToCell(position.lat, position.lng, RESOLUTION)),
  );
  t.same(wrong, []);
});

t.test('rings are added until enough may take the trip; trips of one cell share the search', async (t) => {
  const here = { lat: 40.7484, lng: -73.9857 };
  const drivers = Array.from({ length: 40 }, (_, i) => at({ lat: here.lat + i * 0.001, lng: here.lng }, i));
  const { positions, asked } = await world(drivers);
  const search = createRingSearch(positions, { resolution: RESOLUTION, radiusM: 5000, enough: 5 });
  const first = await search(here, () => true);
  t.equal(asked(), 1, 'enough in the first rings');
  t.ok(first.length >= 5 && first.length < 40);
  await search({ lat: here.lat + 0.00001, lng: here.lng }, () => true);
  t.equal(asked(), 1, 'the same cell');
  const picky = await search(here, ({ driverId }) => Number(driverId.slice(7)) >= 30);
  t.ok(asked() > 1, 'the search goes on behind those who may not');
  t.ok(picky.some(({ position }) => position.driverId === 'driver-34'));
  t.ok(outermostRing(latLngToCell(here.lat, here.lng, RESOLUTION), 5000) <= 12);
});
