/** From the generated message to the domain's position and back; shared by the location messages. */
import type { PositionInput } from '../../domain/locations/rules.ts';
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
