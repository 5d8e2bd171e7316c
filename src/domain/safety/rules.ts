/**
 * What may be wrong with a trip that is on: it leaves its way, stands still, goes too fast, or is not heard of. Each detector
 * is a value over time and two thresholds (src/domain/hysteresis.ts). Pure: state and fixes in, signals out.
 */
import { distanceM, type LatLng } from '../geo.ts';
import { quiet, type Signal, sense, type Thresholds } from '../hysteresis.ts';
import { type Sighting, type StaleReason, sighting } from '../locations/rules.ts';
import { cleansingLimits } from '../tracks/rules.ts';

export const hazards = ['route_deviation', 'long_stop', 'overspeed', 'signal_lost'] as const;
export type Hazard = (typeof hazards)[number];

export interface SafetyLimits {
  /** Metres off the way. */
  deviation: Thresholds;
  /** Milliseconds in one place. */
  stop: Thresholds;
  /** Metres a second. */
  speed: Thresholds;
  /** Milliseconds of silence. */
  silence: Thresholds;
  /** Leaving this circle ends a stop that was not yet reported; one that was ends at twice as much. */
  stopRadiusM: number;
  /** So near the pick-up or the drop-off standing still is boarding or arriving. */
  endRadiusM: number;
  /** A step that would need more was not driven but measured wrongly, metres a second. */
  maxSpeedMps: number;
  /** Without a route: how much longer than the straight line a sensible way may be. */
  detourFactor: number;
  /** With a route: how much longer another way may be than the planned one, and by how many metres besides. */
  otherWayFactor: number;
  otherWayM: number;
}

/**
 * Someone who left his way is on another good one when what he has driven and what remains from here by road is not much more than
 * what was planned.
 */
export const isOtherWay = (drivenM: number, remainingM: number, plannedM: number, limits: SafetyLimits): boolean =>
  drivenM + remainingM <= plannedM * limits.otherWayFactor + limits.otherWayM;

export const safetyLimits: SafetyLimits = {
  deviation: { setAt: 500, clearAt: 250, setMs: 45_000, clearMs: 30_000 },
  stop: { setAt: 300_000, clearAt: 0, setMs: 0, clearMs: 0 },
  speed: { setAt: 39, clearAt: 33.15, setMs: 15_000, clearMs: 15_000 },
  silence: { setAt: 90_000, clearAt: 30_000, setMs: 0, clearMs: 10_000 },
  stopRadiusM: 60,
  endRadiusM: 200,
  maxSpeedMps: cleansingLimits.maxSpeedMps,
  detourFactor: 1.6,
  otherWayFactor: 1.5,
  otherWayM: 2000,
};

export interface SafetyState {
  /** Where the ride began: its first fix. */
  start: LatLng | null;
  last: RideFix | null;
  /** Where the car stands, and since when. */
  stop: (LatLng & { at: number }) | null;
  signals: Record<Hazard, Signal>;
}

export const freshSafety = (): SafetyState => ({
  start: null,
  last: null,
  stop: null,
  signals: { route_deviation: quiet(), long_stop: quiet(), overspeed: quiet(), signal_lost: quiet() },
});

/** A change of a signal, with what it rests on. */
export interface Warning {
  hazard: Hazard;
  change: 'set' | 'cleared';
  at: number;
  /** Where the car was seen last. */
  place: Sighting;
  /** What was measured, and where the line was drawn. */
  value: number;
  threshold: number;
  unit: 'm' | 'ms' | 'mps';
  /** Of silence: what the driver's device said last. */
  staleReason?: StaleReason;
}

export interface RideFix extends LatLng {
  at: number;
  speedMps?: number | undefined;
  accuracyM?: number | undefined;
  /** How it came: stream or rest. */
  source?: string;
}

/**
 * How far off its way a ride is, metres. With a route, from the route; without, by how far a way through here would be longer
 * than a sensible one, halved, for one leaves the way and comes back.
 */
export function offWayM(
  place: LatLng,
  start: LatLng,
  target: LatLng,
  route: readonly LatLng[] | null,
  detourFactor: number,
): number {
  if (route && route.length > 1) return distanceToLineM(place, route);
  const sensible = Math.max(distanceM(start, target) * detourFactor, 1500);
  return Math.max(0, (distanceM(start, place) + distanceM(place, target) - sensible) / 2);
}

/** From the nearest part of a line, metres; in a plane around the place. */
export function distanceToLineM(place: LatLng, line: readonly LatLng[]): number {
  const scale = Math.cos((place.lat * Math.PI) / 180);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 1; i < line.length; i++) {
    const ax = (line[i - 1]!.lng - place.lng) * scale;
    const ay = line[i - 1]!.lat - place.lat;
    const dx = (line[i]!.lng - place.lng) * scale - ax;
    const dy = line[i]!.lat - place.lat - ay;
    const length = dx * dx + dy * dy;
    const along = length === 0 ? 0 : Math.min(1, Math.max(0, -(ax * dx + ay * dy) / length));
    best = Math.min(best, (ax + along * dx) ** 2 + (ay + along * dy) ** 2);
  }
  return Math.sqrt(best) * 111_195;
}

/** The next fix of a ride with its rider on board; changes `state` in place. Fixes come cleansed and in order. */
export function observe(
  state: SafetyState,
  fix: RideFix,
  ride: { target: LatLng; route: readonly LatLng[] | null },
  limits: SafetyLimits = safetyLimits,
): Warning[] {
  const warnings: Warning[] = [];
  const { signals } = state;
  const test = (hazard: Hazard, value: number, thresholds: Thresholds, unit: Warning['unit']): void => {
    const change = sense(signals[hazard], value, fix.at, thresholds);
    const threshold = change === 'cleared' ? thresholds.clearAt : thresholds.setAt;
    if (change) warnings.push({ hazard, change, at: fix.at, place: sighted(fix), value, threshold, unit });
  };
  state.start ??= placeOf(fix);
  test('signal_lost', 0, limits.silence, 'ms');
  const speedMps = speedOf(state.last, fix, limits);
  if (speedMps !== null) test('overspeed', speedMps, limits.speed, 'mps');
  test(
    'route_deviation',
    offWayM(fix, state.start, ride.target, ride.route, limits.detourFactor),
    limits.deviation,
    'm',
  );
  test('long_stop', stoodMs(state, fix, [state.start, ride.target], limits), limits.stop, 'ms');
  state.last = fix;
  return warnings;
}

/** Nothing has come since `state.last`: is it missed? `now` on the clock that `heardAt` was read from. */
export function missed(
  state: SafetyState,
  heardAt: number,
  now: number,
  limits: SafetyLimits = safetyLimits,
): Warning | null {
  if (!state.last || state.signals.signal_lost.isSet) return null;
  const value = now - heardAt;
  if (sense(state.signals.signal_lost, value, now, limits.silence) !== 'set') return null;
  const { setAt: threshold } = limits.silence;
  return { hazard: 'signal_lost', change: 'set', at: now, place: sighted(state.last), value, threshold, unit: 'ms' };
}

const placeOf = ({ lat, lng }: LatLng): LatLng => ({ lat, lng });
const sighted = (fix: RideFix): Sighting => sighting({ ...fix, recordedAt: fix.at });

/** As the device says; otherwise from the last fix. Null: unknown, as where a track begins anew. */
function speedOf(last: SafetyState['last'], fix: RideFix, limits: SafetyLimits): number | null {
  if (fix.speedMps !== undefined) return fix.speedMps;
  if (!last || fix.at <= last.at) return 0;
  const speedMps = distanceM(last, fix) / ((fix.at - last.at) / 1000);
  return speedMps > limits.maxSpeedMps ? null : speedMps;
}

function stoodMs(state: SafetyState, fix: RideFix, ends: readonly LatLng[], limits: SafetyLimits): number {
  const radius = state.signals.long_stop.isSet ? 2 * limits.stopRadiusM : limits.stopRadiusM;
  const hasLeft = !state.stop || distanceM(state.stop, fix) > radius;
  const isAtEnd = ends.some((end) => distanceM(fix, end) <= limits.endRadiusM);
  if (hasLeft || isAtEnd) state.stop = { ...placeOf(fix), at: fix.at };
  return fix.at - state.stop!.at;
}
