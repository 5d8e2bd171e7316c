/**
 * Short replays on real servers: real processes, a real Redis, drivers on gRPC, riders on WebSocket and REST, and the check
 * of the clients' ledgers against the store at the end.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadCity } from '../../sim/city/figures.ts';
import { generateTrips } from '../../sim/city/generate.ts';
import { type DemoOptions, parseOptions } from '../../sim/options.ts';
import { makePlan, type Plan } from '../../sim/plan.ts';
import { type ReplayResult, replay } from '../../sim/replay.ts';
import type { Trip } from '../../sim/trips-csv.ts';

// A city takes its time, more of it on a busy machine.
t.setTimeout(120_000);

const city = loadCity();
const MINUTE_MS = 60_000;
/** Long rides add time and show nothing more. */
const LONGEST_RIDE_S = 900;

function shortTrips(minutes: number): Trip[] {
  const fromMs = city.zone.toEpochMs({ year: 2015, month: 1, day: 15, hour: 8, minute: 0, second: 0 });
  const trips = generateTrips(city, { seed: 3, tripsPerDay: 16_000, fromMs, untilMs: fromMs + minutes * MINUTE_MS });
  return trips.filter((trip) => trip.durationS <= LONGEST_RIDE_S);
}

async function run(options: DemoOptions, plan: Plan): Promise<{ result: ReplayResult; notes: string[] }> {
  const notes: string[] = [];
  const silent = { onServing() {}, onRunning() {}, onChecking() {}, onNote: (text: string) => void notes.push(text) };
  const never = new AbortController().signal;
  return { result: await replay({ ...options, usualPorts: false }, city, plan, silent, never), notes };
}

function toCsv(trips: readonly Trip[]): string {
  const local = (ms: number) => new Date(ms - 5 * 60 * MINUTE_MS).toISOString().slice(0, 19).replace('T', ' ');
  const rows = trips.map(({ atMs, durationS, distanceM, pickup, dropoff }) =>
    [
      local(atMs),
      local(atMs + durationS * 1000),
      distanceM / 1609.344,
      pickup.lng,
      pickup.lat,
      dropoff.lng,
      dropoff.lat,
    ].join(','),
  );
  const bad = [
    rows[0]!.replace(/^[^,]*/, 'no time'),
    rows[1]!.split(',').slice(0, 4).join(','),
    rows[2]!.replace(/,-7[34][^,]*,[^,]*$/, ',0,0'),
  ];
  const header =
    'tpep_pickup_datetime,tpep_dropoff_datetime,trip_distance,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude';
  return [header, ...bad, ...rows].join('\r\n');
}

t.test('a file of trips on one server: every good row is driven, every bad one refused', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ridestream-replay-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'trips.csv');
  const trips = shortTrips(7);
  writeFileSync(file, toCsv(trips));
  const options = parseOptions(['--trips', file, '--speed', '200', '--headless'])!;
  const plan = await makePlan(options, city);
  t.match(plan.refusals, [
    { row: 2, field: 'tpep_pickup_datetime', reason: /not a date and time/ },
    { row: 3, field: 'row', reason: /has 4 fields/ },
    { row: 4, field: 'dropoff_latitude', reason: /outside all zones/ },
  ]);
  const { result } = await run(options, plan);
  t.same(result.check.differences, []);
  const { counts } = result.check;
  t.match(counts, { goodRows: trips.length, refusedRows: 3, trips: trips.length, cancelledByRider: 0 });
  t.equal(counts.completed + counts.expired, trips.length);
  t.ok(counts.completed > trips.length * 0.9, `${counts.completed} of ${trips.length} were completed`);
  t.equal(counts.eventsReceived, counts.eventsInStore);
  t.ok(result.board.count('locationsAcked') > trips.length, 'drivers said where they were');
  t.notOk(existsSync(result.directory), 'nothing is left behind');
});

t.test('two servers, one of them killed midway: clients go on at the other, and nothing is lost', async (t) => {
  const args = '--speed 200 --servers 2 --kill-at 0.3 --headless --seed 5 --until 08:07 --demand 16000'.split(' ');
  const options = parseOptions(args)!;
  const whole = await makePlan(options, city);
  const plan = { ...whole, trips: whole.trips.filter((trip) => trip.durationS <= LONGEST_RIDE_S) };
  const { result, notes } = await run(options, plan);
  t.same(result.check.differences, []);
  t.match(notes, [/server-2 .* was killed with SIGKILL/]);
  t.ok(result.board.count('reconnects') > 10, `${result.board.count('reconnects')} sessions moved to the other server`);
  const { counts } = result.check;
  t.equal(counts.trips, plan.trips.length);
  t.equal(counts.eventsReceived, counts.eventsInStore);
  t.ok(counts.completed > plan.trips.length * 0.85, `${counts.completed} of ${plan.trips.length} were completed`);
});
