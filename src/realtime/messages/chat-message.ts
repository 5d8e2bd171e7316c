import { defineServerMessage } from './definition.ts';

export const chatMessage = defineServerMessage({
  kind: 'chat_message',
  delivery: 'ordered',
  doc: 'Text of the other side, or one’s own from another device.',
  toWire: ({ at, ...message }) => ({ case: 'chatMessage', value: { ...message, atMs: at } }),
});
