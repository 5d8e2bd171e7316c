/**
 * One inbound message, the same on every transport: find its definition, check the role, run it, answer with an ack or an
 * error under the same corr_id. A refusal never ends the session.
 */
import { asRideError, factTexts, RideError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { Tracing } from '../ports/tracing.ts';
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
  tracing: Pick<Tracing, 'within'>;
  log: Logger;
}

/** Whoever a message came from. */
export interface Asker {
  /** One of its messages is answered. */
  answered(): void;
}

export interface Inbound {
  /**
   * Handles one decoded envelope and sends its answer; `asker` is told later, never at once.
   * @returns false when there is nothing to answer: then `asker` is not told
   */
  handle(session: Session, envelope: ClientEnvelope, asker: Asker): boolean;
  /** Answers a message that could not be decoded; it costs what a general one costs. */
  undecodable(session: Session, error: unknown, corrId: string, asker: Asker): void;
  /** Answers with an error. */
  refuse(session: Session, error: unknown, corrId: string): void;
  /** An error for a connection without a session. */
  refusal(error: RideError): Frame;
  /** Sends one payload to one session. */
  reply(session: Session, corrId: string, payload: ServerPayload): void;
}

function errorOf(error: RideError): ServerPayload {
  const { code, message, field = '', rule = '', retryAfterMs = 0 } = error;
  const facts = error.facts && factTexts(error.facts);
  return { case: 'error', value: { code, message, field, rule, retryable: error.spec.retryable, retryAfterMs, facts } };
}

/** It took effect, and nobody waits to hear so. */
const unacked = (): null => null;

export function createInbound(options: InboundOptions): Inbound {
  const { broker, services, recovery, lamport, limiter, clock, nodeId, meter, tracing, log } = options;
  const parts = { broker, services, recovery, reply };

  function answerOf(corrId: string, payload: ServerPayload): Frame {
    const header = { corrId, lamport: lamport.tick(), nodeId, sequence: lamport.count(), sentAtMs: Date.now() };
    return new Frame(encodeEnvelope(header, payload), kindOf(payload.case));
  }

  function reply(session: Session, corrId: string, payload: ServerPayload): void {
    session.send(answerOf(corrId, payload), true);
  }

  function refuse(session: Session, thrown: unknown, corrId: string): void {
    const error = asRideError(thrown);
    meter.stream('refused', error.code);
    const facts = { corr_id: corrId, user_id: session.principal.userId, code: error.code };
    if (error.code === 'RIDE_INTERNAL') log.error({ ...facts, err: error.cause }, 'message failed');
    else log.debug({ ...facts, field: error.field }, 'message refused');
    reply(session, corrId, errorOf(error));
  }

  function toPayload(answer: NonNullable<Reply>): ServerPayload {
    if ('case' in answer && 'value' in answer) return answer;
    const { accepted = 0, late = 0, id = '' } = answer as Exclude<Reply, ServerPayload | null>;
    return { case: 'ack', value: { accepted, late, id, serverTimeMs: clock.now() } };
  }

  function overLimit(waitMs: number, rateClass: LimitedClass): RideError {
    const rule = limiter.ruleOf(rateClass);
    return new RideError('RIDE_RATE_LIMITED', `Too many messages: ${rule}`, { rule, retryAfterMs: Math.ceil(waitMs) });
  }

  function run(session: Session, { payload, corrId }: ClientEnvelope, definition?: ClientMessage): Promise<Reply> {
    if (definition === undefined) throw unknownMessage();
    const { kind, roles } = definition;
    if (!roles.includes(session.principal.role)) {
      throw new RideError('RIDE_FORBIDDEN', `A ${session.principal.role} may not send ${kind}`, {
        field: kind,
        rule: `sent by ${roles.join(' or ')}`,
      });
    }
    const handle = () => definition.handle(new MessageHandle(session, corrId, parts), payload.value as never, services);
    // Positions lead to no event, and are by far the most.
    if (definition.rate === 'location' || (corrId === '' && session.traceContext === null)) return handle();
    return tracing.within({ corrId, ...session.traceContext }, handle);
  }

  function answer(session: Session, corrId: string, made: Reply): void {
    if (session.closed || made === null) return;
    try {
      reply(session, corrId, toPayload(made));
    } catch (error) {
      refuse(session, error, corrId);
    }
  }

  /** Sends what comes of a message. */
  function settle(session: Session, corrId: string, made: Promise<Reply>, done: () => void): void {
    made.then(
      (answer_) => {
        answer(session, corrId, answer_);
        done();
      },
      (error: unknown) => {
        refuse(session, error, corrId);
        done();
      },
    );
  }

  return {
    reply,
    refuse,
    refusal: (error) => answerOf('', errorOf(error)),
    undecodable(session, error, corrId, asker) {
      limiter.charge(session.principal.userId, 'general', 1, (waitMs) => {
        const refusal = Promise.reject(waitMs > 0 ? overLimit(waitMs, 'general') : error);
        settle(session, corrId, refusal, () => asker.answered());
      });
    },
    handle(session, envelope, asker) {
      const startedAt = performance.now();
      recovery.heard(session, session.lastSeen);
      lamport.merge(Number(envelope.lamport));
      const { payload, corrId } = envelope;
      const definition = payload.case === undefined ? undefined : (clientMessages[payload.case] as ClientMessage);
      const kind = definition ? definition.kind : 'unknown';
      const rateClass = definition ? definition.rate : 'general';
      meter.messageIn(session.namespace, kind);
      const isHeard = corrId === '' && definition?.isSignOfLife === true && session.wasSpokenTo();
      if (isHeard && !definition.saysMore?.(payload.value as never)) return false;
      const done = (): void => {
        meter.handled(kind, (performance.now() - startedAt) / 1000);
        asker.answered();
      };
      // The only promise of a message is its handler's: more would cost more than most handlers do.
      const paid = (waitMs: number): void => {
        let made: Promise<Reply>;
        try {
          if (waitMs > 0) throw overLimit(waitMs, rateClass as LimitedClass);
          made = run(session, envelope, definition);
        } catch (error) {
          made = Promise.reject(error);
        }
        settle(session, corrId, isHeard ? made.then(unacked) : made, done);
      };
      if (rateClass === 'none') paid(0);
      else limiter.charge(session.principal.userId, rateClass, definition?.cost?.(payload.value as never) ?? 1, paid);
      return true;
    },
  };
}
