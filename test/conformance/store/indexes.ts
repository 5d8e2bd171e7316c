/** Indexes: uniqueness, sparseness, and stores that are opened with other ones than before. */
import type { IndexSpec } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { createStoreAt, eventOf, next, openAt, THINGS, type Thing, thing } from './place.ts';

const taken = (index: string) => ({ code: 'RIDE_ALREADY_EXISTS', facts: { index } });

export const indexCases: Cases = {
  'a unique index refuses the second by name, on insert and on compare-and-set': async (t, place) => {
    const { things } = await openAt(t, place);
    const a = thing({ run: 'r', code: 'a' });
    const b = thing({ run: 'r', code: 'b' });
    await Promise.all([a, b].map((one) => things.insert(one)));
    await t.rejects(things.insert(thing({ run: 'r', code: 'a' })), taken('code'));
    const changed = next(b, { code: 'a' });
    await t.rejects(things.compareAndSet(changed, [eventOf(changed)]), taken('code'));
    t.strictSame(await things.get(b.id), b);
    t.strictSame(await things.outboxOf(b.id), []);
    await things.insert(thing({ run: 'other', code: 'a' }));
    t.equal(await things.compareAndSet(next(a, { code: 'c' })), true);
    t.equal(await things.compareAndSet(changed), true, 'what was given up is free');
    await t.rejects(things.insert(a), taken('id'), 'the id is named first');
  },

  'a missing field counts as a value in a unique index, and not in a sparse one': async (t, place) => {
    const { things } = await openAt(t, place);
    const without = (fields: Partial<Thing> = {}): Thing => {
      const { code: _, ...rest } = thing(fields);
      return rest;
    };
    await things.insert(without({ run: 'r' }));
    await t.rejects(things.insert(without({ run: 'r' })), taken('code'));
    await t.rejects(things.insert({ ...without({ run: 'r' }), code: null }), taken('code'), 'null is missing');
    await things.insert(without({ run: 's' }));
    for (const handle of [undefined, undefined, null, null]) await things.insert(thing({ handle }));
    const held = thing({ handle: 'h' });
    await things.insert(held);
    await t.rejects(things.insert(thing({ handle: 'h' })), taken('handle'));
    t.equal(await things.compareAndSet(next(held, { handle: null })), true);
    const heir = thing({ handle: 'h' });
    await things.insert(heir);
    await t.rejects(things.compareAndSet({ ...held, version: 3 }), taken('handle'));
  },

  'a unique sparse index takes a dotted path, and null there comes back': async (t, place) => {
    const { things } = await openAt(t, place);
    const all = [
      thing({ place: {} }),
      thing({ place: { zone: null } }),
      thing({ place: { zone: null, city: 'c' }, handle: null }),
      thing({ place: { zone: 'z' } }),
      thing(),
    ];
    for (const one of all) await things.insert(one);
    t.strictSame(await things.getMany(all.map((one) => one.id)), all);
    t.strictSame((await things.page({ where: {}, pageSize: 9, direction: 'asc' })).items, all);
    await t.rejects(things.insert(thing({ place: { zone: 'z' } })), taken('zone'));
    const filled = next(all[2]!, { place: { zone: 'y' }, handle: 'h' });
    t.equal(await things.compareAndSet(filled), true);
    t.strictSame(await things.get(filled.id), filled);
    const emptied = next<Thing>(filled, { place: { zone: null } });
    t.equal(await things.compareAndSet(emptied), true);
    t.strictSame(await things.get(filled.id), emptied);
    await t.rejects(things.compareAndSet(next<Thing>(emptied, { place: { zone: 'z' } })), taken('zone'));
  },

  'an index that cannot be had everywhere is a defect of its declaration': async (t, place) => {
    const store = await createStoreAt(place);
    t.after(() => store.close());
    const declare = (index: Partial<IndexSpec>): void => {
      const made = { name: 'x', fields: ['a'], ...index };
      store.collection<Thing>({ name: 'wrong', indexes: [made, { name: 'other', fields: ['b'] }] });
    };
    t.throws(() => declare({ unique: true, sparse: true, fields: ['a', 'b'] }), /unique and sparse/);
    for (const more of [{ unique: true }, { sparse: true }, { present: 'a b' }])
      t.throws(() => declare({ present: 'b', ...more }), /present is one/);
    t.throws(() => declare({ fields: [] }), /no field/);
    t.throws(() => declare({ fields: ["a'"] }), /dotted path/);
    t.throws(() => declare({ name: 'other' }), /name of its own/);
    t.throws(() => declare({ name: 'id' }), /name of its own/);
    t.throws(() => store.collection<Thing>({ name: 'a b', indexes: [] }), /identifier/);
  },

  'opening with a unique index that stored documents break says which': async (t, place) => {
    const { things, store } = await openAt(t, place);
    for (const one of [thing({ note: 'same' }), thing({ note: 'same' })]) await things.insert(one);
    await store.close();
    const again = await createStoreAt(place);
    again.collection<Thing>({ ...THINGS, indexes: [{ name: 'note', fields: ['note'], unique: true }] });
    await t.rejects(again.open(), { code: 'RIDE_ALREADY_EXISTS', facts: { collection: 'things', index: 'note' } });
    await again.close();
  },

  'a store that was closed and opened again has everything, and may have new indexes': async (t, place) => {
    const { things, store } = await openAt(t, place);
    const one = thing({ note: 'same' });
    await things.insert(one, [eventOf(one)]);
    const nulls = [thing({ note: null }), thing({ note: null }), thing()];
    for (const each of nulls) await things.insert(each);
    await store.close();
    await t.rejects(things.get(one.id), { code: 'RIDE_UNAVAILABLE' });
    await t.rejects(store.ping(), { code: 'RIDE_UNAVAILABLE' });
    const again = await createStoreAt(place);
    const indexes = [...THINGS.indexes, { name: 'note', fields: ['note'], unique: true, sparse: true }];
    const reopened = again.collection<Thing>({ ...THINGS, indexes });
    t.throws(() => again.collection(THINGS), /things/);
    await again.open();
    t.after(() => again.close());
    await again.ping();
    t.strictSame(await reopened.get(one.id), one);
    t.strictSame(await reopened.outboxOf(one.id), [eventOf(one)]);
    await t.rejects(reopened.insert(thing({ note: 'same' })), taken('note'));
    t.strictSame(await reopened.getMany(nulls.map((each) => each.id)), nulls);
    for (const each of nulls) t.equal(await reopened.compareAndSet(next(each)), true);
    t.strictSame(
      await reopened.getMany(nulls.map((each) => each.id)),
      nulls.map((each) => next(each)),
    );
    await reopened.insert(thing({ note: null }));
  },
};
