/**
 * What every stream transport does with a signed-in connection: open the session, welcome it, follow the user's own topic,
 * decode and handle what comes, and say go-away when the server drains. A transport only moves bytes.
 */

import { isOperator, type Principal } from '../domain/roles.ts';
import { asRideError, RideError } from '../errors.ts';
import type { TopicPosition as Position } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Broker } from './broker.ts';
import { corrIdOf, decodeBinary, decodeJson } from './envelope.ts';
import type { ClientEnvelope } from './generated/ride/v1/ride_pb.js';
import type { Inbound } from './inbound.ts';
import type { Services, SubscribeResult } from './messages/definition.ts';
import { clientMessages } from './messages/index.ts';
import type { Recovery, Redeemed } from './recovery.ts';
import { MAX_IN_FLIGHT, MAX_URGENT } from './ring.ts';
import type { SavedTopics, Session } from './session.ts';
import type { SignedIn } from './sign-in.ts';
import { authorizeTopic, ownTopic } from './topics.ts';
import type { Transport } from './transport.ts';

export interface GatewayOptions {
  broker: Broker;
  inbound: Inbound;
  recovery: Recovery;
  services: Pick<Services, 'trips' | 'drivers' | 'presence'>;
  clock: Clock;
  newSessionId(): string;
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  maxPayloadBytes: number;
  log: Logger;
}

/** What is still read of a session that is held, so that what is urgent is found in it; then its reads pause. */
const MAX_KEPT = { messages: 64, bytes: 65_536 };

/** Heartbeats, acknowledgements and SOS, which no limit counts either. */
const isUrgent = ({ payload }: ClientEnvelope): boolean =>
  payload.case !== undefined && clientMessages[payload.case]?.rate === 'none';

type Task = () => Promise<void>;

/** What came while the session was held. */
interface Kept {
  /** What waits, in order. */
  tasks: Task[];
  bytes: number;
  /** Urgent messages that were handled meanwhile. */
  urgent: number;
}

/** The receiving end of one session. */
export class Connection {
  readonly session: Session;
  readonly #options: GatewayOptions;
  readonly #ready: Promise<void>;
  #isReady = false;
  #inFlight = 0;
  #kept: Kept | null = null;
  /** Called when nothing is in flight any more. */
  #onIdle: (() => void) | null = null;

  constructor(session: Session, options: GatewayOptions, ready: Promise<void>) {
    this.session = session;
    this.#options = options;
    this.#ready = ready.then(() => {
      this.#isReady = true;
    });
  }

  /** A message as protobuf JSON. */
  text(data: Buffer): void {
    if (this.#tooLarge(data.length)) return;
    const text = data.toString();
    this.#decode(
      data.length,
      () => decodeJson(text),
      () => corrIdOf(text),
    );
  }

  /** A message as binary protobuf. */
  binary(data: Buffer): void {
    if (this.#tooLarge(data.length)) return;
    this.#decode(
      data.length,
      () => decodeBinary(data),
      () => '',
    );
  }

  /** The client will send no more: resolves when what it sent is answered and written; the session has ended then. */
  async finish(): Promise<void> {
    await this.#ready;
    if (this.#inFlight > 0 || this.#kept !== null) {
      const idle = Promise.withResolvers<void>();
      this.#onIdle = idle.resolve;
      await idle.promise;
    }
    this.session.flush();
    this.left();
  }

  /** The client ended the connection in good order: it does not come back to this session, unless it was sent away. */
  left(): void {
    const { recovery } = this.#options;
    if (!this.session.closed && this.session.sentAwayMs === null) recovery.forget(this.session);
    this.gone();
  }

  /** The connection ended by itself. */
  gone(): void {
    this.#options.broker.lost(this.session);
  }

  #tooLarge(bytes: number): boolean {
    const { maxPayloadBytes, inbound } = this.#options;
    if (bytes <= maxPayloadBytes) return false;
    const rule = `at most ${maxPayloadBytes} bytes`;
    const error = new RideError('RIDE_PAYLOAD_TOO_LARGE', `A message of ${bytes} bytes; it must be ${rule}`, {
      field: 'payload',
      rule,
    });
    this.#accept(0, false, () => inbound.undecodable(this.session, error, ''));
    return true;
  }

  #decode(bytes: number, decode: () => ClientEnvelope, corrIdOf: () => string): void {
    let envelope: ClientEnvelope;
    try {
      envelope = decode();
    } catch (error) {
      const corrId = corrIdOf();
      this.#accept(0, false, () => this.#options.inbound.undecodable(this.session, error, corrId));
      return;
    }
    this.#accept(bytes, isUrgent(envelope), () => this.#options.inbound.handle(this.session, envelope));
  }

  /** Handles it now or, while the session is held, when it is released, in order; what is urgent overtakes the rest. */
  #accept(bytes: number, urgent: boolean, task: Task): void {
    const { session } = this;
    session.lastSeen = Date.now();
    if (!session.held) return void this.#run(task);
    session.onReleased ??= () => this.#goOn();
    this.#kept ??= { tasks: [], bytes: 0, urgent: 0 };
    const kept = this.#kept;
    if (urgent && kept.urgent < MAX_URGENT) {
      kept.urgent++;
      void this.#run(task);
      return;
    }
    kept.tasks.push(task);
    kept.bytes += bytes;
    if (kept.tasks.length >= MAX_KEPT.messages || kept.bytes >= MAX_KEPT.bytes) session.pause();
  }

  /** The session is released: what was kept comes first, then its reads go on. */
  #goOn(): void {
    const kept = this.#kept;
    if (kept === null) return;
    kept.urgent = 0;
    let next = 0;
    while (next < kept.tasks.length && !this.session.held) void this.#run(kept.tasks[next++]!);
    kept.tasks = kept.tasks.slice(next);
    if (kept.tasks.length > 0) return;
    this.#kept = null;
    if (this.#inFlight === 0) this.#onIdle?.();
    this.session.resume();
  }

  async #run(task: Task): Promise<void> {
    if (++this.#inFlight === MAX_IN_FLIGHT) this.session.hold();
    // The welcome is the first message of a session, whatever the client sent meanwhile.
    if (!this.#isReady) await this.#ready;
    if (!this.session.closed) await task();
    if (this.#inFlight-- === MAX_IN_FLIGHT) this.session.release();
    if (this.#inFlight === 0 && this.#kept === null) this.#onIdle?.();
  }
}

/** The sending end of a session whose peer only listens. */
export interface Listener {
  readonly session: Session;
  /** The connection ended by itself. */
  gone(): void;
}

export interface Gateway {
  /** @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_DRAINING */
  accept(signedIn: SignedIn, namespace: string, transport: Transport): Connection;
  /**
   * A session of a peer that can only listen, to one topic, which it may follow: what it missed since its position, then
   * `subscribed`, then what is live. It has no welcome.
   * @throws RideError RIDE_TOO_MANY_SESSIONS, RIDE_DRAINING
   */
  follow(principal: Principal, namespace: string, transport: Transport, topic: string, since?: Position): Listener;
  /** Tells every session to reconnect within `jitterMs`, each at its own moment, and ends those that stayed. */
  drain(jitterMs: number): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { broker, inbound, recovery, services, clock, log } = options;

  async function activeTripIds({ role, userId }: Principal): Promise<string[]> {
    if (isOperator(role)) return [];
    if (role === 'rider') return (await services.trips.openOf(userId)).map((trip) => trip.id);
    const driver = await services.drivers.get(userId);
    return driver?.activeTripId ? [driver.activeTripId] : [];
  }

  function sayGoAway(session: Session, reconnectAfterMs: number): void {
    inbound.reply(session, '', { case: 'goAway', value: { reason: 'draining', reconnectAfterMs } });
  }

  async function welcome(session: Session, saved: Redeemed | null): Promise<void> {
    const { principal } = session;
    const { [ownTopic(principal)]: inbox, ...topics } = saved?.session.topics ?? {};
    try {
      const [tripIds] = await Promise.all([activeTripIds(principal), recovery.begin(session, topics)]);
      if (session.closed) {
        // It never learnt of its new token.
        recovery.giveBack(saved);
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
      if (session.closed) {
        // Its end took along what it was about to follow: nothing has gone wrong.
        log.debug({ err: error, session_id: session.id }, 'session ended while it was set up');
        return;
      }
      log.warn({ err: error, session_id: session.id }, 'session could not be set up');
      inbound.refuse(session, error, '');
      session.flush();
      session.close('RIDE_DRAINING', error.message);
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
        await authorizeTopic(session.principal, topic, services);
        await broker.subscribe(session, topic, place, announce);
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
    try {
      await broker.subscribe(session, topic, since, (result) =>
        inbound.reply(session, '', { case: 'subscribed', value: result }),
      );
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
      void followOne(session, topic, since);
      return { session, gone: () => broker.lost(session) };
    },

    accept({ principal, saved }, namespace, transport) {
      let session: Session;
      try {
        session = broker.open(options.newSessionId(), principal, namespace, transport);
      } catch (error) {
        recovery.giveBack(saved);
        throw error;
      }
      return new Connection(session, options, welcome(session, saved));
    },

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
