/** What the domain is put together of: the ports it stands on, its settings, and the use cases that it offers. */
import type { Clock } from '../ports/clock.ts';
import type { DispatchMeter } from '../ports/dispatch-meter.ts';
import type { DomainMeter } from '../ports/domain-meter.ts';
import type { EventSink } from '../ports/event-sink.ts';
import type { FenceMarks } from '../ports/fence-marks.ts';
import type { Logger } from '../ports/logger.ts';
import type { MoneyMeter } from '../ports/money-meter.ts';
import type { Offers } from '../ports/offers.ts';
import type { Payments as PaymentProvider } from '../ports/payments.ts';
import type { Positions } from '../ports/positions.ts';
import type { Presences } from '../ports/presences.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { RoutingEngine, RoutingMeter } from '../ports/routing.ts';
import type { Scheduler } from '../ports/scheduler.ts';
import type { Seal } from '../ports/seal.ts';
import type { SosTracking } from '../ports/sos-tracking.ts';
import type { Collection, Store } from '../ports/store.ts';
import type { Supply } from '../ports/supply.ts';
import type { SurgeBoards } from '../ports/surge-boards.ts';
import type { TelematicsBoard } from '../ports/telematics.ts';
import type { Tracing } from '../ports/tracing.ts';
import type { Bookings } from './bookings/service.ts';
import type { Chat } from './chat/service.ts';
import type { Deliveries } from './deliveries/service.ts';
import type { DepartureSettings, Departures } from './departures/service.ts';
import type { DispatchDecision } from './dispatch/decision.ts';
import type { DecisionLog } from './dispatch/decision-log.ts';
import type { DispatchSettings } from './dispatch/deps.ts';
import type { Dispatch } from './dispatch/service.ts';
import type { Drivers } from './drivers/service.ts';
import type { TravelModel } from './geo.ts';
import type { CallRecord, Calls } from './idempotency/calls.ts';
import type { IdempotencyRecord } from './idempotency/service.ts';
import type { Ids } from './ids.ts';
import type { Locations } from './locations/service.ts';
import type { ZoneBoard } from './locations/zone-board.ts';
import type { Relay } from './outbox/relay.ts';
import type { LedgerEntry, Payment } from './payments/payment.ts';
import type { PaymentSettings, TripPayments } from './payments/service.ts';
import type { Presence } from './presence/service.ts';
import type { Tariff } from './pricing/rules.ts';
import type { Pricing } from './pricing/service.ts';
import type { Ratings } from './ratings/service.ts';
import type { Routing } from './routing/service.ts';
import type { Sos } from './sos/service.ts';
import type { Surge, SurgeDeps } from './surge/service.ts';
import type { TelematicsDesk } from './telematics/service.ts';
import type { Trips } from './trips/service.ts';
import type { Trip } from './trips/trip.ts';
import type { Intelligence, WatchCount, WatchSettings } from './watch/parts.ts';

export interface Ports {
  store: Store;
  positions: Positions;
  telematics: TelematicsBoard;
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
  dispatchMeter: DispatchMeter;
  domainMeter: DomainMeter;
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
  tracing: Tracing;
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
  /** So far from the pick-up may be who has arrived, metres; 0: anywhere. */
  arrivalRadiusM: number;
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
  telematics: TelematicsDesk;
  routing: Routing;
  zones: ZoneBoard;
  chat: Chat;
  presence: Presence;
  ratings: Ratings;
  sos: Sos;
  /** Calls under an idempotency key. */
  calls: Calls;
  relays: readonly Relay[];
  collections: {
    trips: Collection<Trip>;
    idempotency: Collection<IdempotencyRecord>;
    calls: Collection<CallRecord>;
    payments: Collection<Payment>;
    ledger: Collection<LedgerEntry>;
    decisions: Collection<DispatchDecision>;
  };
}
