/**
 * Computes the built-in city's figures from public data:
 *
 *   node sim/city/compute-figures.ts DIRECTORY
 *
 * where DIRECTORY holds `yellow-trips-2015-01-15.csv`, `passengers-per-half-hour.csv` and `taxi-zones.geojson`. It writes
 * sim/city/new-york.json, small enough to be read and committed; the same input gives the same bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactCells, latLngToCell, POLYGON_TO_CELLS_FLAGS, polygonToCellsExperimental } from 'h3-js';
import { readCsvFile } from '../csv.ts';
import { distanceM, type Point } from '../geo.ts';
import { createZone } from '../local-time.ts';
import { readTripsFile, type Trip } from '../trips-csv.ts';
import { type CityFigures, newYorkFile, type ZoneFigures } from './figures.ts';
import { areaCentroid, contains, type Outline, readOutlines } from './outlines.ts';

const CELL_RESOLUTION = 8;
const DISTANCE_STEPS_KM = [0, 1, 2, 4, 8, 16];
const TOP_DROPOFFS = 8;
/** Fewer points than this say little about where in a zone people get in and out. */
const MIN_POINTS = 5;
const date = '2015-01-15';
const timeZone = 'America/New_York';

const sources = [
  {
    name: 'New York City Taxi & Limousine Commission, yellow-taxi trip records, 2015-01-15 (a sample of about 10,000 trips)',
    licence: 'NYC open data, free to use',
    gave: 'zone shares, drop-off shares, speeds, distances',
  },
  {
    name: 'Numenta Anomaly Benchmark, nyc_taxi: taxi passengers per half-hour, 2014-07 to 2015-01, after the NYC TLC',
    licence: 'MIT',
    gave: 'demand by weekday and hour',
  },
  {
    name: 'New York City Taxi & Limousine Commission, taxi zones',
    licence: 'NYC open data, free to use',
    gave: 'zone names, centroids, the cells that the city covers',
  },
];

const round = (value: number, digits: number) => Number(value.toFixed(digits));

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at));
}

const median = (values: number[]) =>
  quantile(
    values.sort((a, b) => a - b),
    0.5,
  );

/** Every cell that touches an outline, so that the gaps between simplified outlines do not lie outside the city. */
function coveringCells(outlines: readonly Outline[]): string[] {
  const cells = new Set<string>();
  for (const { polygons } of outlines) {
    for (const polygon of polygons) {
      const flag = POLYGON_TO_CELLS_FLAGS.containmentOverlapping;
      for (const cell of polygonToCellsExperimental(polygon, CELL_RESOLUTION, flag, true)) cells.add(cell);
    }
  }
  return [...cells];
}

async function passengersByWeekdayHour(file: string): Promise<number[][]> {
  const sums = Array.from({ length: 7 }, () => new Array<number>(24).fill(0));
  const halfHours = Array.from({ length: 7 }, () => new Array<number>(24).fill(0));
  for await (const { row, fields } of readCsvFile(file)) {
    if (row === 1) continue;
    // Local times: read as UTC, they give the local weekday and hour.
    const at = new Date(`${fields[0]!.replace(' ', 'T')}Z`);
    const passengers = Number(fields[1]);
    if (Number.isNaN(at.getTime()) || !Number.isFinite(passengers))
      throw new Error(`${file}, row ${row}: not a time and a count`);
    sums[at.getUTCDay()]![at.getUTCHours()]! += passengers;
    halfHours[at.getUTCDay()]![at.getUTCHours()]! += 1;
  }
  return sums.map((day, weekday) => day.map((sum, hour) => Math.round((2 * sum) / halfHours[weekday]![hour]!)));
}

interface Tally {
  points: Point[];
  pickups: number;
  dropoffs: number;
  to: Map<number, number>;
}

function zoneFigures(outline: Outline, tally: Tally, trips: number): ZoneFigures {
  const { points, pickups, dropoffs, to } = tally;
  const mean = (of: (p: Point) => number) => points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const area = areaCentroid(outline);
  const enough = points.length >= MIN_POINTS;
  const centre = enough ? { lat: mean((p) => p.lat), lng: mean((p) => p.lng) } : area.centre;
  const radiusM = enough ? Math.sqrt(mean((p) => distanceM(p, centre) ** 2)) : Math.sqrt(area.areaM2 / Math.PI) / 2;
  const top = [...to].sort(([idA, a], [idB, b]) => b - a || idA - idB).slice(0, TOP_DROPOFFS);
  return {
    id: outline.id,
    name: outline.name,
    lat: round(centre.lat, 5),
    lng: round(centre.lng, 5),
    radiusM: Math.round(radiusM),
    pickupShare: round(pickups / trips, 5),
    dropoffShare: round(dropoffs / trips, 5),
    dropoffs: top.map(([id, count]) => [id, round(count / pickups, 3)]),
  };
}

function tallyZones(outlines: readonly Outline[], trips: readonly Trip[]): { zones: ZoneFigures[]; counted: number } {
  const tallies = new Map<number, Tally>(
    outlines.map((o) => [o.id, { points: [], pickups: 0, dropoffs: 0, to: new Map() }]),
  );
  const find = (p: Point) => outlines.find((outline) => contains(outline, p));
  let counted = 0;
  for (const trip of trips) {
    const [from, to] = [find(trip.pickup), find(trip.dropoff)];
    if (!from || !to) continue;
    counted += 1;
    const [a, b] = [tallies.get(from.id)!, tallies.get(to.id)!];
    a.points.push(trip.pickup);
    a.pickups += 1;
    a.to.set(to.id, (a.to.get(to.id) ?? 0) + 1);
    b.points.push(trip.dropoff);
    b.dropoffs += 1;
  }
  return { zones: outlines.map((outline) => zoneFigures(outline, tallies.get(outline.id)!, counted)), counted };
}

async function compute(directory: string): Promise<CityFigures> {
  const outlines = readOutlines(JSON.parse(readFileSync(join(directory, 'taxi-zones.geojson'), 'utf8')));
  const cells = coveringCells(outlines);
  const covered = new Set(cells);
  const zone = createZone(timeZone);
  const inside = (p: Point) => covered.has(latLngToCell(p.lat, p.lng, CELL_RESOLUTION));
  const trips: Trip[] = [];
  for await (const { trip } of readTripsFile(join(directory, 'yellow-trips-2015-01-15.csv'), { zone, inside })) {
    if (trip) trips.push(trip);
  }
  const kmh = (trip: Trip) => (trip.distanceM / trip.durationS) * 3.6;
  const speedKmhByHour = Array.from({ length: 24 }, (_, hour) =>
    round(median(trips.filter((trip) => zone.hourAt(trip.atMs) === hour).map(kmh)), 1),
  );
  const relative = (trip: Trip) => kmh(trip) / speedKmhByHour[zone.hourAt(trip.atMs)]!;
  const speedFactors = DISTANCE_STEPS_KM.map((fromKm, i): [number, number] => {
    const toKm = DISTANCE_STEPS_KM[i + 1] ?? Number.POSITIVE_INFINITY;
    const within = trips.filter((trip) => trip.distanceM >= fromKm * 1000 && trip.distanceM < toKm * 1000);
    return [fromKm, round(median(within.map(relative)), 2)];
  });
  const factor = (trip: Trip) => speedFactors.findLast(([fromKm]) => trip.distanceM >= fromKm * 1000)![1];
  const logs = trips.map((trip) => Math.log(relative(trip) / factor(trip)));
  const far = trips.filter((trip) => distanceM(trip.pickup, trip.dropoff) > 500);
  const kilometres = trips.map((trip) => trip.distanceM / 1000).sort((a, b) => a - b);
  const { zones, counted } = tallyZones(outlines, trips);
  return {
    about: 'Figures of New York taxis for the built-in city of the simulator; computed, not copied',
    computedBy: 'node sim/city/compute-figures.ts DIRECTORY',
    sources,
    city: 'new-york',
    timeZone,
    date,
    sampleTrips: counted,
    passengersByWeekdayHour: await passengersByWeekdayHour(join(directory, 'passengers-per-half-hour.csv')),
    speedKmhByHour,
    speedFactors,
    detour: round(median(far.map((trip) => trip.distanceM / distanceM(trip.pickup, trip.dropoff))), 3),
    distanceKmQuantiles: Array.from({ length: 21 }, (_, i) => round(quantile(kilometres, i / 20), 2)),
    durationSpread: round(Math.sqrt(logs.reduce((sum, log) => sum + log * log, 0) / logs.length), 3),
    zones,
    cellResolution: CELL_RESOLUTION,
    cells: compactCells(cells).sort(),
  };
}

/** JSON with one line for each zone and each short list, so that a change of the figures can be read. */
function render(figures: CityFigures): string {
  const line = (value: unknown) => JSON.stringify(value);
  const block = (items: readonly unknown[]) => `[\n${items.map((item) => `    ${line(item)}`).join(',\n')}\n  ]`;
  const blocks = new Set(['sources', 'passengersByWeekdayHour', 'zones']);
  const entries = Object.entries(figures).map(
    ([key, value]) => `  ${line(key)}: ${blocks.has(key) ? block(value as unknown[]) : line(value)}`,
  );
  return `{\n${entries.join(',\n')}\n}\n`;
}

const directory = process.argv[2];
if (!directory) {
  console.error('usage: node sim/city/compute-figures.ts DIRECTORY');
  process.exit(1);
}
const text = render(await compute(directory));
writeFileSync(newYorkFile, text);
console.log(`${newYorkFile.pathname}: ${text.length} bytes`);
