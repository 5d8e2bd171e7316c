/** The assignment solver: as cheap as trying everything on small problems, never two of one, the same answer every time. */
import fc from 'fast-check';
import t from 'tap';
import { type Assignment, type AssignmentProblem, assign } from '../../../src/domain/assignment/rules.ts';

type Row = { skip: number; candidates: { column: number; cost: number }[] };

function problemOf(columns: number, rows: readonly Row[]): AssignmentProblem {
  const edges = rows.flatMap(({ candidates }) => candidates);
  const start = new Int32Array(rows.length + 1);
  for (const [i, { candidates }] of rows.entries()) start[i + 1] = start[i]! + candidates.length;
  return {
    rows: rows.length,
    columns,
    start,
    column: Int32Array.from(edges, ({ column }) => column),
    cost: Float64Array.from(edges, ({ cost }) => cost),
    skip: Float64Array.from(rows, ({ skip }) => skip),
  };
}

/** Few columns and few costs, so that rows compete and ties are common. */
const small = fc.integer({ min: 1, max: 6 }).chain((columns) =>
  fc.record({
    columns: fc.constant(columns),
    rows: fc.array(
      fc.record({
        skip: fc.oneof(fc.nat(30), fc.constant(1000)),
        candidates: fc.uniqueArray(fc.record({ column: fc.nat(columns - 1), cost: fc.nat(25) }), {
          selector: ({ column }) => column,
          maxLength: columns,
        }),
      }),
      { maxLength: 6 },
    ),
  }),
);

/** Every possibility. */
function cheapest(rows: readonly Row[], taken = new Set<number>(), at = 0): number {
  const row = rows[at];
  if (!row) return 0;
  let least = row.skip + cheapest(rows, taken, at + 1);
  for (const { column, cost } of row.candidates) {
    if (taken.has(column)) continue;
    taken.add(column);
    least = Math.min(least, cost + cheapest(rows, taken, at + 1));
    taken.delete(column);
  }
  return least;
}

function check(rows: readonly Row[], { columnOfRow, cost }: Assignment): void {
  const given = [...columnOfRow].filter((column) => column >= 0);
  if (new Set(given).size !== given.length) throw new Error(`a driver twice: ${given}`);
  if (columnOfRow.length !== rows.length) throw new Error('rows are missing');
  let sum = 0;
  for (const [i, { skip, candidates }] of rows.entries()) {
    const column = columnOfRow[i]!;
    const candidate = candidates.find((one) => one.column === column);
    if (column >= 0 && !candidate) throw new Error(`row ${i} got ${column}, which is none of its candidates`);
    sum += candidate?.cost ?? skip;
  }
  if (sum !== cost) throw new Error(`says ${cost}, is ${sum}`);
}

const unlimited = { maxSteps: Number.POSITIVE_INFINITY };

t.test('as cheap as trying everything', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(small, ({ columns, rows }) => {
        const answer = assign(problemOf(columns, rows), unlimited);
        check(rows, answer);
        const best = cheapest(rows);
        if (answer.cost !== best) throw new Error(`${answer.cost}, not ${best}`);
        if (answer.greedyRows !== 0) throw new Error('greedy without a limit');
      }),
      { numRuns: 3000 },
    ),
  );
});

t.test(
  'whatever the allowance: valid, never better than the best, and replayed by its own count of steps',
  async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(small, fc.nat(60), ({ columns, rows }, maxSteps) => {
          const problem = problemOf(columns, rows);
          const answer = assign(problem, { maxSteps });
          check(rows, answer);
          if (answer.steps > maxSteps) throw new Error(`${answer.steps} steps of ${maxSteps}`);
          if (answer.cost < cheapest(rows)) throw new Error('cheaper than the cheapest');
          const again = assign(problem, { maxSteps: answer.steps });
          if (again.steps !== answer.steps || `${again.columnOfRow}` !== `${answer.columnOfRow}`)
            throw new Error('another answer');
        }),
        { numRuns: 2000 },
      ),
    );
  },
);

/** A problem as large as a city's window, from a fixed sequence. */
function large(rows: number, columns: number, each: number): { problem: AssignmentProblem; list: Row[] } {
  let state = 1;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const list: Row[] = Array.from({ length: rows }, () => {
    const at = draw(columns);
    const near = new Set<number>();
    while (near.size < each) near.add((at + draw(6 * each)) % columns);
    return { skip: 2_000_000, candidates: [...near].map((column) => ({ column, cost: draw(1_000_000) })) };
  });
  return { problem: problemOf(columns, list), list };
}

t.test(
  'a clock that has run out ends it, and the count of steps gives the same answer without the clock',
  async (t) => {
    const { problem, list } = large(1000, 1200, 40);
    let looks = 0;
    const stopped = assign(problem, { ...unlimited, expired: () => ++looks === 12 });
    check(list, stopped);
    t.ok(stopped.greedyRows > 0, 'some are left to greed');
    const replayed = assign(problem, { maxSteps: stopped.steps });
    t.same(replayed, stopped);
    const whole = assign(problem, unlimited);
    check(list, whole);
    t.ok(whole.cost < stopped.cost, 'time would have made it cheaper');
    t.equal(whole.greedyRows, 0);
  },
);

t.test('1,000 trips and 5,000 drivers', async (t) => {
  const { problem, list } = large(1000, 5000, 50);
  const startedAt = performance.now();
  const answer = assign(problem, unlimited);
  t.comment(`${(performance.now() - startedAt).toFixed(1)} ms, ${answer.steps} steps`);
  check(list, answer);
  t.equal(answer.greedyRows, 0);
  // Other figures mean that stored decisions replay to something else: then RULES_VERSION of dispatch has to rise.
  t.same([answer.cost, answer.steps], [21_775_007, 60_350], 'as cheap, and by as many steps, as it has always been');
});
