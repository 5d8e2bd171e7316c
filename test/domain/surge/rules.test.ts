/** Surge over all counts: between none and the cap, in steps, never less for more demand, smooth in time and over borders. */
import fc from 'fast-check';
import t from 'tap';
import {
  approach,
  nextBoard,
  STEP_PERMILLE,
  type SurgeBoard,
  type SurgeSettings,
  shownPermille,
  snapshotOf,
  targetPermille,
  type ZoneCount,
} from '../../../src/domain/surge/rules.ts';

const settings: SurgeSettings = {
  capPermille: 2500,
  threshold: 1,
  slope: 0.5,
  minDemand: 3,
  halfLifeMs: 120_000,
  neighbourShare: 0.5,
};
const anySettings: fc.Arbitrary<SurgeSettings> = fc.record({
  capPermille: fc.integer({ min: 1000, max: 10_000 }),
  threshold: fc.double({ min: 0, max: 100, noNaN: true }),
  slope: fc.double({ min: 0, max: 100, noNaN: true }),
  minDemand: fc.double({ min: 0, max: 1000, noNaN: true }),
  halfLifeMs: fc.integer({ min: 100, max: 86_400_000 }),
  neighbourShare: fc.double({ min: 0, max: 1, noNaN: true }),
});
const none = (): string[] => [];
const count = (waiting: number, drivers: number, lost = 0): ZoneCount => ({ city: 'c', waiting, lost, drivers });
const counts = fc.array(
  fc.record({ city: fc.constant('c'), waiting: fc.nat(500), lost: fc.nat(500), drivers: fc.nat(500) }),
  { minLength: 1, maxLength: 6 },
);
/** Cells on a line. */
const beside = (zone: string): string[] => [`${Number(zone) - 1}`, `${Number(zone) + 1}`];
const onLine = (list: readonly ZoneCount[]): Map<string, ZoneCount> =>
  new Map(list.map((one, index) => [`${index}`, one]));

t.test('targets: within the cap, more with demand, less with supply', async (t) => {
  const many = fc.double({ min: 0, max: 10_000, noNaN: true });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anySettings, many, many, many, (settings, demand, supply, more) => {
        const target = targetPermille(demand, supply, settings);
        if (!Number.isInteger(target) || target < 1000 || target > settings.capPermille) throw new Error(`${target}`);
        if (targetPermille(demand + more, supply, settings) < target) throw new Error('less for more demand');
        return targetPermille(demand, supply + more, settings) <= target;
      }),
    ),
  );
  t.equal(targetPermille(2, 0, settings), 1000, 'two trips make no surge');
  t.equal(targetPermille(10, 10, settings), 1000, 'one driver each');
  t.equal(targetPermille(10, 5, settings), 1500);
  t.equal(targetPermille(1000, 0, settings), 2500, 'the cap');
});

t.test('boards: every factor a step between none and the cap, whatever comes after what', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anySettings, fc.array(fc.tuple(counts, fc.nat(600_000)), { maxLength: 8 }), (settings, turns) => {
        let board: SurgeBoard | null = null;
        let now = 0;
        for (const [list, waitMs] of turns) {
          now += waitMs;
          board = nextBoard(board, onLine(list), now, settings, beside);
          for (const { multiplierPermille: m } of Object.values(board.zones)) {
            if (!Number.isInteger(m) || m % STEP_PERMILLE !== 0) throw new Error(`${m} is no step`);
            if (m < 1000 || m > settings.capPermille) throw new Error(`${m} is out of bounds`);
          }
        }
      }),
    ),
  );
});

t.test('time: how often a board is computed does not change where it gets to', async (t) => {
  const level = fc.integer({ min: 1000, max: 10_000 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(level, level, fc.nat(1_000_000), fc.nat(1_000_000), (from, to, a, b) => {
        const once = approach(from, to, a + b, 120_000);
        const twice = approach(approach(from, to, a, 120_000), to, b, 120_000);
        return Math.abs(once - twice) < 1e-6;
      }),
    ),
  );
  let board = nextBoard(null, onLine([count(40, 10)]), 0, settings, none);
  t.equal(board.zones['0']!.multiplierPermille, 1000, 'nothing jumps');
  board = nextBoard(board, onLine([count(40, 10)]), 120_000, settings, none);
  t.equal(board.zones['0']!.targetPermille, 2500);
  t.equal(board.zones['0']!.multiplierPermille, 1750, 'half of the way after a half-life');
  board = nextBoard(board, new Map(), 240_000, settings, none);
  t.equal(board.zones['0']!.multiplierPermille, 1350, 'and down again as slowly, though nobody is there');
  t.same(nextBoard(board, new Map(), 10_000_000, settings, none).zones, {}, 'until it is gone');
});

t.test('space: neighbours count in part, and a zone without neighbours’ drivers is dearer', async (t) => {
  const alone = nextBoard(null, onLine([count(10, 5)]), 0, settings, beside).zones['0']!;
  const beside5 = nextBoard(null, onLine([count(10, 5), count(0, 10)]), 0, settings, beside).zones['0']!;
  t.hasStrict(alone, { demand: 10, supply: 5, targetPermille: 1500 });
  t.hasStrict(beside5, { demand: 10, supply: 10, targetPermille: 1000, waiting: 10, drivers: 5 });
});

t.test('what a price takes of the board: none of an old one and of a zone that is not there', async (t) => {
  const first = nextBoard(null, onLine([count(40, 10)]), 0, settings, none);
  const board = nextBoard(first, onLine([count(40, 10)]), 120_000, settings, none);
  t.equal(snapshotOf(board, '0', 180_000, 60_000).multiplierPermille, 1750);
  t.hasStrict(snapshotOf(board, '0', 180_001, 60_000), { multiplierPermille: 1000, at: 0 });
  t.hasStrict(snapshotOf(board, '7', 120_000, 60_000), { multiplierPermille: 1000, at: 0 });
  t.hasStrict(snapshotOf(null, '0', 0, 60_000), { multiplierPermille: 1000, at: 0 });
  t.equal(shownPermille(1049.9, 2500), 1000);
  t.equal(shownPermille(1050, 2500), 1050);
});
