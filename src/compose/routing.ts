/** The routing engine that the settings name, behind its breaker and in front of it what is remembered of its answers. */
import { createOsrmEngine } from '../adapters/osrm/engine.ts';
import { createRedisRouteLegs } from '../adapters/redis/route-legs.ts';
import type { ScriptedRedis } from '../adapters/redis/scripts.ts';
import { cachedEngine } from '../adapters/routing/cached.ts';
import { guardedEngine } from '../adapters/routing/guarded.ts';
import { createValhallaEngine } from '../adapters/valhalla/engine.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../ports/logger.ts';
import type { RoutingEngine, RoutingMeter } from '../ports/routing.ts';

/** Null without ROUTING_ENGINE. What is remembered comes first, so that it serves also while the breaker is open. */
export function composeRouting(
  config: Config,
  redis: ScriptedRedis,
  meter: RoutingMeter,
  log: Logger,
): RoutingEngine | null {
  const engine = bareEngine(config, meter);
  if (!engine) return null;
  const guarded = guardedEngine(engine, {
    threshold: config.routingBreakerThreshold,
    resetMs: config.routingBreakerReset,
    meter,
  });
  return cachedEngine(guarded, {
    shared: createRedisRouteLegs(redis, config.routingCacheTtl),
    size: config.routingCacheSize,
    ttlMs: config.routingCacheTtl,
    resolution: config.routingCacheResolution,
    meter,
    log,
  });
}

function bareEngine(config: Config, meter: RoutingMeter): RoutingEngine | null {
  if (config.routingEngine === 'none') return null;
  const { routingProfile: profile } = config;
  const options = {
    // The settings are refused without it.
    url: config.routingUrl!,
    timeoutMs: config.routingTimeout,
    maxInFlight: config.routingMaxInFlight,
    batch: config.routingBatch,
    maxSnapM: config.routingMaxSnapM,
    meter,
  };
  return config.routingEngine === 'osrm'
    ? createOsrmEngine({ ...options, profile: profile ?? 'driving' })
    : createValhallaEngine({ ...options, costing: profile ?? 'auto' });
}
