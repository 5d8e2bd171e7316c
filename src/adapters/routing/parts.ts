/** What the adapters of routing engines share: questions cut to size, and answers that are checked before they are believed. */
import type { LatLng } from '../../domain/geo.ts';
import type { RoadLeg, RoadLine } from '../../ports/routing.ts';

/** Runs `ask` on parts of at most `size`, all at once, and joins the answers in order. */
export async function inParts<T, R>(
  all: readonly T[],
  size: number,
  ask: (part: readonly T[]) => Promise<R[]>,
): Promise<R[]> {
  if (all.length === 0) return [];
  const parts = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
  return (await Promise.all(parts.map(ask))).flat();
}

/** Six decimals: a tenth of a metre. Engines take no exponents. */
export const degrees = (value: number): string => value.toFixed(6);

const isAmount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** One cell of a table; null means no road. @throws Error when it is neither */
export function toLeg(durationS: unknown, distanceM: unknown): RoadLeg | null {
  if (durationS === null || distanceM === null) return null;
  if (!isAmount(durationS) || !isAmount(distanceM))
    throw new Error(`neither a duration and a distance nor null: ${durationS}, ${distanceM}`);
  return { durationS, distanceM };
}

/** A way that is drawn. @throws Error when it is none */
export function toLine(durationS: unknown, distanceM: unknown, points: readonly LatLng[]): RoadLine {
  const leg = toLeg(durationS, distanceM);
  const isPlaced = points.length >= 2 && points.every(({ lat, lng }) => Math.abs(lat) <= 90 && Math.abs(lng) <= 180);
  if (!leg || !isPlaced) throw new Error(`no way of ${points.length} points`);
  return { ...leg, points: [...points] };
}
