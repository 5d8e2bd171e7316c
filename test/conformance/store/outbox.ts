/**
 * The outbox: events come with their write, stay until acknowledged, and are neither lost nor brought back by other
 * writes.
 */
import type { OutboxEvent } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { eventOf, next, openAt, type Thing, thing } from './place.ts';

const LATE = Number.MAX_SAFE_INTEGER;
const seqs = (events: readonly OutboxEvent[]): number[] => events.map((event) => event.seq);

export const outboxCases: Cases = {
  'events are appended in order and leave when acknowledged': async (t, place) => {
    const { things } = await openAt(t, place);
    const one = thing();
    const event = (seq: number): OutboxEvent => ({
      id: `e${seq}`,
      seq,
      type: 'thing.x',
      at: seq,
      data: { seq, s: 'ü"' },
    });
    await things.insert(one, [event(1), event(2)]);
    await things.compareAndSet(next(one), [event(3)]);
    t.strictSame(await things.outboxOf(one.id), [event(1), event(2), event(3)]);
    await things.acknowledge(one.id, ['e2', 'unknown']);
    t.strictSame(seqs(await things.outboxOf(one.id)), [1, 3]);
    await things.acknowledge(one.id, ['e2']);
    await things.acknowledge(one.id, []);
    await things.acknowledge('nobody', ['e1']);
    t.strictSame(seqs(await things.outboxOf(one.id)), [1, 3], 'again, nothing and nobody are no error');
    await things.acknowledge(one.id, ['e1', 'e3']);
    t.strictSame(await things.outboxOf(one.id), []);
    t.equal((await things.get(one.id))?.version, 2, 'acknowledging is no change');
    t.equal(await things.compareAndSet({ ...one, version: 3 }, [event(4)]), true);
    t.strictSame(seqs(await things.outboxOf(one.id)), [4]);
    t.strictSame(await things.outboxOf('nobody'), []);
  },

  'pending lists documents by their earliest event, to a date, up to a limit': async (t, place) => {
    const { things } = await openAt(t, place);
    const [a, b, c, d] = [thing(), thing(), thing(), thing()] as [Thing, Thing, Thing, Thing];
    await things.insert(a, [eventOf(a, 300)]);
    await things.insert(b, [eventOf(b, 100)]);
    await things.insert(c, [eventOf(c, 200)]);
    await things.insert(d);
    const later = next(b);
    await things.compareAndSet(later, [eventOf(later, 400)]);
    t.strictSame(await things.pending(LATE, 10), [
      { document: later, events: [eventOf(b, 100), eventOf(later, 400)] },
      { document: c, events: [eventOf(c, 200)] },
      { document: a, events: [eventOf(a, 300)] },
    ]);
    const ids = async (before: number, limit: number): Promise<string[]> =>
      (await things.pending(before, limit)).map((one) => one.document.id);
    t.strictSame(await ids(200, 10), [b.id, c.id], 'the date itself counts');
    t.strictSame(await ids(99, 10), []);
    t.strictSame(await ids(LATE, 2), [b.id, c.id]);
    const idsFrom = async (from: number): Promise<string[]> =>
      (await things.pending(LATE, 10, from)).map((one) => one.document.id);
    t.strictSame(await idsFrom(100), [b.id, c.id, a.id], 'the first date itself counts');
    t.strictSame(await idsFrom(101), [c.id, a.id], 'a document is where its earliest event is');
    t.strictSame(await idsFrom(301), []);
    await things.acknowledge(b.id, [eventOf(b).id]);
    t.strictSame(await ids(LATE, 10), [c.id, a.id, b.id], 'the next event counts now');
    for (const one of [a, later, c]) await things.acknowledge(one.id, [eventOf(one).id]);
    t.strictSame(await ids(LATE, 10), []);
    await t.rejects(things.pending(LATE, 0), { code: 'RIDE_INVALID_INPUT', field: 'limit' });
  },

  'a long backlog comes in parts': async (t, place) => {
    const { things } = await openAt(t, place);
    const one = thing();
    const events = Array.from({ length: 250 }, (_, i) => ({ ...eventOf(one), id: `e${i + 1}`, seq: i + 1, at: i }));
    await things.insert(one, events);
    const seen: number[] = [];
    for (;;) {
      const [part] = await things.pending(LATE, 10);
      if (!part || seen.length > 250) break;
      t.ok(part.events.length <= 100);
      seen.push(...seqs(part.events));
      await things.acknowledge(
        one.id,
        part.events.map((event) => event.id),
      );
    }
    t.strictSame(seen, seqs(events));
  },

  'acknowledging while others write loses no event and brings none back': async (t, place) => {
    const { things } = await openAt(t, place);
    const second = await openAt(t, place);
    const writes = 150;
    let document = thing();
    await things.insert(document, [eventOf(document)]);
    const acknowledged = new Set<number>();
    let done = false;
    const publisher = async (from: typeof things): Promise<void> => {
      while (!done || (await from.outboxOf(document.id)).length > 0) {
        const events = await from.outboxOf(document.id);
        const fresh = events.slice(0, 3);
        if (fresh.length === 0) continue;
        await from.acknowledge(
          document.id,
          fresh.map((event) => event.id),
        );
        for (const event of fresh) acknowledged.add(event.seq);
        const left = new Set(seqs(await from.outboxOf(document.id)));
        for (const event of fresh) if (left.has(event.seq)) t.fail(`event ${event.seq} came back`);
      }
    };
    const writer = async (): Promise<void> => {
      for (let i = 0; i < writes; i++) {
        document = next(document, { n: i });
        if (!(await things.compareAndSet(document, [eventOf(document)]))) t.fail('the only writer lost');
      }
      done = true;
    };
    await Promise.all([writer(), publisher(second.things), publisher(things)]);
    t.equal(acknowledged.size, writes + 1, 'every event was seen once at least');
    t.equal((await things.get(document.id))?.version, writes + 1);
    t.strictSame(await things.pending(LATE, 10), []);
  },
};
