import { defineServerMessage } from './definition.ts';

export const presence = defineServerMessage({
  kind: 'presence',
  delivery: 'latest',
  topics: ['presence'],
  doc: 'A user came online with his first device, or went offline with his last; on presence:<user id>, which begins with how it is.',
  example: { userId: 'driver-1', online: true, lastSeenMs: 1421322000000 },
  toWire: (message) => ({ case: 'presence', value: message }),
});
