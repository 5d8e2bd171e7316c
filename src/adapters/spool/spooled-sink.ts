/**
 * A sink that keeps its word while the broker is away: what it does not take goes to the disk and follows later, in order.
 *
 * Directly: records wait in memory for the batch that is under way. When a batch fails, it and all that waits go to the spool, and
 * so does everything after it, until the spool is empty: so the records of a key never overtake each other. One batch is under way
 * at a time. A batch that failed may have arrived in part, and one that timed out may arrive yet: consumers see repeats and drop
 * them by id, never a later record before an earlier one. What the broker refuses for good is put aside (sifter.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RideError } from '../../errors.ts';
import type { RecordSink, SinkRecord } from '../../ports/event-sink.ts';
import type { Logger } from '../../ports/logger.ts';
import type { HeldSpool, Spools } from './folders.ts';
import { createSifter } from './sifter.ts';

export interface SpooledSinkOptions {
  sink: RecordSink;
  spools: Spools;
  /** Bytes that may wait on the disk. */
  maxBytes: number;
  /** After this a batch has failed. */
  timeoutMs: number;
  log: Logger;
  /** Counts records by what became of them. */
  onOutcome(outcome: Outcome, count: number): void;
}

/**
 * `sent`: the broker has it. `spooled`: the disk has it. `refused`: neither; the caller still has it, or it was a sample. `dead_letter`: the
 * broker refused it for good, and the disk keeps it for people.
 */
export type Outcome = 'sent' | 'spooled' | 'refused' | 'dead_letter';

export interface DurableSink {
  /** Resolves when the broker or the disk has it. @throws RideError RIDE_UNAVAILABLE when neither takes it */
  send(record: SinkRecord, isSample?: boolean): Promise<void>;
  /** Records and bytes that wait on the disk. */
  waiting(): { records: number; bytes: number };
  /** Records that the broker refused for good and the disk keeps. */
  deadLetters(): number;
  /** Resolves when the batch under way is done; what waits is on the disk. */
  close(): Promise<void>;
}

const BATCH = 500;
/** More do not wait in memory while a batch is under way. */
const MOST_IN_MEMORY = 20_000;
const PAGE_BYTES = 256 * 1024;
const RETRY_MS = { least: 100, most: 5000 };
/** Samples leave this part of the spool to what must not be lost. */
const SAMPLE_SHARE = 0.5;

interface Entry {
  record: SinkRecord;
  isSample: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export function createSpooledSink({
  sink,
  spools,
  maxBytes,
  timeoutMs,
  log,
  onOutcome,
}: SpooledSinkOptions): DurableSink {
  const { own } = spools;
  const leftBehind = [...spools.leftBehind];
  const closing = new AbortController();
  let queue: Entry[] = [];
  let isSpooling = !own.spool.isEmpty || leftBehind.length > 0;
  let work: Promise<void> | null = null;
  /** Why the broker does not take events, as it was logged last. */
  let trouble = '';

  async function toBroker(records: readonly SinkRecord[]): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`no answer of the broker within ${timeoutMs} ms`)), timeoutMs);
    try {
      await Promise.race([sink.send(records), late.promise]);
    } finally {
      clearTimeout(timer);
    }
    onOutcome('sent', records.length);
  }

  const sifter = createSifter({
    send: toBroker,
    async putAside(record, reason) {
      const { topic, key, id, payload } = record;
      await spools.deadLetters.append([record]);
      onOutcome('dead_letter', 1);
      const facts = { err: reason, topic, key, event_id: id, bytes: payload.length };
      log.error(facts, 'the broker refuses an event for good: it is put aside in dead-letters of the spool');
    },
    check: () => closing.signal.throwIfAborted(),
  });

  async function toDisk({ record, isSample, resolve, reject }: Entry): Promise<void> {
    try {
      await own.spool.append([record], isSample ? maxBytes * SAMPLE_SHARE : maxBytes);
      onOutcome('spooled', 1);
      resolve();
    } catch (error) {
      onOutcome('refused', 1);
      reject(error);
    }
  }

  /** Batches from memory, until one fails. */
  async function sendDirectly(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, BATCH);
      try {
        await sifter.deliver(batch.map(({ record }) => record));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        log.warn({ err: error, records: batch.length + queue.length }, 'the broker is away: events go to the disk');
        trouble = String(error);
        isSpooling = true;
        const all = [...batch, ...queue];
        queue = [];
        for (const entry of all) {
          if (sifter.isAside(entry.record)) entry.resolve();
          else void toDisk(entry);
        }
        return;
      }
    }
  }

  /** One page of a spool. False when it is empty. */
  async function sendPage({ spool }: HeldSpool): Promise<boolean> {
    const page = await spool.peek(PAGE_BYTES);
    if (!page) return false;
    await sifter.deliver(page.records);
    await spool.advance(page);
    return true;
  }

  /** From the disk, until nothing is left there. */
  async function drain(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      try {
        const oldest = leftBehind[0];
        if (oldest) {
          if (!(await sendPage(oldest))) await giveUp(leftBehind.shift()!);
        } else if (!(await sendPage(own))) {
          // From here to the assignment nothing can be appended.
          if (!own.spool.isEmpty) await own.spool.settled();
          else {
            isSpooling = false;
            trouble = '';
            log.info({}, 'the events that waited on the disk are sent');
            return;
          }
        }
        failures = 0;
      } catch (error) {
        const most = Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** failures++);
        // Said aloud once for each reason: what began as a restart may end as a refused login.
        const say = String(error) === trouble ? log.debug : log.warn;
        trouble = String(error);
        say.call(log, { err: error, failures }, 'the broker does not take what waits on the disk');
        // Rejects only when it is closed meanwhile.
        await sleep(most * (0.5 + Math.random() / 2), undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted && (isSpooling || queue.length > 0)) {
      if (isSpooling) await drain();
      else await sendDirectly();
    }
    work = null;
  }

  function start(): void {
    work ??= run();
  }

  if (isSpooling) start();
  return {
    send(record, isSample = false) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const entry: Entry = { record, isSample, resolve, reject };
      if (closing.signal.aborted) reject(new RideError('RIDE_DRAINING', 'The server takes no more events'));
      else if (isSpooling) void toDisk(entry);
      else if (queue.length >= MOST_IN_MEMORY) {
        onOutcome('refused', 1);
        reject(new RideError('RIDE_UNAVAILABLE', 'Too many events wait for the broker', { retryAfterMs: timeoutMs }));
      } else {
        queue.push(entry);
        start();
      }
      return promise;
    },
    waiting() {
      const spoolsNow = [own, ...leftBehind].map(({ spool }) => spool);
      return {
        records: spoolsNow.reduce((sum, spool) => sum + spool.records, 0),
        bytes: spoolsNow.reduce((sum, spool) => sum + spool.bytes, 0),
      };
    },
    deadLetters: () => spools.deadLetters.records,
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      await work;
      // The broker had its last chance with the batch that was under way.
      isSpooling = true;
      await Promise.all(queue.splice(0).map(toDisk));
      await sink.close();
      await spools.deadLetters.close();
      for (const held of [own, ...leftBehind]) await giveUp(held);
    },
  };
}

async function giveUp({ spool, lock }: HeldSpool): Promise<void> {
  await spool.close();
  lock.release();
}
