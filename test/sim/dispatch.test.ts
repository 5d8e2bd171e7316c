/** The comparison of dispatchers: a small city whose best answers are known, and the same figures from the same seed. */
import t from 'tap';
import { compare, denser, fleetFor, margin } from '../../sim/dispatch/compare.ts';
import { clairvoyant, nearest, windowBatch } from '../../sim/dispatch/dispatchers.ts';
import { live } from '../../sim/dispatch/engine.ts';
import { offset } from '../../sim/geo.ts';
import { createDraw } from '../../sim/random.ts';
import type { Trip } from '../../sim/trips-csv.ts';

const CENTRE = { lat: 40.75, lng: -73.98 };
const city = { speedMps: 10, detourFactor: 1, patienceMs: 600_000 };
const weights = { idle: 0, idleCapS: 0, acceptanceS: 0, ratingS: 0, headingS: 0, unservedS: 7200 };
const east = (metres: number) => offset(CENTRE, metres, 0);
const trip = (row: number, atMs: number, metres: number, durationS = 600): Trip => ({
  row,
  atMs,
  pickup: east(metres),
  dropoff: east(metres),
  durationS,
  distanceM: 1000,
});

t.test('two riders, two drivers: greed takes the one between them, a batch does not', async (t) => {
  // Drivers at 0 and 1000 m, riders at 600 and 2000 m: nearest first costs 40 + 200 s, the other way 60 + 100 s.
  const trips = [trip(1, 0, 600), trip(2, 0, 2000)];
  const starts = [east(0), east(1000)];
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  t.equal(sum(live(nearest(), trips, starts, city).etaS), 240);
  t.equal(sum(live(windowBatch(1000), trips, starts, city).etaS), 160);
});

t.test('who knows the future sends drivers ahead of the request', async (t) => {
  const trips = [trip(1, 0, 0, 60), trip(2, 300_000, 2000)];
  const starts = [east(0), east(0)];
  t.same(live(windowBatch(1000), trips, starts, city).waitS, [0, 200]);
  t.same(live(clairvoyant(1000, 600_000), trips, starts, city).waitS, [0, 0]);
});

t.test('a dispatcher that sends somebody twice is found out', async (t) => {
  const twice = {
    name: 'twice',
    everyMs: 1000,
    decide: ({ waiting, drivers }: Parameters<ReturnType<typeof nearest>['decide']>[0]) =>
      waiting.map((one) => ({ trip: one, driver: drivers[0]! })),
  };
  t.throws(() => live(twice, [trip(1, 0, 0), trip(2, 0, 0)], [east(0), east(1)], city), /has two trips/);
});

t.test('one seed, one result; every decision replays; knowledge of the future is worth something', async (t) => {
  const draw = createDraw('test');
  const all = Array.from({ length: 200 }, (_, i): Trip => {
    const pickup = offset(CENTRE, 4000 * draw(), 6000 * draw());
    return {
      row: i,
      atMs: i * 20_000,
      pickup,
      dropoff: offset(CENTRE, 4000 * draw(), 6000 * draw()),
      durationS: Math.round(300 + 600 * draw()),
      distanceM: 2000,
    };
  });
  const trips = denser(all, 2);
  const options = {
    ...city,
    drivers: fleetFor(trips, 0.68, city, 5000),
    windowMs: 5000,
    batchWindowsMs: [5000, 20_000],
    horizonMs: 600_000,
    candidates: 200,
    weights,
  };
  const result = compare(trips, 1, options);
  t.same(compare(trips, 1, options), result);
  t.ok(result.decisions > 20);
  t.equal(result.replayedWrong, 0);
  const wait = Object.fromEntries(result.rows.map((row) => [row.name, row.meanWaitS]));
  t.ok(wait.clairvoyant! < wait.ours! && wait.clairvoyant! < wait['nearest driver']!, JSON.stringify(wait));
  // Equally good assignments may be chosen differently, and lead to other situations.
  const { mean } = margin([result], 'ours', 'best window batch', 'meanEtaS');
  t.ok(Math.abs(mean) < 0.05, `with nothing but the ETA it is the best batch, but for ties: ${mean}`);
});
