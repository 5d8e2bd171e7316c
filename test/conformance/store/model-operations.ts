/** The random operations of model.ts: few ids and few values, so that they meet. */
import fc from 'fast-check';
import type { FieldValue, Filter } from '../../../src/ports/store.ts';

const few = (values: readonly FieldValue[]): fc.Arbitrary<FieldValue> => fc.constantFrom(...values);
const numbers = few([-2, -0.5, 0, 1, 1.5, 2, 3e9, null]);
const words = few(['', 'a', 'A', 'ab', 'é', '~', '0', '1', 'true', null]);
const cities = few(['x', 'y', null]);

/** Any JSON, with the names that the port allows. */
const json = fc.object({
  key: fc
    .string({ unit: 'grapheme', maxLength: 8 })
    .filter((name) => !/^\$|[.\0]/.test(name) && !(name in Object.prototype)),
  values: [
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  ],
  maxDepth: 3,
  maxKeys: 4,
});

const fields = fc.record(
  {
    code: few(['c1', 'c2', 'c3', 'c4', 'c5', 'c6', null]),
    handle: few(['h1', 'h2', 'h3', null]),
    status: words,
    n: numbers,
    flag: few([true, false, null]),
    place: fc.record({ city: cities }, { requiredKeys: [] }),
    note: fc.string({ maxLength: 20, unit: 'grapheme' }),
    extra: json,
  },
  { requiredKeys: [] },
);

const bounds = <T extends number | string>(values: readonly T[]): fc.Arbitrary<Filter[string]> =>
  fc
    .record(Object.fromEntries(['gt', 'gte', 'lt', 'lte'].map((key) => [key, fc.constantFrom(...values)])), {
      requiredKeys: [],
    })
    .filter((range) => Object.keys(range).length > 0);

const conditions = (values: fc.Arbitrary<FieldValue>): fc.Arbitrary<Filter[string]> =>
  fc.oneof(
    values,
    fc.array(values, { maxLength: 3 }).map((list) => ({ in: list })),
    fc.boolean().map((exists) => ({ exists })),
    bounds([-1, 0, 1.5, 2]),
    bounds(['', 'a', 'b']),
  );

const filters = fc.record(
  {
    status: conditions(words),
    n: conditions(numbers),
    flag: conditions(few([true, false, null, 0, 1])),
    'place.city': conditions(cities),
    version: conditions(few([1, 2, 3])),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Filter>;

const which = fc.nat(7);
export const operations = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('insert' as const), which, fields, events: fc.nat(2) }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('change' as const), which, fields, events: fc.nat(2), stale: fc.nat(5) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('acknowledge' as const), which, some: fc.array(fc.nat(4)) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      where: filters,
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('page' as const),
      where: filters,
      orderBy: fc.constantFrom('createdAt', 'n', 'status', 'id', 'place.city'),
      direction: fc.constantFrom('asc' as const, 'desc' as const),
      pageSize: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pending' as const) }) },
);
export type Operation = typeof operations extends fc.Arbitrary<infer T> ? T : never;
