import { statSync } from 'node:fs';
import t from 'tap';
import { loadCity, newYorkFile } from '../../../sim/city/figures.ts';
import { generateTrips } from '../../../sim/city/generate.ts';

const city = loadCity();
const HOUR_MS = 3_600_000;
const fromMs = city.zone.toEpochMs({ year: 2015, month: 1, day: 15, hour: 0, minute: 0, second: 0 });
const day = { seed: 1, tripsPerDay: 10_000, fromMs, untilMs: fromMs + 24 * HOUR_MS };

t.test('the figures are small, name their sources and licences, and are whole', async (t) => {
  t.ok(statSync(newYorkFile).size < 60_000);
  t.ok(city.figures.sources.every((source) => source.name && source.licence && source.gave));
  t.equal(city.figures.zones.length, 263);
  const sum = (of: 'pickupShare' | 'dropoffShare') => city.figures.zones.reduce((total, zone) => total + zone[of], 0);
  t.ok(Math.abs(sum('pickupShare') - 1) < 0.002 && Math.abs(sum('dropoffShare') - 1) < 0.002, 'shares sum to one');
  const known = new Set(city.figures.zones.map((zone) => zone.id));
  t.ok(city.figures.zones.every((zone) => zone.dropoffs.every(([id]) => known.has(id))));
});

t.test('the city knows what is inside', async (t) => {
  t.ok(city.inside({ lat: 40.758, lng: -73.9855 }), 'Times Square');
  t.ok(city.inside({ lat: 40.6413, lng: -73.7781 }), 'Kennedy airport');
  t.notOk(city.inside({ lat: 41.0341, lng: -73.7629 }), 'White Plains');
  t.notOk(city.inside({ lat: 0, lng: 0 }));
});

t.test('one seed gives one day, another seed another, and a slice is a slice of the day', async (t) => {
  const trips = generateTrips(city, day);
  t.same(generateTrips(city, day), trips);
  t.notSame(generateTrips(city, { ...day, seed: 2 })[0], trips[0]);
  const slice = { fromMs: fromMs + 8.25 * HOUR_MS, untilMs: fromMs + 9.5 * HOUR_MS };
  t.same(
    generateTrips(city, { ...day, ...slice }),
    trips.filter((trip) => trip.atMs >= slice.fromMs && trip.atMs < slice.untilMs),
  );
  t.equal(new Set(trips.map((trip) => trip.row)).size, trips.length, 'every trip has its own number');
});

t.test('the day looks like the figures', async (t) => {
  const trips = generateTrips(city, day);
  t.ok(Math.abs(trips.length - day.tripsPerDay) <= 24);
  t.ok(trips.every((trip) => city.inside(trip.pickup) && city.inside(trip.dropoff)));
  t.ok(trips.every((trip) => trip.durationS >= 60 && trip.distanceM / trip.durationS < 28));
  const km = trips.map((trip) => trip.distanceM / 1000).sort((a, b) => a - b);
  const quantiles = city.figures.distanceKmQuantiles;
  for (const [q, index] of [
    [0.25, 5],
    [0.5, 10],
    [0.75, 15],
  ] as const) {
    const [drawn, real] = [km[Math.floor(q * km.length)]!, quantiles[index]!];
    t.ok(Math.abs(drawn / real - 1) < 0.25, `distance at ${q}: ${drawn.toFixed(2)} km, in the sample ${real} km`);
  }
  const inHour = (hour: number) => trips.filter((trip) => city.zone.hourAt(trip.atMs) === hour).length;
  const thursday = city.figures.passengersByWeekdayHour[4]!;
  const drawn = inHour(19) / inHour(4);
  t.ok(
    Math.abs(drawn / (thursday[19]! / thursday[4]!) - 1) < 0.1,
    'the evening is busier than the night, as in the figures',
  );
});
