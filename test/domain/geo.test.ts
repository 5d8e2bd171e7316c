/** The quick bound of a distance never lies. */
import fc from 'fast-check';
import t from 'tap';
import { atMostM, distanceM } from '../../src/domain/geo.ts';

const place = fc.record({
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
});

t.test('a distance is at most what the bound says, and near the equator not much less', async (t) => {
  fc.assert(
    fc.property(place, place, (a, b) => {
      // Rounding of figures as large as the earth.
      return distanceM(a, b) <= atMostM(a, b) * (1 + 1e-9) + 1e-3;
    }),
  );
  const [a, b] = [
    { lat: 0, lng: 10 },
    { lat: 0.01, lng: 10.02 },
  ];
  t.ok(atMostM(a, b) < distanceM(a, b) * 1.001);
});
t.end();
