/** What looks like cheating, and what does not. */
import fc from 'fast-check';
import t from 'tap';
import {
  anomalyLimits,
  DAY_MS,
  DEEDS_MAX,
  type Deed,
  findings,
  remember,
} from '../../../src/domain/anomalies/rules.ts';

const NOW = 1_421_322_000_000;
let made = 0;
const deed = (type: Deed['type'], more: Partial<Deed> = {}): Deed => ({
  id: `evt_${++made}`,
  at: NOW + made * 60_000,
  type,
  tripId: `trip_${made}`,
  ...more,
});
const rides = (count: number, counterpartId: (i: number) => string, more: Partial<Deed> = {}): Deed[] =>
  Array.from({ length: count }, (_, i) =>
    deed('completed', { counterpartId: counterpartId(i), distanceM: 4000, durationS: 900, ...more }),
  );
const all = (deeds: readonly Deed[]) => deeds.reduce<readonly Deed[]>((kept, one) => remember(kept, one), []);
const kinds = (deeds: readonly Deed[]): string =>
  findings('me', deeds)
    .map(({ kind }) => kind)
    .join();

t.test('deeds: each once, in order, bounded by number and age, whatever order they come in', async (t) => {
  const any = fc.record({
    id: fc.nat(60).map(String),
    at: fc.integer({ min: NOW, max: NOW + 20 * DAY_MS }),
    type: fc.constant('completed' as const),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 80 }), (list) => {
      const byId = [...new Map(list.toReversed().map((one) => [one.id, one])).values()];
      const kept = all(byId).map(({ id }) => id);
      const newest = Math.max(0, ...byId.map(({ at }) => at));
      const inOrder = all(byId.toSorted((a, b) => a.at - b.at));
      if (new Set(kept).size !== kept.length) throw new Error('twice');
      if (inOrder.some(({ at }) => at <= newest - anomalyLimits.windowMs)) throw new Error('too old');
      return inOrder.every((one, i) => i === 0 || one.at >= inOrder[i - 1]!.at);
    }),
  );
  const one = deed('completed');
  const list = [one];
  t.equal(remember(list, { ...one }), list, 'a repeat is the same list');
  const many = all(rides(DEEDS_MAX + 50, String));
  t.equal(many.length, DEEDS_MAX);
});

t.test('ordinary work is none', async (t) => {
  t.equal(kinds(rides(40, (i) => `rider-${i % 20}`)), '');
  t.equal(
    kinds([...rides(30, String), ...Array.from({ length: 4 }, () => deed('gave_up'))]),
    '',
    'some trips are given up',
  );
  t.equal(kinds(rides(4, () => 'the same')), '', 'a regular');
  t.equal(kinds([]), '');
});

t.test(
  'collusion: one pair most of the time, or rides that are hardly rides; with itself it is a self-trip',
  async (t) => {
    const [pair] = findings('me', [...rides(6, () => 'friend'), ...rides(4, String)]);
    t.hasStrict(pair, {
      kind: 'collusion',
      evidence: { counterpart_id: 'friend', trips: 6, share: 0.6, short_trips: 0 },
    });
    const [short] = findings('me', [...rides(3, () => 'friend', { distanceM: 120 }), ...rides(30, String)]);
    t.hasStrict(short, { kind: 'collusion', evidence: { counterpart_id: 'friend', short_trips: 3 } });
    t.equal((short!.evidence.shown as string[]).length, 3, 'with the trips to look at');
    t.equal(kinds([...rides(1, () => 'me'), ...rides(30, String)]), 'self_trip');
  },
);

t.test('cancellation abuse: often, and a large part of what was taken', async (t) => {
  const five = Array.from({ length: 5 }, () => deed('gave_up'));
  t.equal(kinds([...five, ...rides(7, String)]), 'cancellation_abuse');
  t.equal(kinds([...five, ...rides(8, String)]), '');
  t.equal(kinds(Array.from({ length: 6 }, () => deed('cancelled_late'))), 'cancellation_abuse');
});

t.test('surge gaming: off while the price rises, and back for it, again and again', async (t) => {
  const pause = (off: number, on: number, minutes = 10): Deed[] => {
    const out = deed('went_offline', { zone: 'z', surge: off });
    return [out, deed('went_looking', { zone: 'z', surge: on, at: out.at + minutes * 60_000 })];
  };
  t.equal(kinds([...pause(1, 1.5), ...pause(1.2, 1.6), ...pause(1, 2)]), 'surge_gaming');
  t.equal(kinds([...pause(1, 1.5), ...pause(1.2, 1.6)]), '', 'twice');
  t.equal(kinds([...pause(1, 1), ...pause(1.2, 1), ...pause(1.5, 1.6)]), '', 'for no more');
  t.equal(kinds([...pause(1, 2, 60), ...pause(1, 2, 60), ...pause(1, 2, 60)]), '', 'a real break');
});

t.test('scores and counts are within their bounds, for any deeds', async () => {
  const any: fc.Arbitrary<Deed> = fc.record({
    id: fc.uuid(),
    at: fc.integer({ min: NOW, max: NOW + DAY_MS }),
    type: fc.constantFrom('completed', 'cancelled_late', 'gave_up', 'went_offline', 'went_looking'),
    counterpartId: fc.constantFrom('me', 'a', 'b'),
    distanceM: fc.nat(5000),
    durationS: fc.nat(3000),
    zone: fc.constantFrom('x', 'y'),
    surge: fc.double({ min: 1, max: 3, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 60 }), (deeds) => {
      const found = findings('me', deeds);
      if (new Set(found.map(({ kind }) => kind)).size !== found.length) throw new Error('a kind twice');
      return found.every(({ score }) => score > 0 && score <= 1);
    }),
  );
});
