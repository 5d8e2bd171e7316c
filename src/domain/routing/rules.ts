/**
 * What traffic makes of an engine's free-flow time, learnt from finished trips: pure, so that it can be tested, replayed and
 * measured (bench/eta.ts). The logarithm of real time over the engine's is a sum of small effects: of the city as a whole, of the
 * hour, of how long and in which direction the way goes, of the zones at its ends and of the two together. Each finished trip
 * moves every effect it has to do with by a share of what is still wrong; the more an effect has seen, the less it moves.
 *
 * The same holds for the straight line, which stands in when there is no engine: its factor is learnt by the same trips.
 */
import type { LatLng } from '../geo.ts';

/** One learnt effect: `value` adds to the logarithm of the factor. */
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
  /** The engine's own time. */
  baseS: number;
}

/** Which effect a way has: `part` is the zone that it is kept with, or empty for the city. */
export interface Feature {
  part: string;
  key: string;
  /** Trips it takes to believe the effect by half. */
  inertia: number;
}

const HOUR_MS = 3_600_000;
const HOURS_PER_PERIOD = 3;
const SHORTEST_CLASS_S = 60;
/** Each class of lengths is this much longer than the one before. */
const CLASS_RATIO = 1.6;
const MOST_CLASSES = 10;
const DEGREES_PER_DIRECTION = 30;
/** One strange trip must not turn the factor over. */
const MOST_RESIDUAL = 1;
/** Of the factor; beyond them a trip was no drive (the meter ran on, the end was tapped late). */
export const FACTOR_RANGE = { min: 1 / 8, max: 8 } as const;
/** A shorter trip says nothing of the traffic. */
export const LEAST_LEARNT_S = 30;

/** Hours are of the day in UTC: they follow a city's rhythm whatever its time zone. */
export function featuresOf({ from, to, fromZone, toZone, at, baseS }: Way): Feature[] {
  const hour = Math.floor(at / HOUR_MS) % 24;
  const period = Math.floor(hour / HOURS_PER_PERIOD);
  const length = Math.floor(Math.log(Math.max(SHORTEST_CLASS_S, baseS) / SHORTEST_CLASS_S) / Math.log(CLASS_RATIO));
  const direction = Math.floor(bearingDeg(from, to) / DEGREES_PER_DIRECTION);
  return [
    { part: '', key: 'all', inertia: 1 },
    { part: '', key: `hour${hour}`, inertia: 4 },
    { part: '', key: `length${Math.min(length, MOST_CLASSES - 1)}`, inertia: 6 },
    { part: '', key: `direction${direction}`, inertia: 6 },
    { part: fromZone, key: 'from', inertia: 8 },
    { part: fromZone, key: `from${period}`, inertia: 15 },
    { part: toZone, key: 'to', inertia: 8 },
    { part: toZone, key: `to${period}`, inertia: 15 },
    { part: fromZone, key: `to:${toZone}`, inertia: 12 },
  ];
}

/** The effects of one part that is known, or nothing. */
export type Lookup = (part: string) => Effects | undefined;

function sumOf(features: readonly Feature[], lookup: Lookup): number {
  let sum = 0;
  for (const { part, key } of features) sum += lookup(part)?.[key]?.value ?? 0;
  return sum;
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value));

/** Real time over the engine's; `prior` where nothing is known. Always within FACTOR_RANGE. */
export function factorOf(features: readonly Feature[], lookup: Lookup, prior: number): number {
  return clamp(prior * Math.exp(sumOf(features, lookup)), FACTOR_RANGE.min, FACTOR_RANGE.max);
}

/** Whether a finished way says something of the traffic. */
export function isTelling(baseS: number, tookS: number): boolean {
  if (!(baseS > 0) || !(tookS >= LEAST_LEARNT_S)) return false;
  const ratio = tookS / baseS;
  return ratio >= FACTOR_RANGE.min && ratio <= FACTOR_RANGE.max;
}

/** What one finished way teaches one effect. */
export interface Lesson extends Feature {
  /**
   * What the effect would have to be for this way to be right. It moves a share of the way there, so that many lessons of one moment, each
   * drawn from the same knowledge, do not add up to too much.
   */
  target: number;
}

/**
 * What a way that took `tookS` teaches, from the city down to the pair of zones: each effect explains what it can, and the next is taught
 * what is left. So the coarse ones hold what all ways have in common, a way never driven is estimated by them, and no lesson moves an
 * estimate past what was measured.
 */
export function lessonsOf(way: Way, tookS: number, lookup: Lookup, prior: number, halfLifeMs: number): Lesson[] {
  const features = featuresOf(way);
  const wrong = Math.log(tookS / way.baseS) - Math.log(prior) - sumOf(features, lookup);
  let residual = clamp(wrong, -MOST_RESIDUAL, MOST_RESIDUAL);
  return features.map((feature) => {
    const effect = lookup(feature.part)?.[feature.key];
    const lesson = { ...feature, target: (effect?.value ?? 0) + residual };
    residual -= stepOf(effect, lesson, way.at, halfLifeMs);
    return lesson;
  });
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
