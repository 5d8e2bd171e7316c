/**
 * The ledger of events has no gap, wherever between the store and the broker a node is killed: what the store has, the topic tells, each
 * document's events in their order.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import type { StoredDocument } from '../../../src/ports/store.ts';
import { createStoreAt, type Place } from '../../conformance/store/place.ts';
import type { TestScope } from '../../servers/process.ts';

export interface Thing extends StoredDocument {
  /** Of its last event. */
  seq: number;
}

/** Where a node may be killed, on the way of an event. */
export const POINTS = ['stored', 'published', 'told', 'spooled', 'sent', 'recorded', 'acknowledged'] as const;
export type Point = (typeof POINTS)[number];

export interface Life {
  /** Null: it is not killed. */
  point: Point | null;
  nth: number;
  /** Batches that the broker refuses first, so that the spool is on the way. */
  refusals: number;
}

export interface LedgerPlace {
  broker: string;
  redisUrl: string;
  store: Place;
  /** Of the spools. */
  folder: string;
}

export const IDS = ['ledger-a', 'ledger-b', 'ledger-c'];
/** In one life, over all of them. */
export const CHANGES = 24;

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

/** Every place once, in any order. */
const LIVES: fc.Arbitrary<Life[]> = fc
  .tuple(
    fc.shuffledSubarray([...POINTS], { minLength: POINTS.length }),
    fc.array(fc.record({ nth: fc.integer({ min: 1, max: 8 }), refusals: fc.nat(2) }), {
      minLength: POINTS.length,
      maxLength: POINTS.length,
    }),
  )
  .map(([points, rest]) =>
    points.map((point, n) => {
      const { nth, refusals } = rest[n]!;
      // A refusal may fall on what a former life left on the disk: only a broker that stays away sends a new event there for certain.
      if (point === 'spooled') return { point, nth: 1, refusals: 1_000_000 };
      // Passed once a batch.
      return { point, nth: point === 'sent' ? 1 : nth, refusals };
    }),
  );

async function live(t: TestScope, place: LedgerPlace, life: Life): Promise<void> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(place), JSON.stringify(life)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [code, signal] = await once(child, 'exit');
  const expected = life.point === null ? code === 0 : signal === 'SIGKILL';
  if (!expected) throw new Error(`the node that was to be killed at ${life.point} ended with ${signal ?? code}`);
}

/**
 * Lives and deaths of a node, and one that is left in peace at the end; then the events by the store.
 * @param runs so often, with lives of other lengths each time
 * @param told seqs of a document on the topic, first arrivals in their order; resolves when there are so many
 */
export async function checkLedger(
  t: TestScope,
  place: LedgerPlace,
  runs: number,
  told: (id: string, count: number) => Promise<number[]>,
): Promise<void> {
  const property = fc.asyncProperty(LIVES, async (lives) => {
    for (const life of [...lives, { point: null, nth: 0, refusals: 1 }]) await live(t, place, life);
    const store = await createStoreAt(place.store);
    const things = store.collection<Thing>({ name: 'things', indexes: [] });
    await store.open();
    try {
      for (const id of IDS) {
        const { seq } = (await things.get(id))!;
        const seqs = await told(id, seq);
        const expected = Array.from({ length: seq }, (_, n) => n + 1);
        if (seqs.join() !== expected.join()) throw new Error(`${id}: the topic tells ${seqs} of ${seq}`);
        const waiting = await things.outboxOf(id);
        if (waiting.length > 0) throw new Error(`${id}: ${waiting.length} events were left in the outbox`);
      }
    } finally {
      await store.close();
    }
  });
  // What one run left, the next would go on with: a smaller example could not be found.
  await fc.assert(property, { numRuns: runs, endOnFailure: true });
}
