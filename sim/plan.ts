/** What is going to be replayed: the trips of a slice of a day, from a file or from the built-in city, and when it begins. */
import type { City } from './city/figures.ts';
import { generateTrips } from './city/generate.ts';
import { type DemoOptions, OptionError } from './options.ts';
import { type Refusal, readTripsFile, type Trip } from './trips-csv.ts';

export interface Plan {
  /** Sorted by time. */
  trips: Trip[];
  refusals: Refusal[];
  /** Good rows of other times than the slice. */
  outside: number;
  /** Domain time at which the replay begins, epoch milliseconds. */
  fromMs: number;
  drivers: number;
  source: string;
}

const MINUTE_MS = 60_000;
/** The built-in city, without arguments: from here, for two minutes of the user's time. */
const DEFAULT_FROM_MINUTE = 8 * 60;
const DEFAULT_WALL_MINUTES = 2;
const LAST_RIDES_MS = 5 * MINUTE_MS;
/** On its way to the rider, boarding, answering: a driver's time for a trip beyond the ride itself. */
const OVERHEAD_MS = 8 * MINUTE_MS;
const SPARE_DRIVERS = 1.6;
const FEWEST_DRIVERS = 40;

/** Throws OptionError when there is nothing to replay, and the errors of the file. */
export async function makePlan(options: DemoOptions, city: City): Promise<Plan> {
  const plan = options.trips ? await fromFile(options, options.trips, city) : fromCity(options, city);
  if (plan.trips.length === 0) throw new OptionError(`there are no trips to replay in ${plan.source}`);
  return { ...plan, drivers: options.drivers ?? driversFor(plan.trips) };
}

/** Minutes of a local day as an instant; 24:00 is the start of the next day. */
function atMinute(city: City, date: string, minute: number): number {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number];
  const midnight = city.zone.toEpochMs({ year, month, day, hour: 0, minute: 0, second: 0 });
  if (minute === 24 * 60) return midnight + 24 * 60 * MINUTE_MS;
  return city.zone.toEpochMs({ year, month, day, hour: Math.floor(minute / 60), minute: minute % 60, second: 0 });
}

function fromCity(options: DemoOptions, city: City): Omit<Plan, 'drivers'> {
  const { date } = city.figures;
  const from = options.from ?? Math.min(DEFAULT_FROM_MINUTE, (options.until ?? 24 * 60) - 1);
  const until = options.until ?? Math.min(24 * 60, from + DEFAULT_WALL_MINUTES * options.speed);
  const [fromMs, untilMs] = [atMinute(city, date, from), atMinute(city, date, until)];
  const whole = generateTrips(city, { seed: options.seed, tripsPerDay: options.demand, fromMs, untilMs });
  // Without an end of the user's own choice, the demo does not wait an hour of the city's time for the last ride to the airport.
  const endsInTime = ({ atMs, durationS }: Trip) => atMs + durationS * 1000 <= untilMs + LAST_RIDES_MS;
  const trips = options.until === undefined ? whole.filter(endsInTime) : whole;
  return { trips, refusals: [], outside: 0, fromMs, source: `the built-in city (${city.figures.city}, ${date})` };
}

async function fromFile(options: DemoOptions, file: string, city: City): Promise<Omit<Plan, 'drivers'>> {
  const all: Trip[] = [];
  const refusals: Refusal[] = [];
  for await (const { trip, refusal } of readTripsFile(file, city)) {
    if (trip) all.push(trip);
    else refusals.push(refusal);
  }
  all.sort((a, b) => a.atMs - b.atMs || a.row - b.row);
  const first = all[0];
  if (!first) return { trips: [], refusals, outside: 0, fromMs: 0, source: file };
  const date = options.date ?? city.zone.dateAt(first.atMs);
  const fromMs = atMinute(city, date, options.from ?? 0);
  const untilMs = atMinute(city, date, options.until ?? 24 * 60);
  const trips = all.filter((trip) => trip.atMs >= fromMs && trip.atMs < untilMs);
  const startMs = options.from === undefined ? (trips[0]?.atMs ?? fromMs) : fromMs;
  return { trips, refusals, outside: all.length - trips.length, fromMs: startMs, source: `${file} (${date})` };
}

/** Enough for the most trips that are under way at once, and some to spare. */
export function driversFor(trips: readonly Trip[]): number {
  const changes = trips.flatMap(({ atMs, durationS }) => [
    [atMs, 1],
    [atMs + durationS * 1000 + OVERHEAD_MS, -1],
  ]) as [number, number][];
  changes.sort(([a], [b]) => a - b);
  let [now, most] = [0, 0];
  for (const [, change] of changes) {
    now += change;
    most = Math.max(most, now);
  }
  return Math.max(FEWEST_DRIVERS, Math.ceil(most * SPARE_DRIVERS));
}
