import { defineServerMessage } from './definition.ts';

export const jobOffer = defineServerMessage({
  kind: 'job_offer',
  delivery: 'ordered',
  doc: 'A trip that the driver may take until expires_at_ms.',
  toWire: ({ tripId, offer, pickup, dropoff, tripDistanceM, fareMinor, currency, vehicleClass }) => ({
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
    },
  }),
});
