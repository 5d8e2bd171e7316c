/** What an event of a document leads to: who is told, what follows, what other systems learn of it. It is said here, once. */
import type { Clock } from '../ports/clock.ts';
import type { EventSink } from '../ports/event-sink.ts';
import type { Logger } from '../ports/logger.ts';
import type { Positions } from '../ports/positions.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { Collection, OutboxEvent, StoredDocument } from '../ports/store.ts';
import type { Tracing } from '../ports/tracing.ts';
import type { Chat } from './chat/service.ts';
import type { openCollections } from './collections.ts';
import { isDeparture } from './departures/departure.ts';
import type { createScheduled } from './departures/parts.ts';
import type { DepartureEvent } from './departures/rules.ts';
import type { Dispatch } from './dispatch/service.ts';
import { recordChat, recordDriver, recordNotification, recordTripEvent } from './outbox/leaving.ts';
import { createRelay, type OutboxHandler, type Relay } from './outbox/relay.ts';
import { tracedHandler } from './outbox/tracing.ts';
import type { Payment, PaymentEvent } from './payments/payment.ts';
import type { TripPayments } from './payments/service.ts';
import { receiptOf } from './payments/steps.ts';
import type { Ratings } from './ratings/service.ts';
import type { createAccuracy } from './routing/accuracy.ts';
import type { Sos } from './sos/service.ts';
import { isTerminal } from './statuses.ts';
import { afterTripEvent, publishTripEvent } from './trips/events.ts';
import type { TripEvent } from './trips/rules.ts';
import type { Trips } from './trips/service.ts';
import type { Trip } from './trips/trip.ts';
import type { Intelligence } from './watch/parts.ts';

interface RelayPorts {
  publisher: Publisher;
  positions: Positions;
  /** Absent where no other system is told. */
  sink?: EventSink | undefined;
  clock: Clock;
  log: Logger;
  tracing: Tracing;
}

/** Whoever has something to do with what happened. */
interface Concerned {
  collections: ReturnType<typeof openCollections>;
  trips: Trips;
  dispatch: Dispatch;
  scheduled: Pick<ReturnType<typeof createScheduled>, 'react'>;
  payments: TripPayments | null;
  accuracy: ReturnType<typeof createAccuracy>;
  chat: Chat;
  ratings: Ratings;
  sos: Sos;
  intelligence: Intelligence;
}

export type Relays = ReturnType<typeof createRelays>;

/** @returns a relay for each collection whose documents have events, but for those of the watch, which has its own */
export function createRelays(ports: RelayPorts, concerned: Concerned) {
  const { sink, clock, log, tracing } = ports;
  const { collections, payments, chat, ratings, sos } = concerned;
  const relayOf = <T extends StoredDocument>(documents: Collection<T>, handler: OutboxHandler): Relay =>
    createRelay(documents, tracedHandler(handler, tracing), clock, log);
  return {
    trips: relayOf(collections.trips, {
      publish: (tripId, event, restart) => publishTripEvent(ports.publisher, tripId, event, restart),
      react: reactionToTrips(ports, concerned),
      ...(sink ? { record: (tripId, event) => recordTripEvent(sink, tripId, event) } : {}),
    }),
    chat: relayOf(collections.chat, {
      publish: (_id, event) => chat.publish(event),
      react: (_id, event) => chat.react(event),
      ...(sink ? { record: (_id, event) => recordChat(sink, event) } : {}),
    }),
    sos: relayOf(collections.alerts, {
      publish: (_id, event) => sos.publish(event),
      react: (_id, event) => sos.react(event),
    }),
    payments: relayOf(collections.payments, {
      // Nobody follows a payment; what its rider is told of it is a step of its own.
      publish: async () => 'published',
      react: async (id, event) => payments?.react(id, event.data as unknown as PaymentEvent),
      ...(sink ? { record: (id, event) => recordReceipt(sink, collections.payments, id, event) } : {}),
    }),
    ratings: relayOf(collections.ratings, ratings.handler),
    // Also where nobody is told any more: what was to be said is done with.
    drivers: relayOf(collections.drivers, {
      publish: async () => 'published',
      react: async () => {},
      ...(sink ? { record: (_id, event) => recordDriver(sink, event) } : {}),
    }),
  };
}

/** Of trips of every kind, which share a collection. */
function reactionToTrips(
  { positions }: RelayPorts,
  { trips, dispatch, scheduled, payments, accuracy, intelligence }: Concerned,
): OutboxHandler['react'] {
  return async (tripId, event, written) => {
    // A search is made together with others that came at the same moment, and reads who is not at hand; nothing else follows from a request.
    if (event.type === 'trip.requested') return void (await dispatch.match(tripId, written as Trip | undefined));
    const trip = await trips.any(tripId);
    if (!trip) return;
    if (isDeparture(trip)) {
      const departed = event.data as unknown as DepartureEvent;
      await scheduled.react(trip, departed);
      await payments?.reactToDeparture(trip, departed);
      if (isTerminal(departed.status)) await intelligence.checkIns.end(tripId);
      return;
    }
    const happened = event.data as unknown as TripEvent;
    await dispatch.react(trip, happened);
    await accuracy.react(trip, happened);
    await payments?.reactToTrip(trip, happened);
    await afterTripEvent(intelligence, positions, trip, happened);
  };
}

/** Other systems are told of a receipt when its rider was. @throws RideError RIDE_UNAVAILABLE */
async function recordReceipt(
  sink: EventSink,
  payments: Collection<Payment>,
  paymentId: string,
  { type, at }: OutboxEvent,
): Promise<void> {
  if (type !== 'payment.settled') return;
  const payment = await payments.get(paymentId);
  if (payment) await recordNotification(sink, payment.riderId, receiptOf(payment), at);
}
