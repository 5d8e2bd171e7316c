/**
 * The domain of one node over its real ports (store, Redis, queues), without servers in front. Two stacks on one Redis and one
 * store are two nodes.
 */
import { latLngToCell } from 'h3-js';
import { Registry } from 'prom-client';
import { createQueues, type Queues } from '../../src/adapters/bullmq/queues.ts';
import { createDevelopmentPayments, developmentHoldCollection } from '../../src/adapters/development/payments.ts';
import { createRedisBus } from '../../src/adapters/redis/bus.ts';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { createRedisFenceMarks } from '../../src/adapters/redis/fence-marks.ts';
import { createRedisOffers } from '../../src/adapters/redis/offers.ts';
import { createRedisPositions } from '../../src/adapters/redis/positions.ts';
import { createRedisPresences } from '../../src/adapters/redis/presences.ts';
import { type ScriptedRedis, withScripts } from '../../src/adapters/redis/scripts.ts';
import { createRedisSosTracking } from '../../src/adapters/redis/sos-tracking.ts';
import { createRedisSupply } from '../../src/adapters/redis/supply.ts';
import { createRedisSurgeBoards } from '../../src/adapters/redis/surge-boards.ts';
import { createRedisTelematics } from '../../src/adapters/redis/telematics.ts';
import { createRandom } from '../../src/adapters/system/random.ts';
import { createSeal } from '../../src/adapters/system/seal.ts';
import { createTracing } from '../../src/adapters/system/tracing.ts';
import { createIds } from '../../src/domain/ids.ts';
import type { TripPayments } from '../../src/domain/payments/service.ts';
import type { Principal, Role } from '../../src/domain/roles.ts';
import { safetyLimits } from '../../src/domain/safety/rules.ts';
import { createServices, type DomainServices, type DomainSettings, type Ports } from '../../src/domain/services.ts';
import type { Trip } from '../../src/domain/trips/trip.ts';
import { checkInExpiryJob } from '../../src/jobs/check-in-expiry.ts';
import { dispatchLookJob } from '../../src/jobs/dispatch-look.ts';
import { dispatchWindowJob } from '../../src/jobs/dispatch-window.ts';
import { earlierJobs } from '../../src/jobs/earlier.ts';
import { offerExpiryJob } from '../../src/jobs/offer-expiry.ts';
import { paymentStepJob } from '../../src/jobs/payments.ts';
import { sweepJob } from '../../src/jobs/sweep.ts';
import { createDispatchMeter } from '../../src/plugins/dispatch-metrics.ts';
import { createDomainMeter } from '../../src/plugins/domain-metrics.ts';
import { createMoneyMeter } from '../../src/plugins/money-metrics.ts';
import type { Bus } from '../../src/ports/bus.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { RecurringJob } from '../../src/ports/jobs.ts';
import type { Payments } from '../../src/ports/payments.ts';
import type { RoutingEngine, RoutingMeter } from '../../src/ports/routing.ts';
import type { Store } from '../../src/ports/store.ts';
import { createLamport } from '../../src/realtime/lamport.ts';
import { createPublisher } from '../../src/realtime/publisher.ts';
import { createPresenceEncoder } from '../../src/realtime/snapshots.ts';
import { createStoreAt } from '../conformance/store/place.ts';
import { quiet } from '../realtime/node.ts';
import type { TestScope } from '../servers/process.ts';
import type { Shared } from './shared.ts';

export { type ManualClock, manualClock, type Shared, shared } from './shared.ts';

export interface Stack extends DomainServices {
  /** Of the development provider. */
  provider: Payments;
  payments: TripPayments;
  store: Store;
  redis: ScriptedRedis;
  bus: Bus;
  queues: Queues;
  clock: Clock;
  /** What the recurring job does, once, now. */
  sweep(): Promise<void>;
  /** Trips, chat and SOS relays have nothing under way. */
  idle(): Promise<void>;
}

export interface StackOptions {
  /** Over the settings of the tests. */
  dispatch?: Partial<DomainSettings['dispatch']>;
  payments?: Partial<DomainSettings['payments']>;
  tripRequestTtlMs?: number;
  dispatchAheadMs?: number;
  arrivalRadiusM?: number;
  /** The sweeper recurs this often; by default it runs only when the test calls it. */
  sweepEveryMs?: number;
  sweepAgeMs?: number;
  /** Ways by road; none by default. */
  routingEngine?: RoutingEngine;
  routingMeter?: RoutingMeter;
  /** Puts something before the store's collections, e.g. a crash. */
  wrapStore?(store: Store): Store;
  /** Puts something before the development provider of payments. */
  wrapPayments?(payments: Payments): Payments;
  /** Of another node, which alone works on what waits in them. */
  queues?: Queues;
  /** Puts something before everything that the domain stands on. */
  wrapPorts?(ports: Ports): Ports;
}

const defaults: DomainSettings = {
  travel: { detourFactor: 1.35, averageSpeedMps: 6 },
  routing: { matrixMax: 200, trafficFactor: 1, trafficHalfLifeMs: 1_209_600_000 },
  tariff: {
    currency: 'USD',
    baseMinor: 250,
    perKmMinor: 155,
    perMinuteMinor: 50,
    minimumMinor: 500,
    waitingFreeS: 180,
    waitingPerMinuteMinor: 30,
    cancellationFreeS: 120,
    cancellationFeeMinor: 500,
  },
  dispatch: {
    rings: { resolution: 8, radiusM: 5000, enough: 40 },
    decision: {
      freshnessMs: 60_000,
      maxEtaS: 3600,
      offers: 1,
      weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
      maxSteps: 1e9,
    },
    windowMs: 0,
    windowTrips: 1000,
    decideMs: 250,
    retryMs: 5000,
    offerTtlMs: 15_000,
    maxOffers: 50,
  },
  tripRequestTtlMs: 600_000,
  zoneBroadcastMax: 500,
  quoteTtlMs: 300_000,
  surge: {
    capPermille: 2500,
    threshold: 1,
    slope: 0.5,
    minDemand: 3,
    halfLifeMs: 120_000,
    neighbourShare: 0.5,
    intervalMs: 10_000,
    windowMs: 300_000,
  },
  payments: {
    waitingAllowanceS: 900,
    holdLifeMs: 6 * 86_400_000,
    renewAheadMs: 86_400_000,
    retryMs: 2000,
    retryMaxMs: 300_000,
    attempts: 12,
    repairs: 8,
  },
  departures: {
    seatsMax: 60,
    aheadMaxMs: 90 * 86_400_000,
    graceMs: 3_600_000,
    terms: {
      closesBeforeMs: 600_000,
      boardsBeforeMs: 3_600_000,
      freeBeforeMs: 86_400_000,
      lateBeforeMs: 7_200_000,
      feePercent: 50,
      lateFeePercent: 100,
      noShowFeePercent: 100,
    },
  },
  dispatchAheadMs: 900_000,
  // Most tests drive nobody to a pick-up.
  arrivalRadiusM: 0,
  locations: { skewMaxMs: 120_000, freshnessMs: 60_000, etaRefreshMs: 5000, batchMax: 100 },
  watch: { safety: safetyLimits, sampleEvery: 10, checkInAnswerMs: 60_000, distrustMs: 600_000, staleClockMs: 300_000 },
};

export const unmetered: RoutingMeter = { asked() {}, cached() {}, breaker() {}, answered() {}, arrived() {} };

let nodes = 0;

export async function stack(t: TestScope, place: Shared, options: StackOptions = {}): Promise<Stack> {
  const { redisUrl, clock } = place;
  const nodeId = `n${++nodes}`;
  const onError = (): void => {};
  const redis = withScripts(connectRedis({ url: redisUrl }, onError));
  const bus = createRedisBus(redis, {
    url: redisUrl,
    historyLength: 256,
    historyTtlMs: 3_600_000,
    onError,
    log: quiet,
  });
  const queues =
    options.queues ??
    createQueues({
      redisUrl,
      redis,
      clock,
      log: quiet,
      concurrency: { critical: 20, high: 20, normal: 5 },
    });
  const lamport = createLamport();
  const real = await createStoreAt(place.store);
  const store = options.wrapStore?.(real) ?? real;
  // A hold of the provider is not lost with the store of the node that crashes.
  const provider = createDevelopmentPayments(real.collection(developmentHoldCollection), { clock, region: 'test' });
  const settings: DomainSettings = {
    ...defaults,
    dispatch: { ...defaults.dispatch, ...options.dispatch },
    payments: { ...defaults.payments, ...options.payments },
    ...(options.dispatchAheadMs ? { dispatchAheadMs: options.dispatchAheadMs } : {}),
    ...(options.arrivalRadiusM ? { arrivalRadiusM: options.arrivalRadiusM } : {}),
    ...(options.tripRequestTtlMs ? { tripRequestTtlMs: options.tripRequestTtlMs } : {}),
  };
  const ports: Ports = {
    store,
    positions: createRedisPositions(redis, { ttlMs: 3_600_000, flushMs: 1, log: quiet }),
    telematics: createRedisTelematics(redis, 3_600_000, quiet),
    presences: createRedisPresences(redis, {
      nodeId,
      leaseMs: 15_000,
      encode: createPresenceEncoder({ lamport, nodeId }),
    }),
    offers: createRedisOffers(redis),
    tracking: createRedisSosTracking(redis),
    marks: createRedisFenceMarks(redis),
    supply: createRedisSupply(redis),
    surgeBoards: createRedisSurgeBoards(redis),
    payments: options.wrapPayments?.(provider) ?? provider,
    seal: createSeal(['the secret of the tests'], 'quotes'),
    scheduler: queues,
    publisher: createPublisher({ bus, lamport, nodeId }),
    routingEngine: options.routingEngine ?? null,
    routingMeter: options.routingMeter ?? unmetered,
    clock,
    ids: createIds('test', clock, createRandom()),
    log: quiet,
    tracing: createTracing(),
    zoneOf: (lat, lng) => latLngToCell(lat, lng, 7),
    onLocationsKept() {},
    moneyMeter: createMoneyMeter(new Registry()),
    dispatchMeter: createDispatchMeter(new Registry()),
    domainMeter: createDomainMeter(new Registry()),
  };
  const services = createServices(options.wrapPorts?.(ports) ?? ports, settings);
  const { dispatch, departures, decisions, collections, relays, payments } = services;
  const sweep: RecurringJob = sweepJob({
    relays,
    dispatch,
    departures,
    decisions,
    trips: collections.trips,
    keys: [collections.idempotency, collections.calls],
    clock,
    everyMs: options.sweepEveryMs ?? 3_600_000,
    ageMs: options.sweepAgeMs ?? 100,
    matchRetryMs: settings.dispatch.retryMs,
    tripMaxDurationMs: 43_200_000,
    idempotencyTtlMs: 86_400_000,
    decisionTtlMs: 604_800_000,
    meter: ports.domainMeter,
    log: quiet,
  });
  await store.open();
  const jobs = [
    offerExpiryJob(dispatch),
    checkInExpiryJob(services.checkIns),
    paymentStepJob(payments!),
    dispatchWindowJob(dispatch),
    dispatchLookJob(dispatch),
    ...earlierJobs(dispatch),
  ];
  if (!options.queues) await queues.start(jobs, options.sweepEveryMs ? [sweep] : []);

  t.after(async () => {
    if (!options.queues) await queues.close();
    await Promise.all(relays.map((relay) => relay.idle()));
    await store.close();
    bus.close();
    redis.disconnect();
  });
  return {
    ...services,
    payments: payments!,
    provider,
    store,
    redis,
    bus,
    queues,
    clock,
    sweep: () => sweep.run({}),
    idle: async () => void (await Promise.all(relays.map((relay) => relay.idle()))),
  };
}

export const person = (role: Role, userId: string, more: Partial<Principal> = {}): Principal => ({
  userId,
  role,
  city: 'testville',
  vehicleClass: 'standard',
  expiresAt: Number.MAX_SAFE_INTEGER,
  premium: false,
  ...more,
});

/** A place, and one a few metres away for each number. */
export const CENTER = { lat: 40.7484, lng: -73.9857 };
export const near = (metres: number): { lat: number; lng: number } => ({
  lat: CENTER.lat + metres / 111_195,
  lng: CENTER.lng,
});

/** A driver on duty at so many metres from the centre. */
export async function onDuty(
  s: Stack,
  driverId: string,
  metres = 100,
  more: Partial<Principal> = {},
): Promise<Principal> {
  const driver = person('driver', driverId, more);
  await s.locations.update(driver, { ...near(metres), recordedAt: s.clock.now(), tripId: '' }, 'stream');
  await s.drivers.setStatus(driver, 'looking');
  return driver;
}

export async function request(
  s: Stack,
  riderId: string,
  more: Partial<Parameters<Stack['trips']['request']>[0]> = {},
): Promise<Trip> {
  const input = {
    riderId,
    pickup: CENTER,
    dropoff: near(3000),
    city: 'testville',
    vehicleClass: 'standard' as const,
    ...more,
  };
  return (await s.trips.request(input)).trip;
}
