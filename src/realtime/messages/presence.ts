import { defineServerMessage } from './definition.ts';

export const presence = defineServerMessage({
  kind: 'presence',
  delivery: 'latest',
  doc: 'A user came online with his first device, or went offline with his last; on presence:<user id>, which begins with how it is.',
  toWire: (message) => ({ case: 'presence', value: message }),
});
