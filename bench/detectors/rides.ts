/** Recorded rides, and what is made wrong with them so that it can be seen whether it is found. The same on every run. */
import { between, offset, type Point } from '../../sim/geo.ts';
import { POINT_EVERY_S, readTraces } from '../../sim/porto/traces.ts';
import { createDraw, type Draw } from '../../sim/random.ts';
import { distanceM } from '../../src/domain/geo.ts';
import { type CleansingLimits, cleanse, type Fix, freshState } from '../../src/domain/tracks/rules.ts';

export interface Ride {
  row: number;
  /** As recorded. */
  raw: Fix[];
  /** As the detectors see them. */
  fixes: Fix[];
  dropoff: Point;
}

export interface Faulty {
  /** Index of the first fix that is wrong. */
  from: number;
  fixes: Fix[];
  dropoff: Point;
}

/** Shorter rides say nothing about detectors that take minutes. */
const MIN_FIXES = 20;
const STEP_MS = POINT_EVERY_S * 1000;

export async function readRides(file: string, limits: CleansingLimits): Promise<Ride[]> {
  const { traces } = await readTraces(file);
  return traces
    .map(({ row, points, dropoff }) => {
      const raw = points.map((point, i) => ({ ...point, at: i * STEP_MS }));
      return { row, raw, fixes: cleanse(raw, freshState(), limits).kept, dropoff };
    })
    .filter(({ fixes }) => fixes.length >= MIN_FIXES);
}

/** It goes to one place: never much farther from the pick-up than the drop-off is. Errands and round trips do not. */
export function isDirect({ fixes, dropoff }: Ride): boolean {
  const straight = distanceM(fixes[0]!, dropoff);
  return straight >= 1000 && fixes.every((fix) => distanceM(fixes[0]!, fix) <= 1.3 * straight + 500);
}

/** Some metres of error to every side. */
const noisy = (draw: Draw, point: Point, metres = 8): Point =>
  offset(point, (draw() + draw() + draw() - 1.5) * metres, (draw() + draw() + draw() - 1.5) * metres);

/** Begins between a third and two thirds of the way, at least half a kilometre from both ends. */
function breakOf(draw: Draw, { fixes, dropoff }: Ride): number | null {
  const from = Math.floor(fixes.length * (1 / 3 + draw() / 3));
  const place = fixes[from]!;
  return distanceM(place, fixes[0]!) < 500 || distanceM(place, dropoff) < 500 ? null : from;
}

const after = (last: Fix, points: readonly Point[]): Fix[] =>
  points.map((point, i) => ({ ...point, at: last.at + (i + 1) * STEP_MS }));

/**
 * Drives on as another recorded taxi did from the middle of its ride, which is moved here: real turns, speeds and halts, to a
 * place that is at least `awayM` from the drop-off. Null when the other one leads nowhere else.
 */
export function elsewhere(ride: Ride, other: Ride, awayM: number): Faulty | null {
  const from = breakOf(createDraw('elsewhere', ride.row), ride);
  if (from === null) return null;
  const last = ride.fixes[from]!;
  const half = other.fixes.slice(Math.floor(other.fixes.length / 2));
  const origin = half[0]!;
  const led = half
    .slice(1)
    .map(({ lat, lng }) => ({ lat: last.lat + lat - origin.lat, lng: last.lng + lng - origin.lng }));
  if (led.length === 0 || distanceM(led.at(-1)!, ride.dropoff) < awayM + distanceM(last, ride.dropoff)) return null;
  const fixes = [...ride.fixes.slice(0, from + 1), ...after(last, led)];
  return { from: from + 1, fixes, dropoff: ride.dropoff };
}

/** Turns round and drives away from the drop-off, straight, for half an hour. */
export function away(ride: Ride, speedMps: number): Faulty | null {
  const from = breakOf(createDraw('away', ride.row), ride);
  if (from === null) return null;
  const last = ride.fixes[from]!;
  const shareM = (speedMps * POINT_EVERY_S) / distanceM(last, ride.dropoff);
  const led = Array.from({ length: 120 }, (_, i) => ({
    lat: last.lat - (ride.dropoff.lat - last.lat) * shareM * (i + 1),
    lng: last.lng - (ride.dropoff.lng - last.lng) * shareM * (i + 1),
  }));
  return { from: from + 1, fixes: [...ride.fixes.slice(0, from + 1), ...after(last, led)], dropoff: ride.dropoff };
}

/** Stands for a while, as a receiver sees it, and goes on. */
export function standing(ride: Ride, minutes: number): Faulty | null {
  const draw = createDraw('standing', ride.row);
  const from = breakOf(draw, ride);
  if (from === null) return null;
  const last = ride.fixes[from]!;
  const stood = after(
    last,
    Array.from({ length: (minutes * 60) / POINT_EVERY_S }, () => noisy(draw, last)),
  );
  const rest = ride.fixes.slice(from + 1).map((fix) => ({ ...fix, at: fix.at + minutes * 60_000 }));
  return { from: from + 1, fixes: [...ride.fixes.slice(0, from + 1), ...stood, ...rest], dropoff: ride.dropoff };
}

/** The same way, from the middle on at this speed for so long, with a receiver's noise. */
export function racing(ride: Ride, speedMps: number, seconds: number): Faulty | null {
  const draw = createDraw('racing', ride.row);
  const from = breakOf(draw, ride);
  if (from === null) return null;
  const last = ride.fixes[from]!;
  const step = speedMps * POINT_EVERY_S;
  const target = offset(last, 0, 100_000);
  const led = Array.from({ length: seconds / POINT_EVERY_S }, (_, i) =>
    noisy(draw, between(last, target, (step * (i + 1)) / 100_000)),
  );
  return { from: from + 1, fixes: [...ride.fixes.slice(0, from + 1), ...after(last, led)], dropoff: ride.dropoff };
}

/** One fix in `every` is somewhere else, up to some kilometres; says which. */
export function glitching(ride: Ride, every: number): { fixes: Fix[]; isWrong: boolean[] } {
  const draw = createDraw('glitch', ride.row);
  const isWrong = ride.fixes.map((_, i) => i > 0 && draw() < 1 / every);
  const fixes = ride.fixes.map((fix, i) => {
    if (!isWrong[i]) return fix;
    const metres = 1500 + draw() * 8000;
    const angle = draw() * 2 * Math.PI;
    return { ...offset(fix, metres * Math.cos(angle), metres * Math.sin(angle)), at: fix.at };
  });
  return { fixes, isWrong };
}
