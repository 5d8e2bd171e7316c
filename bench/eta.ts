/**
 * How right are estimates by road? Real trips against a real OSRM with the roads of their city: traffic is learnt, trip by trip and in
 * their order, on one half of the file by the server's own rules, and the other half is estimated before and after.
 *
 *   node bench/eta.ts TRIPS.csv MAP.osm.pbf [--json FILE]
 *
 * TRIPS.csv has the columns of the NYC taxi files. Halves are by the number of the row: odd rows teach, even ones ask. Trips with an end
 * farther than 500 m from every road of the map, and rows that cannot be trips, are left out and counted.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createZone } from '../sim/local-time.ts';
import { readTripsFile, type Trip } from '../sim/trips-csv.ts';
import { createOsrmEngine } from '../src/adapters/osrm/engine.ts';
import {
  type Effect,
  type Effects,
  factorOf,
  featuresOf,
  isTelling,
  learn,
  lessonsOf,
  type Way,
} from '../src/domain/routing/rules.ts';
import { straightLine, toWay } from '../src/domain/routing/service.ts';
import type { RoadLeg } from '../src/ports/routing.ts';
import { startOsrm } from '../test/servers/osrm.ts';

/** The server's defaults. */
const TRAVEL = { detourFactor: 1.35, averageSpeedMps: 6 };
const HALF_LIFE_MS = 14 * 86_400_000;
const AT_ONCE = 4;

interface Driven {
  trip: Trip;
  road: Way;
  straight: Way;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, 'time-zone': { type: 'string', default: 'America/New_York' } },
});
const [file, map] = positionals;
if (!file || !map) {
  console.error('usage: node bench/eta.ts TRIPS.csv MAP.osm.pbf [--time-zone ZONE] [--json FILE]');
  process.exit(2);
}

/** Run in turn when all is done. */
const endings: (() => unknown)[] = [];
try {
  await measure(file, map);
} finally {
  for (const ending of endings.reverse()) await ending();
}

async function measure(file: string, map: string): Promise<void> {
  await readFile(map);
  const server = await startOsrm({ after: (ending) => void endings.push(ending) }, map);
  if ('skip' in server) throw new Error(server.skip);
  const engine = createOsrmEngine({
    url: server.url,
    profile: 'driving',
    timeoutMs: 10_000,
    maxInFlight: AT_ONCE,
    batch: 99,
    maxSnapM: 500,
    meter: { asked() {} },
  });
  const zone = createZone(values['time-zone']);
  const trips: Trip[] = [];
  let refused = 0;
  for await (const { trip } of readTripsFile(file, { zone, inside: () => true })) {
    if (trip) trips.push(trip);
    else refused++;
  }
  const driven: Driven[] = [];
  const next = trips.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const trip of next) {
        const [leg] = await engine.legsTo([trip.pickup], trip.dropoff, trip.atMs);
        if (!leg || leg.durationS === 0) continue;
        const way = (base: RoadLeg): Way => toWay(trip.pickup, trip.dropoff, trip.atMs, base);
        driven.push({ trip, road: way(leg), straight: way(straightLine(trip.pickup, trip.dropoff, TRAVEL)) });
      }
    }),
  );
  report(trips.length, refused, driven);
}

function report(read: number, refused: number, driven: Driven[]): void {
  const teaching = driven.filter(({ trip }) => trip.row % 2 === 1).sort((a, b) => a.trip.atMs - b.trip.atMs);
  const asking = driven.filter(({ trip }) => trip.row % 2 === 0);
  const rows = (['straight', 'road'] as const).flatMap((source) => {
    const factor = school(teaching, source);
    return [
      { source, traffic: 'none', ...errors(asking, (one) => one[source].baseS) },
      { source, traffic: 'learnt', ...errors(asking, (one) => one[source].baseS * factor(one[source])) },
    ];
  });
  console.log(`${read} trips read, ${refused} rows refused, ${read - driven.length} not on the map;`);
  console.log(`${teaching.length} teach, ${asking.length} ask`);
  console.table(rows);
  const summary = { read, refused, offTheMap: read - driven.length, teach: teaching.length, ask: asking.length, rows };
  if (values.json) endings.push(() => writeFile(values.json!, `${JSON.stringify(summary, null, 2)}\n`));
}

/** Learns from every trip once, in the order they were driven. */
function school(teaching: readonly Driven[], source: 'straight' | 'road'): (way: Way) => number {
  const parts = new Map<string, Record<string, Effect>>();
  const lookup = (part: string): Effects | undefined => parts.get(part);
  for (const { trip, [source]: way } of teaching) {
    if (!isTelling(way.baseS, trip.durationS)) continue;
    for (const lesson of lessonsOf(way, trip.durationS, lookup, 1, HALF_LIFE_MS)) {
      const effects = parts.get(lesson.part) ?? {};
      effects[lesson.key] = learn(effects[lesson.key], lesson, way.at, HALF_LIFE_MS);
      parts.set(lesson.part, effects);
    }
  }
  return (way) => factorOf(featuresOf(way), lookup, 1);
}

/** Of the time it took: median and nine tenths; and the same in seconds. */
function errors(asking: readonly Driven[], estimate: (one: Driven) => number) {
  const wrongS = asking.map((one) => Math.abs(estimate(one) - one.trip.durationS));
  const share = asking.map((one, i) => wrongS[i]! / one.trip.durationS);
  const at = (all: readonly number[], q: number): number => all.toSorted((a, b) => a - b)[Math.floor(q * all.length)]!;
  const percent = (q: number): number => Math.round(1000 * at(share, q)) / 10;
  return {
    medianPercent: percent(0.5),
    p90Percent: percent(0.9),
    medianS: Math.round(at(wrongS, 0.5)),
    p90S: Math.round(at(wrongS, 0.9)),
  };
}
