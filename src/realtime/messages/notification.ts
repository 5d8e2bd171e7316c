import { defineServerMessage } from './definition.ts';

export const notification = defineServerMessage({
  kind: 'notification',
  delivery: 'ordered',
  doc: 'A text for one user.',
  toWire: (message) => ({ case: 'notification', value: message }),
});
