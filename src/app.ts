/**
 * The whole server on one page: the live store, the domain over its ports, the realtime core, and every plugin, scope and
 * transport, registered explicitly and in order. Read it top to bottom.
 */
import { randomBytes } from 'node:crypto';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyInstance } from 'fastify';
import { latLngToCell } from 'h3-js';
import { createQueues } from './adapters/bullmq/queues.ts';
import { createRedisBus } from './adapters/redis/bus.ts';
import { connectRedis } from './adapters/redis/connection.ts';
import { counted } from './adapters/redis/counted.ts';
import { createRedisInboxes } from './adapters/redis/inboxes.ts';
import { createRedisOffers } from './adapters/redis/offers.ts';
import { createRedisPositions } from './adapters/redis/positions.ts';
import { createRedisPresences } from './adapters/redis/presences.ts';
import { createRedisReconnects } from './adapters/redis/reconnects.ts';
import { withScripts } from './adapters/redis/scripts.ts';
import { createRedisSessionDirectory } from './adapters/redis/session-directory.ts';
import { createRedisSosTracking } from './adapters/redis/sos-tracking.ts';
import { createRedisTokenBuckets } from './adapters/redis/token-buckets.ts';
import { createClock } from './adapters/system/clock.ts';
import { openFilesLimit, sessionLimit } from './adapters/system/open-files.ts';
import { createRandom } from './adapters/system/random.ts';
import type { Config } from './config.ts';
import { createIds } from './domain/ids.ts';
import { createServices } from './domain/services.ts';
import { isFinal } from './errors.ts';
import { startGrpcServer } from './grpc/server.ts';
import { offerExpiryJob } from './jobs/offer-expiry.ts';
import { sweepJob } from './jobs/sweep.ts';
import { tripMatchJob } from './jobs/trip-match.ts';
import { tripTimeoutJob } from './jobs/trip-timeout.ts';
import { authPlugin } from './plugins/auth.ts';
import { errorsPlugin } from './plugins/errors.ts';
import { inputPlugin } from './plugins/input.ts';
import mapPagePlugin from './plugins/map-page.ts';
import { createMetrics, listenMetrics, type MetricsSnapshot, restMetricsPlugin } from './plugins/metrics.ts';
import { openapiPlugin } from './plugins/openapi.ts';
import { rateLimitPlugin } from './plugins/rate-limit.ts';
import { redisPlugin } from './plugins/redis.ts';
import { requestsPlugin } from './plugins/requests.ts';
import { createStore, storePlugin } from './plugins/store.ts';
import type { Logger } from './ports/logger.ts';
import { Broker } from './realtime/broker.ts';
import { Door } from './realtime/door.ts';
import { createGateway } from './realtime/gateway.ts';
import { createInbound } from './realtime/inbound.ts';
import { createLamport } from './realtime/lamport.ts';
import { Limiter } from './realtime/limiter.ts';
import { createMembers, localMembers, type MembersAsked } from './realtime/members.ts';
import { NodeCalls } from './realtime/node-calls.ts';
import { PresenceTracker } from './realtime/presence.ts';
import { createPublisher } from './realtime/publisher.ts';
import { Recovery } from './realtime/recovery.ts';
import { createSignIn } from './realtime/sign-in.ts';
import { createPresenceEncoder, createSnapshots } from './realtime/snapshots.ts';
import { createTripTap } from './realtime/trip-tap.ts';
import { adminRoutes } from './routes/admin.ts';
import { authRoutes } from './routes/auth.ts';
import { driverRoutes } from './routes/drivers.ts';
import { probeRoutes } from './routes/probes.ts';
import { topicRoutes } from './routes/topics.ts';
import { tripStreamRoutes } from './routes/trip-stream.ts';
import { tripRoutes } from './routes/trips.ts';
import { userRoutes } from './routes/users.ts';
import { domainSettings, loggerOptions, serverOptions } from './settings.ts';
import { webSocketPlugin, webSocketRoutes } from './websocket/gateway.ts';
import { openEventStream } from './websocket/sse.ts';

export interface Listening {
  /** `host:port` of each listener. */
  http: string;
  grpc: string;
  /** Empty in a worker. */
  metrics: string;
}

export interface RideServer {
  app: FastifyInstance;
  /** What this process has counted. */
  metrics(): Promise<MetricsSnapshot>;
  /** Opens everything and listens. */
  listen(): Promise<Listening>;
  /** Graceful stop within DRAIN_DEADLINE: refuse, go-away, flush, close. */
  close(): Promise<void>;
}

export interface AppOptions {
  config: Config & { redisUrl: string; nodeId: string };
  /** One of several processes that share the ports of this machine; the supervisor serves the metrics of all. */
  isWorker?: boolean;
}

export async function buildApp({ config, isWorker = false }: AppOptions): Promise<RideServer> {
  const app = Fastify({
    ...serverOptions(config),
    logger: loggerOptions(config),
  }).withTypeProvider<TypeBoxTypeProvider>();
  const log: Logger = app.log;
  const { nodeId } = config;

  // The outside world: clock, chance, metrics, Redis, queues, store.
  const anchor = config.clockAnchor ?? Date.now();
  const clock = createClock({ speed: config.clockSpeed, anchor, start: config.clockStart ?? anchor });
  const ids = createIds(config.region, clock, createRandom());
  const { registry, meter, gauge } = createMetrics();
  const onRedisError = (error: Error): void => log.warn({ err: error }, 'redis connection');
  const redis = withScripts(connectRedis({ url: config.redisUrl }, onRedisError));
  const queues = createQueues({
    redisUrl: config.redisUrl,
    redis,
    clock,
    log,
    concurrency: { critical: 50, high: 50, normal: 20 },
  });
  // A user's place outlasts what waits for him by far: so what is missing can be told when he comes back late.
  const inboxMemoryTtlMs = config.inboxTtl * 7;
  const bus = counted(
    createRedisBus(redis, {
      url: config.redisUrl,
      onError: onRedisError,
      historyLength: config.historyLength,
      historyTtlMs: config.historyTtl,
      inbox: { length: config.inboxLength, ttlMs: config.inboxTtl, memoryTtlMs: inboxMemoryTtlMs },
      log,
    }),
    { publish: 'publish', publishOrdered: 'publish', subscribe: 'subscribe', history: 'history', position: 'history' },
    meter.redisHit,
  );
  const positions = counted(
    createRedisPositions(redis, { ttlMs: config.locationTtl, flushMs: config.locationFlush, log }),
    {
      record: 'location_write',
      ofDriver: 'location_read',
      ofTrip: 'location_read',
      nearby: 'nearby',
      setAvailable: 'availability',
      setUnavailable: 'availability',
    },
    meter.redisHit,
  );
  const directory = counted(
    createRedisSessionDirectory(redis, config.heartbeatTimeout, log),
    { opened: 'session', closed: 'session', renew: 'session', cluster: 'session' },
    meter.redisHit,
  );
  const offers = counted(
    createRedisOffers(redis),
    { reserve: 'offer', release: 'offer', save: 'offer', remove: 'offer' },
    meter.redisHit,
  );
  const lamport = createLamport();
  const presences = createRedisPresences(redis, {
    nodeId,
    leaseMs: config.heartbeatTimeout,
    encode: createPresenceEncoder({ lamport, nodeId }),
  });
  const store = await createStore(config);

  // The domain over its ports.
  const publisher = createPublisher({ bus, lamport, nodeId });
  const zoneOf = (lat: number, lng: number): string => latLngToCell(lat, lng, config.zoneResolution);
  const services = createServices(
    {
      store,
      positions,
      presences,
      offers,
      tracking: createRedisSosTracking(redis),
      scheduler: queues,
      publisher,
      clock,
      ids,
      log,
      zoneOf,
      onLocationsKept: meter.locationsKept,
    },
    domainSettings(config),
  );
  const { dispatch, collections } = services;

  // The realtime core.
  const recovery = new Recovery({
    reconnects: counted(
      createRedisReconnects(redis, log),
      { create: 'reconnect', update: 'reconnect', redeem: 'reconnect', forget: 'reconnect' },
      meter.redisHit,
    ),
    inboxes: counted(
      createRedisInboxes(redis, inboxMemoryTtlMs, log),
      { position: 'inbox', advance: 'inbox' },
      meter.redisHit,
    ),
    newToken: () => randomBytes(18).toString('base64url'),
    tokenTtlMs: config.reconnectTokenTtl,
    intervalMs: config.heartbeatInterval,
    log,
  });
  const limiter = new Limiter({
    buckets: createRedisTokenBuckets(redis),
    limits: {
      general: config.socketLimitGeneral,
      location: config.socketLimitLocation,
      chat: config.socketLimitChat,
    },
    windowMs: config.socketLimitWindow,
  });
  const openFiles = openFilesLimit();
  const maxSessions = sessionLimit(config.maxSessions, openFiles);
  log.info({ max_sessions: maxSessions, setting: config.maxSessions, open_files: openFiles }, 'room for sessions');
  const calls = new NodeCalls({
    bus,
    nodeId,
    answers: { members: (asked) => localMembers(broker, nodeId, asked as MembersAsked) },
    log,
  });
  const presence: PresenceTracker = new PresenceTracker({
    presences,
    isHere: (userId) => broker.hasUser(userId),
    users: () => broker.users(),
    graceMs: config.presenceGrace,
    log,
  });
  const broker: Broker = new Broker({
    nodeId,
    shardCount: config.shardCount,
    maxSessions,
    maxSessionsPerUser: config.maxSessionsPerUser,
    maxSubscriptions: config.maxSubscriptions,
    heartbeatTimeoutMs: config.heartbeatTimeout,
    flushBudgetMs: config.flushBudget,
    limits: { outboundMessages: config.outboundBuffer, outboundBytes: config.outboundBufferBytes },
    bus: calls.apart(),
    directory,
    lamport,
    meter,
    log,
    onEnded: (session, code) => {
      if (code !== null && isFinal(code)) recovery.forget(session);
    },
    onSubscriptions: (session) => recovery.changed(session),
    newest: createSnapshots({ ...services, lamport, nodeId }),
    onUserHere: (userId) => presence.arrived(userId),
    onFrame: createTripTap({ locations: services.locations, broker: () => broker }),
    onUserGone(userId) {
      services.locations.forget(userId);
      limiter.release(userId);
      presence.gone(userId);
    },
  });
  const door = new Door({ broker, ratePerS: config.connectionRate, burst: config.connectionBurst });
  const inbound = createInbound({ broker, services, recovery, lamport, limiter, clock, nodeId, meter, log });
  const gateway = createGateway({
    broker,
    inbound,
    recovery,
    services,
    clock,
    newSessionId: () => ids.next('ses'),
    heartbeatIntervalMs: config.heartbeatInterval,
    heartbeatTimeoutMs: config.heartbeatTimeout,
    maxPayloadBytes: config.maxPayloadBytes,
    log,
  });

  // Background work.
  const jobs = [tripMatchJob(dispatch), offerExpiryJob(dispatch), tripTimeoutJob(dispatch)];
  const recurring = [
    sweepJob({
      relays: services.relays,
      dispatch,
      trips: collections.trips,
      idempotency: collections.idempotency,
      clock,
      everyMs: config.sweepInterval,
      ageMs: config.sweepAge,
      matchRetryMs: config.matchRetry,
      tripMaxDurationMs: config.tripMaxDuration,
      idempotencyTtlMs: config.idempotencyTtl,
      log,
    }),
  ];

  // Fastify: plugins, then scopes.
  const state = { started: false, draining: false };
  await app.register(errorsPlugin);
  await app.register(requestsPlugin, { state });
  await app.register(inputPlugin);
  await app.register(webSocketPlugin, config);
  await app.register(storePlugin, { store });
  await app.register(redisPlugin, { commands: redis, bus });
  await app.register(restMetricsPlugin, { registry });
  await app.register(openapiPlugin);
  await app.register(authPlugin, { secret: config.jwtSecret, city: config.city, meter });
  await app.register(probeRoutes, { state, checks: { store: () => store.ping(), redis: () => redis.ping() } });
  await app.register(mapPagePlugin, {
    city: config.city,
    region: config.region,
    development: config.mode === 'development',
    basemapFile: config.mapBasemap,
    timeZone: config.mapTimeZone,
    freshnessMs: config.locationFreshness,
    clockSpeed: config.clockSpeed,
  });
  const signIn = createSignIn({ verifyToken: app.verifyToken, recovery, meter, log });
  await app.register(webSocketRoutes, { gateway, door, signIn });

  const tiers = {
    default: config.rateLimitDefault,
    authenticated: config.rateLimitAuthenticated,
    premium: config.rateLimitPremium,
  };
  await app.register(
    async (api) => {
      await api.register(rateLimitPlugin, { redis, tiers });
      if (config.mode === 'development') {
        await api.register(authRoutes, { ids, city: config.city, ttlMs: config.socketTokenTtl });
      }
      await api.register(tripStreamRoutes, {
        trips: services.trips,
        verifyToken: app.verifyToken,
        knock: (address) => door.knock(address),
        enter: (userId) => door.enter(userId),
        open: (...request) => openEventStream(gateway, ...request),
      });
      await api.register(async (signedIn) => {
        signedIn.addHook('onRequest', app.identify);
        signedIn.addHook('preParsing', app.authenticate);
        await signedIn.register(tripRoutes, services);
        await signedIn.register(driverRoutes, { ...services, clock });
        await signedIn.register(userRoutes, services);
      });
    },
    { prefix: '/api/v1' },
  );
  await app.register(
    async (admin) => {
      admin.addHook('onRequest', app.identify);
      admin.addHook('preParsing', app.authenticate);
      await admin.register(rateLimitPlugin, { redis, tiers });
      await admin.register(adminRoutes, {
        nodeId,
        local: () => broker.stats(),
        cluster: () => directory.cluster(),
        countTrips: (status) => collections.trips.count({ status }),
        countAvailable: () => positions.countAvailable(),
        queues: () => queues.stats(),
        now: () => clock.now(),
      });
      await admin.register(topicRoutes, { members: createMembers({ nodeId, directory, calls }) });
    },
    { prefix: '/admin' },
  );

  gauge('ride_stream_queue_depth', 'Outbound messages that wait in session buffers', () => broker.queueDepth());

  const timers: NodeJS.Timeout[] = [];
  /** The only timers of the realtime core: silent sessions, lost messages, zone broadcasts, the node's leases. */
  function startTimers(): void {
    const every = (ms: number, run: () => void): void => void timers.push(setInterval(run, ms));
    // After a pause of the event loop the timers run before the sockets are read: whoever spoke meanwhile is heard first.
    every(Math.min(1000, config.heartbeatTimeout / 4), () => setImmediate(() => broker.tick(Date.now())));
    const checkMs = Math.min(1000, config.topicCheckInterval);
    every(checkMs, () => broker.check(checkMs / config.topicCheckInterval));
    every(config.zoneBroadcastInterval, () => services.zones.flush());
    const renew = (): void => {
      directory
        .renew(broker.stats())
        .catch((error: unknown) => log.warn({ err: error }, 'lease of this node not renewed'));
    };
    renew();
    every(config.heartbeatTimeout / 3, renew);
    every(config.heartbeatTimeout / 10, () => void presence.tick());
  }

  let grpc: Awaited<ReturnType<typeof startGrpcServer>> | undefined;
  let metricsApp: FastifyInstance | undefined;

  async function stopTraffic(): Promise<void> {
    const jitter = Math.min(config.drainJitter, config.drainDeadline / 2);
    await gateway.drain(broker.size === 0 ? 0 : jitter);
    await app.requests.finish();
    await queues.close();
    await Promise.all(services.relays.map((relay) => relay.idle()));
  }

  return {
    app,
    metrics: () => registry.getMetricsAsJSON(),
    async listen() {
      await app.ready();
      await queues.start(jobs, recurring);
      await Promise.all([calls.listen(), presence.tick()]);
      startTimers();
      // Fastify hands on what Node knows beyond Fastify's own types.
      const address = { ...config.httpListen, reusePort: isWorker };
      const http = await app.listen(address);
      const tls = config.grpcTlsCert && config.grpcTlsKey;
      grpc = await startGrpcServer({
        listen: { ...config.grpcListen, shared: isWorker },
        gateway,
        signIn,
        door,
        maxPayloadBytes: config.maxPayloadBytes,
        ...(tls
          ? {
              tls: { certFile: config.grpcTlsCert!, keyFile: config.grpcTlsKey!, clientCaFile: config.grpcTlsClientCa },
            }
          : {}),
      });
      if (!isWorker) metricsApp = await listenMetrics(registry, config.metricsListen);
      state.started = true;
      return {
        http: new URL(http).host,
        grpc: `${config.grpcListen.host}:${grpc.port}`,
        metrics: metricsApp ? new URL(metricsApp.listeningOrigin).host : '',
      };
    },
    async close() {
      state.draining = true;
      grpc?.drain();
      if (isWorker) {
        // Who connects to the shared port now is to reach another worker, not to be refused by this one.
        app.server.close();
        grpc?.stopListening();
      }
      const deadline = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        log.warn({ sessions: broker.size }, 'the drain deadline has passed; what is left is cut off');
        deadline.resolve();
      }, config.drainDeadline);
      await Promise.race([stopTraffic(), deadline.promise]);
      clearTimeout(timer);
      for (const one of timers) clearInterval(one);
      await grpc?.close();
      await presence.retire().catch((error: unknown) => log.debug({ err: error }, 'presence ends with its lease'));
      await directory.leave(nodeId).catch((error: unknown) => log.debug({ err: error }, 'lease not given back'));
      await app.close();
      await metricsApp?.close();
    },
  };
}
