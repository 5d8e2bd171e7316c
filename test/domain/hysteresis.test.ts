/** A signal with two thresholds: it is set and cleared only by what has lasted, and never twice in a row. */
import fc from 'fast-check';
import t from 'tap';
import { quiet, sense, type Thresholds } from '../../src/domain/hysteresis.ts';

const limits: fc.Arbitrary<Thresholds> = fc
  .record({
    clearAt: fc.integer({ min: 0, max: 50 }),
    gap: fc.integer({ min: 1, max: 50 }),
    setMs: fc.nat(50),
    clearMs: fc.nat(50),
  })
  .map(({ clearAt, gap, setMs, clearMs }) => ({ clearAt, setAt: clearAt + gap, setMs, clearMs }));
const samples = fc.array(fc.record({ value: fc.nat(120), after: fc.integer({ min: 1, max: 30 }) }), { maxLength: 80 });

t.test('every change rests on values that stayed beyond its threshold for its time', async () => {
  fc.assert(
    fc.property(limits, samples, (limits, samples) => {
      const signal = quiet();
      const seen: { at: number; value: number }[] = [];
      let at = 0;
      let last = 'cleared';
      for (const { value, after } of samples) {
        at += after;
        seen.push({ at, value });
        const change = sense(signal, value, at, limits);
        if (!change) continue;
        if (change === last) throw new Error(`${change} twice`);
        last = change;
        const needed = change === 'set' ? limits.setMs : limits.clearMs;
        const isBeyond = (v: number) => (change === 'set' ? v >= limits.setAt : v <= limits.clearAt);
        // The unbroken run that ends here.
        const begin = seen.findLastIndex(({ value }) => !isBeyond(value)) + 1;
        if (begin >= seen.length) throw new Error(`${change} by ${value}`);
        if (at - seen[begin]!.at < needed) throw new Error(`${change} after ${at - seen[begin]!.at} ms of ${needed}`);
      }
    }),
  );
});

t.test('what lies between the thresholds changes nothing, and what lasts beyond one always does', async (t) => {
  fc.assert(
    fc.property(limits, fc.boolean(), samples, (limits, isSet, samples) => {
      const signal = { isSet, since: -1 };
      let at = 0;
      for (const { value, after } of samples) {
        at += after;
        const between = limits.clearAt + (value % (limits.setAt - limits.clearAt));
        // At clearAt itself a set signal clears.
        if (isSet && between === limits.clearAt) continue;
        if (sense(signal, between, at, limits) !== null) throw new Error(`changed by ${between}`);
      }
      const far = isSet ? limits.clearAt : limits.setAt;
      const needed = isSet ? limits.clearMs : limits.setMs;
      const changes = [sense(signal, far, at + 1, limits)];
      if (needed > 0) changes.push(sense(signal, far, at + 1 + needed, limits));
      return changes.at(-1) === (isSet ? 'cleared' : 'set') && changes.slice(0, -1).every((change) => change === null);
    }),
  );
  const steady = { setAt: 10, clearAt: 5, setMs: 20, clearMs: 30 };
  const signal = quiet();
  t.equal(sense(signal, 10, 0, steady), null);
  t.equal(sense(signal, 9, 10, steady), null, 'broken');
  t.equal(sense(signal, 10, 20, steady), null);
  t.equal(sense(signal, 99, 40, steady), 'set');
  t.equal(sense(signal, 5, 41, steady), null);
  t.equal(sense(signal, 5, 71, steady), 'cleared');
});
t.end();
