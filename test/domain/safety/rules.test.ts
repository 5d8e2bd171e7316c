/** Detectors of what may be wrong with a ride: quiet on ordinary trips, loud on what was made wrong with them. */
import t from 'tap';
import { distanceM, type LatLng } from '../../../src/domain/geo.ts';
import {
  freshSafety,
  type Hazard,
  missed,
  observe,
  offWayM,
  type RideFix,
  safetyLimits,
  type Warning,
} from '../../../src/domain/safety/rules.ts';
import { cleanse } from '../../../src/domain/tracks/rules.ts';
import { isRecorded, testTraces } from '../../traces.ts';

const METRE = 1 / 111_195;
const CENTER = { lat: 41.15, lng: -8.62 };

/** A fix each five seconds along a line of metres north and metres east. */
const drive = (steps: readonly (readonly [north: number, east: number])[], everyS = 5): RideFix[] =>
  steps.map(([north, east], i) => ({
    lat: CENTER.lat + north * METRE,
    lng: CENTER.lng + (east * METRE) / Math.cos((CENTER.lat * Math.PI) / 180),
    at: i * everyS * 1000,
  }));

function watch(fixes: readonly RideFix[], target: LatLng, route: readonly LatLng[] | null = null): Warning[] {
  const state = freshSafety();
  return fixes.flatMap((fix) => observe(state, fix, { target, route }));
}

const changes = (warnings: readonly Warning[], hazard: Hazard): string =>
  warnings
    .filter((warning) => warning.hazard === hazard)
    .map(({ change }) => change)
    .join();

const line = (count: number, step: number): [number, number][] =>
  Array.from({ length: count }, (_, i) => [i * step, 0]);

t.test('an ordinary ride raises nothing', async (t) => {
  const fixes = drive(line(100, 60));
  t.same(watch(fixes, fixes.at(-1)!), []);
});

t.test('overspeed: what lasts, and not one wild figure; over when it has been slow for a while', async (t) => {
  const target = drive([[40_000, 0]])[0]!;
  const steps: [number, number][] = [];
  let north = 0;
  for (let i = 0; i < 40; i++) {
    if (i === 10) north += 230;
    else north += i >= 20 && i < 30 ? 220 : 60;
    steps.push([north, 0]);
  }
  t.equal(changes(watch(drive(steps), target), 'overspeed'), 'set,cleared');
  const told = drive(line(20, 60)).map((fix, i) => ({ ...fix, speedMps: i > 5 && i < 15 ? 40 : 10 }));
  const [set] = watch(told, target);
  t.hasStrict(set, { hazard: 'overspeed', change: 'set', value: 40, threshold: 39, unit: 'mps' }, 'as the device says');
  const trembling = drive(line(60, 60)).map((fix, i) => ({ ...fix, speedMps: i % 2 ? 39.5 : 34 }));
  t.equal(changes(watch(trembling, target), 'overspeed'), '', 'between the thresholds nothing lasts');
  const anew = drive(
    [...line(10, 60), [20_000, 0], ...line(10, 60).map(([north]): [number, number] => [north, 0])],
    15,
  );
  t.equal(changes(watch(anew, target), 'overspeed'), '', 'where a track begins anew nobody drove');
});

t.test(
  'a long stop: five minutes in one place, with the noise of a receiver; over when the car has really left',
  async (t) => {
    const target = drive([[9000, 0]])[0]!;
    const still = Array.from({ length: 80 }, (_, i): [number, number] => [600 + (i % 3) * 20, (i % 5) * 8]);
    const within = Array.from({ length: 10 }, (): [number, number] => [690, 0]);
    const away = Array.from({ length: 10 }, (_, i): [number, number] => [900 + i * 60, 0]);
    const warnings = watch(drive([...line(11, 60), ...still, ...within, ...away]), target);
    t.equal(changes(warnings, 'long_stop'), 'set,cleared');
    const set = warnings[0]!;
    t.ok(set.value >= 300_000 && set.value < 310_000, `${set.value}`);
    t.ok(distanceM(warnings[1]!.place, set.place) > 100);
    const arrived = drive([[600, 0]])[0]!;
    t.equal(
      changes(watch(drive([...line(11, 60), ...still]), arrived), 'long_stop'),
      '',
      'at the drop-off he may wait',
    );
    const boarding = drive([...still.map(([north, east]): [number, number] => [north - 600, east]), ...line(60, 60)]);
    t.equal(changes(watch(boarding, boarding.at(-1)!), 'long_stop'), '', 'and before he has left the pick-up');
  },
);

t.test('deviation: off the way and back again, by the route where there is one', async (t) => {
  const target = drive([[3000, 0]])[0]!;
  const out = Array.from({ length: 60 }, (_, i): [number, number] => [1000, i * 60]);
  const back = Array.from({ length: 65 }, (_, i): [number, number] => [1000, 3540 - i * 60]);
  const fixes = drive([...line(17, 60), ...out, ...back]);
  t.equal(changes(watch(fixes, target), 'route_deviation'), 'set,cleared');
  const route = [drive([[0, 0]])[0]!, drive([[1000, 0]])[0]!, drive([[1000, 4000]])[0]!, target];
  t.equal(changes(watch(fixes, target, route), 'route_deviation'), '', 'the same, when it is the route');
  const straight = [drive([[0, 0]])[0]!, target];
  t.equal(changes(watch(fixes, target, straight), 'route_deviation'), 'set,cleared');
  t.ok(Math.abs(offWayM(fixes[40]!, fixes[0]!, target, straight, 1.6) - distanceM(fixes[40]!, fixes[16]!)) < 5);
});

t.test('silence is missed once, and heard again', async (t) => {
  const fixes = drive(line(20, 60));
  const state = freshSafety();
  const ride = { target: drive([[9000, 0]])[0]!, route: null };
  t.equal(missed(state, 0, 1e9), null, 'before he was heard of nobody is missed');
  for (const fix of fixes.slice(0, 10)) observe(state, fix, ride);
  const heardAt = fixes[9]!.at;
  t.equal(missed(state, heardAt, heardAt + 89_999), null);
  t.hasStrict(missed(state, heardAt, heardAt + 90_000), { hazard: 'signal_lost', change: 'set', value: 90_000 });
  t.equal(missed(state, heardAt, heardAt + 180_000), null, 'once');
  const after = fixes.slice(10).flatMap((fix) => observe(state, { ...fix, at: fix.at + 200_000 }, ride));
  t.equal(changes(after, 'signal_lost'), 'cleared');
});

t.test('taxi traces: few ordinary trips raise anything, and what is made wrong with them is found', async (t) => {
  t.setTimeout(120_000);
  const raised = { route_deviation: 0, long_stop: 0, overspeed: 0, signal_lost: 0 };
  let trips = 0;
  let flips = 0;
  const made = { trips: 0, kidnapped: 0, stopped: 0, raced: 0 };
  for (const { fixes: raw, dropoff } of await testTraces()) {
    const fixes: RideFix[] = cleanse(raw).kept;
    if (fixes.length < 20) continue;
    trips++;
    const warnings = watch(fixes, dropoff);
    for (const hazard of Object.keys(raised) as Hazard[]) {
      const sequence = changes(warnings, hazard);
      if (sequence.includes('set')) raised[hazard]++;
      if (sequence.split('set').length > 3) flips++;
    }
    // Only those that were quiet tell whether what is made wrong is found.
    if (warnings.length > 0 || distanceM(fixes[0]!, dropoff) < 1000) continue;
    made.trips++;
    const half = fixes.slice(0, Math.ceil(fixes.length / 2));
    const last = half.at(-1)!;
    const on = (count: number, metres: number): RideFix[] =>
      Array.from({ length: count }, (_, i) => ({
        lat: last.lat + Math.sign(last.lat - dropoff.lat || 1) * (i + 1) * metres * METRE,
        lng: last.lng,
        at: last.at + (i + 1) * 15_000,
      }));
    if (changes(watch([...half, ...on(80, 200)], dropoff), 'route_deviation') === 'set') made.kidnapped++;
    if (distanceM(last, dropoff) > 400 && changes(watch([...half, ...on(30, 0)], dropoff), 'long_stop') === 'set')
      made.stopped++;
    else if (distanceM(last, dropoff) <= 400) made.stopped++;
    if (changes(watch([...half, ...on(6, 600)], dropoff), 'overspeed') === 'set') made.raced++;
  }
  const percent = (count: number): string => `${((100 * count) / trips).toFixed(1)} %`;
  const shares = Object.entries(raised).map(([hazard, count]) => `${hazard} ${percent(count)}`);
  t.comment(
    `${isRecorded ? 'recorded' : 'made'}: ${trips} trips: ${shares.join(', ')}; of ${made.trips} quiet ones found ${JSON.stringify(made)}`,
  );
  t.ok(trips > 100 && made.trips > trips / 2);
  t.ok(raised.route_deviation / trips < 0.1 && raised.long_stop / trips < 0.15 && raised.overspeed / trips < 0.05);
  t.equal(raised.signal_lost, 0);
  t.ok(flips < trips / 100, `${flips} trips with more than two alarms of a kind`);
  for (const found of [made.kidnapped, made.stopped, made.raced]) t.ok(found > 0.97 * made.trips, `${found}`);
  t.equal(safetyLimits.deviation.clearAt < safetyLimits.deviation.setAt, true);
});
t.end();
