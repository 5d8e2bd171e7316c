/** All use cases, put together over the ports. What an event of a document leads to is said here, once. */
import type { EventSink } from '../ports/event-sink.ts';
import type { Position } from '../ports/positions.ts';
import type { Collection, OutboxEvent, StoredDocument } from '../ports/store.ts';
import { createSee } from './arrivals/service.ts';
import { type Chat, createChat } from './chat/service.ts';
import { openCollections } from './collections.ts';
import { createDeliveries } from './deliveries/service.ts';
import { isDeparture } from './departures/departure.ts';
import { createScheduled } from './departures/parts.ts';
import type { DepartureEvent } from './departures/rules.ts';
import { createCallers } from './dispatch/callers.ts';
import { countFact } from './dispatch/counting.ts';
import { createDecisionLog } from './dispatch/decision-log.ts';
import { createDispatch } from './dispatch/service.ts';
import { createDrivers } from './drivers/service.ts';
import { createCalls } from './idempotency/calls.ts';
import { createIdempotency } from './idempotency/service.ts';
import { createLocations } from './locations/service.ts';
import { createZoneBoard } from './locations/zone-board.ts';
import { recordChat, recordDriver, recordNotification, recordTripEvent, samplePosition } from './outbox/leaving.ts';
import { createRelay, type OutboxHandler, type Relay } from './outbox/relay.ts';
import { tracedHandler, tracedLog, tracedStore } from './outbox/tracing.ts';
import type { DomainServices, DomainSettings, Ports } from './parts.ts';
import type { Payment, PaymentEvent } from './payments/payment.ts';
import { createTripPayments, type TripPayments } from './payments/service.ts';
import { receiptOf } from './payments/steps.ts';
import { createPresence } from './presence/service.ts';
import { createPricing } from './pricing/service.ts';
import { createRatings } from './ratings/service.ts';
import { createEstimates } from './routing/estimates.ts';
import { createSos, type Sos } from './sos/service.ts';
import { isTerminal } from './statuses.ts';
import { createSurge } from './surge/service.ts';
import { createTelematics } from './telematics/service.ts';
import { afterTripEvent, publishTripEvent } from './trips/events.ts';
import type { TripEvent } from './trips/rules.ts';
import { createTrips, type Trips } from './trips/service.ts';
import type { Trip } from './trips/trip.ts';
import { createIntelligence, type Intelligence } from './watch/parts.ts';

export type { DomainServices, DomainSettings, Ports } from './parts.ts';

export function createServices(given: Ports, settings: DomainSettings): DomainServices {
  const { tracing } = given;
  const ports = { ...given, store: tracedStore(given.store, tracing), log: tracedLog(given.log, tracing) };
  const { store, positions, offers, scheduler, publisher, sink, clock, ids, log } = ports;
  const collections = openCollections(store);
  const relayOf = <T extends StoredDocument>(documents: Collection<T>, handler: OutboxHandler): Relay =>
    createRelay(documents, tracedHandler(handler, tracing), clock, log);

  const { routing, accuracy } = createEstimates(ports, settings, collections.traffic);
  const drivers = createDrivers({
    drivers: collections.drivers,
    positions,
    clock,
    ids,
    relay: sink && (() => driverRelay),
    onDuty: (driver) => intelligence.duty.changed(driver),
  });
  const surge = createSurge({
    trips: collections.trips,
    supply: ports.supply,
    boards: ports.surgeBoards,
    clock,
    settings: settings.surge,
    freshnessMs: settings.locations.freshnessMs,
    zoneOf: ports.zoneOf,
    log,
    meter: ports.moneyMeter,
  });
  const pricing = createPricing({
    seal: ports.seal,
    surge,
    clock,
    ids,
    legOf: routing.leg,
    tariff: settings.tariff,
    quoteTtlMs: settings.quoteTtlMs,
    zoneOf: ports.zoneOf,
    meter: ports.moneyMeter,
  });
  const idempotency = createIdempotency(collections.idempotency, clock, ids, ports.domainMeter);
  const see = createSee({
    positions,
    clock,
    radiusM: settings.arrivalRadiusM,
    freshnessMs: settings.locations.freshnessMs,
    log,
  });
  const trips: Trips = createTrips({
    see,
    trips: collections.trips,
    idempotency,
    relay: () => tripRelay,
    clock,
    ids,
    pricing,
    tripRequestTtlMs: settings.tripRequestTtlMs,
    dispatchAheadMs: settings.dispatchAheadMs,
    zoneOf: ports.zoneOf,
    onFact(trip, fact) {
      ports.domainMeter.trip(trip.kind, fact.type);
      countFact(ports.dispatchMeter, trip, fact);
    },
  });
  const decisions = createDecisionLog({ ...collections, clock, ids });
  const dispatch = createDispatch({
    trips,
    drivers,
    positions,
    offers,
    scheduler,
    publisher,
    clock,
    ids,
    routing,
    decisions,
    callers: createCallers(tracing),
    settings: settings.dispatch,
    meter: ports.dispatchMeter,
    log,
  });
  const sos: Sos = createSos({
    alerts: collections.alerts,
    desks: collections.desks,
    trips,
    relay: () => sosRelay,
    tracking: ports.tracking,
    publisher,
    clock,
    ids,
    log,
    closed: (alertId, by) => intelligence.checkIns.alertClosed(alertId, by),
  });
  const { freshnessMs } = settings.locations;
  const telematics = createTelematics({ board: ports.telematics, clock, freshnessMs });
  const samples = sink
    ? { onSample: (position: Position) => samplePosition(sink, position, telematics.freshnessHere(position)) }
    : {};
  const intelligence: Intelligence = createIntelligence(
    { ...ports, ...samples },
    { trips, drivers, routing, surge, sos, idempotency, telematics },
    settings.watch,
  );
  const scheduled = createScheduled({
    ...ports,
    collections,
    idempotency,
    drivers,
    dispatch,
    routing,
    see,
    relay: () => tripRelay,
    currency: settings.tariff.currency,
    settings: settings.departures,
  });
  const { bookings } = scheduled;
  const presence = createPresence({ presences: ports.presences, trips, drivers, bookings });
  const chat: Chat = createChat({ ...ports, messages: collections.chat, relay: () => chatRelay, trips, bookings });
  const ratings = createRatings({
    ratings: collections.ratings,
    trips,
    drivers,
    presence,
    idempotency,
    relay: () => ratingRelay,
    publisher,
    sink,
    clock,
    ids,
  });
  const ratingRelay: Relay = relayOf(collections.ratings, ratings.handler);
  const zones = createZoneBoard({
    publisher,
    positions,
    drivers,
    clock,
    freshnessMs,
    zoneOf: ports.zoneOf,
    batchMax: settings.zoneBroadcastMax,
    log,
  });
  const locations = createLocations({
    positions,
    trips,
    drivers,
    publisher,
    zones,
    watch: intelligence.watch,
    telematics,
    clock,
    routing,
    settings: settings.locations,
    onKept: ports.onLocationsKept,
    log,
  });

  const payments: TripPayments | null =
    ports.payments &&
    createTripPayments({
      payments: collections.payments,
      ledger: collections.ledger,
      provider: ports.payments,
      trips,
      bookings,
      relay: () => paymentRelay,
      scheduler,
      publisher,
      clock,
      ids,
      settings: settings.payments,
      log,
      meter: ports.moneyMeter,
    });

  const tripRelay = relayOf(collections.trips, {
    publish: (tripId, event, restart) => publishTripEvent(publisher, tripId, event, restart),
    async react(tripId, event, written) {
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
    },
    ...(sink ? { record: (tripId, event) => recordTripEvent(sink, tripId, event) } : {}),
  });
  const chatRelay = relayOf(collections.chat, {
    publish: (_id, event) => chat.publish(event),
    react: (_id, event) => chat.react(event),
    ...(sink ? { record: (_id, event) => recordChat(sink, event) } : {}),
  });
  const sosRelay = relayOf(collections.alerts, {
    publish: (_id, event) => sos.publish(event),
    react: (_id, event) => sos.react(event),
  });

  // Also where nobody is told any more: what was to be said is done with.
  const driverRelay: Relay = relayOf(collections.drivers, {
    publish: async () => 'published',
    react: async () => {},
    ...(sink ? { record: (_id, event) => recordDriver(sink, event) } : {}),
  });

  const paymentRelay: Relay = relayOf(collections.payments, {
    // Nobody follows a payment; what its rider is told of it is a step of its own.
    publish: async () => 'published',
    react: async (id, event) => payments?.react(id, event.data as unknown as PaymentEvent),
    ...(sink ? { record: (id, event) => recordReceipt(sink, collections.payments, id, event) } : {}),
  });

  return {
    trips,
    pricing,
    surge,
    payments,
    drivers,
    dispatch,
    deliveries: createDeliveries(trips, ids),
    departures: scheduled.departures,
    bookings,
    decisions,
    locations,
    telematics,
    routing,
    zones,
    chat,
    presence,
    ratings,
    sos,
    calls: createCalls(collections.calls, clock, ids.region, ports.domainMeter),
    ...intelligence,
    relays: [tripRelay, chatRelay, sosRelay, paymentRelay, ratingRelay, driverRelay, ...intelligence.watchRelays],
    collections,
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
