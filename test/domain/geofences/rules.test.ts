/** Areas and their cover: what geometry says, the index says too, and standing on the edge is one entry. */
import fc from 'fast-check';
import { latLngToCell } from 'h3-js';
import t from 'tap';
import { distanceM, type LatLng } from '../../../src/domain/geo.ts';
import { COVER_RESOLUTION, coverOf, FenceIndex } from '../../../src/domain/geofences/cover.ts';
import type { Geofence } from '../../../src/domain/geofences/geofence.ts';
import {
  type Area,
  areaViolation,
  contains,
  edgeDistanceM,
  isNowInside,
  type Pair,
} from '../../../src/domain/geofences/rules.ts';

const METRE = 1 / 111_195;
const CENTER = { lat: 41.15, lng: -8.62 };

/** A star: a point at each angle, at its own distance, so it is simple but seldom convex. */
function star(center: LatLng, radiiM: readonly number[]): Pair[] {
  const ring = radiiM.map((radius, i): Pair => {
    const angle = (2 * Math.PI * i) / radiiM.length;
    const stretch = Math.cos((center.lat * Math.PI) / 180);
    return [center.lng + (radius * METRE * Math.cos(angle)) / stretch, center.lat + radius * METRE * Math.sin(angle)];
  });
  return [...ring, ring[0]!];
}

const area = (...polygons: Pair[][][]): Area => ({ type: 'MultiPolygon', coordinates: polygons });

let ids = 0;
const fence = (area: Area, exitMarginM = 50): Geofence => ({
  id: `gfn_${++ids}`,
  region: 'test',
  createdAt: 1,
  version: 1,
  name: 'a fence',
  city: 'testville',
  purpose: 'custom',
  area,
  exitMarginM,
  isRemoved: false,
  updatedAt: 1,
});

const radii = fc.array(fc.integer({ min: 100, max: 3000 }), { minLength: 3, maxLength: 12 });
const center = fc.record({
  lat: fc.double({ min: 41.1, max: 41.2, noNaN: true }),
  lng: fc.double({ min: -8.7, max: -8.5, noNaN: true }),
});
const place = fc.record({
  lat: fc.double({ min: 41.05, max: 41.25, noNaN: true }),
  lng: fc.double({ min: -8.8, max: -8.4, noNaN: true }),
});

t.test('a star holds its middle, not what lies beyond its longest ray, and not its hole', async () => {
  fc.assert(
    fc.property(center, radii, fc.double({ min: 0, max: 2 * Math.PI, noNaN: true }), (center, radii, angle) => {
      const outline = star(center, radii);
      const shape = area([outline]);
      const hole = star(
        center,
        radii.map((radius) => radius / 2),
      );
      const beyond = {
        lat: center.lat + 3100 * METRE * Math.sin(angle),
        lng: center.lng + 4200 * METRE * Math.cos(angle),
      };
      if (areaViolation(shape)) throw new Error(areaViolation(shape)!);
      // Three rays may leave the middle on the edge or outside.
      if (radii.length > 4 && !contains(shape, center)) throw new Error('without its middle');
      if (radii.length > 4 && contains(area([outline, hole]), center)) throw new Error('with its hole');
      if (contains(shape, beyond)) throw new Error('with what is beyond');
      if (
        contains(area([outline], [star({ lat: center.lat, lng: center.lng + 1 }, radii)]), center) !==
        contains(shape, center)
      )
        throw new Error('another polygon far away changes nothing');
    }),
  );
});

t.test('the distance to the edge is that of its nearest corner or side', async () => {
  fc.assert(
    fc.property(center, radii, place, (center, radii, place) => {
      const ring = star(center, radii);
      const distance = edgeDistanceM(area([ring]), place);
      // A side is approached by many points on it.
      let nearest = Number.POSITIVE_INFINITY;
      for (let i = 1; i < ring.length; i++)
        for (let part = 0; part <= 50; part++) {
          const [lng, lat] = [0, 1].map(
            (axis) => ring[i - 1]![axis]! + ((ring[i]![axis]! - ring[i - 1]![axis]!) * part) / 50,
          );
          nearest = Math.min(nearest, distanceM(place, { lat: lat!, lng: lng! }));
        }
      return distance <= nearest * 1.005 + 1 && distance >= nearest * 0.99 - 65;
    }),
  );
});

t.test('the index says what geometry says, for all fences and places', async () => {
  const many = fc.array(fc.tuple(center, radii), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(many, fc.array(place, { minLength: 1, maxLength: 40 }), (stars, places) => {
      const index = new FenceIndex();
      const fences = stars.map(([center, radii]) => fence(area([star(center, radii)])));
      for (const one of fences) index.put(one);
      for (const { lat, lng } of places) {
        const expected = fences.filter((one) => contains(one.area, { lat, lng })).map(({ id }) => id);
        const found = index.at(lat, lng).map(({ id }) => id);
        if (found.sort().join() !== expected.sort().join()) throw new Error(`${found} for ${expected}`);
        const entered = index.crossed(new Map(), lat, lng)?.entered.map(({ id }) => id) ?? [];
        if (entered.sort().join() !== expected.join()) throw new Error(`entered ${entered} of ${expected}`);
      }
    }),
    { numRuns: 40 },
  );
});

t.test('the cover holds every cell of the area, and a place far from all fences costs one look', async (t) => {
  const shape = area([star(CENTER, [2000, 300, 2500, 400, 1800, 350])]);
  const cells = coverOf(shape)!;
  for (const [lng, lat] of shape.coordinates[0]![0]!) t.ok(cells.has(latLngToCell(lat, lng, COVER_RESOLUTION)));
  const index = new FenceIndex();
  const one = fence(shape);
  index.put(one);
  t.equal(index.crossed(null, CENTER.lat + 1, CENTER.lng), null);
  t.same(
    index.crossed(null, CENTER.lat, CENTER.lng)?.entered.map(({ id }) => id),
    [one.id],
  );
  t.equal(index.crossed(new Map([[one.id, 1]]), CENTER.lat, CENTER.lng), null, 'and nothing new is nothing');
  t.same(index.crossed(new Map([[one.id, 1]]), CENTER.lat + 1, CENTER.lng)?.left, [one.id], 'also from afar');
  index.put({ ...one, version: 2, isRemoved: true });
  t.equal(index.cells, 0);
  t.same(index.crossed(new Map([[one.id, 1]]), CENTER.lat, CENTER.lng)?.left, [one.id], 'a removed one holds nobody');
  index.put(one);
  t.equal(index.size, 0, 'and an older version does not bring it back');
  t.equal(coverOf(area([star(CENTER, [300_000, 300_000, 300_000, 300_000])])), null, 'too large');
});

t.test('polygons on top of each other cost as those side by side do', async (t) => {
  const large = star(CENTER, [60_000, 60_000, 60_000, 60_000]);
  const cells = coverOf(area([large]))!.size;
  t.ok(cells > 5000, 'one is well within the bound');
  t.equal(
    coverOf(area(...Array.from({ length: 10 }, () => [large]))),
    null,
    'ten are not, though they hold the same place',
  );
});

t.test('one who trembles on the edge enters once and leaves once', async () => {
  const shape = area([
    star(
      CENTER,
      Array.from({ length: 8 }, () => 1000),
    ),
  ]);
  const edge = { lat: CENTER.lat, lng: shape.coordinates[0]![0]![0]![0] };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -45, max: 45 }), { minLength: 1, maxLength: 50 }), (offsets) => {
      let isInside = false;
      let changes = 0;
      const visit = (lng: number): void => {
        const next = isNowInside(shape, isInside, { lat: edge.lat, lng }, 50);
        if (next !== isInside) changes++;
        isInside = next;
      };
      visit(CENTER.lng);
      for (const metres of offsets) visit(edge.lng + (metres * METRE) / Math.cos((edge.lat * Math.PI) / 180));
      const onTheEdge = changes;
      visit(edge.lng + 0.01);
      return onTheEdge === 1 && changes === 2 && !isInside;
    }),
  );
});

t.test('what is no area is refused with the rule it breaks', async (t) => {
  const square = star(CENTER, [100, 100, 100, 100]);
  t.equal(areaViolation(area([square])), null);
  t.match(areaViolation(area()), /at least one/);
  t.match(areaViolation(area([square.slice(1)])), /closed/);
  t.match(areaViolation(area([square.slice(0, 3)])), /four/);
  t.match(areaViolation(area([[square[0]!, square[0]!, square[0]!, square[0]!]])), /hold an area/);
  t.match(
    areaViolation(
      area([
        [
          [179, 0],
          [-179, 0],
          [-179, 1],
          [179, 1],
          [179, 0],
        ],
      ]),
    ),
    /date line/,
  );
  t.match(
    areaViolation(
      area([
        star(
          CENTER,
          Array.from({ length: 5001 }, () => 100),
        ),
      ]),
    ),
    /5000/,
  );
  t.match(
    areaViolation(
      area([
        [
          [0, 0],
          [0, 91],
          [1, 91],
          [0, 0],
        ],
      ]),
    ),
    /degrees/,
  );
});
t.end();
