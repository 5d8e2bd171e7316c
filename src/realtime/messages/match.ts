import { defineServerMessage } from './definition.ts';

export const match = defineServerMessage({
  kind: 'match',
  delivery: 'ordered',
  topics: ['user'],
  doc: 'A driver was found for the rider’s trip.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    offer: {
      id: 'ofr_nyc_01jd0000000000000000000002',
      driverId: 'driver-1',
      etaS: 190.4,
      distanceM: 1142.3,
      lat: 40.7484,
      lng: -73.9857,
      expiresAt: 1421322018000,
    },
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
    },
  }),
});
