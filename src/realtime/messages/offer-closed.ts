import { defineServerMessage } from './definition.ts';

export const offerClosed = defineServerMessage({
  kind: 'offer_closed',
  delivery: 'ordered',
  doc: 'The offer can no longer be accepted.',
  toWire: (message) => ({ case: 'offerClosed', value: message }),
});
