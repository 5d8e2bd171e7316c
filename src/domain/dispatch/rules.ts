/** Which drivers are asked, and in which order: pure, so that a decision can be explained and replayed. */
import type { LatLng, Leg } from '../geo.ts';
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

export interface Ranked extends Leg {
  candidate: Candidate;
  /** Where the ETA came from: a routing engine's name or straight_line. */
  source: string;
}

export interface Eligibility {
  eligible: Candidate[];
  rejected: { driverId: string; reason: RejectionReason }[];
}

/** Who may be asked at all; only their ways are worth asking for. */
export function eligible(
  request: MatchRequest,
  candidates: readonly Candidate[],
  now: number,
  freshnessMs: number,
): Eligibility {
  const found: Eligibility = { eligible: [], rejected: [] };
  for (const candidate of candidates) {
    const reason = rejectionOf(request, candidate, now, freshnessMs);
    if (reason) found.rejected.push({ driverId: candidate.driverId, reason });
    else found.eligible.push(candidate);
  }
  return found;
}

/** Best first: least ETA, then the driver id, so that equal inputs give equal answers. `legs` in the order of the candidates. */
export function rank(candidates: readonly Candidate[], legs: readonly Omit<Ranked, 'candidate'>[]): Ranked[] {
  const ranked = candidates.map((candidate, i) => {
    const { etaS, distanceM, source } = legs[i]!;
    return { candidate, etaS, distanceM, source };
  });
  return ranked.sort((a, b) => a.etaS - b.etaS || (a.candidate.driverId < b.candidate.driverId ? -1 : 1));
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
