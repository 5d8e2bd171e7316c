/** What is learnt of the traffic: bounded whatever comes, right when trips agree, undone by what comes later. */
import fc from 'fast-check';
import t from 'tap';
import {
  bounded,
  type Effect,
  type Effects,
  FACTOR_RANGE,
  factorOf,
  featuresOf,
  isTelling,
  learn,
  lessonsOf,
  type Way,
} from '../../../src/domain/routing/rules.ts';

const HOUR_MS = 3_600_000;
const HALF_LIFE_MS = 14 * 24 * HOUR_MS;
const START = 1_421_322_000_000;

const place = fc.record({
  lat: fc.double({ min: 40.6, max: 40.9, noNaN: true }),
  lng: fc.double({ min: -74.1, max: -73.9, noNaN: true }),
});
const zone = fc.constantFrom('a', 'b', 'c', 'd');
const way: fc.Arbitrary<Way> = fc.record({
  from: place,
  to: place,
  fromZone: zone,
  toZone: zone,
  at: fc.integer({ min: START, max: START + 60 * 24 * HOUR_MS }),
  baseS: fc.double({ min: 1, max: 7200, noNaN: true }),
  baseM: fc.double({ min: 0, max: 100_000, noNaN: true }),
});

/** All that is learnt, as the service would keep it. */
function school(prior = 1) {
  const parts = new Map<string, Record<string, Effect>>();
  const lookup = (part: string): Effects | undefined => parts.get(part);
  return {
    lookup,
    teach(one: Way, tookS: number): void {
      for (const lesson of lessonsOf(one, tookS, lookup, prior, HALF_LIFE_MS)) {
        const effects = parts.get(lesson.part) ?? {};
        effects[lesson.key] = learn(effects[lesson.key], lesson, one.at, HALF_LIFE_MS);
        parts.set(lesson.part, effects);
      }
    },
    factor: (one: Way) => factorOf(featuresOf(one), lookup, prior),
  };
}

t.test('of nothing, the prior', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(way, fc.double({ min: 0.25, max: 8, noNaN: true }), (one, prior) => {
        const factor = factorOf(featuresOf(one), () => undefined, prior);
        return Math.abs(factor - prior) < 1e-9;
      }),
    ),
  );
});

t.test('whatever trips come, factors are numbers within their range', async (t) => {
  const lesson = fc.tuple(way, fc.double({ min: 0.001, max: 1e6, noNaN: true }));
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(lesson, { maxLength: 80 }), way, (lessons, asked) => {
        const s = school();
        for (const [one, tookS] of lessons) s.teach(one, tookS);
        const factor = s.factor(asked);
        return factor >= FACTOR_RANGE.min && factor <= FACTOR_RANGE.max;
      }),
    ),
  );
});

t.test('when all trips take the same times the engine’s, that is learnt, also for ways never driven', async (t) => {
  const truth = fc.double({ min: 0.5, max: 2.5, noNaN: true });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(truth, fc.array(way, { minLength: 1, maxLength: 50 }), way, (truth, ways, asked) => {
        const s = school();
        for (const one of ways) s.teach(one, one.baseS * truth);
        return Math.abs(Math.log(s.factor(asked) / truth)) < 1e-9;
      }),
    ),
  );
});

t.test('an hour that is slow is told from one that is not', async (t) => {
  const s = school();
  const base: Way = {
    from: { lat: 40.7, lng: -74 },
    to: { lat: 40.75, lng: -74 },
    fromZone: 'a',
    toZone: 'b',
    at: START,
    baseS: 600,
    baseM: 6000,
  };
  const at = (day: number, hour: number) =>
    Math.floor(START / (24 * HOUR_MS)) * 24 * HOUR_MS + (24 * day + hour) * HOUR_MS;
  for (let day = 0; day < 60; day++)
    for (const [hour, ratio] of [
      [3, 1],
      [9, 2.5],
    ] as const)
      s.teach({ ...base, at: at(day, hour) }, base.baseS * ratio);
  const [night, rush] = [3, 9].map((hour) => s.factor({ ...base, at: at(60, hour) })) as [number, number];
  t.ok(night > 0.9 && night < 1.15, `${night}`);
  t.ok(rush > 2.2 && rush < 2.75, `${rush}`);
});

t.test('one strange trip among many moves little, and less the more are known', async (t) => {
  const one: Way = {
    from: { lat: 40.7, lng: -74 },
    to: { lat: 40.75, lng: -74 },
    fromZone: 'a',
    toZone: 'b',
    at: START,
    baseS: 600,
    baseM: 6000,
  };
  let before = Number.POSITIVE_INFINITY;
  for (const known of [5, 50, 500]) {
    const s = school();
    for (let n = 0; n < known; n++) s.teach(one, 1200);
    const calm = s.factor(one);
    s.teach(one, 1200 * 50);
    const moved = Math.abs(Math.log(s.factor(one) / calm));
    t.ok(moved > 0 && moved < before, `${moved} after ${known}`);
    before = moved;
  }
  t.ok(before < 0.05);
});

t.test(
  'the same lesson again and again brings the estimate to what was measured, whatever was learnt before',
  async (t) => {
    const ratio = fc.double({ min: 0.3, max: 4, noNaN: true });
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.array(fc.tuple(way, ratio), { maxLength: 40 }), way, ratio, (lessons, one, measured) => {
          const s = school();
          for (const [other, ratio] of lessons) s.teach(other, other.baseS * ratio);
          const wrong = () => Math.abs(Math.log(s.factor(one) / measured));
          const before = wrong();
          for (let n = 0; n < 100; n++) s.teach(one, one.baseS * measured);
          if (wrong() > Math.max(0.02, before / 4)) throw new Error(`wrong by ${before}, then ${wrong()}`);
        }),
      ),
    );
  },
);

t.test('what is learnt by day leaves the night as it was', async (t) => {
  const s = school();
  const base: Way = {
    from: { lat: 40.7, lng: -74 },
    to: { lat: 40.75, lng: -74 },
    fromZone: 'a',
    toZone: 'b',
    at: 0,
    baseS: 600,
    baseM: 6000,
  };
  const day = Math.floor(START / (24 * HOUR_MS)) * 24 * HOUR_MS;
  const night = { ...base, at: day + 3 * HOUR_MS };
  for (let n = 0; n < 50; n++) s.teach(night, base.baseS);
  const known = s.factor(night);
  // Elsewhere, for the effects of a place are its own at any hour.
  const rush = { ...base, fromZone: 'c', toZone: 'd', to: { lat: 40.7, lng: -73.9 }, baseS: 1200, baseM: 18_000 };
  for (let n = 0; n < 500; n++) s.teach({ ...rush, at: day + 9 * HOUR_MS }, rush.baseS * 2.5);
  t.ok(Math.abs(Math.log(s.factor(night) / known)) < 0.15, `${known}, then ${s.factor(night)}`);
  t.ok(s.factor({ ...night, at: day + 4 * HOUR_MS }) < 1.6, 'the hour after it leans on its own part of the day');
});

t.test('of a way without length there is a factor too', async (t) => {
  const nowhere: Way = {
    from: { lat: 40.7, lng: -74 },
    to: { lat: 40.7, lng: -74 },
    fromZone: 'a',
    toZone: 'a',
    at: START,
    baseS: 0,
    baseM: 0,
  };
  t.equal(school(2).factor(nowhere), 2);
});

t.test('what was learnt long ago gives way sooner', async (t) => {
  const fresh = { value: 0.5, weight: 100, at: START };
  const lesson = (target: number) => ({ part: '', key: 'all', inertia: 8, target });
  const soon = learn(fresh, lesson(0), START, HALF_LIFE_MS);
  const late = learn(fresh, lesson(0), START + 10 * HALF_LIFE_MS, HALF_LIFE_MS);
  t.ok(late.value < soon.value);
  t.ok(late.weight < 2 && soon.weight === 101);
  const backwards = learn(fresh, lesson(0.5), START - HALF_LIFE_MS, HALF_LIFE_MS);
  t.same(backwards, { value: 0.5, weight: 101, at: START }, 'a clock that ran backwards fades nothing');
});

t.test('many lessons of one moment, each drawn from the same knowledge, do not add up to too much', async (t) => {
  const ratio = fc.double({ min: 0.4, max: 2.7, noNaN: true });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(way, fc.array(ratio, { minLength: 1, maxLength: 80 }), (one, ratios) => {
        const s = school();
        const lessons = ratios.map((ratio) => lessonsOf(one, one.baseS * ratio, s.lookup, 1, HALF_LIFE_MS));
        const parts = new Map<string, Record<string, Effect>>();
        for (const lesson of lessons.flat()) {
          const effects = parts.get(lesson.part) ?? {};
          effects[lesson.key] = learn(effects[lesson.key], lesson, one.at, HALF_LIFE_MS);
          parts.set(lesson.part, effects);
        }
        const factor = factorOf(featuresOf(one), (part) => parts.get(part), 1);
        return factor >= Math.min(1, ...ratios) - 1e-9 && factor <= Math.max(1, ...ratios) + 1e-9;
      }),
    ),
  );
});

t.test('what says nothing of the traffic is not learnt from', async (t) => {
  t.equal(isTelling(600, 900), true);
  for (const [baseS, tookS] of [
    [600, 10],
    [600, 60],
    [600, 6000],
    [0, 600],
    [Number.NaN, 600],
    [600, Number.NaN],
    [600, -5],
  ] as const)
    t.equal(isTelling(baseS, tookS), false, `${baseS} s, took ${tookS} s`);
});

t.test('every way has its features once, none that depends on more than the way', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(way, (one) => {
        const { levels, effects } = featuresOf(one);
        const features = [...levels, ...effects];
        const names = features.map(({ part, key }) => `${part}/${key}`);
        if (new Set(names).size !== names.length) throw new Error(names.join());
        return (
          JSON.stringify({ levels, effects }) === JSON.stringify(featuresOf({ ...one })) &&
          effects.every(({ inertia }) => inertia >= 1)
        );
      }),
    ),
  );
});

t.test('kept are those that have seen most', async (t) => {
  const effects = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, { value: n, weight: n, at: 0 }]));
  t.equal(bounded(effects, 20), effects);
  t.same(Object.keys(bounded(effects, 5)).sort(), ['k15', 'k16', 'k17', 'k18', 'k19']);
});
