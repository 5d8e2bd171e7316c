/** What Fastify serves: plugins, then scopes with their routes, registered explicitly and in order. */
import type { FastifyInstance } from 'fastify';
import { takesWrites } from '../adapters/redis/connection.ts';
import type { DomainServices } from '../domain/services.ts';
import { authPlugin } from '../plugins/auth.ts';
import { corsPlugin } from '../plugins/cors.ts';
import { errorsPlugin } from '../plugins/errors.ts';
import { errorsPagePlugin } from '../plugins/errors-page.ts';
import { inputPlugin } from '../plugins/input.ts';
import mapPagePlugin from '../plugins/map-page.ts';
import { restMetricsPlugin } from '../plugins/metrics.ts';
import { openapiPlugin } from '../plugins/openapi.ts';
import { payByAddress, RATE_WINDOW_MS, type RateLimitOptions, rateLimitPlugin } from '../plugins/rate-limit.ts';
import { redisPlugin } from '../plugins/redis.ts';
import { requestsPlugin } from '../plugins/requests.ts';
import { storePlugin } from '../plugins/store.ts';
import { tracingPlugin } from '../plugins/tracing.ts';
import type { Logger } from '../ports/logger.ts';
import { Limiter } from '../realtime/limiter.ts';
import { createMembers } from '../realtime/members.ts';
import { createSignIn, type SignIn } from '../realtime/sign-in.ts';
import { adminRoutes } from '../routes/admin.ts';
import { adminDispatchRoutes } from '../routes/admin-dispatch.ts';
import { adminDriverRoutes } from '../routes/admin-drivers.ts';
import { anomalyRoutes } from '../routes/anomalies.ts';
import { authRoutes } from '../routes/auth.ts';
import { bookingRoutes } from '../routes/bookings.ts';
import { chatRoutes } from '../routes/chat.ts';
import { checkInDeskRoutes, checkInRoutes } from '../routes/check-ins.ts';
import type { TopicPosition } from '../routes/cursor.ts';
import { deliveryRoutes } from '../routes/deliveries.ts';
import { departureRoutes } from '../routes/departures.ts';
import { driverRoutes } from '../routes/drivers.ts';
import { eventStreamRoutes } from '../routes/event-streams.ts';
import { geofenceRoutes } from '../routes/geofences.ts';
import { takesIdempotencyKeys } from '../routes/idempotency.ts';
import { paymentDeskRoutes } from '../routes/payments.ts';
import { placeRoutes } from '../routes/places.ts';
import { pricingRoutes } from '../routes/pricing.ts';
import { type ProbeOptions, probeRoutes } from '../routes/probes.ts';
import { ratingRoutes } from '../routes/ratings.ts';
import { sosDeskRoutes } from '../routes/sos.ts';
import { topicRoutes } from '../routes/topics.ts';
import { trackRoutes } from '../routes/tracks.ts';
import { createTripLimit, type TripLimit } from '../routes/trip-limit.ts';
import { tripRoutes } from '../routes/trips.ts';
import { userRoutes } from '../routes/users.ts';
import { webSocketRoutes } from '../websocket/gateway.ts';
import { openEventStream } from '../websocket/sse.ts';
import { webSocketPlugin } from '../websocket/upgrades.ts';
import type { NodeConfig, Outside } from './outside.ts';
import type { Realtime } from './realtime.ts';

export interface HttpParts {
  config: NodeConfig;
  outside: Outside;
  services: DomainServices;
  realtime: Realtime;
  /** Turned by the life cycle; probes and refusals read it. */
  state: ProbeOptions['state'];
  log: Logger;
}

/** @returns the sign-in of streams, which gRPC shares. */
export async function registerHttp(app: FastifyInstance, parts: HttpParts): Promise<{ signIn: SignIn }> {
  const { config, outside, realtime, state, log } = parts;
  const { store, redis, bus, registry, meter } = outside;
  const limits = requestLimits(parts);
  await app.register(errorsPlugin, { payUnfound: payByAddress(limits) });
  if (config.corsOrigins) await app.register(corsPlugin, { origins: config.corsOrigins });
  await app.register(webSocketPlugin, { ...config, door: realtime.door });
  await app.register(requestsPlugin, { state });
  await app.register(inputPlugin);
  await app.register(tracingPlugin, { tracing: outside.tracing });
  await app.register(storePlugin, { store });
  await app.register(redisPlugin, { commands: redis, bus });
  await app.register(restMetricsPlugin, { registry });
  await app.register(openapiPlugin);
  await app.register(errorsPagePlugin);
  await app.register(authPlugin, { secret: config.jwtSecret, city: config.city, meter });
  await app.register(probeRoutes, { state, checks: { store: () => store.ping(), redis: () => takesWrites(redis) } });
  await app.register(mapPagePlugin, {
    city: config.city,
    region: config.region,
    development: config.mode === 'development',
    basemapFile: config.mapBasemap,
    timeZone: config.mapTimeZone,
    freshnessMs: config.locationFreshness,
    clockSpeed: config.clockSpeed,
  });
  const signIn = createSignIn({ verifyToken: app.verifyToken, recovery: realtime.recovery, meter, log });
  await app.register(webSocketRoutes, { ...realtime, signIn });
  await app.register((api) => apiScope(api, parts, limits), { prefix: '/api/v1' });
  await app.register((admin) => adminScope(admin, parts, limits), { prefix: '/admin' });
  return { signIn };
}

/** One budget for all scopes: a caller is counted over all routes. */
function requestLimits({ config, outside }: HttpParts): RateLimitOptions {
  const tiers = {
    default: config.rateLimitDefault,
    authenticated: config.rateLimitAuthenticated,
    premium: config.rateLimitPremium,
  };
  return { tiers, budget: new Limiter({ buckets: outside.buckets, limits: tiers, windowMs: RATE_WINDOW_MS }) };
}

/** A trip that finds no driver waits for TRIP_REQUEST_TTL: so a rider never has many more than the limit that wait at once. */
function tripLimitOf({ config, outside: { buckets, clock } }: HttpParts): TripLimit {
  const limit = config.tripRequestLimit;
  const windowMs = clock.toWallMs(config.tripRequestTtl);
  return createTripLimit({ limit, windowMs, limiter: new Limiter({ buckets, limits: { trip: limit }, windowMs }) });
}

async function apiScope(api: FastifyInstance, parts: HttpParts, limits: RateLimitOptions): Promise<void> {
  const { config, outside, services, realtime } = parts;
  const { bus, ids, clock } = outside;
  const { door, gateway } = realtime;
  const tripLimit = tripLimitOf(parts);
  await api.register(rateLimitPlugin, limits);
  if (config.mode === 'development') {
    await api.register(authRoutes, { ids, city: config.city, ttlMs: config.socketTokenTtl });
  }
  await api.register(eventStreamRoutes, {
    ...services,
    verifyToken: api.verifyToken,
    knock: (address) => door.knock(address),
    enter: (userId) => door.enter(userId),
    open: (...request) => openEventStream(gateway, ...request),
  });
  await api.register(async (signedIn) => {
    signedIn.addHook('onRequest', api.identify);
    signedIn.addHook('preParsing', api.authenticate);
    takesIdempotencyKeys(signedIn, services.calls);
    const position: TopicPosition = (topic) => bus.position(topic);
    await signedIn.register(tripRoutes, { ...services, tripLimit, position });
    await signedIn.register(pricingRoutes, services);
    await signedIn.register(deliveryRoutes, { ...services, tripLimit });
    await signedIn.register(departureRoutes, services);
    await signedIn.register(bookingRoutes, services);
    await signedIn.register(chatRoutes, { ...services, position });
    await signedIn.register(driverRoutes, { ...services, clock, limiter: realtime.limiter });
    await signedIn.register(userRoutes, services);
    await signedIn.register(ratingRoutes, services);
    await signedIn.register(trackRoutes, services);
    await signedIn.register(checkInRoutes, services);
    await signedIn.register(placeRoutes, { ...services, zoneResolution: config.zoneResolution });
  });
}

async function adminScope(admin: FastifyInstance, parts: HttpParts, limits: RateLimitOptions): Promise<void> {
  const { outside, services, realtime } = parts;
  const { nodeId, directory, positions, queues, clock } = outside;
  const { trips } = services.collections;
  admin.addHook('onRequest', admin.identify);
  admin.addHook('preParsing', admin.authenticate);
  takesIdempotencyKeys(admin, services.calls);
  await admin.register(rateLimitPlugin, limits);
  await admin.register(adminRoutes, {
    nodeId,
    local: () => realtime.broker.stats(),
    cluster: () => directory.cluster(),
    countTrips: (kind, status) => trips.count({ kind, status }),
    countAvailable: () => positions.countAvailable(),
    queues: () => queues.stats(),
    now: () => clock.now(),
  });
  await admin.register(adminDriverRoutes, { ...services, clock });
  await admin.register(geofenceRoutes, services);
  await admin.register(checkInDeskRoutes, services);
  await admin.register(sosDeskRoutes, services);
  await admin.register(anomalyRoutes, services);
  if (services.payments) await admin.register(paymentDeskRoutes, { payments: services.payments });
  await admin.register(adminDispatchRoutes, { decisions: services.decisions, trips: services.trips });
  await admin.register(topicRoutes, { members: createMembers({ nodeId, directory, calls: realtime.calls }) });
}
