/** What one part of the trips teaches, and how wrong the other is estimated by it. */
import {
  type Effect,
  type Effects,
  factorOf,
  featuresOf,
  isTelling,
  learn,
  lessonsOf,
  type Way,
} from '../../src/domain/routing/rules.ts';
import type { Driven } from './driven.ts';

/** The server's default. */
const HALF_LIFE_MS = 14 * 86_400_000;
const sources = ['straight', 'road'] as const;
type Source = (typeof sources)[number];

export interface Verdict {
  source: Source;
  traffic: 'none' | 'learnt';
  /** Of the time that the trip took. */
  medianPercent: number;
  p90Percent: number;
  medianS: number;
  p90S: number;
}

/** How wrong one estimate was. */
interface Miss {
  wrongS: number;
  tookS: number;
}

/** By the number of the row, so that both halves have all hours and places. */
export function halves(driven: readonly Driven[]): { teaching: Driven[]; asking: Driven[] } {
  return {
    teaching: driven.filter(({ row }) => row % 2 === 1).sort((a, b) => a.atMs - b.atMs || a.row - b.row),
    asking: driven.filter(({ row }) => row % 2 === 0),
  };
}

export function judged(teaching: readonly Driven[], asking: readonly Driven[]): Verdict[] {
  return sources.flatMap((source) => [
    { source, traffic: 'none' as const, ...errors(misses(asking, source, () => 1)) },
    { source, traffic: 'learnt' as const, ...errors(misses(asking, source, school(teaching, source))) },
  ]);
}

/** Each part is asked what the others taught. */
export function crossValidated(teaching: readonly Driven[], folds: number): Verdict[] {
  // Rows of one half are two apart; neighbours in the file must not fall into one part.
  const foldOf = ({ row }: Driven): number => ((row - 1) / 2) % folds;
  return sources.map((source) => {
    const all = [...Array(folds).keys()].flatMap((fold) => {
      const taught = teaching.filter((one) => foldOf(one) !== fold);
      const asked = teaching.filter((one) => foldOf(one) === fold);
      return misses(asked, source, school(taught, source));
    });
    return { source, traffic: 'learnt', ...errors(all) };
  });
}

/** Learns from every trip once, in the order they were driven. */
function school(teaching: readonly Driven[], source: Source): (way: Way) => number {
  const parts = new Map<string, Record<string, Effect>>();
  const lookup = (part: string): Effects | undefined => parts.get(part);
  for (const { durationS, [source]: way } of teaching) {
    if (!isTelling(way.baseS, durationS)) continue;
    for (const lesson of lessonsOf(way, durationS, lookup, 1, HALF_LIFE_MS)) {
      const effects = parts.get(lesson.part) ?? {};
      effects[lesson.key] = learn(effects[lesson.key], lesson, way.at, HALF_LIFE_MS);
      parts.set(lesson.part, effects);
    }
  }
  return (way) => factorOf(featuresOf(way), lookup, 1);
}

const misses = (asking: readonly Driven[], source: Source, factor: (way: Way) => number): Miss[] =>
  asking.map(({ durationS: tookS, [source]: way }) => ({ wrongS: Math.abs(way.baseS * factor(way) - tookS), tookS }));

/** Median and nine tenths, as a share of the time it took and in seconds. */
function errors(all: readonly Miss[]): Omit<Verdict, 'source' | 'traffic'> {
  const shares = all.map(({ wrongS, tookS }) => wrongS / tookS).sort((a, b) => a - b);
  const seconds = all.map(({ wrongS }) => wrongS).sort((a, b) => a - b);
  const at = (sorted: readonly number[], q: number): number => sorted[Math.floor(q * sorted.length)] ?? Number.NaN;
  const percent = (q: number): number => Math.round(1000 * at(shares, q)) / 10;
  return {
    medianPercent: percent(0.5),
    p90Percent: percent(0.9),
    medianS: Math.round(at(seconds, 0.5)),
    p90S: Math.round(at(seconds, 0.9)),
  };
}
