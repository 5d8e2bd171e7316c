/**
 * The relay takes events from a document's outbox to the world: publish, react, acknowledge, always in the order of `seq`.
 *
 * The process that wrote kicks the relay at once; what a crash left behind, `sweep` finds. Publishing is guarded by the
 * topic's memory of the last seq, so two processes that relay the same document can neither swap nor double its events;
 * reactions may run twice and are therefore idempotent. What other systems are to know is handed to the sink behind that, in the
 * background: people do not wait for a broker, but an event stays in the outbox until the sink has it.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PublishOutcome } from '../../ports/publisher.ts';
import type { Collection, OutboxEvent, Pending, StoredDocument } from '../../ports/store.ts';

export interface OutboxHandler {
  /** Tells connected people. `restart`: the topic lost its memory, begin anew with this event. */
  publish(documentId: string, event: OutboxEvent, restart: boolean): Promise<PublishOutcome>;
  /**
   * Everything else that follows from the event; must be safe to repeat. `written`: the document as it was with the event, where
   * this process wrote it just now; it may have changed since, as it may after every reading.
   */
  react(documentId: string, event: OutboxEvent, written?: StoredDocument): Promise<void>;
  /** Hands it to other systems; resolves when it cannot be lost any more. May come twice. Left out where nobody else is told. */
  record?(documentId: string, event: OutboxEvent): Promise<void>;
}

export interface Relay {
  /** Relays fresh events of one document in the background, after those already under way. `written`: see OutboxHandler. */
  kick(documentId: string, events: readonly OutboxEvent[], written?: StoredDocument): void;
  /**
   * Relays what is older than `ageMs` (domain time) and still unacknowledged, of some documents; the next call goes on behind them.
   * Resolves how many documents there were; 0: there is none at all.
   */
  sweep(ageMs: number): Promise<number>;
  /** When the oldest event happened that is not acknowledged yet, domain epoch ms; null: there is none. @throws RideError RIDE_UNAVAILABLE */
  oldestAt(): Promise<number | null>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

const SWEEP_BATCH = 200;

const isOutOfStep = (outcome: PublishOutcome): boolean => outcome === 'gap' || outcome === 'unknown';

export function createRelay<T extends StoredDocument>(
  collection: Collection<T>,
  handler: OutboxHandler,
  clock: Clock,
  log: Logger,
): Relay {
  /** The last task of each document that has one: the next waits for it. */
  const relaying = new Map<string, Promise<void>>();
  /** The same for what is handed to other systems, and acknowledged. */
  const recording = new Map<string, Promise<void>>();
  /** Date from which the next sweep goes on. */
  let sweptTo = 0;

  async function relay(
    documentId: string,
    events: readonly OutboxEvent[],
    written: StoredDocument | undefined,
  ): Promise<void> {
    const done: OutboxEvent[] = [];
    for (const event of events) {
      const outcome = await handler.publish(documentId, event, false);
      if (isOutOfStep(outcome)) {
        void finish(documentId, done);
        return relayStored(documentId);
      }
      await handler.react(documentId, event, written);
      done.push(event);
    }
    void finish(documentId, done);
  }

  /** The slow path: someone else's earlier events, or our own of a former life, have to go first. */
  async function relayStored(documentId: string): Promise<void> {
    const events = await collection.outboxOf(documentId);
    const done: OutboxEvent[] = [];
    for (const [index, event] of events.entries()) {
      // Every earlier event was acknowledged, so it was published once: if the topic does not know it, the topic's memory
      // is gone and starts again here under a new epoch. Clients are told `recovered: false`.
      let outcome = await handler.publish(documentId, event, false);
      if (isOutOfStep(outcome) && index === 0) outcome = await handler.publish(documentId, event, true);
      if (isOutOfStep(outcome)) throw new Error(`event ${event.id} cannot be published yet: ${outcome}`);
      await handler.react(documentId, event);
      done.push(event);
    }
    await finish(documentId, done);
  }

  /** In the background: what happens next to the document does not wait for it. Resolves then, but for what other systems keep waiting. */
  async function finish(documentId: string, done: readonly OutboxEvent[]): Promise<void> {
    if (done.length === 0) return;
    const { record } = handler;
    const finished = enqueue(
      documentId,
      async () => {
        if (record) await recordAll(documentId, done, record);
        await acknowledge(documentId, done);
      },
      recording,
    );
    if (!record) await finished;
  }

  /**
   * What another node has yet to hand over goes first, or its later arrival would be out of order: the consumer then sees a repeat
   * instead. Ours of before were acknowledged.
   */
  async function recordAll(
    documentId: string,
    events: readonly OutboxEvent[],
    record: NonNullable<OutboxHandler['record']>,
  ): Promise<void> {
    const first = events[0]!.seq;
    const stored = first > 1 ? await collection.outboxOf(documentId) : [];
    const earlier = stored.filter(({ seq }) => seq < first);
    // One after the other: behind one that is refused, none may be taken.
    for (const event of [...earlier, ...events]) await record(documentId, event);
  }

  async function acknowledge(documentId: string, events: readonly OutboxEvent[]): Promise<void> {
    await collection.acknowledge(
      documentId,
      events.map(({ id }) => id),
    );
  }

  function enqueue(documentId: string, task: () => Promise<void>, tails = relaying): Promise<void> {
    const before = tails.get(documentId) ?? Promise.resolve();
    const mine = before.then(task).catch((error: unknown) => {
      log.warn({ err: error, document_id: documentId }, 'outbox not relayed; the sweeper will');
    });
    tails.set(documentId, mine);
    void mine.then(() => {
      if (tails.get(documentId) === mine) tails.delete(documentId);
    });
    return mine;
  }

  /**
   * The next documents by date, and behind the last of them the first again: those that cannot be finished now (the sink refuses
   * them, an event of theirs fails) must not keep the others from it.
   */
  async function nextPage(before: number): Promise<Pending<T>[]> {
    const page = await collection.pending(before, SWEEP_BATCH, sweptTo);
    if (page.length === 0 && sweptTo > 0) {
      sweptTo = 0;
      return nextPage(before);
    }
    const last = page.at(-1);
    const isLast = last === undefined || page.length < SWEEP_BATCH;
    // A whole page of one date leads past that date, or it would be the next page too.
    const lastAt = isLast ? 0 : Math.min(...last.events.map(({ at }) => at));
    sweptTo = lastAt === sweptTo && !isLast ? lastAt + 1 : lastAt;
    return page;
  }

  return {
    kick(documentId, events, written) {
      if (events.length > 0) void enqueue(documentId, () => relay(documentId, events, written));
    },
    async sweep(ageMs) {
      const pending = await nextPage(clock.now() - ageMs);
      await Promise.all(pending.map(({ document }) => enqueue(document.id, () => relayStored(document.id))));
      return pending.length;
    },
    async oldestAt() {
      const [oldest] = await collection.pending(clock.now(), 1);
      return oldest ? Math.min(...oldest.events.map(({ at }) => at)) : null;
    },
    async idle() {
      while (relaying.size + recording.size > 0) await Promise.all([...relaying.values(), ...recording.values()]);
    },
  };
}
