/**
 * What of a track is believed. Pure: one point at a time over a small state, so that the live watch and a page of a stored
 * track judge alike. Stored tracks stay raw; they are evidence.
 */
import { atMostM, distanceM, type LatLng } from '../geo.ts';

export interface Fix extends LatLng {
  /** When the device measured it, epoch milliseconds. */
  at: number;
  accuracyM?: number;
}

export interface CleansingLimits {
  /** Faster than this between two fixes nobody drives, metres a second. */
  maxSpeedMps: number;
  /** Fixes with a larger radius of error are not used, metres. */
  maxAccuracyM: number;
  /** Two fixes may be this far apart by measurement alone, metres. */
  slackM: number;
  /** So many fixes in a row that agree with each other and not with the track: the track was wrong. */
  agreeing: number;
}

export const cleansingLimits: CleansingLimits = { maxSpeedMps: 50, maxAccuracyM: 200, slackM: 30, agreeing: 3 };

export const verdicts = ['kept', 'late', 'duplicate', 'inaccurate', 'jump'] as const;
/** `late`: measured before the last one; `duplicate`: of the same instant. */
export type Verdict = (typeof verdicts)[number];

/** Plain data, so that it can travel in a page token. */
export interface CleansingState {
  /** The last fix that was kept. */
  last: Fix | null;
  /** The last of the fixes that jumped and agree with each other. */
  suspect: Fix | null;
  agreeing: number;
}

export const freshState = (): CleansingState => ({ last: null, suspect: null, agreeing: 0 });

/** Whether one can get from `a` to the later `b`. */
export function isReachable(a: Fix, b: Fix, limits: CleansingLimits): boolean {
  const slack = Math.max(limits.slackM, (a.accuracyM ?? 0) + (b.accuracyM ?? 0));
  const reachM = slack + (limits.maxSpeedMps * (b.at - a.at)) / 1000;
  return atMostM(a, b) <= reachM || distanceM(a, b) <= reachM;
}

/** Judges the next fix and changes `state` in place. */
export function judge(state: CleansingState, fix: Fix, limits: CleansingLimits = cleansingLimits): Verdict {
  const { last, suspect } = state;
  if (last && fix.at < last.at) return 'late';
  if (last && fix.at === last.at) return 'duplicate';
  if (fix.accuracyM !== undefined && fix.accuracyM > limits.maxAccuracyM) return 'inaccurate';
  if (last && !isReachable(last, fix, limits)) {
    const agrees = suspect !== null && fix.at > suspect.at && isReachable(suspect, fix, limits);
    state.agreeing = agrees ? state.agreeing + 1 : 1;
    state.suspect = fix;
    if (state.agreeing < limits.agreeing) return 'jump';
  }
  state.last = fix;
  state.suspect = null;
  state.agreeing = 0;
  return 'kept';
}

export interface Cleansed<T extends Fix> {
  kept: T[];
  /** How many were left out, by reason. */
  dropped: Record<Exclude<Verdict, 'kept'>, number>;
}

/** Cleanses points in the order of their time, going on from `state`, which it changes. */
export function cleanse<T extends Fix>(
  points: readonly T[],
  state: CleansingState = freshState(),
  limits: CleansingLimits = cleansingLimits,
): Cleansed<T> {
  const kept: T[] = [];
  const dropped = { late: 0, duplicate: 0, inaccurate: 0, jump: 0 };
  for (const point of points) {
    const verdict = judge(state, point, limits);
    if (verdict === 'kept') kept.push(point);
    else dropped[verdict]++;
  }
  return { kept, dropped };
}

/** Along the points, metres. */
export function lengthM(points: readonly LatLng[]): number {
  let total = 0;
  for (let i = 1; i < points.length; i++) total += distanceM(points[i - 1]!, points[i]!);
  return total;
}

/** The first and every `every`-th after it are taken: 1 in 10 for 10, all for 1, none for 0. `count` counts from 0. */
export const isSampled = (count: number, every: number): boolean => every > 0 && count % every === 0;
