/**
 * One inbound message, the same on every transport: find its definition, check the role, run it, answer with an ack or an
 * error under the same corr_id. A refusal never ends the session.
 */
import { asRideError, RideError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { Broker } from './broker.ts';
import { encodeEnvelope, kindOf, unknownMessage } from './envelope.ts';
import { Frame } from './frame.ts';
import type { ClientEnvelope } from './generated/ride/v1/ride_pb.js';
import type { Lamport } from './lamport.ts';
import type { LimitedClass, Limiter } from './limiter.ts';
import type { ClientMessage, Reply, Services } from './messages/definition.ts';
import { clientMessages } from './messages/index.ts';
import type { ServerPayload } from './payload.ts';
import type { Recovery } from './recovery.ts';
import type { Session } from './session.ts';
import { MessageHandle } from './session-handle.ts';

export interface InboundOptions {
  broker: Broker;
  services: Services;
  recovery: Recovery;
  lamport: Lamport;
  clock: Clock;
  limiter: Limiter;
  nodeId: string;
  meter: Meter;
  log: Logger;
}

export interface Inbound {
  /** Handles one decoded envelope and sends its answer. Never rejects. */
  handle(session: Session, envelope: ClientEnvelope): Promise<void>;
  /** Answers a message that could not be decoded; it costs what a general one costs. */
  undecodable(session: Session, error: unknown, corrId: string): Promise<void>;
  /** Answers with an error. */
  refuse(session: Session, error: unknown, corrId: string): void;
  /** Sends one payload to one session. */
  reply(session: Session, corrId: string, payload: ServerPayload): void;
}

export function createInbound(options: InboundOptions): Inbound {
  const { broker, services, recovery, lamport, limiter, clock, nodeId, meter, log } = options;
  const parts = { broker, services, recovery, reply };
  let sequence = 0;

  function reply(session: Session, corrId: string, payload: ServerPayload): void {
    const header = { corrId, lamport: lamport.tick(), nodeId, sequence: ++sequence, sentAtMs: Date.now() };
    session.send(new Frame(encodeEnvelope(header, payload), kindOf(payload.case)));
  }

  function refuse(session: Session, thrown: unknown, corrId: string): void {
    const error = asRideError(thrown);
    const facts = { corr_id: corrId, user_id: session.principal.userId, code: error.code };
    if (error.code === 'RIDE_INTERNAL') log.error({ ...facts, err: error.cause }, 'message failed');
    else log.debug({ ...facts, field: error.field }, 'message refused');
    reply(session, corrId, {
      case: 'error',
      value: {
        code: error.code,
        message: error.message,
        field: error.field ?? '',
        rule: error.rule ?? '',
        retryable: error.spec.retryable,
        retryAfterMs: error.retryAfterMs ?? 0,
      },
    });
  }

  function toPayload(answer: NonNullable<Reply>): ServerPayload {
    if ('case' in answer && 'value' in answer) return answer;
    const { accepted = 0, late = 0, id = '' } = answer as Exclude<Reply, ServerPayload | null>;
    return { case: 'ack', value: { accepted, late, id, serverTimeMs: clock.now() } };
  }

  function assertPaid(waitMs: number, rateClass: LimitedClass): void {
    if (waitMs === 0) return;
    const rule = limiter.ruleOf(rateClass);
    throw new RideError('RIDE_RATE_LIMITED', `Too many messages: ${rule}`, { rule, retryAfterMs: Math.ceil(waitMs) });
  }

  async function run(session: Session, envelope: ClientEnvelope, kind: string): Promise<Reply> {
    const { payload } = envelope;
    const definition = payload.case === undefined ? undefined : (clientMessages[payload.case] as ClientMessage);
    const rateClass = definition ? definition.rate : 'general';
    if (rateClass !== 'none') {
      const cost = definition?.cost?.(payload.value as never) ?? 1;
      const waitMs = limiter.spend(session.principal.userId, rateClass, cost);
      assertPaid(typeof waitMs === 'number' ? waitMs : await waitMs, rateClass);
    }
    if (definition === undefined) throw unknownMessage();
    if (!definition.roles.includes(session.principal.role)) {
      throw new RideError('RIDE_FORBIDDEN', `A ${session.principal.role} may not send ${kind}`, {
        field: kind,
        rule: `sent by ${definition.roles.join(' or ')}`,
      });
    }
    return definition.handle(new MessageHandle(session, envelope.corrId, parts), payload.value as never, services);
  }

  return {
    reply,
    refuse,
    async undecodable(session, error, corrId) {
      try {
        assertPaid(await limiter.spend(session.principal.userId, 'general', 1), 'general');
        refuse(session, error, corrId);
      } catch (overLimit) {
        refuse(session, overLimit, corrId);
      }
    },
    async handle(session, envelope) {
      const startedAt = performance.now();
      session.lastSeen = Date.now();
      recovery.heard(session, session.lastSeen);
      lamport.merge(Number(envelope.lamport));
      const kind = envelope.payload.case === undefined ? 'unknown' : kindOf(envelope.payload.case);
      meter.messageIn(session.namespace, kind);
      try {
        const answer = await run(session, envelope, kind);
        if (session.closed) return;
        if (answer !== null) reply(session, envelope.corrId, toPayload(answer));
      } catch (error) {
        refuse(session, error, envelope.corrId);
      }
      meter.handled(kind, (performance.now() - startedAt) / 1000);
    },
  };
}
