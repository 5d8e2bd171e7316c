/**
 * Devices that say where they are not: what their fixes have that a receiver's never do. Pure, over the last fixes of one device; a
 * finding is a flag for people to look at, like any other of ../anomalies.
 */
import { type Finding, over } from '../anomalies/rules.ts';
import { atMostM, distanceM, type LatLng } from '../geo.ts';

/** A device's fix, as far as it can be compared with others. */
export interface Heard extends LatLng {
  at: number;
  speedMps?: number;
  /** The device itself says that it is made up. */
  isMock?: boolean;
}

export interface SpoofLimits {
  /** Fixes that are looked at together. */
  window: number;
  jumps: number;
  /** Fixes in a row whose places were all there before, in the same order, at another time. */
  repeated: number;
  /** Fixes whose speed as told is far from the speed as driven. */
  mismatched: number;
  mismatchMps: number;
}

export const spoofLimits: SpoofLimits = { window: 120, jumps: 6, repeated: 20, mismatched: 12, mismatchMps: 15 };

/** Places that are remembered of a device; a power of two. */
const PLACES = 256;

/** What is known of a device's last fixes. */
export interface SpoofState {
  last: Heard | null;
  seen: number;
  jumps: number;
  mismatched: number;
  mocked: number;
  /** The last places it moved to, as a ring of numbers that are equal for the same place. */
  places: Int32Array;
  /** Where in the ring a place may stand, by its last bits: the latest with these bits, so that finding one is one look. */
  spots: Uint8Array;
  moved: number;
  /** Length of the repeat that goes on, and where in the ring its last place stood before. */
  repeated: number;
  repeatAt: number;
}

export const freshSpoof = (): SpoofState => ({
  last: null,
  seen: 0,
  jumps: 0,
  mismatched: 0,
  mocked: 0,
  places: new Int32Array(PLACES),
  spots: new Uint8Array(PLACES),
  moved: 0,
  repeated: 0,
  repeatAt: -1,
});

/**
 * Takes the next fix, also one that cleansing left out; changes `state` in place. A receiver's noise never repeats 20 fixes to the
 * last digit, a recording does. A finding begins the count anew.
 */
export function suspect(
  state: SpoofState,
  fix: Heard,
  isJump: boolean,
  limits: SpoofLimits = spoofLimits,
): Finding | null {
  const { last } = state;
  if (++state.seen > limits.window) {
    state.seen = 1;
    state.jumps = 0;
    state.mismatched = 0;
    state.mocked = 0;
  }
  if (isJump) state.jumps++;
  else if (last && speedMismatches(last, fix, limits)) state.mismatched++;
  // Standing still is not a repeat.
  if (!last || last.lat !== fix.lat || last.lng !== fix.lng) repeat(state, fix);
  state.last = fix;
  // What the device admits needs no second sign; a window is told of once.
  if (fix.isMock === true && ++state.mocked === 1)
    return { kind: 'spoofed_gps', score: 1, evidence: { sign: 'mock_provider', fixes: state.seen } };
  const finding = spoofFinding(state, limits);
  if (finding) Object.assign(state, { ...freshSpoof(), last: fix });
  return finding;
}

function speedMismatches(last: Heard, { lat, lng, at, speedMps }: Heard, { mismatchMps }: SpoofLimits): boolean {
  const seconds = (at - last.at) / 1000;
  if (speedMps === undefined || seconds <= 0) return false;
  // Nearly all: two speeds below the limit do not differ by more.
  if (speedMps <= mismatchMps && atMostM(last, { lat, lng }) <= mismatchMps * seconds) return false;
  return Math.abs(speedMps - distanceM(last, { lat, lng }) / seconds) > mismatchMps;
}

/** Micro-degrees, mixed: two places are taken for one in some billions. */
const placeOf = ({ lat, lng }: LatLng): number => {
  const mixed = Math.imul(Math.round(lat * 1e6), 0x9e3779b1) ^ Math.imul(Math.round(lng * 1e6), 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
};

function repeat(state: SpoofState, fix: LatLng): void {
  const { places, spots } = state;
  const place = placeOf(fix);
  const at = state.moved % PLACES;
  const next = (state.repeatAt + 1) % PLACES;
  const spot = spots[place & (PLACES - 1)]!;
  if (state.repeated > 0 && next !== at && places[next] === place) {
    state.repeated++;
    state.repeatAt = next;
  } else if (places[spot] === place && spot !== at) {
    state.repeated = 1;
    state.repeatAt = spot;
  } else state.repeated = 0;
  places[at] = place;
  spots[place & (PLACES - 1)] = at;
  state.moved++;
}

function spoofFinding(state: SpoofState, limits: SpoofLimits): Finding | null {
  const { jumps, mismatched, repeated, seen } = state;
  const sign =
    repeated >= limits.repeated
      ? 'replayed_track'
      : jumps >= limits.jumps
        ? 'jumps'
        : mismatched >= limits.mismatched
          ? 'speed_mismatch'
          : null;
  if (!sign) return null;
  const score = Math.max(
    over(repeated, limits.repeated),
    over(jumps, limits.jumps),
    over(mismatched, limits.mismatched),
  );
  return { kind: 'spoofed_gps', score, evidence: { sign, repeated, jumps, speed_mismatches: mismatched, fixes: seen } };
}
