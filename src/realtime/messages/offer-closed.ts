import { defineServerMessage } from './definition.ts';

export const offerClosed = defineServerMessage({
  kind: 'offer_closed',
  delivery: 'ordered',
  comesFirst: true,
  topics: ['user'],
  doc: 'The offer can no longer be accepted.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    offerId: 'ofr_nyc_01jd0000000000000000000002',
    reason: 'offer_expired',
  },
  toWire: (message) => ({ case: 'offerClosed', value: message }),
});
