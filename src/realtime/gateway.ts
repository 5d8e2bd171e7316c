/**
 * What every stream transport does with a signed-in connection: open the session, welcome it, follow the user's own topic, and
 * say go-away when the server drains. A transport only moves bytes; what comes goes to the Connection.
 */

import { isOperator, type Principal } from '../domain/roles.ts';
import { traceOf } from '../domain/trace-context.ts';
import { asRideError, type RideError } from '../errors.ts';
import type { TopicPosition as Position } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Broker } from './broker.ts';
import { Connection } from './connection.ts';
import type { Outgoing } from './frame.ts';
import type { Inbound } from './inbound.ts';
import type { Services, SubscribeResult } from './messages/definition.ts';
import type { Recovery, Redeemed } from './recovery.ts';
import type { SavedTopics, Session } from './session.ts';
import type { SignedIn } from './sign-in.ts';
import { authorizeTopic, ownTopic, type TopicServices } from './topics.ts';
import type { Transport } from './transport.ts';

export interface GatewayOptions {
  broker: Broker;
  inbound: Inbound;
  recovery: Recovery;
  services: Pick<Services, 'drivers' | 'trips' | 'bookings'> & TopicServices;
  clock: Clock;
  newSessionId(): string;
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  maxPayloadBytes: number;
  log: Logger;
}

/** What a client may say at the beginning of the trace that its messages belong to, as it says it. */
export interface TraceHeaders {
  traceparent?: unknown;
  tracestate?: unknown;
}

/** The sending end of a session whose peer only listens. */
export interface Listener {
  readonly session: Session;
  /** The connection ended by itself. */
  gone(): void;
}

export interface Gateway {
  /** @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_DRAINING */
  accept(signedIn: SignedIn, namespace: string, transport: Transport, headers?: TraceHeaders): Connection;
  /**
   * A session of a peer that can only listen, to one topic, which it may follow: what it missed since its position, then
   * `subscribed`, then what is live. It has no welcome.
   * @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_DRAINING
   */
  follow(principal: Principal, namespace: string, transport: Transport, topic: string, since?: Position): Listener;
  /** What a connection is told that was let in and may not stay after all. */
  refusal(error: RideError): Outgoing;
  /** Tells every session to reconnect within `jitterMs`, each at its own moment, and ends those that stayed. */
  drain(jitterMs: number): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { broker, inbound, recovery, services, clock, log } = options;

  async function activeTripIds({ role, userId }: Principal): Promise<string[]> {
    if (isOperator(role)) return [];
    if (role === 'rider') {
      const [rides, departures] = await Promise.all([
        services.trips.openOf(userId),
        services.bookings.underWayOf(userId),
      ]);
      return [...rides.map((trip) => trip.id), ...departures];
    }
    const driver = await services.drivers.get(userId);
    return driver?.activeTripId ? [driver.activeTripId] : [];
  }

  function sayGoAway(session: Session, reconnectAfterMs: number): void {
    inbound.reply(session, '', { case: 'goAway', value: { reason: 'draining', reconnectAfterMs } });
  }

  async function welcome(session: Session, saved: Redeemed | null): Promise<void> {
    const { principal } = session;
    const { [ownTopic(principal)]: inbox, ...topics } = saved?.session.topics ?? {};
    /** It never learnt of its new token: the one that it came with is as good as it was. */
    const unlearnt = (): void => {
      recovery.forget(session);
      recovery.giveBack(saved);
    };
    try {
      const [tripIds] = await Promise.all([activeTripIds(principal), recovery.begin(session, topics)]);
      if (session.closed) {
        unlearnt();
        return;
      }
      inbound.reply(session, '', {
        case: 'welcome',
        value: {
          sessionId: session.id,
          userId: principal.userId,
          role: principal.role,
          serverTimeMs: clock.now(),
          heartbeatIntervalMs: options.heartbeatIntervalMs,
          heartbeatTimeoutMs: options.heartbeatTimeoutMs,
          maxPayloadBytes: options.maxPayloadBytes,
          activeTripIds: tripIds,
          reconnectToken: session.reconnectToken,
          restoredTopics: Object.keys(topics),
        },
      });
      session.isWelcome = true;
      if (session.sentAwayMs !== null) sayGoAway(session, session.sentAwayMs);
      await restore(session, topics, inbox);
    } catch (thrown) {
      const error = asRideError(thrown);
      if (!session.isWelcome) unlearnt();
      if (session.closed) {
        // Its end took along what it was about to follow: nothing has gone wrong.
        log.debug({ err: error, session_id: session.id }, 'session ended while it was set up');
        return;
      }
      log.warn({ err: error, session_id: session.id }, 'session could not be set up');
      inbound.refuse(session, error, '');
      session.flush();
      session.close(error.code, error.message);
    }
  }

  /**
   * The user's own topic goes on where this client was, or, for one that comes without a place, after what was delivered to him;
   * each saved topic where the client was, if it may still be followed.
   */
  async function restore(session: Session, topics: SavedTopics, inbox: Position | undefined): Promise<void> {
    const announce = (value: SubscribeResult): void => inbound.reply(session, '', { case: 'subscribed', value });
    const follow = async ([topic, place]: [string, Position]): Promise<void> => {
      try {
        const hearing = await authorizeTopic(session.principal, topic, services);
        await broker.subscribe(session, topic, place, announce, hearing);
      } catch (thrown) {
        const error = asRideError(thrown);
        if (error.spec.retryable) throw error;
        inbound.refuse(session, error, '');
      }
    };
    const inboxFrom = inbox ?? (await recovery.inboxOf(session.principal.userId));
    if (session.closed) return;
    await Promise.all([broker.followInbox(session, inboxFrom, announce), ...Object.entries(topics).map(follow)]);
    recovery.restored(session);
  }

  async function followOne(session: Session, topic: string, since?: Position): Promise<void> {
    const announce = (value: SubscribeResult): void => inbound.reply(session, '', { case: 'subscribed', value });
    try {
      const hearing = await authorizeTopic(session.principal, topic, services);
      await broker.subscribe(session, topic, since, announce, hearing);
    } catch (thrown) {
      const error = asRideError(thrown);
      if (session.closed) {
        log.debug({ err: error, session_id: session.id, topic }, 'session ended before it followed its topic');
        return;
      }
      log.warn({ err: error, session_id: session.id, topic }, 'topic could not be followed');
      session.close(error.code, error.message);
    }
  }

  return {
    follow(principal, namespace, transport, topic, since) {
      const session = broker.open(options.newSessionId(), principal, namespace, transport);
      session.isWelcome = true;
      session.listensTo = topic;
      void followOne(session, topic, since);
      return { session, gone: () => broker.lost(session) };
    },

    accept({ principal, saved }, namespace, transport, headers) {
      let session: Session;
      try {
        session = broker.open(options.newSessionId(), principal, namespace, transport);
      } catch (error) {
        recovery.giveBack(saved);
        throw error;
      }
      if (headers?.traceparent) session.traceContext = traceOf(headers.traceparent, headers.tracestate);
      return new Connection(session, options, welcome(session, saved));
    },

    refusal: (error) => inbound.refusal(error),

    async drain(jitterMs) {
      broker.refuseNew();
      const leaving = [...broker.sessions()].map((session, index, all) => ({
        session,
        // Spread evenly: the other nodes get them one by one.
        delayMs: Math.round((jitterMs * (index + 1)) / all.length),
      }));
      for (const { session, delayMs } of leaving) {
        session.sentAwayMs = delayMs;
        if (session.isWelcome) sayGoAway(session, delayMs);
      }
      broker.flush();
      const startedAt = performance.now();
      for (const { session, delayMs } of leaving) {
        const wait = startedAt + delayMs - performance.now();
        if (wait > 5 && !session.closed) await new Promise((resolve) => setTimeout(resolve, wait));
        session.flush();
        session.close('RIDE_DRAINING', 'the server is draining; connect again');
      }
    },
  };
}
