/** What the handler of one inbound message may do with the session that it came from. */
import type { Principal } from '../domain/roles.ts';
import { invalidInput } from '../errors.ts';
import type { Broker } from './broker.ts';
import type { Services, SessionHandle, SubscribeResult } from './messages/definition.ts';
import type { ServerPayload } from './payload.ts';
import type { Recovery } from './recovery.ts';
import type { Session } from './session.ts';
import { authorizeTopic, canonicalTopic, MAX_TOPIC } from './topics.ts';

const NOTHING = { offset: 0, epoch: '' };

export interface HandleParts {
  broker: Broker;
  services: Services;
  recovery: Recovery;
  reply(session: Session, corrId: string, payload: ServerPayload): void;
}

/** One for each message: made thousands of times a second, so it holds three fields and no closures. */
export class MessageHandle implements SessionHandle {
  readonly #session: Session;
  readonly #corrId: string;
  readonly #parts: HandleParts;

  constructor(session: Session, corrId: string, parts: HandleParts) {
    this.#session = session;
    this.#corrId = corrId;
    this.#parts = parts;
  }

  get id(): string {
    return this.#session.id;
  }

  get principal(): Principal {
    return this.#session.principal;
  }

  async subscribe(
    name: string,
    since?: { offset: number; epoch: string },
    announce?: (result: SubscribeResult) => void,
  ): Promise<SubscribeResult> {
    const { broker, services } = this.#parts;
    const topic = canonicalTopic(name);
    const hearing = await authorizeTopic(this.principal, topic, services);
    return broker.subscribe(this.#session, topic, since, announce, hearing);
  }

  answer(payload: ServerPayload): void {
    this.#parts.reply(this.#session, this.#corrId, payload);
  }

  unsubscribe(name: string): void {
    const topic = canonicalTopic(name);
    // What a session must hear to stay in step with its user: offers, and the end of his part in a trip.
    if (topic === `user:${this.principal.userId}`)
      throw invalidInput('topic', 'another topic than the caller’s own, which every session follows');
    this.#parts.broker.unsubscribe(this.#session, topic);
  }

  acknowledge(name: string, position: { offset: number; epoch: string }): void {
    const session = this.#session;
    const topic = canonicalTopic(name);
    if (position.offset === 0) {
      if (topic.length > MAX_TOPIC) throw invalidInput('topic', `at most ${MAX_TOPIC} characters`);
      this.#parts.broker.keepBooks(session, topic);
      return;
    }
    const subscription = session.subscriptions.get(topic);
    if (!subscription) throw invalidInput('topic', 'one that this session follows');
    const { epoch, offset } = subscription.position;
    if (position.epoch === epoch && position.offset > offset) {
      throw invalidInput('offset', `at most ${offset}, the last that was sent`);
    }
    // An epoch that has ended says nothing of the present one; that the client keeps its own books still counts.
    this.#parts.recovery.acknowledge(session, topic, position.epoch === epoch ? position : NOTHING);
  }
}
