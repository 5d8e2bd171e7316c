import { defineServerMessage } from './definition.ts';
import { from, offer, TRIP_ID } from './examples.ts';
import { trustOf } from './position.ts';

export const match = defineServerMessage({
  kind: 'match',
  delivery: 'ordered',
  topics: ['user'],
  doc: 'A driver was found for the rider’s trip.',
  example: {
    tripId: TRIP_ID,
    offer,
    from,
    vehicleClass: 'standard',
  },
  toWire: ({ tripId, offer, from, vehicleClass }) => ({
    case: 'match',
    value: {
      tripId,
      driverId: offer.driverId,
      driverPosition: { lat: from.lat, lng: from.lng },
      etaS: offer.etaS,
      distanceM: offer.distanceM,
      vehicleClass,
      etaSource: offer.source ?? '',
      positionRecordedAtMs: from.recordedAt ?? 0,
      ...trustOf(from),
    },
  }),
});
