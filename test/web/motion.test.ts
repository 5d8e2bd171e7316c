/** Where markers are between two positions. */
import fc from 'fast-check';
import t from 'tap';
import { lines, motion as m } from './modules.ts';

t.test('Web Mercator there and back', (t) => {
  t.equal(m.worldX(0), 0.5);
  t.equal(m.worldY(0), 0.5);
  fc.assert(
    fc.property(
      fc.double({ min: -85, max: 85, noNaN: true }),
      fc.double({ min: -180, max: 180, noNaN: true }),
      (lat, lng) => {
        return Math.abs(m.latOf(m.worldY(lat)) - lat) < 1e-9 && Math.abs(m.lngOf(m.worldX(lng)) - lng) < 1e-9;
      },
    ),
  );
  t.ok(m.worldY(90) >= 0 && m.worldY(-90) <= 1, 'the poles are cut');
  t.end();
});

t.test('a marker arrives when the next position is due, and never overshoots', (t) => {
  const motion = m.still(0.5, 0.5, null, 0);
  m.moveTo(motion, 0.6, 0.5, null, 1_000);
  const x = (now: number) => motion.fromX + (motion.toX - motion.fromX) * m.shareDone(motion, now);
  t.equal(x(1_000), 0.5, 'begins where it was');
  t.ok(x(1_500) > 0.54 && x(1_500) < 0.56, 'half the way in half the time');
  t.equal(x(9_999), 0.6, 'and rests at the last known position');
  t.equal(motion.toDeg, 90, 'east, by its movement');
  t.end();
});

t.test('a new position in the middle of a movement goes on from where the marker is', (t) => {
  const motion = m.still(0.5, 0.5, 0, 0);
  m.moveTo(motion, 0.6, 0.5, 90, 1_000);
  m.moveTo(motion, 0.6, 0.6, 180, 1_500);
  t.ok(motion.fromX > 0.54 && motion.fromX < 0.56);
  t.equal(motion.toY, 0.6);
  t.end();
});

t.test('what was not measured is not drawn: after a long silence it jumps, and so it does for reduced motion', (t) => {
  const silent = m.still(0.5, 0.5, 0, 0);
  m.moveTo(silent, 0.7, 0.5, 0, m.LONGEST_BRIDGE_MS + 1);
  t.same([silent.fromX, silent.tookMs], [0.7, 0]);
  const calm = m.still(0.5, 0.5, 0, 0);
  m.moveTo(calm, 0.7, 0.5, 0, 1_000, true);
  t.equal(calm.tookMs, 0);
  t.end();
});

t.test('headings turn the shorter way and stay when the driver stands', (t) => {
  const motion = m.still(0.5, 0.5, 350, 0);
  m.moveTo(motion, 0.5, 0.4, 10, 1_000);
  const half = m.headingAt(motion, 1_000 + motion.tookMs / 6);
  t.ok(Math.abs(half - 360) < 0.01, `through north, not through south (${half})`);
  m.moveTo(motion, 0.5, 0.4, null, 3_000);
  t.equal(motion.toDeg, 10, 'no movement: the heading stays');
  t.equal(m.headingAt(m.still(0, 0, null, 0), 5), null, 'unknown stays unknown');
  t.same(
    [m.bearing(0, 0, 0, -1), m.bearing(0, 0, 1, 0), m.bearing(0, 0, 0, 1), m.bearing(0, 0, -1, 0)],
    [0, 90, 180, 270],
  );
  t.end();
});

t.test('the zoom curve is cubic-bezier(0, 0, 0.25, 1)', (t) => {
  t.equal(m.zoomEase(0), 0);
  t.equal(m.zoomEase(1), 1);
  // At t = 0.5: x = 0.75·0.5·0.25 + 0.125 = 0.21875, y = 3·0.5·0.25 + 0.125 = 0.5.
  t.ok(Math.abs(m.zoomEase(0.21875) - 0.5) < 1e-5);
  let last = 0;
  for (let i = 0; i <= 100; i++) {
    t.ok(m.zoomEase(i / 100) >= last, `never back at ${i}`);
    last = m.zoomEase(i / 100);
  }
  t.end();
});

t.test('grid lines keep their distance', (t) => {
  for (const pxPerDeg of [2, 10, 364, 93_000]) t.ok(m.graticuleStep(pxPerDeg, 110) * pxPerDeg >= 110, String(pxPerDeg));
  t.equal(m.graticuleStep(1_000, 110), 0.2);
  t.end();
});

t.test('the first view leaves out the odd position in the ocean', (t) => {
  t.equal(m.sensibleBounds([]), null);
  t.same(m.sensibleBounds([{ lat: 1, lng: 2 }]), { south: 1, north: 1, west: 2, east: 2 });
  const city = Array.from({ length: 99 }, (_, i) => ({ lat: 40 + i / 1000, lng: -74 + i / 1000 }));
  const box = m.sensibleBounds([...city, { lat: 0, lng: 0 }]);
  t.ok(box.south >= 40 && box.east < -73.8, JSON.stringify(box));
  t.end();
});

t.test('a click finds a trip by its line and, from further, by its ends', (t) => {
  const view = { scale: 1000, left: 0, top: 0, width: 1000, height: 1000, zoom: 2 };
  const at = (x: number, y: number) => ({ lat: m.latOf(y / 1000), lng: m.lngOf(x / 1000) });
  const trip = { pickup: at(100, 500), dropoff: at(300, 500) };
  t.ok(lines.tripDistanceSquared(trip, view, 200, 514) < 9, 'the arc bends off the chord');
  t.ok(lines.tripDistanceSquared(trip, view, 200, 480) > 20 ** 2);
  t.ok(lines.tripDistanceSquared(trip, view, 90, 500) < 8 ** 2, 'ten pixels beside the pickup');
  t.equal(lines.tripDistanceSquared({ pickup: null, dropoff: null }, view, 0, 0), Number.POSITIVE_INFINITY);
  t.end();
});
