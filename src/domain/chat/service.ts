/**
 * Chat between the rider and the driver of a trip. A message is stored before anyone sees it; a repeat of the same message id
 * by the same sender is the same message.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Collection, CollectionSpec, OutboxEvent, StoredDocument } from '../../ports/store.ts';
import { isTaken } from '../documents/writing.ts';
import type { Ids } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import { isOperator, type Principal } from '../roles.ts';
import { isTerminal } from '../statuses.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';

export interface ChatDocument extends StoredDocument {
  tripId: string;
  messageId: string;
  senderId: string;
  senderRole: string;
  text: string;
}

export const chatCollection: CollectionSpec<ChatDocument> = {
  name: 'chatMessages',
  indexes: [{ name: 'trip_created', fields: ['tripId', 'createdAt'] }],
};

const MAX_TEXT = 2000;
const MAX_MESSAGE_ID = 64;

export interface ChatDeps {
  messages: Collection<ChatDocument>;
  relay: () => Relay;
  trips: Trips;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
}

/** Both may hold colons: the length says where the sender ends, or two messages could be one. */
const idOf = (tripId: string, senderId: string, messageId: string): string =>
  `chat:${tripId}:${senderId.length}:${senderId}:${messageId}`;

export type Chat = ReturnType<typeof createChat>;

export function createChat({ messages, relay, trips, publisher, clock, ids }: ChatDeps) {
  /** @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN */
  async function conversation(principal: Principal, tripId: string): Promise<Trip> {
    const trip = await trips.get(principal, tripId);
    const party = trip.riderId === principal.userId || trip.driverId === principal.userId || isOperator(principal.role);
    if (!party)
      throw new RideError('RIDE_FORBIDDEN', 'Only the rider and the driver of a trip may chat', {
        field: 'trip_id',
        rule: 'a trip of the caller',
      });
    return trip;
  }

  return {
    /** Resolves the message's id once it is stored. */
    async send(principal: Principal, input: { tripId: string; messageId: string; text: string }): Promise<string> {
      const text = input.text.trim();
      if (text.length === 0 || text.length > MAX_TEXT) throw invalidInput('text', `1 to ${MAX_TEXT} characters`);
      if (input.messageId === '' || input.messageId.length > MAX_MESSAGE_ID) {
        throw invalidInput('message_id', `1 to ${MAX_MESSAGE_ID} characters`);
      }
      const trip = await conversation(principal, input.tripId);
      if (isTerminal(trip.status)) {
        throw new RideError('RIDE_ILLEGAL_TRANSITION', `The trip is ${trip.status}`, {
          field: 'trip_id',
          rule: 'a trip that has not ended',
          facts: { status: trip.status },
        });
      }
      const at = clock.now();
      const document: ChatDocument = {
        id: idOf(input.tripId, principal.userId, input.messageId),
        region: ids.region,
        createdAt: at,
        version: 1,
        tripId: input.tripId,
        messageId: input.messageId,
        senderId: principal.userId,
        senderRole: principal.role,
        text,
      };
      const event: OutboxEvent = { id: ids.next('evt'), seq: 1, type: 'chat.sent', at, data: { ...document } };
      try {
        await messages.insert(document, [event]);
        relay().kick(document.id, [event]);
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
      return document.id;
    },

    async typing(principal: Principal, tripId: string, active: boolean): Promise<void> {
      await conversation(principal, tripId);
      publisher.publishLatest(`trip:${tripId}`, 'typing_notice', { tripId, userId: principal.userId, active });
    },

    /** Publishes one stored message. */
    async publish(event: OutboxEvent) {
      const m = event.data as unknown as ChatDocument;
      const { tripId, messageId, senderId, senderRole, text } = m;
      return publisher.publishOrdered(
        `trip:${tripId}`,
        'chat_message',
        { tripId, messageId, senderId, senderRole, text, at: m.createdAt },
        event.id,
        // Who relays it again, before it is known that it was relayed, says nothing new.
        { source: event.id, seq: 1, isSingle: true },
      );
    },
  };
}
