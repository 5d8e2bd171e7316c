import { defineServerMessage } from './definition.ts';

export const chatMessage = defineServerMessage({
  kind: 'chat_message',
  delivery: 'ordered',
  topics: ['trip', 'booking', 'user'],
  doc: 'Text of either side, to all who follow the trip or booking, to a driver what is said since the trip is his: also to the session that sent it; of a booking to the other side on user:<id> too, where it waits for who is away.',
  example: {
    tripId: 'trip_nyc_01jd0000000000000000000003',
    messageId: 'm1',
    senderId: 'rider-1',
    senderRole: 'rider',
    text: 'I am at the north gate',
    at: 1421322006000,
    tripSeq: 3,
  },
  toWire: ({ at, ...message }) => ({ case: 'chatMessage', value: { ...message, atMs: at } }),
});
