/** What a position must be to be taken. Pure; the same limits stand in the REST schemas. */
import type { LatLng } from '../geo.ts';

export const limits = {
  lat: { min: -90, max: 90 },
  lng: { min: -180, max: 180 },
  speedMps: { min: 0, max: 150 },
  headingDeg: { min: 0, max: 360 },
  accuracyM: { min: 0, max: 100_000 },
} as const;

export interface PositionInput extends LatLng {
  /** When the device measured it, epoch ms. */
  recordedAt: number;
  speedMps?: number;
  headingDeg?: number;
  accuracyM?: number;
  /** Empty: on no trip. */
  tripId: string;
  /** The device says that an app made it up. */
  isMock?: boolean;
}

/** One broken rule of one field, as on the wire. */
export interface Violation {
  field: string;
  rule: string;
}

const range = (r: { min: number; max: number }): string => `a number from ${r.min} to ${r.max}`;
const within = (value: number, r: { min: number; max: number }): boolean => value >= r.min && value <= r.max; // false for NaN

/** The first rule that a place breaks, or null. */
export function placeViolation(p: { lat?: number; lng?: number }, prefix = ''): Violation | null {
  if (p.lat === undefined || !within(p.lat, limits.lat)) return { field: `${prefix}lat`, rule: range(limits.lat) };
  if (p.lng === undefined || !within(p.lng, limits.lng)) return { field: `${prefix}lng`, rule: range(limits.lng) };
  return null;
}

/** The first rule that a position breaks, or null. `now` and `skewMaxMs` in domain milliseconds. */
export function positionViolation(p: PositionInput, now: number, skewMaxMs: number, prefix = ''): Violation | null {
  const place = placeViolation(p, prefix);
  if (place) return place;
  if (!(Number.isSafeInteger(p.recordedAt) && p.recordedAt > 0)) {
    return { field: `${prefix}recorded_at_ms`, rule: 'epoch milliseconds' };
  }
  if (p.recordedAt > now + skewMaxMs) {
    return { field: `${prefix}recorded_at_ms`, rule: `at most ${skewMaxMs} ms ahead of the server's clock` };
  }
  if (p.speedMps !== undefined && !within(p.speedMps, limits.speedMps)) {
    return { field: `${prefix}speed_mps`, rule: range(limits.speedMps) };
  }
  if (p.headingDeg !== undefined && !within(p.headingDeg, limits.headingDeg)) {
    return { field: `${prefix}heading_deg`, rule: range(limits.headingDeg) };
  }
  if (p.accuracyM !== undefined && !within(p.accuracyM, limits.accuracyM)) {
    return { field: `${prefix}accuracy_m`, rule: range(limits.accuracyM) };
  }
  return null;
}

/** Why a position is too old to be live; `silent`: the device gave no reason. What tells: ../telematics/rules.ts. */
export const staleReasons = ['battery_low', 'no_signal', 'background', 'silent'] as const;
export type StaleReason = (typeof staleReasons)[number];

export interface Freshness {
  ageMs: number;
  /** Too old to be shown as live. */
  stale: boolean;
  /** Where it is stale, and that was asked for. */
  staleReason?: StaleReason | undefined;
}

/** A place where somebody was, and how well that is known. What is missing is not known. */
export interface Sighting extends LatLng {
  /** When it was measured, epoch ms. */
  recordedAt?: number | undefined;
  accuracyM?: number | undefined;
  /** How it came: stream or rest. */
  source?: string | undefined;
}

/** The same as it is shown, with its age of that moment where it has one. */
export type Shown = Sighting & Partial<Freshness>;

/** What is kept of a position where it stands for a place alone. */
export function sighting({ lat, lng, recordedAt, accuracyM, source }: Sighting): Sighting {
  const kept: Sighting = { lat, lng };
  if (recordedAt !== undefined) kept.recordedAt = recordedAt;
  if (accuracyM !== undefined) kept.accuracyM = accuracyM;
  if (source !== undefined) kept.source = source;
  return kept;
}

/** A device clock may run ahead by the allowed skew; such a position is new, not of negative age. */
export function freshnessOf(recordedAt: number, now: number, freshnessMs: number): Freshness {
  const ageMs = Math.max(0, now - recordedAt);
  return { ageMs, stale: ageMs > freshnessMs };
}
