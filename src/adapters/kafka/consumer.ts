/**
 * The consumer group (document E's `realtime-gateway-group`): what other systems say reaches the people it concerns. Each event is
 * taken once by the group, on whichever node has its partition; the bus carries it to the others.
 *
 * An offset is committed only after its effect: a crash in between means a repeat, which the effect knows by the event's id. What
 * can never have an effect goes to the dead letters first. What cannot have one now (Redis is away) is tried until it has.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Consumer, type ConsumerOptions, ListOffsetTimestamps } from '@platformatic/kafka';
import { RideError } from '../../errors.ts';
import type { EventIntake, InboundRecord } from '../../ports/event-intake.ts';
import { type RecordSink, RecordsRefused } from '../../ports/event-sink.ts';
import type { Logger } from '../../ports/logger.ts';
import { baseOptions, ensureTopics, type KafkaConnection, reasonOf } from './connection.ts';
import { type Incoming, Reading } from './reading.ts';

export interface KafkaConsumerOptions {
  connection: KafkaConnection;
  groupId: string;
  topics: readonly string[];
  partitions: number;
  intake: EventIntake;
  /** Takes them; closed with the consumer. */
  deadLetters: RecordSink;
  onDeadLetter(topic: string): void;
  lagEveryMs: number;
  log: Logger;
}

export interface EventConsumer {
  start(): void;
  /** Events of the partitions of this process that were not taken yet, by topic, as they were measured last. */
  lag(): ReadonlyMap<string, number>;
  /** Partitions that this process reads; while those of all processes are 0, nobody takes anything and nobody measures the lag. */
  partitions(): number;
  /** How long ago the lag was measured, milliseconds; from the start on while it never was. */
  lagAgeMs(): number;
  /** Resolves when what is under way has had its effect and its offsets are committed; what cannot have it now is left to others. */
  close(): Promise<void>;
}

/** Behind the topic's name. */
export const DEAD_LETTERS = '.dead-letters';
/** Events under way at once. */
const BATCH = 500;
const RETRY_MS = { least: 100, most: 5000 };
/** A member that is gone without a word is missed after this. */
const SESSION_MS = 10_000;

/** Characters of a key that are kept with a place told alone. */
const LETTER_KEY = 250;

export function createKafkaConsumer(options: KafkaConsumerOptions): EventConsumer {
  const { connection, groupId, topics, intake, deadLetters, log } = options;
  const closing = new AbortController();
  const lags = new Map<string, number>(topics.map((topic) => [topic, 0]));
  let consumer: Consumer | null = null;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  /** Process clock, ms. */
  let measuredAt = performance.now();

  /** Until it succeeds or this is closed. @returns whether it did */
  async function persist(what: string, action: () => Promise<void>): Promise<boolean> {
    for (let failures = 0; !closing.signal.aborted; failures++) {
      try {
        await action();
        return true;
      } catch (error) {
        log.warn({ err: error, reason: reasonOf(error), failures }, `${what}; tried again`);
        await pause(failures);
      }
    }
    return false;
  }

  async function pause(failures: number): Promise<void> {
    const most = Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** Math.min(failures, 10));
    // Rejects only when it is closed meanwhile.
    await sleep(most * (0.5 + Math.random() / 2), undefined, { signal: closing.signal }).catch(() => {});
  }

  async function bury(record: InboundRecord, message: Incoming, error: unknown): Promise<boolean> {
    const reason = error instanceof Error ? error.message : String(error);
    log.error(
      { err: error, topic: record.topic, partition: record.partition, offset: record.offset },
      'event put aside',
    );
    const headers = {
      'x-dead-letter-reason': reason.slice(0, 1000),
      'x-dead-letter-group': groupId,
      'x-dead-letter-topic': record.topic,
      'x-dead-letter-partition': String(record.partition),
      'x-dead-letter-offset': record.offset,
    };
    const own = Object.fromEntries([...message.headers].map(([name, value]) => [String(name), String(value)]));
    const letter = {
      topic: `${record.topic}${DEAD_LETTERS}`,
      key: record.key,
      id: `${record.topic}/${record.partition}/${record.offset}`,
    };
    const isBuried = await persist('dead letter not written', async () => {
      try {
        await deadLetters.send([{ ...letter, headers: { ...own, ...headers }, payload: record.value }]);
      } catch (error) {
        if (!(error instanceof RecordsRefused)) throw error;
        // With what is said of it, it is too large for that topic: then its place is told alone, where it lies as long as it is kept.
        const omitted = { 'x-dead-letter-omitted-bytes': String(record.value.length) };
        // It may be the key that is too large.
        const place = { ...letter, key: letter.key.slice(0, LETTER_KEY) };
        await deadLetters.send([{ ...place, headers: { ...headers, ...omitted }, payload: Buffer.alloc(0) }]);
      }
    });
    if (isBuried) options.onDeadLetter(record.topic);
    return isBuried;
  }

  /** @returns false when this was closed before the event had its effect */
  async function take(message: Incoming): Promise<boolean> {
    const record: InboundRecord = {
      topic: message.topic,
      partition: message.partition,
      offset: String(message.offset),
      key: message.key?.toString() ?? '',
      value: message.value ?? Buffer.alloc(0),
    };
    for (let failures = 0; ; failures++) {
      try {
        await intake.take(record);
        return true;
      } catch (error) {
        const canPass = error instanceof RideError && error.spec.retryable && error.code !== 'RIDE_INTERNAL';
        if (!canPass) return bury(record, message, error);
        log.warn({ err: error, topic: record.topic, failures }, 'event not taken yet');
        if (closing.signal.aborted) return false;
        await pause(failures);
      }
    }
  }

  /** Events of a key one after the other, keys side by side. @returns false when this was closed before all had their effect */
  async function takeAll(messages: readonly Incoming[]): Promise<boolean> {
    const byKey = Map.groupBy(messages, ({ topic, key, partition }) => `${topic}/${key ?? `#${partition}`}`);
    const taken = await Promise.all(
      [...byKey.values()].map(async (ofKey) => {
        for (const message of ofKey) if (!(await take(message))) return false;
        return true;
      }),
    );
    return !taken.includes(false);
  }

  async function consume(): Promise<void> {
    await ensureTopics(
      connection,
      topics.flatMap((topic) => [topic, topic + DEAD_LETTERS]),
      options.partitions,
      log,
    );
    const settings: ConsumerOptions<Buffer, Buffer, Buffer, Buffer> = {
      ...baseOptions(connection),
      groupId,
      autocommit: false,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: 2 * SESSION_MS,
      heartbeatInterval: SESSION_MS / 5,
      maxWaitTime: 500,
      highWaterMark: BATCH,
    };
    const member = new Consumer(settings);
    const reading = new Reading(member, log);
    consumer = member;
    let batch: Incoming[] = [];
    let work: Promise<void> | null = null;
    const drain = async (): Promise<void> => {
      while (batch.length > 0) {
        const now = batch;
        batch = [];
        if (await takeAll(now)) await reading.commit(now);
        // Behind what was not taken, no offset may be committed.
        else batch = [];
      }
      work = null;
    };
    try {
      const stream = await reading.open(topics);
      // What is under way comes first; what is read from now on is another node's.
      const stop = async (): Promise<void> => {
        await work;
        await stream.close();
      };
      const onAbort = (): void => void stop().catch((error: unknown) => log.debug({ err: error }, 'stream not closed'));
      closing.signal.addEventListener('abort', onAbort, { once: true });
      stream.once('close', () => closing.signal.removeEventListener('abort', onAbort));
      if (closing.signal.aborted) onAbort();
      log.info({ group: groupId, topics }, 'events of other systems are taken');
      for await (const message of stream) {
        if (closing.signal.aborted) continue;
        batch.push(message);
        work ??= drain();
        if (batch.length >= BATCH) await work;
      }
      if (!closing.signal.aborted) throw new Error('the stream of events ended');
    } finally {
      await work;
      consumer = null;
      await member.close(true).catch((error: unknown) => log.warn({ err: error }, 'the group was not left'));
    }
  }

  /** Of the partitions that this process has. */
  async function measure(): Promise<void> {
    const member = consumer;
    const assigned = member?.assignments ?? [];
    const now = new Map<string, number>(topics.map((topic) => [topic, 0]));
    if (member && assigned.length > 0) {
      const partitions = Object.fromEntries(assigned.map(({ topic, partitions }) => [topic, partitions]));
      const which = { topics: assigned.map(({ topic }) => topic), partitions };
      const [ends, starts, committed] = await Promise.all([
        member.listOffsets({ ...which, timestamp: ListOffsetTimestamps.LATEST }),
        member.listOffsets({ ...which, timestamp: ListOffsetTimestamps.EARLIEST }),
        member.listCommittedOffsets({ topics: assigned }),
      ]);
      for (const { topic, partitions } of assigned) {
        let behind = 0;
        for (const partition of partitions) {
          const place = committed.get(topic)?.[partition] ?? -1n;
          const from = place >= 0n ? place : (starts.get(topic)?.[partition] ?? 0n);
          behind += Math.max(0, Number((ends.get(topic)?.[partition] ?? 0n) - from));
        }
        now.set(topic, behind);
      }
    }
    for (const [topic, behind] of now) lags.set(topic, behind);
    if (member) measuredAt = performance.now();
  }

  return {
    start() {
      running = persistConsuming();
      timer = setInterval(() => {
        measure().catch((error: unknown) => log.debug({ err: error }, 'lag not measured'));
      }, options.lagEveryMs);
      timer.unref();
    },
    lag: () => lags,
    partitions: () => (consumer?.assignments ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0),
    lagAgeMs: () => performance.now() - measuredAt,
    async close() {
      closing.abort();
      clearInterval(timer);
      await running;
      await deadLetters.close();
    },
  };

  async function persistConsuming(): Promise<void> {
    while (!closing.signal.aborted) {
      await persist('the broker cannot be read', consume);
    }
  }
}
