/** All use cases, put together over the ports. What an event of a document leads to is said here, once. */
import type { Clock } from '../ports/clock.ts';
import type { EventSink } from '../ports/event-sink.ts';
import type { FenceMarks } from '../ports/fence-marks.ts';
import type { Logger } from '../ports/logger.ts';
import type { MoneyMeter } from '../ports/money-meter.ts';
import type { Offers } from '../ports/offers.ts';
import type { Payments as PaymentProvider } from '../ports/payments.ts';
import type { Position, Positions } from '../ports/positions.ts';
import type { Presences } from '../ports/presences.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { RoutingEngine, RoutingMeter } from '../ports/routing.ts';
import type { Scheduler } from '../ports/scheduler.ts';
import type { Seal } from '../ports/seal.ts';
import type { SosTracking } from '../ports/sos-tracking.ts';
import type { Collection, OutboxEvent, Store } from '../ports/store.ts';
import type { Supply } from '../ports/supply.ts';
import type { SurgeBoards } from '../ports/surge-boards.ts';
import { bookingCollection } from './bookings/booking.ts';
import type { Bookings } from './bookings/service.ts';
import { type Chat, chatCollection, createChat } from './chat/service.ts';
import { createDeliveries, type Deliveries } from './deliveries/service.ts';
import { departureIndexes, isDeparture } from './departures/departure.ts';
import { createScheduled } from './departures/parts.ts';
import type { DepartureEvent } from './departures/rules.ts';
import type { DepartureSettings, Departures } from './departures/service.ts';
import {
  type DispatchDecision,
  decisionCollection,
  type TripDecision,
  tripDecisionCollection,
} from './dispatch/decision.ts';
import { createDecisionLog, type DecisionLog } from './dispatch/decision-log.ts';
import type { DispatchSettings } from './dispatch/deps.ts';
import { createDispatch, type Dispatch } from './dispatch/service.ts';
import { driverCollection } from './drivers/driver.ts';
import { createDrivers, type Drivers } from './drivers/service.ts';
import type { TravelModel } from './geo.ts';
import type { Ids } from './ids.ts';
import { createLocations, type Locations } from './locations/service.ts';
import { createZoneBoard, type ZoneBoard } from './locations/zone-board.ts';
import { recordChat, recordTripEvent, samplePosition } from './outbox/leaving.ts';
import { createRelay, type Relay } from './outbox/relay.ts';
import {
  type LedgerEntry,
  ledgerCollection,
  type Payment,
  type PaymentEvent,
  paymentCollection,
} from './payments/payment.ts';
import { createTripPayments, type PaymentSettings, type TripPayments } from './payments/service.ts';
import { createPresence, type Presence } from './presence/service.ts';
import type { Tariff } from './pricing/rules.ts';
import { createPricing, type Pricing } from './pricing/service.ts';
import { createAccuracy } from './routing/accuracy.ts';
import { createRouting, type Routing, STRAIGHT_LINE } from './routing/service.ts';
import { createTraffic, type TrafficRecord, trafficCollection } from './routing/traffic.ts';
import { createSos, type Sos, sosCollection, sosDeskCollection } from './sos/service.ts';
import { createSurge, type Surge, type SurgeDeps } from './surge/service.ts';
import { isDriven, isTerminal, type TripEvent } from './trips/rules.ts';
import { createTrips, type IdempotencyRecord, type Trips } from './trips/service.ts';
import { type Trip, tripCollection } from './trips/trip.ts';
import { createIntelligence, type Intelligence, type WatchCount, type WatchSettings } from './watch/parts.ts';

export interface Ports {
  store: Store;
  positions: Positions;
  presences: Presences;
  offers: Offers;
  tracking: SosTracking;
  marks: FenceMarks;
  supply: Supply;
  surgeBoards: SurgeBoards;
  /** Of quotes. */
  seal: Seal;
  /** Null: nothing is held or captured, prices are only told. */
  payments: PaymentProvider | null;
  moneyMeter: MoneyMeter;
  scheduler: Scheduler;
  publisher: Publisher;
  /** Null: straight lines only. */
  routingEngine: RoutingEngine | null;
  routingMeter: RoutingMeter;
  /** Absent where no other system is told. */
  sink?: EventSink | undefined;
  clock: Clock;
  ids: Ids;
  log: Logger;
  zoneOf(lat: number, lng: number): string;
  onLocationsKept(count: number): void;
  onWatched?: WatchCount;
}

export interface DomainSettings {
  travel: TravelModel;
  routing: { matrixMax: number; trafficFactor: number; trafficHalfLifeMs: number };
  tariff: Tariff;
  dispatch: DispatchSettings;
  tripRequestTtlMs: number;
  /** Drivers of one zone broadcast message. */
  zoneBroadcastMax: number;
  quoteTtlMs: number;
  surge: SurgeDeps['settings'];
  payments: PaymentSettings;
  departures: DepartureSettings;
  dispatchAheadMs: number;
  locations: { skewMaxMs: number; freshnessMs: number; etaRefreshMs: number; batchMax: number };
  watch: WatchSettings;
}

export interface DomainServices extends Intelligence {
  trips: Trips;
  pricing: Pricing;
  surge: Surge;
  payments: TripPayments | null;
  drivers: Drivers;
  dispatch: Dispatch;
  deliveries: Deliveries;
  departures: Departures;
  bookings: Bookings;
  decisions: DecisionLog;
  locations: Locations;
  routing: Routing;
  zones: ZoneBoard;
  chat: Chat;
  presence: Presence;
  sos: Sos;
  relays: readonly Relay[];
  collections: {
    trips: Collection<Trip>;
    idempotency: Collection<IdempotencyRecord>;
    payments: Collection<Payment>;
    ledger: Collection<LedgerEntry>;
    decisions: Collection<DispatchDecision>;
  };
}

export function createServices(ports: Ports, settings: DomainSettings): DomainServices {
  const { store, positions, offers, scheduler, publisher, sink, clock, ids, log } = ports;
  const collections = {
    trips: store.collection({ ...tripCollection, indexes: [...tripCollection.indexes, ...departureIndexes] }),
    bookings: store.collection(bookingCollection),
    drivers: store.collection(driverCollection),
    idempotency: store.collection<IdempotencyRecord>({
      name: 'idempotencyKeys',
      indexes: [{ name: 'created', fields: ['createdAt'] }],
    }),
    decisions: store.collection<DispatchDecision>(decisionCollection),
    tripDecisions: store.collection<TripDecision>(tripDecisionCollection),
    chat: store.collection(chatCollection),
    alerts: store.collection(sosCollection),
    desks: store.collection(sosDeskCollection),
    payments: store.collection(paymentCollection),
    ledger: store.collection(ledgerCollection),
    traffic: store.collection(trafficCollection),
  };

  const { routing, accuracy } = createEstimates(ports, settings, collections.traffic);
  const drivers = createDrivers({
    drivers: collections.drivers,
    positions,
    clock,
    ids,
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
  const trips: Trips = createTrips({
    trips: collections.trips,
    idempotency: collections.idempotency,
    relay: () => tripRelay,
    clock,
    ids,
    pricing,
    tripRequestTtlMs: settings.tripRequestTtlMs,
    dispatchAheadMs: settings.dispatchAheadMs,
    zoneOf: ports.zoneOf,
  });
  const decisions = createDecisionLog({ ...collections, ids });
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
    settings: settings.dispatch,
    log,
  });
  const chat: Chat = createChat({ messages: collections.chat, relay: () => chatRelay, trips, publisher, clock, ids });
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
  });
  const { freshnessMs } = settings.locations;
  const samples = sink
    ? { onSample: (position: Position) => samplePosition(sink, position, clock.now(), freshnessMs) }
    : {};
  const intelligence: Intelligence = createIntelligence(
    { ...ports, ...samples },
    { trips, drivers, routing, surge, sos },
    settings.watch,
  );
  const scheduled = createScheduled({
    ...ports,
    collections,
    drivers,
    dispatch,
    routing,
    relay: () => tripRelay,
    currency: settings.tariff.currency,
    settings: settings.departures,
  });
  const zones = createZoneBoard(publisher, clock, freshnessMs, ports.zoneOf, settings.zoneBroadcastMax);
  const locations = createLocations({
    positions,
    trips,
    drivers,
    publisher,
    zones,
    watch: intelligence.watch,
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
      relay: () => paymentRelay,
      scheduler,
      publisher,
      clock,
      ids,
      settings: settings.payments,
      log,
      meter: ports.moneyMeter,
    });

  const tripRelay = createRelay(
    collections.trips,
    {
      publish: (tripId, event, restart) => publishTripEvent(publisher, tripId, event, restart),
      async react(tripId, event) {
        const trip = await trips.any(tripId);
        if (!trip) return;
        if (isDeparture(trip)) return scheduled.react(trip, event.data as unknown as DepartureEvent);
        const happened = event.data as unknown as TripEvent;
        await dispatch.react(trip, happened);
        await accuracy.react(trip, happened);
        await payments?.reactToTrip(trip, happened);
        await afterTripEvent(intelligence, positions, trip, happened);
      },
      ...(sink ? { record: (tripId, event) => recordTripEvent(sink, tripId, event) } : {}),
    },
    clock,
    log,
  );
  const chatRelay = createRelay(
    collections.chat,
    {
      publish: (_id, event) => chat.publish(event),
      react: async () => {},
      ...(sink ? { record: (_id, event) => recordChat(sink, event) } : {}),
    },
    clock,
    log,
  );
  const sosRelay = createRelay(
    collections.alerts,
    { publish: (_id, event) => sos.publish(event), react: (_id, event) => sos.react(event) },
    clock,
    log,
  );

  const paymentRelay: Relay = createRelay(
    collections.payments,
    {
      // Nobody follows a payment; what its rider is told of it is a step of its own.
      publish: async () => 'published',
      react: async (id, event) => payments?.react(id, event.data as unknown as PaymentEvent),
    },
    clock,
    log,
  );

  return {
    trips,
    pricing,
    surge,
    payments,
    drivers,
    dispatch,
    deliveries: createDeliveries(trips, ids),
    departures: scheduled.departures,
    bookings: scheduled.bookings,
    decisions,
    locations,
    routing,
    zones,
    chat,
    presence: createPresence({ presences: ports.presences, trips, drivers }),
    sos,
    ...intelligence,
    relays: [tripRelay, chatRelay, sosRelay, paymentRelay, ...intelligence.watchRelays],
    collections,
  };
}

/** Estimates of ways, and what finished trips say of them. */
function createEstimates(
  { routingEngine: engine, routingMeter: meter, clock, ids, log }: Ports,
  { travel, routing: settings }: DomainSettings,
  records: Collection<TrafficRecord>,
) {
  const traffic = createTraffic({
    records,
    clock,
    region: ids.region,
    halfLifeMs: settings.trafficHalfLifeMs,
    // How fast a straight line is driven is a setting of its own.
    prior: (source) => (source === STRAIGHT_LINE ? 1 : settings.trafficFactor),
    log,
  });
  return {
    routing: createRouting({ engine, traffic, travel, clock, meter, log, matrixMax: settings.matrixMax }),
    accuracy: createAccuracy({ traffic, travel, meter }),
  };
}

/**
 * To the trip's followers, in order and remembered; to the city's operators and the driver as it happens. A driver that is
 * offered the trip is not told of it here but by his job offer.
 */
async function publishTripEvent(publisher: Publisher, tripId: string, outbox: OutboxEvent, restart: boolean) {
  const event = outbox.data as unknown as (TripEvent | DepartureEvent) & { riderId: string; city: string };
  const message = { tripId, riderId: event.riderId, event };
  const order = { source: tripId, seq: event.seq, restart };
  const outcome = await publisher.publishOrdered(`trip:${tripId}`, 'trip_event', message, event.id, order);
  if (outcome !== 'published') return outcome;
  publisher.publishLatest(`city:${event.city}`, 'trip_event', message, event.id);
  const concernsDriver =
    event.driverId && (isDriven(event.status) || isTerminal(event.status) || event.type === 'driver_cancelled');
  // Of bookings he is told by the departure's own reactions, whether he is there or not.
  if ('booking' in event) return outcome;
  if (concernsDriver) publisher.publishLatest(`user:${event.driverId}`, 'trip_event', message, event.id);
  return outcome;
}

/** What operators learn of a trip when it is over or was given up, and nobody is asked about any more. */
async function afterTripEvent(
  { checkIns, anomalies }: Intelligence,
  positions: Positions,
  trip: Trip,
  event: TripEvent,
): Promise<void> {
  if (!isTerminal(event.status) && event.type !== 'driver_cancelled') return;
  const last = event.type === 'completed' ? await positions.ofTrip(trip.id) : null;
  await Promise.all([checkIns.end(trip.id), anomalies.onTripEvent(trip, event, last)]);
}
