/** What was said, on the REST wire. */
import { type Static, Type } from 'typebox';
import type { OutboundMessages } from '../../ports/publisher.ts';
import { after, BOOKING_ID, DEPARTURE_ID, DRIVER_ID } from '../examples.ts';
import { roles } from '../roles.ts';
import { EpochMs, OneOf, pageOf } from '../schemas.ts';

const ChatMessageSchema = Type.Object(
  {
    trip_id: Type.String({ description: 'of a booking its departure' }),
    booking_id: Type.Optional(Type.String({ description: 'whose passenger talks with the driver of a departure' })),
    message_id: Type.String({ description: 'chosen by its sender' }),
    sender_id: Type.String(),
    sender_role: OneOf(roles),
    text: Type.String(),
    at_ms: EpochMs,
  },
  {
    title: 'ChatMessage',
    description: 'What one side of a trip or booking said',
    examples: [
      {
        trip_id: DEPARTURE_ID,
        booking_id: BOOKING_ID,
        message_id: 'm1',
        sender_id: DRIVER_ID,
        sender_role: 'driver',
        text: 'I am at the north gate',
        at_ms: after(900),
      },
    ],
  },
);

export const ChatPageSchema = pageOf(ChatMessageSchema, 'ChatPage');

/** The fields of the stream's `chat_message`. */
export const toChatWire = (message: OutboundMessages['chat_message']): Static<typeof ChatMessageSchema> => ({
  trip_id: message.tripId,
  ...(message.bookingId ? { booking_id: message.bookingId } : {}),
  message_id: message.messageId,
  sender_id: message.senderId,
  sender_role: message.senderRole,
  text: message.text,
  at_ms: message.at,
});
