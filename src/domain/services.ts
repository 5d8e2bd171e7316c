/** All use cases, put together over the ports. What an event of a document leads to is said in relays.ts. */
import type { Position } from '../ports/positions.ts';
import { createSee } from './arrivals/service.ts';
import { type Chat, createChat } from './chat/service.ts';
import { openCollections } from './collections.ts';
import { createDeliveries } from './deliveries/service.ts';
import { createScheduled } from './departures/parts.ts';
import { createCallers } from './dispatch/callers.ts';
import { countFact } from './dispatch/counting.ts';
import { createDecisionLog } from './dispatch/decision-log.ts';
import { createDispatch } from './dispatch/service.ts';
import { createDrivers } from './drivers/service.ts';
import { createCalls } from './idempotency/calls.ts';
import { createIdempotency } from './idempotency/service.ts';
import { createLocations } from './locations/service.ts';
import { createZoneBoard } from './locations/zone-board.ts';
import { samplePosition } from './outbox/leaving.ts';
import { tracedLog, tracedStore } from './outbox/tracing.ts';
import type { DomainServices, DomainSettings, Ports } from './parts.ts';
import { createTripPayments, type TripPayments } from './payments/service.ts';
import { createPresence } from './presence/service.ts';
import { createPricing } from './pricing/service.ts';
import { createRatings } from './ratings/service.ts';
import { createRelays, type Relays } from './relays.ts';
import { createEstimates } from './routing/estimates.ts';
import { createSos, type Sos } from './sos/service.ts';
import { createSurge } from './surge/service.ts';
import { createTelematics } from './telematics/service.ts';
import { createTrips, type Trips } from './trips/service.ts';
import { createIntelligence, type Intelligence } from './watch/parts.ts';

export type { DomainServices, DomainSettings, Ports } from './parts.ts';

export function createServices(given: Ports, settings: DomainSettings): DomainServices {
  const { tracing } = given;
  const ports = { ...given, store: tracedStore(given.store, tracing), log: tracedLog(given.log, tracing) };
  const { store, positions, offers, scheduler, publisher, sink, clock, ids, log } = ports;
  const collections = openCollections(store);

  const { freshnessMs } = settings.locations;
  const telematics = createTelematics({ board: ports.telematics, clock, freshnessMs });
  const { routing, accuracy } = createEstimates(ports, settings, collections.traffic);
  const drivers = createDrivers({
    drivers: collections.drivers,
    positions,
    clock,
    ids,
    relay: sink && (() => relays.drivers),
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
    cities: {
      citiesAt: (place) => intelligence.geofences.citiesAt(place),
      isDrawn: (city) => intelligence.geofences.isDrawn(city),
    },
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
    relay: () => relays.trips,
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
    telematics,
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
    relay: () => relays.sos,
    tracking: ports.tracking,
    publisher,
    telematics,
    clock,
    ids,
    log,
    closed: (alertId, by) => intelligence.checkIns.alertClosed(alertId, by),
  });
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
    relay: () => relays.trips,
    currency: settings.tariff.currency,
    settings: settings.departures,
  });
  const { bookings } = scheduled;
  const presence = createPresence({ presences: ports.presences, trips, drivers, bookings });
  const chat: Chat = createChat({ ...ports, messages: collections.chat, relay: () => relays.chat, trips, bookings });
  const ratings = createRatings({
    ratings: collections.ratings,
    trips,
    drivers,
    presence,
    idempotency,
    relay: () => relays.ratings,
    publisher,
    sink,
    clock,
    ids,
  });
  const zones = createZoneBoard({
    publisher,
    positions,
    drivers,
    telematics,
    clock,
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
      relay: () => relays.payments,
      scheduler,
      publisher,
      clock,
      ids,
      settings: settings.payments,
      log,
      meter: ports.moneyMeter,
    });

  const relays: Relays = createRelays(ports, {
    collections,
    trips,
    dispatch,
    scheduled,
    payments,
    accuracy,
    chat,
    ratings,
    sos,
    intelligence,
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
    relays: [...Object.values(relays), ...intelligence.watchRelays],
    collections,
  };
}
