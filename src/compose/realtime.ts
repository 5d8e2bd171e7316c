/** The realtime core: recovery, limits, presence, the broker, what every transport enters by, and its timers. */
import { randomBytes } from 'node:crypto';
import { openFilesLimit, sessionLimit } from '../adapters/system/open-files.ts';
import type { DomainServices } from '../domain/services.ts';
import { isFinal } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';
import { Broker } from '../realtime/broker.ts';
import { Door } from '../realtime/door.ts';
import { createGateway } from '../realtime/gateway.ts';
import { createInbound } from '../realtime/inbound.ts';
import { Limiter } from '../realtime/limiter.ts';
import { localMembers, type MembersAsked } from '../realtime/members.ts';
import { NodeCalls } from '../realtime/node-calls.ts';
import { NodeLease } from '../realtime/node-lease.ts';
import { PresenceTracker } from '../realtime/presence.ts';
import { Recovery } from '../realtime/recovery.ts';
import { createSnapshots } from '../realtime/snapshots.ts';
import { createTripTap } from '../realtime/trip-tap.ts';
import type { NodeConfig, Outside } from './outside.ts';

export type Realtime = ReturnType<typeof composeRealtime>;

export function composeRealtime(config: NodeConfig, outside: Outside, services: DomainServices, log: Logger) {
  const { nodeId, clock, ids, meter, lamport, bus, directory, presences } = outside;
  const recovery = new Recovery({
    reconnects: outside.reconnects,
    inboxes: outside.inboxes,
    newToken: () => randomBytes(18).toString('base64url'),
    tokenTtlMs: config.reconnectTokenTtl,
    intervalMs: config.heartbeatInterval,
    meter,
    log,
  });
  const limiter = new Limiter({
    buckets: outside.buckets,
    limits: {
      general: config.socketLimitGeneral,
      location: config.socketLimitLocation,
      chat: config.socketLimitChat,
    },
    windowMs: config.socketLimitWindow,
  });
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
    maxSessions: roomForSessions(config, log),
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
    snapshots: createSnapshots({ ...services, lamport, nodeId }),
    onUserHere: (userId) => presence.arrived(userId),
    onFrame: createTripTap({ ...services, broker: () => broker }),
    onUserGone(userId) {
      services.locations.forget(userId);
      limiter.release(userId);
      presence.gone(userId);
    },
  });
  const inbound = createInbound({
    broker,
    services,
    recovery,
    lamport,
    limiter,
    clock,
    nodeId,
    meter,
    tracing: outside.tracing,
    log,
  });
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
  const door = new Door({ broker, meter, ratePerS: config.connectionRate, burst: config.connectionBurst });
  return { recovery, limiter, calls, presence, broker, door, gateway };
}

function roomForSessions(config: NodeConfig, log: Logger): number {
  const openFiles = openFilesLimit();
  const maxSessions = sessionLimit(config.maxSessions, openFiles);
  log.info({ max_sessions: maxSessions, setting: config.maxSessions, open_files: openFiles }, 'room for sessions');
  return maxSessions;
}

/**
 * The only timers of the realtime core: silent sessions, lost messages, zone broadcasts, the node's leases.
 * @returns ends them.
 */
export function startTimers(
  config: NodeConfig,
  { directory }: Outside,
  { zones, watch, tracks, geofences, sos }: DomainServices,
  { broker, presence }: Realtime,
  log: Logger,
): () => void {
  const timers: NodeJS.Timeout[] = [];
  const every = (ms: number, run: () => void): void => void timers.push(setInterval(run, ms));
  const tickMs = Math.min(1000, config.heartbeatTimeout / 4);
  every(tickMs, missSilent(broker, tickMs));
  const checkMs = Math.min(1000, config.topicCheckInterval);
  every(checkMs, () => broker.check(checkMs / config.topicCheckInterval));
  every(config.zoneBroadcastInterval, () => void zones.flush());
  every(config.watchInterval, lookAround(watch));
  every(1000, () => watch.tick());
  every(config.trackFlush, () => void tracks.flush());
  every(config.geofenceRefresh, () => {
    geofences
      .refresh()
      .catch((error: unknown) => log.warn({ err: error }, 'geofences not refreshed; the next time will'));
  });
  every(config.sosRefresh, () => {
    sos.alarmed
      .refresh()
      .catch((error: unknown) => log.warn({ err: error }, 'open alerts not read; the next time will'));
  });
  const leaseMs = config.heartbeatTimeout / 3;
  const lease = new NodeLease({ directory, broker, everyMs: leaseMs, entryTtlMs: config.sessionEntryTtl, log });
  void lease.tick();
  every(leaseMs, () => void lease.tick());
  every(config.heartbeatTimeout / 10, () => void presence.tick());
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}

/** Drops silent sessions, when it is called every `tickMs`. */
function missSilent(broker: Broker, tickMs: number): () => void {
  let dueAt = Date.now() + tickMs;
  return () => {
    const now = Date.now();
    const stoodMs = Math.max(0, now - dueAt);
    dueAt = now + tickMs;
    // After a pause of the event loop the timers run before the sockets are read: whoever spoke meanwhile is heard first.
    setImmediate(() => broker.tick(now, stoodMs));
  };
}

/** Positions that the watch looks at in one turn, so that a burst of them never holds up the sockets. */
const WATCHED_AT_ONCE = 500;

function lookAround(watch: DomainServices['watch']): () => void {
  let isDue = false;
  function look(): void {
    isDue = watch.drain(WATCHED_AT_ONCE);
    if (isDue) setImmediate(look);
  }
  watch.whenMany(() => {
    if (isDue) return;
    isDue = true;
    setImmediate(look);
  });
  return () => {
    if (!isDue) look();
  };
}

/** What the watch has before it, and what it could not take. */
export function watchGauges({ gauge }: Pick<Outside, 'gauge'>, { watch, tracks }: DomainServices): void {
  gauge('ride_watch_waiting', 'Positions that wait to be looked at', () => watch.waiting());
  gauge('ride_watch_rides', 'Rides that this process watches', () => watch.riding());
  gauge('ride_watch_skipped', 'Positions since the start that were not looked at, because too many waited', () =>
    watch.skipped(),
  );
  gauge('ride_tracks_lost_points', 'Points of tracks since the start that could not be kept', () => tracks.lost());
}
