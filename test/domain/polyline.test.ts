/** Encoded polylines: as the algorithm's own example has it, and back to the fifth decimal. */
import fc from 'fast-check';
import t from 'tap';
import { decodePolyline, encodePolyline } from '../../src/domain/polyline.ts';

t.test('the example of the algorithm’s description', async (t) => {
  const points = [
    { lat: 38.5, lng: -120.2 },
    { lat: 40.7, lng: -120.95 },
    { lat: 43.252, lng: -126.453 },
  ];
  t.equal(encodePolyline(points), '_p~iF~ps|U_ulLnnqC_mqNvxq`@');
  t.same(decodePolyline('_p~iF~ps|U_ulLnnqC_mqNvxq`@'), points);
  t.equal(encodePolyline([]), '');
});

t.test('what is encoded comes back, to the fifth decimal and without drift', async () => {
  const point = fc.record({
    lat: fc.double({ min: -90, max: 90, noNaN: true }),
    lng: fc.double({ min: -180, max: 180, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(point, { maxLength: 300 }), (points) => {
      const back = decodePolyline(encodePolyline(points));
      if (back.length !== points.length) throw new Error(`${back.length} of ${points.length}`);
      for (const [i, { lat, lng }] of points.entries())
        if (Math.abs(back[i]!.lat - lat) > 0.500001e-5 || Math.abs(back[i]!.lng - lng) > 0.500001e-5)
          throw new Error(`${i}: ${JSON.stringify([back[i], points[i]])}`);
    }),
  );
});

t.test('a text that is no polyline is refused, and never hangs', async (t) => {
  for (const bad of ['_', '_p~iF', ' ', 'é', '_p~iF~ps|']) t.throws(() => decodePolyline(bad), RangeError, bad);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        return decodePolyline(text).every(({ lat }) => Number.isFinite(lat));
      } catch (error) {
        return error instanceof RangeError;
      }
    }),
  );
});
t.end();
