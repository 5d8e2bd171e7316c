/** Which drivers are asked, and in which order: pure, so that a decision can be explained and replayed. */
import { type LatLng, straightLineLeg, type TravelModel } from '../geo.ts';
import type { VehicleClass } from '../roles.ts';

/** What is known of one driver when a trip looks for one. */
export interface Candidate extends LatLng {
  driverId: string;
  vehicleClass: VehicleClass;
  /** When the position was measured, epoch ms. */
  recordedAt: number;
}

export interface MatchRequest {
  pickup: LatLng;
  vehicleClass: VehicleClass;
  excludedDriverIds: readonly string[];
}

export type RejectionReason = 'excluded' | 'vehicle_class' | 'stale_position';

export interface Ranked {
  candidate: Candidate;
  etaS: number;
  distanceM: number;
}

export interface Ranking {
  /** Best first: least ETA, then the driver id, so that equal inputs give equal answers. */
  ranked: Ranked[];
  rejected: { driverId: string; reason: RejectionReason }[];
}

export function rank(
  request: MatchRequest,
  candidates: readonly Candidate[],
  travel: TravelModel,
  now: number,
  freshnessMs: number,
): Ranking {
  const ranked: Ranked[] = [];
  const rejected: Ranking['rejected'] = [];
  for (const candidate of candidates) {
    const reason = rejectionOf(request, candidate, now, freshnessMs);
    if (reason) rejected.push({ driverId: candidate.driverId, reason });
    else ranked.push({ candidate, ...straightLineLeg(candidate, request.pickup, travel) });
  }
  ranked.sort((a, b) => a.etaS - b.etaS || (a.candidate.driverId < b.candidate.driverId ? -1 : 1));
  return { ranked, rejected };
}

function rejectionOf(
  request: MatchRequest,
  candidate: Candidate,
  now: number,
  freshnessMs: number,
): RejectionReason | null {
  if (request.excludedDriverIds.includes(candidate.driverId)) return 'excluded';
  if (candidate.vehicleClass !== request.vehicleClass) return 'vehicle_class';
  if (now - candidate.recordedAt > freshnessMs) return 'stale_position';
  return null;
}
