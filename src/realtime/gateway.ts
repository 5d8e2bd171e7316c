/**
 * What every stream transport does with a signed-in connection: open the session, welcome it, follow the user's own topic,
 * decode and handle what comes, and say go-away when the server drains. A transport only moves bytes.
 */

import { isOperator, type Principal } from '../domain/roles.ts';
import { asRideError, RideError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Broker } from './broker.ts';
import { corrIdOf, decodeBinary, decodeJson } from './envelope.ts';
import type { Position } from './feed.ts';
import type { ClientEnvelope } from './generated/ride/v1/ride_pb.js';
import type { Inbound } from './inbound.ts';
import type { Services } from './messages/definition.ts';
import type { Session } from './session.ts';
import type { Transport } from './transport.ts';

export interface GatewayOptions {
  broker: Broker;
  inbound: Inbound;
  services: Pick<Services, 'trips' | 'drivers'>;
  clock: Clock;
  newSessionId(): string;
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  maxPayloadBytes: number;
  log: Logger;
}

/** Messages of one session that are being handled at a time; beyond it its reads wait. */
const MAX_IN_FLIGHT = 128;

/** The receiving end of one session. */
export class Connection {
  readonly session: Session;
  readonly #options: GatewayOptions;
  readonly #ready: Promise<void>;
  #isReady = false;
  #inFlight = 0;
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
      () => decodeJson(text),
      () => corrIdOf(text),
    );
  }

  /** A message as binary protobuf. */
  binary(data: Buffer): void {
    if (this.#tooLarge(data.length)) return;
    this.#decode(
      () => decodeBinary(data),
      () => '',
    );
  }

  /** The client will send no more: resolves when what it sent is answered and written; the session has ended then. */
  async finish(): Promise<void> {
    await this.#ready;
    if (this.#inFlight > 0) {
      const idle = Promise.withResolvers<void>();
      this.#onIdle = idle.resolve;
      await idle.promise;
    }
    this.session.flush();
    this.gone();
  }

  /** The connection ended by itself. */
  gone(): void {
    this.#options.broker.lost(this.session);
  }

  #tooLarge(bytes: number): boolean {
    const { maxPayloadBytes, inbound } = this.#options;
    if (bytes <= maxPayloadBytes) return false;
    this.session.lastSeen = Date.now();
    const rule = `at most ${maxPayloadBytes} bytes`;
    inbound.undecodable(
      this.session,
      new RideError('RIDE_PAYLOAD_TOO_LARGE', `A message of ${bytes} bytes; it must be ${rule}`, {
        field: 'payload',
        rule,
      }),
      '',
    );
    return true;
  }

  #decode(decode: () => ClientEnvelope, corrId: () => string): void {
    let envelope: ClientEnvelope;
    try {
      envelope = decode();
    } catch (error) {
      this.session.lastSeen = Date.now();
      this.#options.inbound.undecodable(this.session, error, corrId());
      return;
    }
    if (++this.#inFlight === MAX_IN_FLIGHT) this.session.hold();
    void this.#handle(envelope);
  }

  async #handle(envelope: ClientEnvelope): Promise<void> {
    // The welcome is the first message of a session, whatever the client sent meanwhile.
    if (!this.#isReady) await this.#ready;
    if (!this.session.closed) await this.#options.inbound.handle(this.session, envelope);
    if (this.#inFlight-- === MAX_IN_FLIGHT) this.session.release();
    if (this.#inFlight === 0) this.#onIdle?.();
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
  accept(principal: Principal, namespace: string, transport: Transport): Connection;
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
  const { broker, inbound, services, clock, log } = options;

  async function activeTripIds({ role, userId }: Principal): Promise<string[]> {
    if (isOperator(role)) return [];
    if (role === 'rider') return (await services.trips.openOf(userId)).map((trip) => trip.id);
    const driver = await services.drivers.get(userId);
    return driver?.activeTripId ? [driver.activeTripId] : [];
  }

  async function welcome(session: Session): Promise<void> {
    const { principal } = session;
    try {
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
          activeTripIds: await activeTripIds(principal),
        },
      });
      if (!session.closed) await broker.subscribe(session, `user:${principal.userId}`);
    } catch (thrown) {
      const error = asRideError(thrown);
      log.warn({ err: error, session_id: session.id }, 'session could not be set up');
      inbound.refuse(session, error, '');
      session.flush();
      session.close('RIDE_DRAINING', error.message);
    }
  }

  async function followOne(session: Session, topic: string, since?: Position): Promise<void> {
    try {
      await broker.subscribe(session, topic, since, (result) =>
        inbound.reply(session, '', { case: 'subscribed', value: result }),
      );
    } catch (thrown) {
      const error = asRideError(thrown);
      log.warn({ err: error, session_id: session.id, topic }, 'topic could not be followed');
      session.close(error.code, error.message);
    }
  }

  return {
    follow(principal, namespace, transport, topic, since) {
      const session = broker.open(options.newSessionId(), principal, namespace, transport);
      void followOne(session, topic, since);
      return { session, gone: () => broker.lost(session) };
    },

    accept(principal, namespace, transport) {
      const session = broker.open(options.newSessionId(), principal, namespace, transport);
      return new Connection(session, options, welcome(session));
    },

    async drain(jitterMs) {
      broker.refuseNew();
      const leaving = [...broker.sessions()].map((session, index, all) => ({
        session,
        // Spread evenly: the other nodes get them one by one.
        delayMs: Math.round((jitterMs * (index + 1)) / all.length),
      }));
      for (const { session, delayMs } of leaving) {
        inbound.reply(session, '', {
          case: 'goAway',
          value: { reason: 'draining', reconnectAfterMs: delayMs },
        });
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
