import { defineServerMessage } from './definition.ts';

export const match = defineServerMessage({
  kind: 'match',
  delivery: 'ordered',
  doc: 'A driver was found for the rider’s trip.',
  toWire: ({ tripId, offer, vehicleClass }) => ({
    case: 'match',
    value: {
      tripId,
      driverId: offer.driverId,
      driverPosition: { lat: offer.lat, lng: offer.lng },
      etaS: offer.etaS,
      distanceM: offer.distanceM,
      vehicleClass,
    },
  }),
});
