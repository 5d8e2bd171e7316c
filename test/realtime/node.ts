/**
 * The realtime core of one node without its servers: a real broker on a real Redis, and sessions whose transport keeps what a
 * peer would have been sent. For what only shows between sessions, feeds and Redis.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { createRedisBus, type RedisBus } from '../../src/adapters/redis/bus.ts';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { type ScriptedRedis, withScripts } from '../../src/adapters/redis/scripts.ts';
import { createRedisSessionDirectory } from '../../src/adapters/redis/session-directory.ts';
import type { Principal } from '../../src/domain/roles.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { Meter } from '../../src/ports/meter.ts';
import { Broker } from '../../src/realtime/broker.ts';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import type { Frame, Outgoing } from '../../src/realtime/frame.ts';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { createLamport } from '../../src/realtime/lamport.ts';
import type { Session } from '../../src/realtime/session.ts';
import type { Snapshots } from '../../src/realtime/snapshots.ts';
import type { Transport } from '../../src/realtime/transport.ts';
import type { TestScope } from '../servers/process.ts';

/** Life of what the directory has of a session. */
export const ENTRY_TTL_MS = 24 * 3_600_000;

export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Counts what was dropped, by reason, and what became of sessions and topics, as `repair lost`. */
export function countingMeter(): Meter & { drops: Record<string, number>; facts: Record<string, number> } {
  const drops: Record<string, number> = {};
  const facts: Record<string, number> = {};
  return {
    drops,
    facts,
    sessionOpened() {},
    sessionClosed() {},
    messageIn() {},
    messagesOut() {},
    dropped(reason) {
      drops[reason] = (drops[reason] ?? 0) + 1;
    },
    locationsKept() {},
    fanOut() {},
    handled() {},
    authenticationFailed() {},
    redisHit() {},
    stream(fact, label, count = 1) {
      const name = `${fact} ${label}`;
      facts[name] = (facts[name] ?? 0) + count;
    },
    watched() {},
  };
}

/** A peer that takes what it is sent until it is told to stop. */
export class Peer implements Transport {
  readonly frames: Frame[] = [];
  stuck = false;
  paused = false;
  closed: ErrorCode | null = null;
  #drain: (() => void) | null = null;

  write(outgoing: Outgoing): void {
    this.frames.push(...outgoing.frames);
  }
  cork(): void {}
  uncork(): void {}
  blocked(): boolean {
    return this.stuck;
  }
  onDrain(listener: () => void): void {
    this.#drain = listener;
  }
  /** Takes again. */
  drain(): void {
    this.stuck = false;
    const listener = this.#drain;
    this.#drain = null;
    listener?.();
  }
  pauseReading(): void {
    this.paused = true;
  }
  resumeReading(): void {
    this.paused = false;
  }
  close(code: ErrorCode): void {
    this.closed = code;
  }
}

export interface Node {
  broker: Broker;
  bus: RedisBus;
  redis: ScriptedRedis;
  meter: ReturnType<typeof countingMeter>;
  connect(userId?: string, sessionId?: string): { session: Session; peer: Peer };
  /** Publishes to the topic's history and, unless `lost`, to its listeners; resolves the outcome. */
  publish(topic: string, eventId: string, lost?: boolean): Promise<string>;
  /** Breaks every connection to this Redis that listens; the node's comes back by itself. */
  cutListener(): Promise<void>;
  /** How many connections listen to the topic. */
  listeners(topic: string): Promise<number>;
}

export interface NodeOptions {
  historyLength?: number;
  maxSessions?: number;
  limits?: { outboundMessages: number; outboundBytes: number };
  snapshots?: Snapshots;
}

export const principal = (userId: string): Principal => ({
  userId,
  role: 'rider',
  city: 'testville',
  vehicleClass: 'standard',
  expiresAt: Number.MAX_SAFE_INTEGER,
  premium: false,
  tokenHash: `hash-of-${userId}`,
});

/** A small ordered message of the wire. */
export const note = (topic: string, eventId: string): Buffer =>
  encodeEnvelope(
    { lamport: 1, nodeId: 'n', sequence: 1, eventId, topic, sentAtMs: 0 },
    { case: 'notification', value: { id: eventId } },
  );

export const eventIdOf = (frame: Frame): string => fromBinary(ServerEnvelopeSchema, frame.binary).eventId;

export async function realtimeNode(t: TestScope, redisUrl: string, options: NodeOptions = {}): Promise<Node> {
  const redis = withScripts(connectRedis({ url: redisUrl }, () => {}));
  const historyLength = options.historyLength ?? 256;
  const bus = createRedisBus(redis, { url: redisUrl, historyLength, historyTtlMs: 60_000, onError() {}, log: quiet });
  t.after(() => {
    bus.close();
    redis.disconnect();
  });
  const meter = countingMeter();
  const broker = new Broker({
    nodeId: 'n',
    shardCount: 4,
    maxSessions: options.maxSessions ?? 1000,
    maxSessionsPerUser: 100,
    maxSubscriptions: 100,
    heartbeatTimeoutMs: 60_000,
    flushBudgetMs: 10,
    limits: options.limits ?? { outboundMessages: 4096, outboundBytes: 1 << 24 },
    bus,
    directory: createRedisSessionDirectory(redis, { leaseMs: 60_000, entryTtlMs: ENTRY_TTL_MS, log: quiet }),
    lamport: createLamport(),
    ...(options.snapshots ? { snapshots: options.snapshots } : {}),
    meter,
    log: quiet,
  });
  await redis.ping();
  let sessions = 0;

  return {
    broker,
    bus,
    redis,
    meter,
    connect(userId = 'u', sessionId = `ses-${++sessions}`) {
      const peer = new Peer();
      return { peer, session: broker.open(sessionId, principal(userId), 'ws', peer) };
    },
    async publish(topic, eventId, lost = false) {
      if (!lost) return bus.publishOrdered(topic, note(topic, eventId));
      // Asked for its place, the bus sends what was published before.
      void bus.position(topic);
      const keys = [`memory:{${topic}}`, `history:{${topic}}`] as const;
      const epoch = Math.random().toString(36).slice(2, 10);
      // On a channel that nobody listens to: what a connection that broke under way would have swallowed.
      const payload = note(topic, eventId);
      return redis.ridePublishOrdered(
        ...keys,
        'nowhere',
        payload,
        '',
        0,
        '0',
        epoch,
        historyLength,
        60_000,
        'PUBLISH',
        60_000,
        0,
      );
    },
    async cutListener() {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    async listeners(topic) {
      return Number((await redis.pubsub('NUMSUB', topic))[1]);
    },
  };
}
