/** Recorded traces on two real nodes: what one acknowledged, the other can read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { replayTraces } from '../../sim/porto/replay-traces.ts';
import { readTraces } from '../../sim/porto/traces.ts';

// A city takes its time, more of it on a busy machine.
t.setTimeout(120_000);

const HEADER = 'TRIP_ID,CALL_TYPE,ORIGIN_CALL,ORIGIN_STAND,TAXI_ID,TIMESTAMP,DAY_TYPE,MISSING_DATA,POLYLINE';

/** A taxi that drives north-east, a point each 15 s. */
function line(taxi: number, points: number): string {
  const at = (i: number) => [-8.62 + taxi * 0.001 + i * 0.0011, 41.15 + i * 0.0007].map((n) => Number(n.toFixed(6)));
  const polyline = JSON.stringify(Array.from({ length: points }, (_, i) => at(i)));
  return `${taxi}59,C,,,${taxi},1372636858,A,False,"${polyline}"`;
}

t.test('the reader of traces takes what moved and refuses the rest', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ridestream-porto-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'traces.csv');
  const loop = '9,C,,,9,1372636858,A,False,"[[-8.62,41.15],[-8.61,41.15],[-8.62,41.15]]"';
  const still = '8,C,,,8,1372636858,A,False,"[[-8.62,41.15],[-8.62,41.15]]"';
  const bad = ['"[]"', '"[[1,2"', '"[[1,""x""]]"'].map((polyline) => `7,C,,,7,1372636858,A,False,${polyline}`);
  const noTime = '6,C,,,6,noon,A,False,"[[-8.62,41.15],[-8.61,41.15]]"';
  writeFileSync(file, [HEADER, line(1, 5), loop, still, ...bad, noTime].join('\n'));
  const { traces, refusals } = await readTraces(file);
  t.match(traces, [
    { row: 2, taxi: '1', points: { length: 5 }, dropoff: { lat: 41.1528 } },
    { row: 3, taxi: '9', atMs: 1_372_636_858_000, dropoff: { lat: 41.15, lng: -8.61 } },
  ]);
  t.same(
    refusals.map(({ row, reason }) => `${row} ${reason}`),
    [
      '4 the taxi never moved',
      '5 no points',
      '6 not a list of [lng, lat]',
      '7 not a list of [lng, lat]',
      '8 not a time',
    ],
  );
  t.equal((await readTraces(file, 1)).traces.length, 1);
});

t.test('each position that one node acknowledged is read on the other, the first time', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ridestream-porto-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'traces.csv');
  writeFileSync(file, [HEADER, ...Array.from({ length: 12 }, (_, i) => line(i + 1, 10 + i))].join('\n'));
  const { traces } = await readTraces(file);
  const result = await replayTraces(traces, { speed: 150, drivers: 8, seed: 1 }, () => {});
  const points = traces.reduce((sum, trace) => sum + trace.points.length, 0);
  t.same(result.problems, []);
  t.same(result.wrong, []);
  t.equal(result.late, 0, 'no read gave an older position');
  t.equal(result.completed, traces.length);
  t.equal(result.delaysMs.length, points);
});
