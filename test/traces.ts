/**
 * Traces of taxis for tests of what is concluded from positions: recorded ones where PORTO_TRACES names the file of the Porto taxi
 * traces (UCI, doi 10.24432/C55W25), else a few hundred of our own making, a point each 15 s along a grid of streets with the
 * noise of a receiver, halts at lights and, in one point of 150, a glitch.
 */
import { readTraces } from '../sim/porto/traces.ts';
import { createDraw } from '../sim/random.ts';
import { distanceM, type LatLng } from '../src/domain/geo.ts';

export interface TestFix extends LatLng {
  at: number;
}

export interface TestTrace {
  fixes: TestFix[];
  dropoff: LatLng;
}

export const EVERY_MS = 15_000;
export const START = 1_372_636_800_000;

export const isRecorded = process.env.PORTO_TRACES !== undefined;

const dated = (points: readonly LatLng[]): TestFix[] =>
  points.map(({ lat, lng }, i) => ({ lat, lng, at: START + i * EVERY_MS }));

export async function testTraces(): Promise<TestTrace[]> {
  const file = process.env.PORTO_TRACES;
  if (file === undefined) return Array.from({ length: 300 }, (_, seed) => madeTrace(seed));
  const { traces } = await readTraces(file);
  return traces.map(({ points, dropoff }) => ({ fixes: dated(points), dropoff }));
}

const METRE = 1 / 111_195;

/** Drives from block to block towards a target. */
function madeTrace(seed: number): TestTrace {
  const random = createDraw('trace', seed);
  const noise = () => (random() + random() + random() - 1.5) * 8 * METRE;
  const at = { lat: 41.15, lng: -8.62 };
  const target = { lat: at.lat + (random() - 0.5) * 0.06, lng: at.lng + (random() - 0.5) * 0.08 };
  const points: LatLng[] = [];
  while (distanceM(at, target) > 150 && points.length < 200) {
    points.push({ lat: at.lat + noise(), lng: at.lng + noise() });
    if (random() < 1 / 150) points.push({ lat: at.lat + 0.05, lng: at.lng - 0.05 });
    if (random() < 0.15) continue; // a red light
    const metres = 15 * (4 + 10 * random());
    const axis = random() < 0.5 ? 'lat' : 'lng';
    const other = axis === 'lat' ? 'lng' : 'lat';
    const along = Math.abs(target[axis] - at[axis]) > metres * METRE ? axis : other;
    at[along] += Math.sign(target[along] - at[along]) * Math.min(metres * METRE, Math.abs(target[along] - at[along]));
  }
  return { fixes: dated(points), dropoff: target };
}
