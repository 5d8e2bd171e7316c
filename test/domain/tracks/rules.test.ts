/** Cleansing: what cannot be is left out, the rest is kept, page by page as in one go; on recorded traces only the glitches go. */
import fc from 'fast-check';
import t from 'tap';
import { distanceM } from '../../../src/domain/geo.ts';
import {
  cleanse,
  cleansingLimits,
  type Fix,
  freshState,
  isReachable,
  isSampled,
  judge,
  lengthM,
} from '../../../src/domain/tracks/rules.ts';
import { isRecorded, testTraces } from '../../traces.ts';

const fix = fc.record({
  lat: fc.double({ min: 41, max: 41.2, noNaN: true }),
  lng: fc.double({ min: -8.7, max: -8.5, noNaN: true }),
  at: fc.integer({ min: 0, max: 600_000 }),
  accuracyM: fc.option(fc.double({ min: 0, max: 400, noNaN: true }), { nil: undefined }),
}) as fc.Arbitrary<Fix>;
const fixes = fc.array(fix, { maxLength: 60 });

t.test('what is kept is in order, accurate and reachable, or a new track that three fixes agree on', async () => {
  fc.assert(
    fc.property(fixes, (fixes) => {
      const state = freshState();
      let last: Fix | null = null;
      for (const one of fixes) {
        const verdict = judge(state, one);
        if (verdict !== 'kept') {
          if (state.last !== last) throw new Error(`${verdict} moved the track`);
          continue;
        }
        if (one.accuracyM !== undefined && one.accuracyM > cleansingLimits.maxAccuracyM) throw new Error('inaccurate');
        if (last && one.at <= last.at) throw new Error('out of order');
        last = one;
      }
    }),
  );
});

t.test('every point is kept or dropped once, and pages give what the whole gives', async () => {
  const sorted = fixes.map((list) => list.toSorted((a, b) => a.at - b.at));
  fc.assert(
    fc.property(sorted, fc.nat(60), (fixes, cut) => {
      const whole = cleanse(fixes);
      const dropped = Object.values(whole.dropped).reduce((a, b) => a + b, 0);
      if (whole.kept.length + dropped !== fixes.length) throw new Error('not each once');
      const state = freshState();
      const first = cleanse(fixes.slice(0, cut), state);
      const carried = JSON.parse(JSON.stringify(state));
      const second = cleanse(fixes.slice(cut), carried);
      return JSON.stringify([...first.kept, ...second.kept]) === JSON.stringify(whole.kept);
    }),
  );
});

t.test('a jump is left out and the way goes on; a place that three fixes agree on is the new truth', async (t) => {
  const at = (seconds: number, metres: number): Fix => ({ lat: 41 + metres / 111_195, lng: -8.6, at: seconds * 1000 });
  const glitch = cleanse([at(0, 0), at(5, 50), at(10, 90_000), at(15, 150), at(20, 200)]);
  t.same(glitch.kept, [at(0, 0), at(5, 50), at(15, 150), at(20, 200)]);
  t.equal(glitch.dropped.jump, 1);
  const moved = cleanse([at(0, 90_000), at(5, 0), at(10, 50), at(15, 100), at(20, 150)]);
  t.same(moved.kept, [at(0, 90_000), at(15, 100), at(20, 150)], 'the first was wrong');
  const scattered = cleanse([at(0, 0), at(5, 90_000), at(10, 20_000), at(15, 60_000), at(20, 100)]);
  t.same(scattered.kept, [at(0, 0), at(20, 100)], 'what agrees with nothing is nothing');
  t.same(cleanse([at(0, 0), at(0, 5), { ...at(5, 10), accuracyM: 201 }]).dropped, {
    late: 0,
    duplicate: 1,
    inaccurate: 1,
    jump: 0,
  });
  t.ok(
    isReachable(at(0, 0), { ...at(1, 500), accuracyM: 460 }, cleansingLimits),
    'within what the device itself allows',
  );
});

t.test('sampling takes the first and every n-th', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(500), (every, count) => {
      const taken = Array.from({ length: count }, (_, i) => isSampled(i, every)).filter(Boolean).length;
      return taken === Math.ceil(count / every);
    }),
  );
  t.notOk(isSampled(0, 0), 'none');
});

t.test('taxi traces: the glitches go, nearly all the rest stays, and no step is faster than a car', async (t) => {
  const limits = { ...cleansingLimits, maxSpeedMps: 130 / 3.6 };
  let points = 0;
  let kept = 0;
  let fastBefore = 0;
  let fastAfter = 0;
  const isFast = (a: Fix, b: Fix): boolean =>
    distanceM(a, b) - limits.slackM > (limits.maxSpeedMps * (b.at - a.at)) / 1000;
  const fastOf = (list: readonly Fix[]): number => list.filter((one, i) => i > 0 && isFast(list[i - 1]!, one)).length;
  for (const { fixes } of await testTraces()) {
    const cleansed = cleanse(fixes, freshState(), limits);
    points += fixes.length;
    kept += cleansed.kept.length;
    fastBefore += fastOf(fixes);
    fastAfter += fastOf(cleansed.kept);
    if (lengthM(cleansed.kept) > lengthM(fixes) + 1e-6) t.fail('cleansing made a way longer');
  }
  const share = (points - kept) / points;
  t.comment(
    `${isRecorded ? 'recorded' : 'made'}: ${points} points, ${(100 * share).toFixed(2)} % left out, fast steps ${fastBefore} → ${fastAfter}`,
  );
  t.ok(points > 5000);
  t.ok(fastBefore > 0, 'there are glitches');
  t.ok(fastAfter <= fastBefore * 0.4, 'what is left are tracks that begin anew');
  t.ok(share > 0.001 && share < 0.03, `${share}`);
});
t.end();
