/**
 * One life of a group's member: its stream and its commits. The library has cases in which it goes on reading though the group no
 * longer counts on it, or leaves a commit open for ever (a rejoin that failed, a group that does not answer); then the stream is
 * ended with an error, and whoever reads begins anew with another member.
 */
import {
  type Consumer,
  type Message,
  type MessagesStream,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
} from '@platformatic/kafka';
import type { Logger } from '../../ports/logger.ts';

export type Incoming = Message<Buffer, Buffer, Buffer, Buffer>;

/** Longer than a rebalance of members that answer. */
const COMMIT_TIMEOUT_MS = 10_000;

export class Reading {
  readonly #member: Consumer;
  readonly #log: Logger;
  #stream: MessagesStream<Buffer, Buffer, Buffer, Buffer> | null = null;
  readonly #gone = Promise.withResolvers<never>();

  constructor(member: Consumer, log: Logger) {
    this.#member = member;
    this.#log = log;
    // Whoever commits hears of it.
    this.#gone.promise.catch(() => {});
    member.on('error', (error: Error) => this.#fail(error));
    member.on('consumer:heartbeat:stalled', () => this.#fail(new Error('the group does not answer')));
  }

  /** @throws Error when the group cannot be joined */
  async open(topics: readonly string[]): Promise<MessagesStream<Buffer, Buffer, Buffer, Buffer>> {
    // A partition that the group has never read is read from its beginning: nothing in it is lost.
    const stream = await this.#member.consume({
      topics: [...topics],
      mode: MessagesStreamModes.COMMITTED,
      fallbackMode: MessagesStreamFallbackModes.EARLIEST,
    });
    stream.once('close', () => this.#gone.reject(new Error('the stream of events ended')));
    this.#stream = stream;
    return stream;
  }

  /**
   * Resolves in any case: what could not be committed comes again, and its effect is known. A partition that the group gave to another
   * member meanwhile is left to him: he took its events again and is ahead, and the broker would let this one set him back.
   */
  async commit(messages: readonly Incoming[]): Promise<void> {
    const own = messages.filter((message) => this.#has(message));
    const last = new Map(own.map((message) => [`${message.topic}/${message.partition}`, message]));
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new Error(`offsets were not committed within ${COMMIT_TIMEOUT_MS} ms`);
      late.reject(error);
      this.#fail(error);
    }, COMMIT_TIMEOUT_MS);
    try {
      const commits = Promise.all([...last.values()].map((message) => message.commit()));
      await Promise.race([commits, late.promise, this.#gone.promise]);
    } catch (error) {
      this.#log.warn({ err: error }, 'offsets not committed; the events come again');
    } finally {
      clearTimeout(timer);
    }
  }

  #has({ topic, partition }: Incoming): boolean {
    const assigned = this.#member.assignments ?? [];
    return assigned.some((one) => one.topic === topic && one.partitions.includes(partition));
  }

  #fail(error: Error): void {
    this.#log.warn({ err: error }, 'the group is joined anew');
    this.#stream?.destroy(error);
  }
}
