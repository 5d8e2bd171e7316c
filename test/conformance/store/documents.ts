/** Documents: insert, get, compare-and-set. */
import type { Cases } from '../store.ts';
import { eventOf, next, openAt, type Thing, thing } from './place.ts';

const taken = (index: string) => ({ code: 'RIDE_ALREADY_EXISTS', facts: { index } });
const refused = (field: string) => ({ code: 'RIDE_INVALID_INPUT', field });

export const documentCases: Cases = {
  'a document comes back as it was stored': async (t, place) => {
    const { things } = await openAt(t, place);
    const extra = {
      text: 'ünï — 北京 🚕 "quotes" \\ and\nlines',
      numbers: [0, -1, 0.1, 1e-7, 12345678901, Number.MAX_SAFE_INTEGER, -0.000001, 1.7976931348623157e308],
      nothing: null,
      yes: true,
      deep: { list: [{ a: [] }, {}, [null]], empty: '' },
    };
    const stored = thing({ n: 0.30000000000000004, flag: false, status: null, place: { city: 'Bengaluru' }, extra });
    await things.insert(stored);
    t.strictSame(await things.get(stored.id), stored);
    t.equal(await things.get('trip_blr_00000000000000000000000000'), null, 'an id of ours that nobody has');
    t.equal(await things.get('nobody'), null, 'an id that is not ours');
  },

  'undefined fields are missing afterwards, null ones are null': async (t, place) => {
    const { things } = await openAt(t, place);
    const stored = thing({ status: null, note: undefined, place: { city: undefined, zone: 'z' } });
    await things.insert(stored);
    const found = await things.get(stored.id);
    t.equal(found?.status, null);
    t.notOk('note' in found!);
    t.strictSame(found?.place, { zone: 'z' });
  },

  'the outbox never shows in a document': async (t, place) => {
    const { things } = await openAt(t, place);
    const stored = thing({ cell: 'c' });
    await things.insert(stored, [eventOf(stored)]);
    t.strictSame(await things.get(stored.id), stored);
    t.strictSame(await things.getMany([stored.id]), [stored]);
    t.strictSame((await things.page({ where: {}, pageSize: 10 })).items, [stored]);
    t.strictSame(await things.near({ field: 'cell', cells: ['c'], limit: 10 }), [stored]);
    t.strictSame((await things.pending(Number.MAX_SAFE_INTEGER, 10))[0]?.document, stored);
  },

  'documents that are stored together are stored as each alone, or refused': async (t, place) => {
    const { things } = await openAt(t, place);
    const all = Array.from({ length: 30 }, () => thing());
    await things.insertMany(all);
    await things.insertMany([]);
    t.strictSame(await things.getMany(all.map(({ id }) => id)), all);
    t.strictSame(await things.pending(Number.MAX_SAFE_INTEGER, 10), [], 'without events');
    t.equal(await things.compareAndSet(next(all[7]!), [eventOf(next(all[7]!))]), true);
    await t.rejects(things.insertMany([thing(), all[3]!, thing()]), taken('id'));
    await t.rejects(
      things.insertMany([thing(), thing({ run: 'r', code: 'a' }), thing({ run: 'r', code: 'a' })]),
      taken('code'),
    );
    await t.rejects(things.insertMany([thing(), { ...thing(), version: 2 }]), refused('version'));
    t.strictSame(await things.get(all[3]!.id), all[3], 'who was there stays');
  },

  'getMany keeps the order asked for and leaves out what is missing': async (t, place) => {
    const { things } = await openAt(t, place);
    const [a, b, c] = [thing(), thing(), thing({ id: 'an id of another system' })] as [Thing, Thing, Thing];
    await Promise.all([a, b, c].map((one) => things.insert(one)));
    t.strictSame(await things.getMany([c.id, 'nobody', a.id, b.id, a.id]), [c, a, b, a]);
    t.strictSame(await things.getMany([]), []);
  },

  'collections do not mix': async (t, place) => {
    const { things, others } = await openAt(t, place);
    const one = thing({ handle: 'h' });
    await things.insert(one, [eventOf(one)]);
    await others.insert({ ...one, note: 'other' });
    t.equal((await others.get(one.id))?.note, 'other');
    t.strictSame(await others.outboxOf(one.id), []);
    t.strictSame(await others.pending(Number.MAX_SAFE_INTEGER, 10), []);
  },

  'a document that breaks a rule is refused and not stored': async (t, place) => {
    const { things } = await openAt(t, place);
    const id = thing().id;
    await t.rejects(things.insert({ ...thing(), version: 2 }), refused('version'));
    await t.rejects(things.compareAndSet({ ...thing(), version: 1 }), refused('version'));
    await t.rejects(things.insert({ ...thing(), id }), refused('id'), 'an id that tells another creation time');
    await t.rejects(things.insert({ ...thing(), region: 'elsewhere' }), refused('id'));
    await t.rejects(things.insert({ ...thing(), id: '' }), refused('id'));
    await t.rejects(things.insert({ ...thing(), createdAt: 1.5 }), refused('created_at'));
    for (const name of ['outbox', 'a.b', '$set', '_id', 'with space']) {
      await t.rejects(things.insert({ ...thing(), [name]: 1 }), refused(name));
    }
    t.equal(await things.count({}), 0);
  },

  'a taken id is refused by name and nothing of the insert stays': async (t, place) => {
    const { things } = await openAt(t, place);
    const first = thing({ handle: 'h' });
    await things.insert(first, [eventOf(first)]);
    const second = { ...first, note: 'second' };
    await t.rejects(things.insert(second, [{ ...eventOf(first), id: 'again', seq: 2 }]), taken('id'));
    t.strictSame(await things.get(first.id), first);
    t.strictSame(await things.outboxOf(first.id), [eventOf(first)]);
  },

  'of 50 inserts of one id exactly one wins': async (t, place) => {
    const { things } = await openAt(t, place);
    const one = thing();
    const tries = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => things.insert({ ...one, code: `c${i}`, note: `${i}` }, [eventOf(one)])),
    );
    const won = tries.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
    t.equal(won.length, 1);
    for (const result of tries) {
      if (result.status === 'rejected') t.match(result.reason, taken('id'));
    }
    t.equal((await things.get(one.id))?.note, `${won[0]}`);
    t.equal((await things.outboxOf(one.id)).length, 1);
  },

  'compare-and-set replaces the whole document': async (t, place) => {
    const { things } = await openAt(t, place);
    const first = thing({ note: 'to vanish', place: { city: 'a', zone: 'z' }, extra: { a: 1, b: 2 } });
    await things.insert(first);
    const { note: _, ...rest } = first;
    const second = next<Thing>(rest, { place: { city: 'b' }, extra: { b: 3 }, handle: 'new' });
    t.equal(await things.compareAndSet(second), true);
    t.strictSame(await things.get(first.id), second);
    const third = next<Thing>({ ...second, place: undefined, note: undefined }, { status: 'back', note: 'again' });
    t.equal(await things.compareAndSet(third), true);
    const { place: __, ...expected } = third;
    t.strictSame(await things.get(first.id), expected);
    t.equal(await things.count({ 'place.city': { exists: true } }), 0, 'nor do conditions see what vanished');
  },

  'a process that never read the document can replace it': async (t, place) => {
    const { things } = await openAt(t, place);
    const first = thing({ note: 'n', status: 's' });
    await things.insert(first);
    const elsewhere = await openAt(t, place);
    const { note: _, ...rest } = first;
    t.equal(await elsewhere.things.compareAndSet(next<Thing>(rest)), true);
    t.notOk('note' in (await things.get(first.id))!);
    const { status: __, ...bare } = rest;
    t.equal(await things.compareAndSet({ ...bare, version: 3 }), true);
    t.notOk('status' in (await elsewhere.things.get(first.id))!);
  },

  'compare-and-set on another version, a gone document or another creation changes nothing': async (t, place) => {
    const { things } = await openAt(t, place);
    const first = thing();
    await things.insert(first);
    const second = next(first, { note: 'second' });
    t.equal(await things.compareAndSet(second, [eventOf(second)]), true);
    t.equal(await things.compareAndSet(next(first, { note: 'late' }), [eventOf(second)]), false, 'an old version');
    t.equal(await things.compareAndSet({ ...second, version: 9 }, [eventOf(second)]), false, 'a version to come');
    t.equal(await things.compareAndSet(next(thing()), []), false, 'a document that is not there');
    t.strictSame(await things.get(first.id), second);
    t.strictSame(await things.outboxOf(first.id), [eventOf(second)]);
    const foreign = thing({ id: 'foreign' });
    await things.insert(foreign);
    t.equal(await things.compareAndSet(next(foreign, { createdAt: foreign.createdAt + 1 })), false);
    t.equal(await things.compareAndSet(next(foreign, { region: 'other' })), false);
    t.equal(await things.compareAndSet(next(foreign, { note: 'x' })), true);
  },

  'of 50 compare-and-sets on one version exactly one wins': async (t, place) => {
    const { things } = await openAt(t, place);
    const second = await openAt(t, place);
    let document = thing();
    await things.insert(document, [eventOf(document)]);
    for (let round = 0; round < 3; round++) {
      const tries = Array.from({ length: 50 }, (_, i) => next(document, { note: `${round}.${i}` }));
      const won = await Promise.all(
        tries.map((one, i) => (i % 2 ? things : second.things).compareAndSet(one, [{ ...eventOf(one), data: { i } }])),
      );
      t.equal(won.filter(Boolean).length, 1);
      const winner = won.indexOf(true);
      document = tries[winner]!;
      t.strictSame(await things.get(document.id), document);
      t.strictSame((await things.outboxOf(document.id)).at(-1)?.data, { i: winner });
    }
  },

  '50 writers that retry all get through, with no gap in versions or events': async (t, place) => {
    const { things } = await openAt(t, place);
    const first = thing({ n: 0 });
    await things.insert(first, [eventOf(first)]);
    const add = async (): Promise<void> => {
      for (;;) {
        const seen = (await things.get(first.id))!;
        const changed = next(seen, { n: seen.n! + 1 });
        if (await things.compareAndSet(changed, [eventOf(changed)])) return;
      }
    };
    await Promise.all(Array.from({ length: 50 }, add));
    const last = await things.get(first.id);
    t.equal(last?.n, 50);
    t.equal(last?.version, 51);
    const events = await things.outboxOf(first.id);
    t.strictSame(
      events.map((event) => event.seq),
      Array.from({ length: 51 }, (_, i) => i + 1),
    );
  },

  'one failed write of many at once fails alone': async (t, place) => {
    const { things } = await openAt(t, place);
    const clash = thing({ handle: 'same' });
    const all = [clash, ...Array.from({ length: 40 }, (_, i) => thing({ handle: i % 4 ? `h${i}` : 'same' }))];
    const results = await Promise.allSettled(all.map((one) => things.insert(one, [eventOf(one)])));
    const kept = all.filter((_, i) => results[i]!.status === 'fulfilled');
    t.equal(kept.length, 31);
    t.strictSame(await things.getMany(all.map((one) => one.id)), kept);
    for (const [i, one] of all.entries()) {
      t.equal((await things.outboxOf(one.id)).length, results[i]!.status === 'fulfilled' ? 1 : 0);
    }
  },
};
