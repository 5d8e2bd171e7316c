/** The quick bound of a distance never lies. */
import fc from 'fast-check';
import t from 'tap';
import { atMostM, distanceM } from '../../src/domain/geo.ts';

const place = fc.record({
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
});

/** Between places on opposite sides of the earth the arc sine is so steep that half of a number's digits are lost: 1e-8 of the way. */
const ROUNDING_M = 1;

t.test('a distance is at most what the bound says, and near the equator not much less', async (t) => {
  const isBound = fc.property(place, place, (a, b) => distanceM(a, b) <= atMostM(a, b) + ROUNDING_M);
  const opposite = [
    { lat: 0, lng: -179.99999790869023 },
    { lat: 0, lng: 0 },
  ] as const;
  fc.assert(isBound, { examples: [[...opposite]] });
  const [a, b] = [
    { lat: 0, lng: 10 },
    { lat: 0.01, lng: 10.02 },
  ];
  t.ok(atMostM(a, b) < distanceM(a, b) * 1.001);
});
t.end();
