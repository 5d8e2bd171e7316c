/** Conditions: count, near, remove. */
import type { Filter } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { eventOf, openAt, type Thing, thing } from './place.ts';

const FEW: readonly Partial<Thing>[] = [
  { note: 'zero', n: 0, status: '', flag: false },
  { note: 'one', n: 1, status: '1', flag: true },
  { note: 'half', n: 0.5, status: 'open', place: { city: 'Bengaluru' } },
  { note: 'minus', n: -3, status: 'öpen', place: { city: null } },
  { note: 'big', n: 1e12, status: 'Z', place: { city: 'bengaluru', zone: 'z' } },
  { note: 'none', n: null, status: null },
  { note: 'bare' },
];

const CONDITIONS: readonly [Filter, string[]][] = [
  [{}, ['zero', 'one', 'half', 'minus', 'big', 'none', 'bare']],
  [{ n: 0 }, ['zero']],
  [{ n: 1 }, ['one']],
  [{ n: 0.5 }, ['half']],
  [{ n: 'one' }, []],
  [{ status: 1 }, []],
  [{ status: '1' }, ['one']],
  [{ status: '' }, ['zero']],
  [{ n: null }, ['none', 'bare']],
  [{ flag: true }, ['one']],
  [{ flag: false }, ['zero']],
  [{ flag: 1 }, []],
  [{ n: true }, []],
  [{ n: { in: [0, 1, 7] } }, ['zero', 'one']],
  [{ n: { in: [-3, null] } }, ['minus', 'none', 'bare']],
  [{ status: { in: ['open', 'Z', 'x'] } }, ['half', 'big']],
  [{ flag: { in: [0, 1] } }, []],
  [{ flag: { in: [true, 'x'] } }, ['one']],
  [{ n: { in: [] } }, []],
  [{ n: { gte: 0 } }, ['zero', 'one', 'half', 'big']],
  [{ n: { gt: 0, lte: 1 } }, ['one', 'half']],
  [{ n: { lt: 0 } }, ['minus']],
  [{ n: { gte: 2, lt: 2 } }, []],
  [{ n: { gte: 'a' } }, []],
  [{ status: { gte: 'open' } }, ['half', 'minus']],
  [{ status: { lt: 'a' } }, ['zero', 'one', 'big']],
  [{ status: { gt: 'Z', lte: 'open' } }, ['half']],
  [{ status: { gte: 0 } }, []],
  [{ flag: { gte: 0 } }, []],
  [{ n: { exists: true } }, ['zero', 'one', 'half', 'minus', 'big']],
  [{ n: { exists: false } }, ['none', 'bare']],
  [{ 'place.city': 'Bengaluru' }, ['half']],
  [{ 'place.city': null }, ['zero', 'one', 'minus', 'none', 'bare']],
  [{ 'place.city': { exists: true }, n: { gt: 1 } }, ['big']],
  [{ 'place.zone': 'z', 'place.city': 'bengaluru' }, ['big']],
  [{ version: 1, region: 'blr', n: { gte: 1 } }, ['one', 'big']],
  [{ version: { gt: 1 } }, []],
  [{ region: 'elsewhere' }, []],
  [{ createdAt: { gte: 3, lt: 5 } }, ['minus', 'big']],
  [{ 'place.city': { in: ['bengaluru', 'Bengaluru'] }, createdAt: { gte: 3, lt: 5 } }, ['big']],
  [{ note: "' OR 1=1 --" }, []],
];

export const queryCases: Cases = {
  'conditions: equality, null, in, ranges, exists, all of them together': async (t, place) => {
    const { things } = await openAt(t, place);
    for (const [i, fields] of FEW.entries()) await things.insert(thing({ ...fields, createdAt: i }));
    for (const [where, expected] of CONDITIONS) {
      const { items } = await things.page({ where, pageSize: 100, direction: 'asc' });
      t.strictSame(
        items.map((item) => item.note),
        expected,
        JSON.stringify(where),
      );
      t.equal(await things.count(where), expected.length, `count of ${JSON.stringify(where)}`);
      const tallies = await things.tally(where, ['note']);
      const noted = tallies.map(({ values }) => values[0]).sort();
      t.strictSame(noted, expected.toSorted(), `tally of ${JSON.stringify(where)}`);
    }
    const [one] = await things.getMany([(await things.page({ where: { n: 1 }, pageSize: 1 })).items[0]!.id]);
    t.equal(await things.count({ id: one!.id }), 1);
    t.equal(await things.count({ id: { in: [one!.id, 'nobody'] } }), 1);
  },

  'a tally counts each combination of values, missing and null as one': async (t, place) => {
    const { things } = await openAt(t, place);
    const all: Partial<Thing>[] = [
      { place: { city: 'a' }, status: 'x' },
      { place: { city: 'a' }, status: 'x' },
      { place: { city: 'a' } },
      { place: { city: null }, status: null },
      {},
    ];
    for (const [n, one] of all.entries()) await things.insert(thing({ n, ...one }));
    const tally = async (where: Filter) =>
      (await things.tally(where, ['place.city', 'status']))
        .map(({ values, count }) => [...values, count])
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    t.strictSame(await tally({}), [
      ['a', 'x', 2],
      ['a', null, 1],
      [null, null, 2],
    ]);
    t.strictSame(await tally({ n: { gte: 2 } }), [
      ['a', null, 1],
      [null, null, 2],
    ]);
    t.strictSame(await tally({ n: 7 }), []);
    await t.rejects(things.tally({}, []), { code: 'RIDE_INVALID_INPUT' });
    await t.rejects(things.tally({}, ["n'"]), { code: 'RIDE_INVALID_INPUT' });
  },

  'conditions that are none of the port are refused': async (t, place) => {
    const { things } = await openAt(t, place);
    const wrong = [
      { "n') OR 1=1 --": 1 },
      { $where: 'true' },
      { n: { $gt: 1 } },
      { n: {} },
      { n: { gt: null } },
      { n: { in: 3 } },
      { n: undefined },
      { n: [1] },
    ] as unknown as Filter[];
    for (const where of wrong) {
      await t.rejects(things.count(where), { code: 'RIDE_INVALID_INPUT' }, `count ${JSON.stringify(where)}`);
      await t.rejects(things.remove(where, 1), { code: 'RIDE_INVALID_INPUT' }, `remove ${JSON.stringify(where)}`);
      await t.rejects(things.page({ where, pageSize: 1 }), { code: 'RIDE_INVALID_INPUT' });
    }
  },

  'near gives the documents in the cells, further conditions and the limit applied': async (t, place) => {
    const { things } = await openAt(t, place);
    const cells = ['8960145b48fffff', '8960145b4bfffff', '8960145b483ffff'];
    const all = cells.flatMap((cell) => [thing({ cell, status: 'free' }), thing({ cell, status: 'busy' })]);
    await Promise.all([...all, thing({ status: 'free' })].map((one) => things.insert(one)));
    const found = await things.near({ field: 'cell', cells: cells.slice(0, 2), limit: 10 });
    t.strictSame(
      found.map((one) => one.id).sort(),
      all
        .slice(0, 4)
        .map((one) => one.id)
        .sort(),
    );
    const free = await things.near({ field: 'cell', cells, where: { status: 'free' }, limit: 10 });
    t.strictSame(free.map((one) => one.cell).sort(), [...cells].sort());
    t.equal((await things.near({ field: 'cell', cells, limit: 5 })).length, 5);
    t.strictSame(await things.near({ field: 'cell', cells: [], limit: 5 }), []);
    await t.rejects(things.near({ field: 'cell', cells, limit: 0 }), { code: 'RIDE_INVALID_INPUT', field: 'limit' });
  },

  'remove takes what matches, at most the limit, and never what has unpublished events': async (t, place) => {
    const { things } = await openAt(t, place);
    const old = Array.from({ length: 10 }, () => thing({ status: 'old' }));
    const waiting = thing({ status: 'old' });
    const young = thing({ status: 'young' });
    await Promise.all([...old, young].map((one) => things.insert(one)));
    await things.insert(waiting, [eventOf(waiting)]);
    t.equal(await things.remove({ status: 'old' }, 4), 4);
    t.equal(await things.remove({ status: 'old' }, 100), 6);
    t.equal(await things.remove({ status: 'old' }, 100), 0);
    t.strictSame(
      (await things.page({ where: {}, pageSize: 10, direction: 'asc' })).items.map((one) => one.id),
      [waiting.id, young.id],
    );
    await things.acknowledge(waiting.id, [eventOf(waiting).id]);
    t.equal(await things.remove({ status: 'old' }, 100), 1);
    t.equal(await things.get(waiting.id), null);
    await things.insert({ ...waiting, note: 'again' }, [eventOf(waiting)]);
    t.strictSame(await things.outboxOf(waiting.id), [eventOf(waiting)], 'an id that was removed may be used again');
  },
};
