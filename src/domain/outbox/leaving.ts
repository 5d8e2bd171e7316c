/**
 * What other systems are told, and by which key it is kept in order: the trip's events and its chat by the trip, the chat of a booking by
 * that, samples by the driver.
 */
import type { EventSink, LeavingMessages } from '../../ports/event-sink.ts';
import type { Position } from '../../ports/positions.ts';
import type { OutboundMessages } from '../../ports/publisher.ts';
import type { OutboxEvent } from '../../ports/store.ts';
import { type ChatDocument, saidIn } from '../chat/service.ts';
import type { Freshness } from '../locations/rules.ts';
import type { TripEvent } from '../trips/rules.ts';

type Notification = OutboundMessages['notification'];

/** On `order-events`. @throws RideError RIDE_UNAVAILABLE */
export function recordTripEvent(sink: EventSink, tripId: string, outbox: OutboxEvent): Promise<void> {
  const event = outbox.data as unknown as TripEvent & { riderId: string };
  return sink.record({
    id: outbox.id,
    type: `trip.${event.type}`,
    at: outbox.at,
    key: tripId,
    seq: outbox.seq,
    kind: 'trip_event',
    message: { tripId, riderId: event.riderId, event },
  });
}

/** On `chat-events`. @throws RideError RIDE_UNAVAILABLE */
export function recordChat(sink: EventSink, outbox: OutboxEvent): Promise<void> {
  const document = outbox.data as unknown as ChatDocument;
  return sink.record({
    id: outbox.id,
    type: outbox.type,
    at: outbox.at,
    key: document.bookingId ?? document.tripId,
    // Each message is a document of its own: nobody counts those of a trip.
    seq: 0,
    kind: 'chat_message',
    message: saidIn(document),
  });
}

/** On `notification-events`: what its user was told. @throws RideError RIDE_UNAVAILABLE */
export function recordNotification(sink: EventSink, userId: string, message: Notification, at: number): Promise<void> {
  return sink.record({
    id: message.id,
    type: 'notification.sent',
    at,
    key: userId,
    seq: 0,
    kind: 'notification',
    message,
  });
}

/** On `porter-events`: what may be asked of a driver changed. @throws RideError RIDE_UNAVAILABLE */
export function recordDriver(sink: EventSink, { id, type, at, seq, data }: OutboxEvent): Promise<void> {
  const message = data as unknown as LeavingMessages['driver_changed'];
  return sink.record({ id, type, at, key: message.driverId, seq, kind: 'driver_changed', message });
}

/** On `porter-events`: one position out of some, with its freshness. May be lost. */
export function samplePosition(sink: EventSink, position: Position, freshness: Freshness): void {
  const { driverId, recordedAt } = position;
  sink.sample({
    id: `${driverId}/${recordedAt}`,
    type: 'location.sampled',
    at: recordedAt,
    key: driverId,
    seq: 0,
    kind: 'location',
    message: { position, ...freshness },
  });
}
