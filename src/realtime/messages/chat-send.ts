/** A chat message to the other side of a trip or booking; acknowledged once it is stored. */
import { defineClientMessage, everyone } from './definition.ts';

export const chatSend = defineClientMessage({
  kind: 'chat_send',
  case: 'chatSend',
  roles: everyone,
  rate: 'chat',
  doc: 'Text to the other side of a trip, or by booking_id of a booking. message_id is chosen by the client; a repeat is the same message.',
  example: { trip_id: 'trip_nyc_01jd0000000000000000000000', message_id: 'm1', text: 'I am at the north gate' },
  handle: async (session, { tripId, bookingId, messageId, text }, { chat }) => ({
    id: await chat.send(session.principal, { tripId, bookingId, messageId, text }),
  }),
});
