/**
 * What looks like cheating, and the evidence for it. Pure, over what one user did lately; a finding is a flag for people to
 * look at, never a verdict.
 */
export const anomalyKinds = ['spoofed_gps', 'collusion', 'self_trip', 'surge_gaming', 'cancellation_abuse'] as const;
export type AnomalyKind = (typeof anomalyKinds)[number];

/** One thing that a user did. */
export interface Deed {
  /** Of the event it comes from; a repeat is the same deed. */
  id: string;
  at: number;
  type: 'completed' | 'cancelled_late' | 'gave_up' | 'went_offline' | 'went_looking';
  tripId?: string;
  /** The other side of the trip. */
  counterpartId?: string;
  /** From pick-up to where the ride ended, metres. */
  distanceM?: number;
  /** Of the ride, seconds. */
  durationS?: number;
  /** Where he went off or on duty, and the surge there then (1: none). */
  zone?: string;
  surge?: number;
}

export interface Finding {
  kind: AnomalyKind;
  /** 0 to 1: how far past the line. */
  score: number;
  evidence: Record<string, number | string | string[]>;
}

export interface AnomalyLimits {
  /** Older deeds do not count. */
  windowMs: number;
  /** Rides of one pair, and their share of all the user's rides, from which they are remarkable. */
  pairTrips: number;
  pairShare: number;
  /** A ride that is shorter is hardly one. */
  shortTripM: number;
  shortTripS: number;
  shortTrips: number;
  /** Assigned trips given up or cancelled, and their share. */
  cancellations: number;
  cancellationShare: number;
  /** Off and on again within this, with a higher surge in the same zone. */
  dutyPauseMs: number;
  dutyPauses: number;
  surgeRise: number;
}

export const DAY_MS = 86_400_000;

export const anomalyLimits: AnomalyLimits = {
  windowMs: 7 * DAY_MS,
  pairTrips: 5,
  pairShare: 0.5,
  shortTripM: 300,
  shortTripS: 120,
  shortTrips: 3,
  cancellations: 5,
  cancellationShare: 0.4,
  dutyPauseMs: 20 * 60_000,
  dutyPauses: 3,
  surgeRise: 0.2,
};

/** Deeds that are remembered of one user. */
export const DEEDS_MAX = 200;

/** With a further deed; the same list when it is there already. Oldest first, bounded in number and age. */
export function remember(deeds: readonly Deed[], deed: Deed, limits: AnomalyLimits = anomalyLimits): readonly Deed[] {
  if (deeds.some((one) => one.id === deed.id)) return deeds;
  const newest = Math.max(deed.at, deeds.at(-1)?.at ?? 0);
  return [...deeds, deed]
    .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
    .filter((one) => one.at > newest - limits.windowMs)
    .slice(-DEEDS_MAX);
}

/** How far past a line from which it is remarkable: 1 at twice of it. */
export const over = (value: number, limit: number): number => Math.min(1, value / (2 * limit));
const idsOf = (deeds: readonly Deed[]): string[] => deeds.slice(-10).flatMap(({ tripId }) => tripId ?? []);

/** What is remarkable in the deeds of a user; each kind at most once. */
export function findings(userId: string, deeds: readonly Deed[], limits: AnomalyLimits = anomalyLimits): Finding[] {
  const rides = deeds.filter(({ type }) => type === 'completed');
  return [
    selfTrips(userId, rides, limits),
    collusion(userId, rides, limits),
    cancellations(deeds, limits),
    surgeGaming(deeds, limits),
  ].filter((finding) => finding !== null);
}

function selfTrips(userId: string, rides: readonly Deed[], limits: AnomalyLimits): Finding | null {
  const own = rides.filter(({ counterpartId }) => counterpartId === userId);
  if (own.length === 0) return null;
  return {
    kind: 'self_trip',
    score: 1,
    evidence: { trips: own.length, shown: idsOf(own), window_ms: limits.windowMs },
  };
}

/** One pair again and again: most of his rides, or several that are hardly rides. */
function collusion(userId: string, rides: readonly Deed[], limits: AnomalyLimits): Finding | null {
  const pairs = new Map<string, Deed[]>();
  for (const ride of rides) {
    const { counterpartId } = ride;
    if (counterpartId === undefined || counterpartId === userId) continue;
    pairs.set(counterpartId, [...(pairs.get(counterpartId) ?? []), ride]);
  }
  let best: Finding | null = null;
  for (const [counterpartId, shared] of pairs) {
    const short = shared.filter(
      (ride) =>
        (ride.distanceM ?? Number.POSITIVE_INFINITY) < limits.shortTripM ||
        (ride.durationS ?? Number.POSITIVE_INFINITY) < limits.shortTripS,
    );
    const share = shared.length / rides.length;
    const isPair = shared.length >= limits.pairTrips && share >= limits.pairShare;
    if (!isPair && short.length < limits.shortTrips) continue;
    const score = Math.max(isPair ? over(shared.length, limits.pairTrips) : 0, over(short.length, limits.shortTrips));
    if (best && best.score >= score) continue;
    const evidence = {
      counterpart_id: counterpartId,
      trips: shared.length,
      share: Math.round(share * 1000) / 1000,
      short_trips: short.length,
      shown: idsOf(short.length >= limits.shortTrips ? short : shared),
      window_ms: limits.windowMs,
    };
    best = { kind: 'collusion', score, evidence };
  }
  return best;
}

function cancellations(deeds: readonly Deed[], limits: AnomalyLimits): Finding | null {
  const dropped = deeds.filter(({ type }) => type === 'cancelled_late' || type === 'gave_up');
  const all = dropped.length + deeds.filter(({ type }) => type === 'completed').length;
  const share = all === 0 ? 0 : dropped.length / all;
  if (dropped.length < limits.cancellations || share < limits.cancellationShare) return null;
  return {
    kind: 'cancellation_abuse',
    score: over(dropped.length, limits.cancellations),
    evidence: {
      cancelled: dropped.length,
      of: all,
      share: Math.round(share * 1000) / 1000,
      shown: idsOf(dropped),
      window_ms: limits.windowMs,
    },
  };
}

/** Off duty while the price rises for want of drivers, and back in the same zone for the higher one. */
function surgeGaming(deeds: readonly Deed[], limits: AnomalyLimits): Finding | null {
  const duty = deeds.filter(({ type }) => type === 'went_offline' || type === 'went_looking');
  const zones: string[] = [];
  let rise = 0;
  for (let i = 1; i < duty.length; i++) {
    const [off, on] = [duty[i - 1]!, duty[i]!];
    if (off.type !== 'went_offline' || on.type !== 'went_looking' || on.at - off.at > limits.dutyPauseMs) continue;
    const rose = (on.surge ?? 1) - (off.surge ?? 1);
    if (off.zone === undefined || off.zone !== on.zone || rose < limits.surgeRise) continue;
    zones.push(off.zone);
    rise = Math.max(rise, rose);
  }
  if (zones.length < limits.dutyPauses) return null;
  return {
    kind: 'surge_gaming',
    score: over(zones.length, limits.dutyPauses),
    evidence: { pauses: zones.length, zones: [...new Set(zones)], largest_rise: rise, window_ms: limits.windowMs },
  };
}
