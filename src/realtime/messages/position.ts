/** From the generated message to the domain's position, and what is told of any place beside it; shared by several messages. */
import type { PositionInput, Shown } from '../../domain/locations/rules.ts';
import type { LocationUpdate } from '../generated/ride/v1/ride_pb.js';

/** A missing lat or lng becomes NaN, which the rules refuse by name. */
export function toPositionInput(update: LocationUpdate): PositionInput {
  return {
    lat: update.lat ?? Number.NaN,
    lng: update.lng ?? Number.NaN,
    recordedAt: Number(update.recordedAtMs),
    speedMps: update.speedMps,
    headingDeg: update.headingDeg,
    accuracyM: update.accuracyM,
    tripId: update.tripId,
    isMock: update.isMock,
  };
}

/** How far a place can be trusted that somebody was at, or an ETA that was estimated from there. */
export const trustOf = (shown: Shown | null) => ({
  ageMs: shown?.ageMs,
  stale: shown?.stale ?? false,
  staleReason: shown?.staleReason ?? '',
  accuracyM: shown?.accuracyM,
  positionSource: shown?.source ?? '',
});
