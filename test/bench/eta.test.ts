/** script/eta on a made-up town, whose traffic is known: it reads, asks a real OSRM, learns on one half and judges on the other. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Verdict } from '../../bench/eta/judge.ts';
import { corner, TOWN, writeGridTown } from '../servers/grid-town.ts';
import { fetchOsrm } from '../servers/osrm.ts';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../bench/eta.ts', import.meta.url));
const TRIPS = 240;
/** Everything takes this much longer than the engine thinks. */
const SLOWER = 1.8;

/** Along avenues: the way of the engine is known. Every tenth begins off the coast, and one never ended. */
function csv(): string {
  const lines = Array.from({ length: TRIPS }, (_, i) => {
    const [avenue, blocks] = [i % TOWN.size, 4 + (i % 7)];
    const from = corner(i % 10 === 9 ? -4 : i % 3, avenue);
    const to = corner((i % 3) + blocks, avenue);
    const start = Date.parse('2015-01-15T00:00:00Z') + i * 360_000;
    const tookS = Math.round((SLOWER * blocks * TOWN.stepM) / (TOWN.speedKmh / 3.6));
    const at = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
    const miles = (blocks * TOWN.stepM) / 1609.344;
    return [at(start), at(start + 1000 * tookS), miles, from.lng, from.lat, to.lng, to.lat].join();
  });
  const header =
    'pickup_datetime,dropoff_datetime,trip_distance,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude';
  return [header, ...lines, '2015-01-15 00:00:00,never,1,-74,40.7,-74,40.71'].join('\n');
}

t.test('script/eta', async (t) => {
  const osrm = await fetchOsrm();
  const skip = typeof osrm === 'string' ? false : osrm.skip;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-eta-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [trips, map, json] = ['trips.csv', 'town.osm.pbf', 'eta.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(trips, csv());
  await writeGridTown(map);

  async function measured(...more: string[]) {
    await run(process.execPath, [main, trips, map, '--json', json, ...more]);
    return JSON.parse(await readFile(json, 'utf8')) as Record<string, number> & { rows: Verdict[] };
  }

  await t.test('one half learns, the other is asked before and after', { skip }, async (t) => {
    const { rows, ...counts } = await measured();
    t.same(counts, { read: TRIPS, refused: 1, offTheMap: TRIPS / 10, teach: 96, ask: 120 });
    const median = (source: string, traffic: string): number =>
      rows.find((row) => row.source === source && row.traffic === traffic)!.medianPercent;
    t.ok(median('road', 'none') > 25, `${median('road', 'none')} % before`);
    t.ok(median('road', 'learnt') < 5, `${median('road', 'learnt')} % after`);
    t.ok(median('straight', 'learnt') < 5, `${median('straight', 'learnt')} % by the straight line`);
  });

  await t.test('parts of the teaching half ask each other', { skip }, async (t) => {
    const { rows } = await measured('--folds', '4');
    t.same(
      rows.map(({ source, traffic }) => `${source} ${traffic}`),
      ['straight learnt', 'road learnt'],
    );
    for (const { source, medianPercent } of rows) t.ok(medianPercent < 8, `${medianPercent} % by ${source}`);
  });

  await t.test('wrong arguments are refused with the usage', async (t) => {
    await t.rejects(run(process.execPath, [main, trips]), { code: 2, stderr: /script\/eta TRIPS/ });
    await t.rejects(run(process.execPath, [main, trips, map, '--folds', '1']), { code: 2 });
  });
});
