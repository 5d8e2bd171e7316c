/**
 * How often do the detectors speak on ordinary rides, how much of what is made wrong with them do they find, and how soon? The
 * server's own rules over recorded taxi rides (Porto; UCI, doi 10.24432/C55W25), a fix each 15 s:
 *
 *   node bench/detectors/main.ts TRACES.csv MAP.osm.pbf > docs/detectors.md
 *
 * MAP.osm.pbf has the roads, for a real OSRM that runs as long as this does.
 *
 * Draws are seeded by the rows of the file, so the figures are the same on every run and machine.
 */
import { createOsrmEngine } from '../../src/adapters/osrm/engine.ts';
import { distanceM } from '../../src/domain/geo.ts';
import { freshSafety, type Hazard, observe, type SafetyLimits, safetyLimits } from '../../src/domain/safety/rules.ts';
import { cleanse, cleansingLimits, type Fix, freshState } from '../../src/domain/tracks/rules.ts';
import { startOsrm } from '../../test/servers/osrm.ts';
import { away, elsewhere, type Faulty, glitching, isDirect, type Ride, racing, readRides, standing } from './rides.ts';
import { spoofing } from './spoofing.ts';
import { percent, quantile, table } from './text.ts';
import { deviations, type LineTo, rememberedLines } from './ways.ts';

const [file, map] = process.argv.slice(2);
if (!file || !map) {
  console.error('usage: node bench/detectors/main.ts TRACES.csv MAP.osm.pbf > docs/detectors.md');
  process.exit(2);
}
const rides = await readRides(file, cleansingLimits);
const direct = rides.filter(isDirect);
const hoursOf = (list: readonly Ride[]): number =>
  list.reduce((sum, { fixes }) => sum + (fixes.at(-1)!.at - fixes[0]!.at) / 3_600_000, 0);

type Variant = readonly [name: string, limits: SafetyLimits];
const { deviation, stop, speed } = safetyLimits;
const offWays: Variant[] = [500, 800, 1200, 2000].map((setAt) => [
  `${setAt} m`,
  { ...safetyLimits, deviation: { ...deviation, setAt, clearAt: setAt / 2 } },
]);
const stops: Variant[] = [3, 5, 7, 10].map((minutes) => [
  `${minutes} min`,
  { ...safetyLimits, stop: { ...stop, setAt: minutes * 60_000 } },
]);
const speeds: Variant[] = [33, 36, 39, 42].map((setAt) => [
  `${setAt} m/s (${Math.round(setAt * 3.6)} km/h)`,
  { ...safetyLimits, speed: { ...speed, setAt, clearAt: setAt * 0.85 } },
]);

/** When each alarm of a kind came, ms of the ride. */
function alarms(fixes: readonly Fix[], target: Ride['dropoff'], limits: SafetyLimits, hazard: Hazard | null): number[] {
  const state = freshSafety();
  return fixes
    .flatMap((fix) => observe(state, fix, { target, route: null }, limits))
    .filter((warning) => warning.change === 'set' && (hazard === null || warning.hazard === hazard))
    .map(({ at }) => at);
}

function quiet(list: readonly Ride[], limits: SafetyLimits, hazard: Hazard | null) {
  const counts = list.map(({ fixes, dropoff }) => alarms(fixes, dropoff, limits, hazard).length);
  return {
    share: percent(counts.filter((count) => count > 0).length, list.length),
    per100h: ((100 * counts.reduce((a, b) => a + b, 0)) / hoursOf(list)).toFixed(1),
  };
}

/** Rides that were quiet until the fault; an alarm before it would hide whether the fault is found. */
function found(faults: readonly (Faulty | null)[], limits: SafetyLimits, hazard: Hazard) {
  const delays: number[] = [];
  let made = 0;
  for (const fault of faults) {
    if (!fault) continue;
    const begunAt = fault.fixes[fault.from - 1]!.at;
    const set = alarms(fault.fixes, fault.dropoff, limits, hazard);
    if (set.some((at) => at <= begunAt)) continue;
    made++;
    if (set.length > 0) delays.push((set[0]! - begunAt) / 1000);
  }
  const delay = delays.length === 0 ? 'none' : `${quantile(delays, 0.5)} / ${quantile(delays, 0.9)} s`;
  return { made, share: percent(delays.length, made), delay };
}

type Made = readonly [what: string, faults: readonly (Faulty | null)[]];

function section(title: string, hazard: Hazard, variants: readonly Variant[], made: readonly Made[]): string {
  const counts = made.map(([what, faults]) => `${what}: ${found(faults, safetyLimits, hazard).made}`);
  const heads = ['threshold', 'all rides', 'direct rides', 'alarms in 100 h', ...made.map(([what]) => what)];
  const rows = variants.map(([name, limits]) => {
    const all = quiet(rides, limits, hazard);
    const results = made.map(([, faults]) => found(faults, limits, hazard));
    const cells = results.map(({ share, delay }) => (delay === 'none' ? 'none' : `${share}, ${delay}`));
    const isDefault = JSON.stringify(limits) === JSON.stringify(safetyLimits);
    return [isDefault ? `**${name}**` : name, all.share, quiet(direct, limits, hazard).share, all.per100h, ...cells];
  });
  return `## ${title}\n\n${table(heads, rows)}\n\nRides with a fault: ${counts.join('; ')}.\n`;
}

const partnerOf = (index: number): Ride => direct[(index + 97) % direct.length]!;
const deviationFaults: Made[] = [
  ['elsewhere, 2 km', direct.map((ride, i) => elsewhere(ride, partnerOf(i), 2000))],
  ['elsewhere, 4 km', direct.map((ride, i) => elsewhere(ride, partnerOf(i), 4000))],
  ['turned round, 40 km/h', direct.map((ride) => away(ride, 11.1))],
];
const stopFaults: Made[] = [
  ['6 min', direct.map((ride) => standing(ride, 6))],
  ['12 min', direct.map((ride) => standing(ride, 12))],
];
const speedFaults: Made[] = [
  ['145 km/h for 1 min', direct.map((ride) => racing(ride, 40.3, 60))],
  ['160 km/h for 1 min', direct.map((ride) => racing(ride, 44.4, 60))],
];

function cleansing(): string {
  const isFast = (a: Fix, b: Fix): boolean => distanceM(a, b) - cleansingLimits.slackM > (50 * (b.at - a.at)) / 1000;
  const fast = (list: readonly Fix[]): number => list.filter((fix, i) => i > 0 && isFast(list[i - 1]!, fix)).length;
  let [points, dropped, before, after, wrong, caught, right, lost] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (const ride of rides) {
    points += ride.raw.length;
    dropped += ride.raw.length - ride.fixes.length;
    before += fast(ride.raw);
    after += fast(ride.fixes);
    const { fixes, isWrong } = glitching(ride, 50);
    const kept = new Set(cleanse(fixes, freshState()).kept);
    for (const [i, fix] of fixes.entries()) {
      if (isWrong[i]) wrong++;
      else right++;
      if (isWrong[i] && !kept.has(fix)) caught++;
      if (!isWrong[i] && !kept.has(fix)) lost++;
    }
  }
  const rows = [
    ['recorded fixes left out', `${percent(dropped, points, 2)} of ${points}`],
    ['recorded steps faster than 180 km/h, before and after', `${before} → ${after}`],
    ['made glitches (1.5 to 9.5 km away, one fix in 50) left out', `${percent(caught, wrong)} of ${wrong}`],
    ['fixes around them that were right and left out too', `${percent(lost, right, 2)} of ${right}`],
  ];
  return `## Cleansing\n\n${table(['what', 'figure'], rows)}\n`;
}

interface ByRoad {
  share: string;
  delay: string;
  questions: number;
}

/** Of rides that were not off their way before the fault; `from` is 0 in ordinary ones. */
async function byRoad(
  list: readonly (Faulty | null)[],
  limits: SafetyLimits,
  lineTo: LineTo,
): Promise<ByRoad & { alarms: number }> {
  const delays: number[] = [];
  let [made, questions, alarms] = [0, 0, 0];
  for (const fault of list) {
    if (!fault) continue;
    const begunAt = fault.from === 0 ? -1 : fault.fixes[fault.from - 1]!.at;
    const ride = await deviations(fault.fixes, fault.dropoff, limits, lineTo);
    questions += ride.questions;
    if (ride.set.some((at) => at <= begunAt)) continue;
    made++;
    alarms += ride.set.length;
    if (ride.set.length > 0) delays.push((ride.set[0]! - begunAt) / 1000);
  }
  const delay = delays.length === 0 ? 'none' : `${quantile(delays, 0.5)} / ${quantile(delays, 0.9)} s`;
  return { share: percent(delays.length, made), delay, questions, alarms };
}

/** @throws Error where OSRM cannot be had */
async function deviationByRoad(map: string): Promise<string> {
  const endings: (() => unknown)[] = [];
  try {
    const server = await startOsrm({ after: (ending) => void endings.push(ending) }, map);
    if ('skip' in server) throw new Error(server.skip);
    const engine = createOsrmEngine({
      url: server.url,
      profile: 'driving',
      batch: 99,
      maxSnapM: 500,
      timeoutMs: 10_000,
      maxInFlight: 4,
      meter: { asked() {} },
    });
    const lineTo = rememberedLines(engine);
    const ordinary = (list: readonly Ride[]): Faulty[] =>
      list.map(({ fixes, dropoff }) => ({ from: 0, fixes, dropoff }));
    const rows: string[][] = [];
    const { otherWayFactor: factor, otherWayM: besidesM } = safetyLimits;
    for (const setAt of [300, 500, 800]) {
      // With a factor of 0 no other way is good enough.
      for (const [otherWayFactor, otherWayM] of [
        [0, 0],
        [1.3, 1000],
        [factor, besidesM],
        [2, 2000],
      ] as const) {
        if (otherWayFactor === 0 && setAt !== safetyLimits.deviation.setAt) continue;
        const deviation = { ...safetyLimits.deviation, setAt, clearAt: setAt / 2 };
        const limits = { ...safetyLimits, deviation, otherWayFactor, otherWayM };
        const [all, straight] = [
          await byRoad(ordinary(rides), limits, lineTo),
          await byRoad(ordinary(direct), limits, lineTo),
        ];
        const cells: string[] = [];
        for (const [, faults] of deviationFaults) {
          const { share, delay } = await byRoad(faults, limits, lineTo);
          cells.push(`${share}, ${delay}`);
        }
        const isDefault = setAt === safetyLimits.deviation.setAt && otherWayFactor === factor;
        const other = otherWayFactor === 0 ? 'no other way' : `${otherWayFactor} times and ${otherWayM / 1000} km`;
        const name = `${setAt} m, ${other}`;
        const per100h = ((100 * all.alarms) / hoursOf(rides)).toFixed(1);
        const asked = (all.questions / rides.length).toFixed(2);
        rows.push([isDefault ? `**${name}**` : name, all.share, straight.share, per100h, asked, ...cells]);
      }
    }
    const faults = deviationFaults.map(([what]) => what);
    const heads = [
      'off the line, another way',
      'all rides',
      'direct rides',
      'alarms in 100 h',
      'questions a ride',
      ...faults,
    ];
    return `## Route deviation, with a route\n\n${table(heads, rows)}\n`;
  } finally {
    for (const ending of endings.reverse()) await ending();
  }
}

const withRoute = await deviationByRoad(map);
const any = quiet(rides, safetyLimits, null);
const anyDirect = quiet(direct, safetyLimits, null);
process.stdout.write(`# How well the detectors tell

Written by \`node bench/detectors/main.ts TRACES.csv MAP.osm.pbf > docs/detectors.md\`; do not edit. The rules of
[cleansing](../src/domain/tracks/rules.ts), [safety](../src/domain/safety/rules.ts) and [spoofing](../src/domain/spoofing/rules.ts) run over
${rides.length} recorded taxi rides of Porto (${hoursOf(rides).toFixed(0)} hours, a fix each 15 s; L. Moreira-Matias et al., UCI, doi 10.24432/C55W25, CC BY 4.0), those of at least
20 fixes. Nobody wrote down whether something was wrong on these rides, so every alarm on them counts as a false one; some are not: taxis
do drive 145 km/h at night. ${direct.length} rides are *direct*: never much farther from the pick-up than the drop-off is. Rides without a destination, errands and
round trips are among the others, and a detector that has no route can but call them a deviation.

The thresholds in bold are the server's defaults. They were chosen by looking at these same rides: there are no others to hold them
against. Settings: ROUTE_DEVIATION_M, LONG_STOP, OVERSPEED_MPS, SIGNAL_LOST.

With all defaults **${any.share}** of all rides and **${anyDirect.share}** of the direct ones raise a check-in, ${any.per100h} in 100 hours of driving.

A cell of a fault says which share was found, and after how long: median and nine in ten. Faults begin in the middle third of a direct ride.

${section('Route deviation, without a route', 'route_deviation', offWays, deviationFaults)}
*Elsewhere*: the taxi drives on as another recorded one did in the second half of its ride, to a place that is at least so much farther from the
drop-off than it was. Without a route a way is off when it would become 1.6 straight lines long (at least 1.5 km), and by half of what exceeds that.

${withRoute}
A real OSRM with the roads of Porto draws the way when the ride begins. Whoever is off that line by the threshold gets a new one: when what he has
driven and what remains by road is at most so many times the planned way and some kilometres, he is on another good way, which is his from then
on; otherwise the rider is asked. Taxi drivers know other ways than the engine: the line alone would alarm on nearly every second ride. *Questions a
ride* are those to the engine besides the first. More than half of the rides that are left go
somewhere else first.

${section('Long stop', 'long_stop', stops, stopFaults)}
Within 200 m of the pick-up and the drop-off standing is boarding or arriving. Stops are seen through a receiver's noise of some metres.

${section('Overspeed', 'overspeed', speeds, speedFaults)}
Speeds are from step to step, for these traces tell none. A step that nobody drives is no speed.

${cleansing()}
${spoofing(rides)}`);
