/** What the server stands on, opened from the settings: clock, ids, metrics, Redis and everything kept in it, queues, store. */
import { createQueues } from '../adapters/bullmq/queues.ts';
import { createDevelopmentPayments, developmentHoldCollection } from '../adapters/development/payments.ts';
import { createRedisBus } from '../adapters/redis/bus.ts';
import { connectRedis, untilReady } from '../adapters/redis/connection.ts';
import { counted } from '../adapters/redis/counted.ts';
import { createRedisFenceMarks } from '../adapters/redis/fence-marks.ts';
import { createRedisInboxes } from '../adapters/redis/inboxes.ts';
import { createRedisOffers } from '../adapters/redis/offers.ts';
import { createRedisPositions } from '../adapters/redis/positions.ts';
import { createRedisPresences } from '../adapters/redis/presences.ts';
import { createRedisReconnects } from '../adapters/redis/reconnects.ts';
import { type ScriptedRedis, withScripts } from '../adapters/redis/scripts.ts';
import { createRedisSessionDirectory } from '../adapters/redis/session-directory.ts';
import { createRedisSosTracking } from '../adapters/redis/sos-tracking.ts';
import { createRedisSupply } from '../adapters/redis/supply.ts';
import { createRedisSurgeBoards } from '../adapters/redis/surge-boards.ts';
import { createRedisTelematics } from '../adapters/redis/telematics.ts';
import { createRedisTokenBuckets } from '../adapters/redis/token-buckets.ts';
import { createClock } from '../adapters/system/clock.ts';
import { createRandom } from '../adapters/system/random.ts';
import { createSeal } from '../adapters/system/seal.ts';
import { createTracing } from '../adapters/system/tracing.ts';
import type { Config } from '../config.ts';
import { createIds } from '../domain/ids.ts';
import { createDispatchMeter } from '../plugins/dispatch-metrics.ts';
import { createDomainMeter } from '../plugins/domain-metrics.ts';
import { createMetrics } from '../plugins/metrics.ts';
import { createMoneyMeter } from '../plugins/money-metrics.ts';
import { createRoutingMeter } from '../plugins/routing-metrics.ts';
import { createStore } from '../plugins/store.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Payments } from '../ports/payments.ts';
import type { Store } from '../ports/store.ts';
import { createLamport } from '../realtime/lamport.ts';
import { createPresenceEncoder } from '../realtime/snapshots.ts';
import { quoteSecrets } from '../settings.ts';
import type { Opened } from './opened.ts';
import { composeRouting } from './routing.ts';

/** The settings, and what the process finds out for itself before it builds a server. */
export type NodeConfig = Config & { redisUrl: string; nodeId: string };

export type Outside = Awaited<ReturnType<typeof openOutside>>;

/** Null when nobody is to hold or capture anything. */
function paymentsOf(config: NodeConfig, store: Store, clock: Clock): Payments | null {
  const provider = config.paymentsProvider ?? (config.mode === 'development' ? 'development' : 'none');
  if (provider === 'none') return null;
  return createDevelopmentPayments(store.collection(developmentHoldCollection), { clock, region: config.region });
}

/** @throws RideError RIDE_UNAVAILABLE that names Redis when it does not answer */
export async function openOutside(config: NodeConfig, log: Logger, opened: Opened) {
  const { nodeId } = config;
  const anchor = config.clockAnchor ?? Date.now();
  const clock = createClock({ speed: config.clockSpeed, anchor, start: config.clockStart ?? anchor });
  const store = opened.add('the store', await createStore(config), (one) => one.close());
  const { registry, meter, gauge } = createMetrics();
  const routingMeter = createRoutingMeter(registry);
  const lamport = createLamport();
  const onRedisError = (error: Error): void => log.warn({ err: error }, 'redis connection');
  const connected = connectRedis({ url: config.redisUrl }, onRedisError);
  const redis = opened.add('Redis', withScripts(connected), (one) => one.disconnect());
  await untilReady(redis, config.redisUrl);
  const concurrency = { critical: 50, high: 50, normal: 20 };
  const queues = createQueues({ redisUrl: config.redisUrl, redis, clock, log, concurrency });
  opened.add('the queues', queues, (one) => one.close());
  const streams = streamsInRedis(config, redis, meter.redisHit, onRedisError, log);
  opened.add('channels of Redis', streams.bus, (one) => one.close());
  return {
    nodeId,
    clock,
    ids: createIds(config.region, clock, createRandom()),
    tracing: createTracing(),
    registry,
    meter,
    gauge,
    lamport,
    redis,
    queues,
    ...streams,
    ...driversInRedis(config, redis, meter.redisHit, log),
    presences: counted(
      createRedisPresences(redis, {
        nodeId,
        leaseMs: config.heartbeatTimeout,
        encode: createPresenceEncoder({ lamport, nodeId }),
        onChanged: (state, users) => meter.stream('presence', state, users),
      }),
      {
        join: 'presence',
        leave: 'presence',
        renew: 'presence',
        sweep: 'presence',
        recorded: 'presence',
        retire: 'presence',
        read: 'presence',
      },
      meter.redisHit,
    ),
    routingMeter,
    routingEngine: composeRouting(config, redis, routingMeter, log),
    seal: createSeal(quoteSecrets(config), 'quotes'),
    store,
    payments: paymentsOf(config, store, clock),
    moneyMeter: createMoneyMeter(registry),
    dispatchMeter: createDispatchMeter(registry),
    domainMeter: createDomainMeter(registry),
  };
}

/** Topics, sessions, and what outlives a connection. */
function streamsInRedis(
  config: NodeConfig,
  redis: ScriptedRedis,
  onHit: (operation: string, count?: number) => void,
  onError: (error: Error) => void,
  log: Logger,
) {
  // A user's place outlasts what waits for him by far: so what is missing can be told when he comes back late.
  const inboxMemoryTtlMs = config.inboxTtl * 7;
  return {
    bus: counted(
      createRedisBus(redis, {
        url: config.redisUrl,
        onError,
        historyLength: config.historyLength,
        historyTtlMs: config.historyTtl,
        inbox: { length: config.inboxLength, ttlMs: config.inboxTtl, memoryTtlMs: inboxMemoryTtlMs },
        log,
      }),
      {
        publish: 'publish',
        publishOrdered: 'publish',
        subscribe: 'subscribe',
        history: 'history',
        position: 'history',
        elsewhere: 'history',
      },
      onHit,
    ),
    directory: counted(
      createRedisSessionDirectory(redis, { leaseMs: config.heartbeatTimeout, entryTtlMs: config.sessionEntryTtl, log }),
      {
        opened: 'session',
        closed: 'session',
        followed: 'session',
        unfollowed: 'session',
        keep: 'session',
        renew: 'session',
        cluster: 'session',
      },
      onHit,
    ),
    reconnects: counted(
      createRedisReconnects(redis, log),
      { create: 'reconnect', update: 'reconnect', redeem: 'reconnect', forget: 'reconnect' },
      onHit,
    ),
    inboxes: counted(createRedisInboxes(redis, inboxMemoryTtlMs, log), { position: 'inbox', advance: 'inbox' }, onHit),
    buckets: counted(createRedisTokenBuckets(redis), { take: 'bucket', giveBack: 'bucket' }, onHit),
  };
}

/** Where drivers are, what they are offered, and emergencies that are followed. */
function driversInRedis(
  config: NodeConfig,
  redis: ScriptedRedis,
  onHit: (operation: string, count?: number) => void,
  log: Logger,
) {
  return {
    positions: counted(
      createRedisPositions(redis, {
        ttlMs: config.locationTtl,
        flushMs: config.locationFlush,
        log,
        answered: onHit,
      }),
      {
        nearby: 'nearby',
        setAvailable: 'availability',
        setUnavailable: 'availability',
        distrust: 'availability',
        trust: 'availability',
      },
      onHit,
    ),
    telematics: counted(
      createRedisTelematics(redis, config.locationTtl, log),
      { keep: 'telematics', of: 'telematics' },
      onHit,
    ),
    offers: counted(
      createRedisOffers(redis),
      { reserve: 'offer', release: 'offer', save: 'offer', remove: 'offer' },
      onHit,
    ),
    tracking: counted(createRedisSosTracking(redis), { start: 'sos_tracking', end: 'sos_tracking' }, onHit),
    marks: counted(createRedisFenceMarks(redis), { of: 'geofence', enter: 'geofence', leave: 'geofence' }, onHit),
    supply: counted(createRedisSupply(redis), { available: 'supply' }, onHit),
    surgeBoards: counted(createRedisSurgeBoards(redis), { read: 'surge', save: 'surge' }, onHit),
  };
}
