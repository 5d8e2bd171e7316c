/**
 * Questions from node to node, over the bus: what only the other node knows and nobody writes down, such as who follows a
 * topic there. Each node listens to a topic of its own, which no client may follow.
 */
import type { Bus } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';

type Answer = (args: unknown) => unknown;

export interface NodeCallsOptions {
  bus: Bus;
  nodeId: string;
  /** What this node answers, by name. */
  answers: Readonly<Record<string, Answer>>;
  log: Logger;
}

type Message = { id: number; from: string; ask: string; args: unknown } | { id: number; answer: unknown };

const topicOf = (nodeId: string): string => `node:${nodeId}`;
/** A node that is alive answers in a few milliseconds; one that is not never does. */
const TIMEOUT_MS = 2000;

export class NodeCalls {
  readonly #options: NodeCallsOptions;
  readonly #topic: string;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #asked = 0;

  constructor(options: NodeCallsOptions) {
    this.#options = options;
    this.#topic = topicOf(options.nodeId);
  }

  /** The bus for everyone else, without what is between nodes. */
  apart(): Bus {
    const { bus } = this.#options;
    return {
      ...bus,
      onMessage: (listener) =>
        bus.onMessage((message) => {
          if (message.topic === this.#topic) this.#receive(message.payload);
          else listener(message);
        }),
    };
  }

  /** From here on this node can be asked. @throws RideError RIDE_UNAVAILABLE */
  listen(): Promise<void> {
    return this.#options.bus.subscribe(this.#topic);
  }

  /** What `nodeId` answers, or null when it does not. */
  async ask<T>(nodeId: string, ask: string, args: unknown): Promise<T | null> {
    const { bus, answers, nodeId: own } = this.#options;
    if (nodeId === own) return answers[ask]!(args) as T;
    const id = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<T | null>();
    const timer = setTimeout(resolve, TIMEOUT_MS, null);
    this.#waiting.set(id, resolve as (answer: unknown) => void);
    bus.publish(topicOf(nodeId), encode({ id, from: own, ask, args }));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #receive(payload: Buffer): void {
    const { bus, answers, log } = this.#options;
    try {
      const message = JSON.parse(payload.toString()) as Message;
      if ('answer' in message) {
        this.#waiting.get(message.id)?.(message.answer);
        return;
      }
      const answer = answers[message.ask];
      if (answer) bus.publish(topicOf(message.from), encode({ id: message.id, answer: answer(message.args) }));
    } catch (error) {
      // Whoever asked gets no answer in time.
      log.warn({ err: error }, 'a question of another node was not answered');
    }
  }
}

const encode = (message: Message): Buffer => Buffer.from(JSON.stringify(message));
