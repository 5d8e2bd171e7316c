/** What the operator reads. */
import t from 'tap';
import { format } from './modules.ts';

t.test('durations grow coarser', (t) => {
  const cases: [number, string][] = [
    [-5, '0.0 s'],
    [840, '0.8 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_499, '59 s'],
    [59_500, '1 min'],
    [185_000, '3 min 5 s'],
    [3_599_600, '1 h'],
    [7_800_000, '2 h 10 min'],
    [4 * 86_400_000, '4 d'],
  ];
  for (const [ms, text] of cases) t.equal(format.duration(ms), text, `${ms} ms`);
  t.end();
});

t.test('ids are told apart by their ends', (t) => {
  t.equal(format.shortId('trip_us-east_01jhabcdefghjkmnpqrstv9xyz'), 'tv9xyz');
  t.equal(format.shortId('driver-12'), 'driver-12');
  t.equal(format.shortId('a-very-long-foreign-identifier'), 'a-very-l…tifier');
  t.end();
});

t.test('statuses that the page does not know are shown as they came', (t) => {
  t.equal(format.label('driver_arrived'), 'At pickup');
  t.equal(format.label('paused_by_rider'), 'paused by rider');
  t.equal(format.label('constructor'), 'constructor', 'and no property of the table leaks');
  t.end();
});

t.test('money follows the digits of its currency', (t) => {
  t.equal(format.money(1480, 'USD'), '$14.80');
  t.equal(format.money(1480, 'JPY'), '¥1,480');
  t.equal(format.money(5, 'not a currency'), '5 not a currency (minor units)');
  t.end();
});

t.test('distance, rate, delay, compass, place', (t) => {
  t.same([format.distance(999), format.distance(3_400), format.distance(12_300)], ['999 m', '3.4 km', '12 km']);
  t.same([format.rate(0), format.rate(9.94), format.rate(9.96), format.rate(1234)], ['0.0', '9.9', '10', '1,234']);
  t.same([format.delay(null), format.delay(12.4), format.delay(1500)], ['–', '12 ms', '1.5 s']);
  t.same([format.compass(0), format.compass(-90), format.compass(359)], ['N (0°)', 'W (270°)', 'N (359°)']);
  t.equal(format.place(null), '–');
  t.equal(format.place({ lat: 0, lng: -73.5, address: 'Pier 1' }), 'Pier 1 (0.00000, -73.50000)');
  t.end();
});

t.test('why a position is stale, as far as that is known', (t) => {
  t.equal(format.staleness('battery_low'), ' (stale: the battery was low)');
  t.equal(format.staleness(''), ' (stale)');
  t.equal(format.staleness('in_a_tunnel'), ' (stale: in a tunnel)', 'one that this page does not know');
  t.end();
});

t.test('times in a named zone', (t) => {
  const at = Date.UTC(2015, 0, 15, 13, 5, 9);
  t.equal(format.timeOfDay(at, 'America/New_York'), '08:05:09');
  t.equal(format.dateTime(at, 'UTC'), '15 Jan 2015 13:05:09');
  t.end();
});

t.test('percentiles by nearest rank', (t) => {
  t.equal(format.percentile([], 0.5), null);
  t.equal(format.percentile([7], 0.95), 7);
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  t.equal(format.percentile(hundred, 0.5), 50);
  t.equal(format.percentile(hundred, 0.95), 95);
  t.equal(format.percentile(hundred, 1), 100);
  t.end();
});
