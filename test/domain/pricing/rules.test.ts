/** Fares over all tariffs and courses: whole, the sum of their lines, never less for more, nothing where nothing is owed. */
import fc from 'fast-check';
import t from 'tap';
import {
  type Course,
  charge,
  type Fare,
  fareOfTerms,
  holdMinor,
  noSurge,
  rideFare,
  type Tariff,
  type Terms,
} from '../../../src/domain/pricing/rules.ts';
import { termsOf } from '../../../src/domain/trips/trip.ts';

const amount = fc.integer({ min: 0, max: 10_000_000 });
const seconds = fc.nat(86_400);
const tariffs: fc.Arbitrary<Tariff> = fc.record({
  currency: fc.constant('USD'),
  baseMinor: amount,
  perKmMinor: amount,
  perMinuteMinor: amount,
  minimumMinor: amount,
  waitingFreeS: seconds,
  waitingPerMinuteMinor: amount,
  cancellationFreeS: seconds,
  cancellationFeeMinor: amount,
});
const far = fc.nat(1_000_000);
const surges = fc.integer({ min: 1000, max: 10_000 });
const terms: fc.Arbitrary<Terms> = fc
  .tuple(tariffs, far, fc.nat(100_000), surges, fc.boolean())
  .map(([tariff, distanceM, durationS, multiplierPermille, quoted]) => ({
    tariff,
    distanceM,
    durationS,
    surge: { ...noSurge('z'), multiplierPermille },
    quoted,
  }));
/** Instants in the order in which they happen, some of which never do. */
const courses: fc.Arbitrary<Course> = fc
  .tuple(
    fc.constantFrom('completed', 'cancelled_by_rider', 'cancelled_by_others', 'expired'),
    fc.array(fc.nat(10_000_000), { minLength: 4, maxLength: 4 }),
    fc.integer({ min: 0, max: 3 }),
  )
  .map(([end, steps, known]) => {
    const at = steps.map((_, i) => 1e12 + steps.slice(0, i + 1).reduce((a, b) => a + b, 0));
    const reached = end === 'completed' ? 3 : end === 'expired' ? 0 : known;
    return {
      end,
      ...(reached > 0 ? { matchedAt: at[0]! } : {}),
      ...(reached > 1 ? { arrivedAt: at[1]! } : {}),
      ...(reached > 2 ? { startedAt: at[2]! } : {}),
      endedAt: at[3]!,
    } as Course;
  });

function sound(fare: Fare): void {
  const sum = fare.lines.reduce((total, line) => total + line.amountMinor, 0);
  if (sum !== fare.totalMinor) throw new Error(`${fare.totalMinor} is not the sum ${sum}`);
  for (const { amountMinor } of fare.lines) {
    if (!Number.isSafeInteger(amountMinor) || amountMinor < 0) throw new Error(`a line of ${amountMinor}`);
  }
}

const kinds = (fare: Fare) => fare.lines.map(({ kind, amountMinor }) => [kind, amountMinor]);

t.test('a ride: whole, the sum of its lines, at least the minimum, never less for more', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(tariffs, far, far, far, surges, surges, (tariff, distance, duration, more, one, other) => {
        const fare = rideFare(tariff, distance, duration, one);
        sound(fare);
        const dearer = [
          rideFare(tariff, distance + more, duration, one),
          rideFare(tariff, distance, duration + more, one),
          rideFare(tariff, distance, duration, Math.max(one, other)),
        ];
        return fare.totalMinor >= tariff.minimumMinor && dearer.every((d) => d.totalMinor >= fare.totalMinor);
      }),
    ),
  );
});

t.test('surge is what it says of the fare without it', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(tariffs, far, far, surges, (tariff, distance, duration, permille) => {
        const plain = BigInt(rideFare(tariff, distance, duration).totalMinor);
        const exact = (plain * BigInt(permille) * 2n + 1000n) / 2000n;
        return BigInt(rideFare(tariff, distance, duration, permille).totalMinor) === exact;
      }),
    ),
  );
});

t.test(
  'what is charged: sound, nothing before a driver and for what others cancelled, the quote when quoted',
  async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(terms, courses, (terms, course) => {
          const fare = charge(terms, course);
          sound(fare);
          const { end, matchedAt, startedAt, endedAt } = course;
          if (matchedAt === undefined || end === 'expired' || end === 'cancelled_by_others')
            return fare.totalMinor === 0;
          const waiting = fare.lines.find(({ kind }) => kind === 'waiting')?.amountMinor ?? 0;
          const ride = fare.totalMinor - waiting;
          if (end === 'completed') return !terms.quoted || ride === fareOfTerms(terms).totalMinor;
          if (startedAt !== undefined) return ride <= fareOfTerms(terms).totalMinor;
          if (Math.floor((endedAt - matchedAt) / 1000) <= terms.tariff.cancellationFreeS) return fare.totalMinor === 0;
          return ride === terms.tariff.cancellationFeeMinor;
        }),
      ),
    );
  },
);

t.test('waiting longer never costs less, and what is held covers it', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(terms, seconds, seconds, (given, waitedS, moreS) => {
        const terms = { ...given, quoted: true };
        const matchedAt = 1e12;
        const after = (s: number) =>
          charge(terms, {
            end: 'completed',
            matchedAt,
            arrivedAt: matchedAt,
            startedAt: matchedAt + 1000 * s,
            endedAt: matchedAt + 1000 * s + 60_000,
          }).totalMinor;
        return after(waitedS) <= after(waitedS + moreS) && after(waitedS) <= holdMinor(terms, waitedS);
      }),
    ),
  );
});

t.test('known fares, line by line', async (t) => {
  const tariff: Tariff = {
    currency: 'USD',
    baseMinor: 250,
    perKmMinor: 155,
    perMinuteMinor: 50,
    minimumMinor: 500,
    waitingFreeS: 180,
    waitingPerMinuteMinor: 30,
    cancellationFreeS: 120,
    cancellationFeeMinor: 400,
  };
  t.equal(rideFare(tariff, 5000, 900).totalMinor, 250 + 775 + 750);
  t.same(kinds(rideFare(tariff, 100, 10, 1500)), [
    ['base', 250],
    ['distance', 16],
    ['time', 8],
    ['minimum', 226],
    ['surge', 250],
  ]);
  const terms: Terms = { tariff, distanceM: 5000, durationS: 900, surge: noSurge('z'), quoted: true };
  const at = (s: number): number => 1e12 + s * 1000;
  const whole = { matchedAt: at(0), arrivedAt: at(200), startedAt: at(440), endedAt: at(2240) };
  t.equal(charge(terms, { end: 'completed', ...whole }).totalMinor, 1775 + 30, 'a minute beyond the free ones');
  const metered = charge({ ...terms, quoted: false }, { end: 'completed', ...whole });
  t.equal(metered.totalMinor, 250 + 775 + 1500 + 30, 'half an hour instead of a quarter');
  const half = { ...whole, startedAt: at(380), endedAt: at(380 + 450) };
  t.same(kinds(charge(terms, { end: 'cancelled_by_rider', ...half })), [
    ['base', 250],
    ['distance', 388],
    ['time', 375],
  ]);
  const estimate = { distanceM: 5000.4, durationS: 900, fareMinor: 1775, currency: 'EUR' };
  const source = { lat: 0, lng: 0, city: 'c', zone: 'z' };
  const older = termsOf({ estimate, source });
  t.equal(fareOfTerms(older).totalMinor, 1775, 'a trip without terms costs what its rider was told');
  t.equal(charge(older, { end: 'completed', ...whole }).totalMinor, 1775);
  t.equal(termsOf({ terms, estimate, source }), terms);
  const late = { end: 'cancelled_by_rider', matchedAt: at(0), endedAt: at(121) } as const;
  t.same(kinds(charge(terms, late)), [['cancellation', 400]]);
  t.same(kinds(charge(terms, { ...late, endedAt: at(120) })), [], 'in time');
  t.same(kinds(charge(terms, { ...late, arrivedAt: at(100), endedAt: at(340) })), [
    ['cancellation', 400],
    ['waiting', 30],
  ]);
});
