import { defineServerMessage } from './definition.ts';

export const typingNotice = defineServerMessage({
  kind: 'typing_notice',
  delivery: 'ephemeral',
  doc: 'Someone began or stopped typing.',
  toWire: (message) => ({ case: 'typingNotice', value: message }),
});
