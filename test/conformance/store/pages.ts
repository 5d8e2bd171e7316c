/** Cursor pages: order, ties, gaps, stability while documents come and go, tokens. */
import { formatCursor } from '../../../src/adapters/store/cursor.ts';
import type { Collection, PageQuery } from '../../../src/ports/store.ts';
import type { Cases } from '../store.ts';
import { openAt, type Thing, thing } from './place.ts';

/** Ids of all pages, and how many pages there were. */
async function walk(things: Collection<Thing>, query: PageQuery): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let pages = 0;
  let pageToken: string | undefined;
  do {
    const page = await things.page({ ...query, pageToken });
    ids.push(...page.items.map((item) => item.id));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== undefined);
  return { ids, pages };
}

const idsOf = (all: readonly Thing[]): string[] => all.map((one) => one.id);

/** Ascending by the field, missing first, ties by id. */
function sorted(all: readonly Thing[], field: 'createdAt' | 'n' | 'status'): string[] {
  const rank = (one: Thing): [number, number | string] => [one[field] == null ? 0 : 1, one[field] ?? 0];
  const compare = (a: Thing, b: Thing): number => {
    const [x, y] = [rank(a), rank(b)];
    if (x[0] !== y[0]) return x[0] - y[0];
    if (x[1] !== y[1]) return x[1] < y[1] ? -1 : 1;
    return a.id < b.id ? -1 : 1;
  };
  return idsOf([...all].sort(compare));
}

interface Bounds {
  gte?: number;
  gt?: number;
  lt?: number;
  lte?: number;
}

const holds = (value: number, { gte = -1, gt = -1, lt = Infinity, lte = Infinity }: Bounds): boolean =>
  value >= gte && value > gt && value < lt && value <= lte;

export const pageCases: Cases = {
  'pages cover everything once, in order, in both directions, with ties and gaps in the order field': async (
    t,
    place,
  ) => {
    const { things } = await openAt(t, place);
    const all = Array.from({ length: 23 }, (_, i) => {
      const n = i % 5 === 0 ? null : i % 4;
      const status = i % 3 === 0 ? undefined : `s${i % 2}`;
      return thing({ createdAt: 1000 + (i % 7), n, status, place: i % 2 ? { city: `c${i % 3}` } : {} });
    });
    await Promise.all(all.map((one) => things.insert(one)));
    for (const orderBy of ['createdAt', 'n', 'status'] as const) {
      const ascending = sorted(all, orderBy);
      for (const pageSize of [1, 4, 22, 23, 24]) {
        const up = await walk(things, { where: {}, orderBy, direction: 'asc', pageSize });
        t.strictSame(up.ids, ascending, `${orderBy} up by ${pageSize}`);
        t.equal(up.pages, Math.ceil(23 / pageSize), 'no empty last page');
        const down = await walk(things, { where: {}, orderBy, direction: 'desc', pageSize });
        t.strictSame(down.ids, ascending.toReversed(), `${orderBy} down by ${pageSize}`);
      }
    }
    for (const [direction, bounds] of [
      ['asc', { gte: 1001, lt: 1005 }],
      ['desc', { gt: 1001, lte: 1005 }],
      ['asc', { gte: 1002 }],
      ['desc', { lt: 1004 }],
    ] as const) {
      const where = { createdAt: bounds };
      const expected = sorted(
        all.filter(({ createdAt }) => holds(createdAt, bounds)),
        'createdAt',
      );
      const { ids } = await walk(things, { where, direction, pageSize: 3 });
      t.strictSame(direction === 'asc' ? ids : ids.toReversed(), expected, `${direction} ${JSON.stringify(bounds)}`);
    }
    const numbers = sorted(
      all.filter(({ n }) => n != null && n >= 1 && n < 3),
      'n',
    );
    for (const direction of ['asc', 'desc'] as const) {
      const { ids } = await walk(things, { where: { n: { gte: 1, lt: 3 } }, orderBy: 'n', direction, pageSize: 2 });
      t.strictSame(direction === 'asc' ? ids : ids.toReversed(), numbers, `n ${direction}`);
    }
    const newest = await things.page({ where: {}, pageSize: 3 });
    t.strictSame(idsOf(newest.items), sorted(all, 'createdAt').toReversed().slice(0, 3), 'newest first by default');
    const byId = await walk(things, { where: {}, orderBy: 'id', direction: 'asc', pageSize: 5 });
    t.strictSame(byId.ids, idsOf(all).sort());
  },

  'pages keep to their condition': async (t, place) => {
    const { things } = await openAt(t, place);
    const all = Array.from({ length: 12 }, (_, i) => thing({ status: i % 3 ? 'a' : 'b', place: { city: 'c' }, n: i }));
    await Promise.all(all.map((one) => things.insert(one)));
    const where = { status: 'a', 'place.city': 'c' };
    const { ids } = await walk(things, { where, orderBy: 'n', direction: 'asc', pageSize: 3 });
    t.strictSame(ids, idsOf(all.filter((_, i) => i % 3)));
    const early = { createdAt: { lt: all[6]!.createdAt } };
    t.strictSame((await walk(things, { where: early, pageSize: 2 })).ids, idsOf(all.slice(0, 6)).toReversed());
    const none = await things.page({ where: { status: 'c' }, pageSize: 3 });
    t.strictSame(none, { items: [] });
  },

  'a token that was made up leads to nothing that the condition leaves out': async (t, place) => {
    const { things } = await openAt(t, place);
    const all = Array.from({ length: 9 }, (_, n) => thing({ n, createdAt: 5000 + n }));
    await Promise.all(all.map((one) => things.insert(one)));
    for (const [direction, bounds, value] of [
      ['asc', { gte: 3 }, 0],
      ['asc', { gt: 3, lt: 8 }, 1],
      ['desc', { lt: 6 }, 8],
      ['desc', { gte: 2, lte: 5 }, 7],
    ] as const) {
      const query = { where: { n: bounds }, orderBy: 'n', direction, pageSize: 20 };
      const { items } = await things.page({ ...query, pageToken: formatCursor('things', query, { value, id: '~' }) });
      const expected = idsOf(all.filter(({ n }) => holds(n!, bounds)));
      t.strictSame(idsOf(items), direction === 'asc' ? expected : expected.toReversed(), JSON.stringify(bounds));
    }
  },

  'a walk neither skips nor repeats what was there, while others insert and remove': async (t, place) => {
    const { things } = await openAt(t, place);
    const all = Array.from({ length: 30 }, (_, i) => thing({ createdAt: 10_000 + i * 10, status: 'there' }));
    await Promise.all(all.map((one) => things.insert(one)));
    for (const direction of ['asc', 'desc'] as const) {
      const seen: string[] = [];
      let pageToken: string | undefined;
      do {
        const page = await things.page({ where: {}, direction, pageSize: 4, pageToken });
        seen.push(...page.items.filter((item) => item.status === 'there').map((item) => item.id));
        pageToken = page.nextPageToken;
        const last = page.items.at(-1)!;
        for (const delta of [-15, -1, 0, 1, 15]) {
          await things.insert(thing({ createdAt: last.createdAt + delta, status: 'new' }));
        }
        if (last.status === 'new') await things.remove({ id: last.id }, 1);
      } while (pageToken !== undefined && seen.length < 100);
      t.strictSame(seen, direction === 'asc' ? idsOf(all) : idsOf(all).toReversed());
      await things.remove({ status: 'new' }, 10_000);
    }
  },

  'a token that is not of this query is refused': async (t, place) => {
    const { things, others } = await openAt(t, place);
    for (let i = 0; i < 5; i++) await things.insert(thing({ n: i }));
    const query: PageQuery = { where: { n: { gte: 0 } }, pageSize: 2 };
    const token = (await things.page(query)).nextPageToken!;
    t.equal((await things.page({ ...query, pageToken: token })).items.length, 2);
    t.equal((await things.page({ ...query, pageSize: 1, pageToken: token })).items.length, 1, 'the size may change');
    const refused = { code: 'RIDE_INVALID_INPUT', field: 'page_token' };
    for (const pageToken of ['', 'x', `${token}AAAA`, token.slice(0, -4), token.toUpperCase(), '=?', 'e30', '\0']) {
      await t.rejects(things.page({ ...query, pageToken }), refused, JSON.stringify(pageToken));
    }
    await t.rejects(things.page({ ...query, direction: 'asc', pageToken: token }), refused);
    await t.rejects(things.page({ ...query, orderBy: 'n', pageToken: token }), refused);
    await t.rejects(things.page({ ...query, where: {}, pageToken: token }), refused);
    await t.rejects(others.page({ ...query, pageToken: token }), refused);
  },

  'a page size or an order that is out of bounds is refused': async (t, place) => {
    const { things } = await openAt(t, place);
    for (const pageSize of [0, -1, 1001, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await t.rejects(things.page({ where: {}, pageSize }), { code: 'RIDE_INVALID_INPUT', field: 'page_size' });
    }
    await t.rejects(things.page({ where: {}, pageSize: 1, orderBy: "n' --" }), {
      code: 'RIDE_INVALID_INPUT',
      field: 'order_by',
    });
  },
};
