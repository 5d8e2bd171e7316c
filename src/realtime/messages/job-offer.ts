import { defineServerMessage } from './definition.ts';
import { offer, TRIP_ID } from './examples.ts';

export const jobOffer = defineServerMessage({
  kind: 'job_offer',
  delivery: 'ordered',
  topics: ['user'],
  doc: 'A trip that the driver may take until expires_at_ms.',
  example: {
    tripId: TRIP_ID,
    offer,
    pickup: { lat: 40.7527, lng: -73.9772 },
    dropoff: { lat: 40.7061, lng: -74.0087 },
    tripDistanceM: 7720.6,
    fareMinor: 2518,
    currency: 'USD',
    vehicleClass: 'standard',
    kind: 'ride',
  },
  toWire: ({
    tripId,
    offer,
    pickup,
    dropoff,
    tripDistanceM,
    fareMinor,
    currency,
    vehicleClass,
    kind,
    parcelWeightG,
  }) => ({
    case: 'jobOffer',
    value: {
      offerId: offer.id,
      tripId,
      pickup: { lat: pickup.lat, lng: pickup.lng },
      dropoff: { lat: dropoff.lat, lng: dropoff.lng },
      pickupEtaS: offer.etaS,
      pickupDistanceM: offer.distanceM,
      tripDistanceM,
      expiresAtMs: offer.expiresAt,
      fareMinor: fareMinor,
      currency,
      vehicleClass,
      kind,
      parcelWeightG: parcelWeightG ?? 0,
    },
  }),
});
