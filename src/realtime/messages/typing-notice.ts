import { defineServerMessage } from './definition.ts';

export const typingNotice = defineServerMessage({
  kind: 'typing_notice',
  delivery: 'ephemeral',
  topics: ['trip', 'booking'],
  doc: 'Someone began or stopped typing.',
  example: { tripId: 'trip_nyc_01jd0000000000000000000003', userId: 'driver-1', active: true },
  toWire: (message) => ({ case: 'typingNotice', value: message }),
});
