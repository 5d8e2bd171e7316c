import { defineServerMessage } from './definition.ts';
import { offer, TRIP_ID } from './examples.ts';

export const match = defineServerMessage({
  kind: 'match',
  delivery: 'ordered',
  topics: ['user'],
  doc: 'A driver was found for the rider’s trip.',
  example: {
    tripId: TRIP_ID,
    offer,
    vehicleClass: 'standard',
  },
  toWire: ({ tripId, offer, vehicleClass }) => ({
    case: 'match',
    value: {
      tripId,
      driverId: offer.driverId,
      driverPosition: { lat: offer.lat, lng: offer.lng },
      etaS: offer.etaS,
      distanceM: offer.distanceM,
      vehicleClass,
      etaSource: offer.source ?? '',
      positionRecordedAtMs: offer.recordedAt ?? 0,
    },
  }),
});
