/**
 * What traffic makes of an engine's free-flow time, learnt from finished trips: pure, so that it can be tested, replayed and
 * measured (script/eta). The logarithm of real time over the engine's is a level and a sum of small effects.
 *
 * The level is that of the hour; where that has seen little, of its part of the day, and else of the city as a whole. Each is a mean that
 * stands for itself: what is learnt by day leaves the night as it was. The effects say how a way differs from the level of its hour: by its
 * length, direction, the speed of its roads and its detours, by the zones at its ends and the two together. Each finished trip moves
 * every one of them by a share of what is still wrong; the more one has seen, the less it moves.
 *
 * The same holds for the straight line, which stands in when there is no engine: its factor is learnt by the same trips.
 */
import { distanceM, type LatLng } from '../geo.ts';

/** One thing learnt: the mean of a level, or an effect that adds to it, as a logarithm of the factor. */
export interface Effect {
  value: number;
  /** How many trips it has seen, old ones counting less. */
  weight: number;
  /** When it last learnt, epoch ms. */
  at: number;
}

export type Effects = Readonly<Record<string, Effect>>;

/** What is known of a way before it is driven. */
export interface Way {
  from: LatLng;
  to: LatLng;
  /** H3 cells of its ends. */
  fromZone: string;
  toZone: string;
  /** Departure, epoch ms. */
  at: number;
  /** The engine's own time and way. */
  baseS: number;
  baseM: number;
}

/** A level or effect that a way has: `part` is the zone that it is kept with, or empty for the city. */
export interface Feature {
  part: string;
  key: string;
  /** Trips it takes to believe it by half. */
  inertia: number;
}

export interface Features {
  /** From the coarse to the fine; the finest that is known counts most. */
  levels: Feature[];
  effects: Feature[];
}

const HOUR_MS = 3_600_000;
const HOURS_PER_PERIOD = 3;
const SHORTEST_CLASS_S = 60;
/** Each class of lengths is this much longer than the one before. */
const CLASS_RATIO = 1.6;
const MOST_CLASSES = 10;
const DEGREES_PER_DIRECTION = 15;
const DEGREES_PER_QUARTER = 90;
/** Each class of speeds is this much faster than the one before, and each of detours so much longer. */
const SPEED_RATIO = 1.12;
const DETOUR_RATIO = 1.13;
const MOST_DETOURS = 10;
/** Added to both ways of a detour: places are known to some metres only. */
const DETOUR_SLACK_M = 20;
/** One strange trip must not turn the factor over. */
const MOST_RESIDUAL = 1;
/** Of the factor; beyond them a trip was no drive (the meter ran on, the end was tapped late). */
export const FACTOR_RANGE = { min: 1 / 8, max: 8 } as const;
/** A shorter trip says nothing of the traffic. */
export const LEAST_LEARNT_S = 30;

/** Hours are of the day in UTC: they follow a city's rhythm whatever its time zone. */
export function featuresOf(way: Way): Features {
  const { from, to, fromZone, toZone, at, baseS, baseM } = way;
  const hour = Math.floor(at / HOUR_MS) % 24;
  const period = Math.floor(hour / HOURS_PER_PERIOD);
  const bearing = bearingDeg(from, to);
  const quarter = Math.floor(bearing / DEGREES_PER_QUARTER);
  const length = classOf(Math.max(SHORTEST_CLASS_S, baseS) / SHORTEST_CLASS_S, CLASS_RATIO);
  const detour = classOf((baseM + DETOUR_SLACK_M) / (distanceM(from, to) + DETOUR_SLACK_M), DETOUR_RATIO);
  const city = (key: string, inertia: number): Feature => ({ part: '', key, inertia });
  const ends: Feature[] = [
    [fromZone, 'from'],
    [toZone, 'to'],
  ].flatMap(([part, end]) => [
    { part: part!, key: end!, inertia: 8 },
    { part: part!, key: `${end}${period}`, inertia: 15 },
    { part: part!, key: `${end}Q${quarter}`, inertia: 12 },
  ]);
  return {
    levels: [city('all', 0), city(`period${period}`, 4), city(`hour${hour}`, 8)],
    effects: [
      city(`length${Math.min(length, MOST_CLASSES - 1)}`, 6),
      city(`direction${Math.floor(bearing / DEGREES_PER_DIRECTION)}`, 6),
      city(`speed${classOf(baseM / Math.max(1, baseS) + 1, SPEED_RATIO)}`, 8),
      city(`detour${Math.min(detour, MOST_DETOURS)}`, 8),
      ...ends,
      { part: fromZone, key: `to:${toZone}`, inertia: 12 },
    ],
  };
}

/** The number of the class that a ratio is in; ratios below one are in the first. */
const classOf = (ratio: number, step: number): number => Math.max(0, Math.floor(Math.log(ratio) / Math.log(step)));

/** The effects of one part that is known, or nothing. */
export type Lookup = (part: string) => Effects | undefined;

function levelOf(levels: readonly Feature[], lookup: Lookup, prior: number): number {
  let level = Math.log(prior);
  for (const { part, key, inertia } of levels) {
    const known = lookup(part)?.[key];
    if (known) level += ((known.value - level) * known.weight) / (known.weight + inertia);
  }
  return level;
}

function sumOf(effects: readonly Feature[], lookup: Lookup): number {
  let sum = 0;
  for (const { part, key } of effects) sum += lookup(part)?.[key]?.value ?? 0;
  return sum;
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value));
const believable = (residual: number): number => clamp(residual, -MOST_RESIDUAL, MOST_RESIDUAL);

/** Real time over the engine's; `prior` where nothing is known. Always within FACTOR_RANGE. */
export function factorOf({ levels, effects }: Features, lookup: Lookup, prior: number): number {
  const log = levelOf(levels, lookup, prior) + sumOf(effects, lookup);
  return clamp(Math.exp(log), FACTOR_RANGE.min, FACTOR_RANGE.max);
}

/** Whether a finished way says something of the traffic. */
export function isTelling(baseS: number, tookS: number): boolean {
  if (!(baseS > 0) || !(tookS >= LEAST_LEARNT_S)) return false;
  const ratio = tookS / baseS;
  return ratio >= FACTOR_RANGE.min && ratio <= FACTOR_RANGE.max;
}

/** What one finished way teaches one level or effect. */
export interface Lesson extends Feature {
  /**
   * What it would have to be for this way to be right. It moves a share of the way there, so that many lessons of one moment, each
   * drawn from the same knowledge, do not add up to too much.
   */
  target: number;
}

/**
 * What a way that took `tookS` teaches: the levels first, then the effects in turn, each what those before it could not explain. So the
 * coarse ones hold what all ways have in common, and a way never driven is estimated by them.
 */
export function lessonsOf(way: Way, tookS: number, lookup: Lookup, prior: number, halfLifeMs: number): Lesson[] {
  const { levels, effects } = featuresOf(way);
  const sum = sumOf(effects, lookup);
  const measured = Math.log(tookS / way.baseS);
  const level = levelOf(levels, lookup, prior);
  const target = level + believable(measured - level - sum);
  // A mean: its inertia counts when it is used.
  const levelLessons = levels.map((feature) => ({ ...feature, inertia: 1, target }));
  const learnt = new Map(
    levelLessons.map((one) => [one.key, learn(lookup(one.part)?.[one.key], one, way.at, halfLifeMs)]),
  );
  const levelAfter = levelOf(levels, () => Object.fromEntries(learnt), prior);

  let residual = believable(measured - levelAfter - sum);
  const effectLessons = effects.map((feature) => {
    const effect = lookup(feature.part)?.[feature.key];
    const lesson = { ...feature, target: (effect?.value ?? 0) + residual };
    residual -= stepOf(effect, lesson, way.at, halfLifeMs);
    return lesson;
  });
  return [...levelLessons, ...effectLessons];
}

const weightAt = (effect: Effect, at: number, halfLifeMs: number): number =>
  effect.weight * 0.5 ** (Math.max(0, at - effect.at) / halfLifeMs);

/** By how much a lesson moves an effect. */
function stepOf(effect: Effect | undefined, { target, inertia }: Lesson, at: number, halfLifeMs: number): number {
  return (target - (effect?.value ?? 0)) / ((effect ? weightAt(effect, at, halfLifeMs) : 0) + inertia);
}

/** One effect after one more trip. What it has seen fades by half every `halfLifeMs`; time that runs backwards fades nothing. */
export function learn(effect: Effect | undefined, lesson: Lesson, at: number, halfLifeMs: number): Effect {
  return {
    value: (effect?.value ?? 0) + stepOf(effect, lesson, at, halfLifeMs),
    weight: (effect ? weightAt(effect, at, halfLifeMs) : 0) + 1,
    at: Math.max(effect?.at ?? at, at),
  };
}

/** At most `most` effects: those that have seen least go first, so that what is kept stays bounded. */
export function bounded(effects: Effects, most: number): Effects {
  const entries = Object.entries(effects);
  if (entries.length <= most) return effects;
  return Object.fromEntries(entries.sort(([, a], [, b]) => b.weight - a.weight).slice(0, most));
}

/** Direction of the straight line, degrees clockwise from north, in [0, 360). */
function bearingDeg(a: LatLng, b: LatLng): number {
  const east = (b.lng - a.lng) * Math.cos(((a.lat + b.lat) / 2) * (Math.PI / 180));
  return ((Math.atan2(east, b.lat - a.lat) * 180) / Math.PI + 360) % 360;
}
