/** Decisions of dispatch: nobody twice, nobody who may not, explained to the last term, the same from the same facts. */
import fc from 'fast-check';
import t from 'tap';
import {
  type DecisionInput,
  type DriverFacts,
  decide,
  explain,
  type RequestFacts,
  RULES_VERSION,
} from '../../../src/domain/dispatch/rules.ts';
import { vehicleClasses } from '../../../src/domain/roles.ts';

const NOW = 1_421_322_000_000;
const classes = vehicleClasses.slice(0, 2);
const names = [...'abcdefgh'];
const near = (around: number) => fc.double({ min: around - 0.05, max: around + 0.05, noNaN: true });

const driver = fc.record(
  {
    driverId: fc.constantFrom(...names),
    lat: near(40.75),
    lng: near(-73.98),
    vehicleClass: fc.constantFrom(...classes),
    recordedAt: fc.integer({ min: NOW - 90_000, max: NOW + 5000 }),
    isAvailable: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    speedMps: fc.double({ min: 0, max: 30, noNaN: true }),
    headingDeg: fc.integer({ min: 0, max: 359 }),
    idleSince: fc.integer({ min: NOW - 3_600_000, max: NOW }),
    answered: fc.constant(10),
    accepted: fc.nat(10),
    ratings: fc.constant(4),
    ratingSum: fc.integer({ min: 4, max: 20 }),
  },
  {
    requiredKeys: [
      'driverId',
      'lat',
      'lng',
      'vehicleClass',
      'recordedAt',
      'isAvailable',
      'answered',
      'accepted',
      'ratings',
      'ratingSum',
    ],
  },
) as fc.Arbitrary<DriverFacts>;

const trip: fc.Arbitrary<RequestFacts> = fc.record({
  tripId: fc.constantFrom('t1', 't2', 't3', 't4', 't5'),
  pickup: fc.record({ lat: near(40.75), lng: near(-73.98) }),
  vehicleClass: fc.constantFrom(...classes),
  excludedDriverIds: fc.subarray(names, { maxLength: 3 }),
  waitingSince: fc.integer({ min: NOW - 600_000, max: NOW }),
});

const input: fc.Arbitrary<DecisionInput> = fc
  .record({
    trips: fc.uniqueArray(trip, { selector: ({ tripId }) => tripId, minLength: 1 }),
    drivers: fc.uniqueArray(driver, { selector: ({ driverId }) => driverId }),
    offers: fc.integer({ min: 1, max: 3 }),
    maxSteps: fc.oneof(fc.constant(1e9), fc.nat(12)),
    askedElsewhere: fc.subarray(names, { maxLength: 2 }),
    seed: fc.nat(),
  })
  .map(({ trips, drivers, offers, maxSteps, askedElsewhere, seed }) => ({
    rules: RULES_VERSION,
    at: NOW,
    settings: {
      freshnessMs: 60_000,
      maxEtaS: 1200,
      offers,
      maxSteps,
      weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
    },
    trips,
    drivers,
    sources: ['osrm', 'straight_line'],
    pairs: trips.map((_, i) =>
      drivers.flatMap((_, j) =>
        (seed >> ((i + j) % 20)) & 3 ? [j, ((seed + 7 * i + 13 * j) * 37) % 1400, 1000, 1, j % 2] : [],
      ),
    ),
    askedElsewhere,
  }));

const holds = (check: (input: DecisionInput) => void): void => fc.assert(fc.property(input, check), { numRuns: 2000 });

t.test('every trip has one choice; no driver is asked for two; nobody is asked who may not be', async (t) => {
  t.doesNotThrow(() =>
    holds((facts) => {
      const { choices } = decide(facts);
      if (`${choices.map(({ tripId }) => tripId)}` !== `${facts.trips.map(({ tripId }) => tripId).sort()}`)
        throw new Error('choices');
      const asked = choices.flatMap(({ driverIds }) => driverIds);
      if (new Set(asked).size !== asked.length) throw new Error(`a driver twice: ${asked}`);
      for (const { tripId, driverIds, reason } of choices) {
        const one = facts.trips.find((trip) => trip.tripId === tripId)!;
        if (driverIds.length > facts.settings.offers) throw new Error('too many');
        if ((reason === 'cheapest') !== driverIds.length > 0) throw new Error(reason);
        for (const id of driverIds) {
          const who = facts.drivers.find(({ driverId }) => driverId === id)!;
          if (!who.isAvailable || who.vehicleClass !== one.vehicleClass) throw new Error('not for this trip');
          if (one.excludedDriverIds.includes(id) || facts.askedElsewhere.includes(id)) throw new Error('out');
          if (NOW - who.recordedAt > 60_000) throw new Error('stale');
        }
      }
    }),
  );
});

t.test(
  'a single trip: the cheapest by the terms that are shown, and every candidate is ranked or rejected',
  async (t) => {
    t.doesNotThrow(() =>
      holds((all) => {
        const facts = { ...all, trips: all.trips.slice(0, 1), pairs: all.pairs.slice(0, 1) };
        const { tripId } = facts.trips[0]!;
        const { ranked, rejected } = explain(facts, tripId);
        if (5 * (ranked.length + rejected.length) !== facts.pairs[0]!.length) throw new Error('somebody is missing');
        for (const one of ranked) {
          if (one.terms.reduce((sum, { costMs }) => sum + costMs, 0) !== one.costMs) throw new Error('sum');
          if (one.terms.some(({ costMs }) => !Number.isInteger(costMs) || costMs < 0)) throw new Error('term');
        }
        const chosen = decide({ ...facts, settings: { ...facts.settings, maxSteps: 1e9 } }).choices[0]!;
        const best = ranked.slice(0, facts.settings.offers);
        const costs = chosen.driverIds.map((id) => ranked.find(({ driverId }) => driverId === id)!.costMs);
        if (`${costs}` !== `${best.map(({ costMs }) => costMs)}`) throw new Error(`${costs}`);
      }),
    );
  },
);

t.test('the stored facts give the same decision, bit for bit, in whatever order they stand', async (t) => {
  t.doesNotThrow(() =>
    holds((facts) => {
      const decision = JSON.stringify(decide(facts));
      const stored = JSON.parse(JSON.stringify(facts)) as DecisionInput;
      if (JSON.stringify(decide(stored)) !== decision) throw new Error('replay');
      const last = facts.drivers.length - 1;
      const turned: DecisionInput = {
        ...facts,
        trips: facts.trips.toReversed(),
        drivers: facts.drivers.toReversed(),
        pairs: facts.pairs
          .map((pairs) => {
            const five = Array.from({ length: pairs.length / 5 }, (_, i) => pairs.slice(5 * i, 5 * i + 5));
            return five.toReversed().flatMap(([at, ...way]) => [last - at!, ...way]);
          })
          .toReversed(),
      };
      if (JSON.stringify(decide(turned)) !== decision) throw new Error('order');
    }),
  );
});

t.test('what is decided against the clock replays by its steps', async (t) => {
  t.doesNotThrow(() =>
    holds((facts) => {
      const decision = decide(facts);
      const again = decide({ ...facts, settings: { ...facts.settings, maxSteps: decision.steps } });
      if (JSON.stringify(again) !== JSON.stringify(decision)) throw new Error('steps');
    }),
  );
});

t.test('each term pulls where it should', async (t) => {
  const one = (more: Partial<DriverFacts>): DriverFacts => ({
    driverId: 'a',
    lat: 40.75,
    lng: -73.98,
    vehicleClass: 'standard',
    recordedAt: NOW,
    isAvailable: true,
    answered: 0,
    accepted: 0,
    ratings: 0,
    ratingSum: 0,
    ...more,
  });
  const settings = fc.sample(input, { numRuns: 1, seed: 1 })[0]!.settings;
  const winner = (first: Partial<DriverFacts>, second: Partial<DriverFacts>): string =>
    decide({
      rules: RULES_VERSION,
      at: NOW,
      settings: { ...settings, offers: 1, maxSteps: 1e9 },
      trips: [
        {
          tripId: 't',
          pickup: { lat: 40.76, lng: -73.98 },
          vehicleClass: 'standard',
          excludedDriverIds: [],
          waitingSince: NOW,
        },
      ],
      drivers: [one({ ...first, driverId: 'a' }), one({ ...second, driverId: 'b' })],
      sources: ['straight_line'],
      pairs: [[0, 300, 1000, 1, 0, 1, 300, 1000, 1, 0]],
      askedElsewhere: [],
    }).choices[0]!.driverIds[0]!;
  t.equal(winner({}, {}), 'a', 'equal: by name');
  t.equal(winner({}, { idleSince: NOW - 600_000 }), 'b', 'who waits longer');
  t.equal(winner({ answered: 20, accepted: 2 }, { answered: 20, accepted: 20 }), 'b', 'who accepts');
  t.equal(winner({ ratings: 20, ratingSum: 60 }, { ratings: 20, ratingSum: 100 }), 'b', 'who is liked');
  t.equal(
    winner({ speedMps: 10, headingDeg: 180 }, { speedMps: 10, headingDeg: 0 }),
    'b',
    'who drives towards the pick-up',
  );
});

t.test('1,000 trips and 5,000 drivers are decided within the time allowed', async (t) => {
  const [facts] = fc.sample(input, { numRuns: 1, seed: 7 });
  let state = 1;
  const draw = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const drivers: DriverFacts[] = Array.from({ length: 5000 }, (_, i) => ({
    driverId: `driver-${i}`,
    lat: 40.7 + 0.1 * draw(),
    lng: -74 + 0.05 * draw(),
    vehicleClass: 'standard',
    recordedAt: NOW,
    isAvailable: true,
    idleSince: NOW - Math.floor(3_600_000 * draw()),
    speedMps: 10 * draw(),
    headingDeg: 359 * draw(),
    answered: 20,
    accepted: Math.floor(20 * draw()),
    ratings: 10,
    ratingSum: 40,
  }));
  const trips: RequestFacts[] = Array.from({ length: 1000 }, (_, i) => ({
    tripId: `trip-${i}`,
    pickup: { lat: 40.7 + 0.02 * draw(), lng: -74 + 0.01 * draw() },
    vehicleClass: 'standard',
    excludedDriverIds: [],
    waitingSince: NOW,
  }));
  // All trips in a corner of the city: they compete for the same drivers.
  const pairs = trips.map(({ pickup }) =>
    drivers
      .map(({ lat, lng }, j) => ({ j, s: (Math.abs(lat - pickup.lat) + Math.abs(lng - pickup.lng)) * 15_000 }))
      .sort((a, b) => a.s - b.s)
      .slice(0, 60)
      .flatMap(({ j, s }) => [j, Math.round(s), Math.round(6 * s), 1, 0]),
  );
  const city = {
    ...facts!,
    trips,
    drivers,
    pairs,
    askedElsewhere: [],
    settings: { ...facts!.settings, maxSteps: 1e9 },
  };
  const startedAt = performance.now();
  const decision = decide(city);
  const tookMs = performance.now() - startedAt;
  t.comment(`${tookMs.toFixed(1)} ms, ${decision.steps} steps`);
  const asked = decision.choices.flatMap(({ driverIds }) => driverIds.slice(0, 1));
  t.equal(new Set(asked).size, asked.length);
  t.equal(decision.greedyTrips, 0);
});
