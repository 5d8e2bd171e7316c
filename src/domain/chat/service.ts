/**
 * Chat between the two sides of a trip, or of a booking. A message is stored before anyone sees it; a repeat of the same message id
 * by the same sender is the same message.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OutboundMessages, Publisher } from '../../ports/publisher.ts';
import type { Collection, CollectionSpec, Filter, OutboxEvent, Page, StoredDocument } from '../../ports/store.ts';
import { type AnyTrip, isDeparture } from '../departures/departure.ts';
import { isTaken } from '../documents/writing.ts';
import type { Ids } from '../ids.ts';
import type { Relay } from '../outbox/relay.ts';
import type { Principal } from '../roles.ts';
import { HEARS_ALL, heardFrom } from './rules.ts';
import { createThreads, type ThreadName, type ThreadsDeps } from './threads.ts';

type ChatMessage = OutboundMessages['chat_message'];

export interface ChatDocument extends StoredDocument, Omit<ChatMessage, 'at'> {
  /** Who is told of it on his own topic too. */
  told?: string[];
}

export const chatCollection: CollectionSpec<ChatDocument> = {
  name: 'chatMessages',
  indexes: [
    { name: 'trip_created', fields: ['tripId', 'createdAt'] },
    { name: 'booking_created', fields: ['bookingId', 'createdAt'], present: 'bookingId' },
  ],
};

const MAX_TEXT = 2000;
const MAX_MESSAGE_ID = 64;

export interface ChatDeps extends ThreadsDeps {
  messages: Collection<ChatDocument>;
  relay: () => Relay;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
}

/** Both may hold colons: the length says where the sender ends, or two messages could be one. */
const idOf = (threadId: string, senderId: string, messageId: string): string =>
  `chat:${threadId}:${senderId.length}:${senderId}:${messageId}`;

/** As it is told to people and to other systems. */
export function saidIn(message: ChatDocument): ChatMessage {
  const { tripId, bookingId, messageId, senderId, senderRole, text, createdAt: at, tripSeq } = message;
  const thread = { tripId, ...(bookingId ? { bookingId } : {}) };
  return { ...thread, messageId, senderId, senderRole, text, at, ...(tripSeq === undefined ? {} : { tripSeq }) };
}

export type Chat = ReturnType<typeof createChat>;

export function createChat({ messages, relay, trips, bookings, publisher, clock, ids }: ChatDeps) {
  const threadOf = createThreads({ trips, bookings });

  const tell = (topic: string, { id, data }: OutboxEvent) =>
    // Who relays it again, before it is known that it was relayed, says nothing new.
    publisher.publishOrdered(topic, 'chat_message', saidIn(data as unknown as ChatDocument), id, {
      source: id,
      seq: 1,
      isSingle: true,
    });

  return {
    /** Resolves the message's id once it is stored. */
    async send(principal: Principal, input: ThreadName & { messageId: string; text: string }): Promise<string> {
      const text = input.text.trim();
      if (text.length === 0 || text.length > MAX_TEXT) throw invalidInput('text', `1 to ${MAX_TEXT} characters`);
      if (input.messageId === '' || input.messageId.length > MAX_MESSAGE_ID) {
        throw invalidInput('message_id', `1 to ${MAX_MESSAGE_ID} characters`);
      }
      const { id: threadId, tripId, bookingId, told, endedAs, tripSeq } = await threadOf(principal, input);
      if (endedAs !== null) {
        const kind = bookingId ? 'booking' : 'trip';
        throw new RideError('RIDE_ILLEGAL_TRANSITION', `The ${kind} is ${endedAs}`, {
          field: `${kind}_id`,
          rule: `a ${kind} that has not ended`,
          facts: { status: endedAs },
        });
      }
      const at = clock.now();
      const others = told.filter((userId) => userId !== principal.userId);
      const document: ChatDocument = {
        id: idOf(threadId, principal.userId, input.messageId),
        region: ids.region,
        createdAt: at,
        version: 1,
        tripId,
        ...(bookingId ? { bookingId } : {}),
        messageId: input.messageId,
        senderId: principal.userId,
        senderRole: principal.role,
        text,
        ...(tripSeq === undefined ? {} : { tripSeq }),
        ...(others.length > 0 ? { told: others } : {}),
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

    async typing(principal: Principal, name: ThreadName, active: boolean): Promise<void> {
      const { topic, tripId, bookingId } = await threadOf(principal, name);
      const who = { tripId, userId: principal.userId, active, ...(bookingId ? { bookingId } : {}) };
      publisher.publishLatest(topic, 'typing_notice', who);
    },

    /** What was said and is for him, newest first; also when it has ended. @throws RideError RIDE_NOT_FOUND, RIDE_FORBIDDEN, RIDE_INVALID_INPUT */
    async history(
      principal: Principal,
      name: ThreadName,
      page: { pageSize: number; pageToken?: string | undefined },
    ): Promise<Page<ChatMessage>> {
      const { tripId, bookingId, heardFrom } = await threadOf(principal, name);
      const thread: Filter = bookingId ? { bookingId } : { tripId };
      const where = heardFrom > HEARS_ALL ? { ...thread, tripSeq: { gte: heardFrom } } : thread;
      const found = await messages.page({ where, ...page });
      return { ...found, items: found.items.map(saidIn) };
    },

    /** From which event of the trip on `principal`, who may follow it, hears what is said on its topic; 0: all of it. See ./rules.ts. */
    heardFrom: (principal: Principal, trip: AnyTrip): number =>
      // Of a departure everything is said on the topics of its bookings.
      isDeparture(trip) ? HEARS_ALL : heardFrom(principal, trip),

    /** Publishes one stored message to those who follow the trip or booking. */
    publish(event: OutboxEvent) {
      const { tripId, bookingId } = event.data as unknown as ChatDocument;
      return tell(bookingId ? `booking:${bookingId}` : `trip:${tripId}`, event);
    },

    /** Tells of it who need not be there; what is told to somebody who is away waits for him. Safe to repeat. */
    async react(event: OutboxEvent): Promise<void> {
      const { told = [] } = event.data as unknown as ChatDocument;
      for (const userId of told) await tell(`user:${userId}`, event);
    },
  };
}
