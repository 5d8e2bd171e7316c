/** The small pure parts of the domain: ids, distances, what a position must be, how fresh it is. */
import fc from 'fast-check';
import t from 'tap';
import { createRandom } from '../../src/adapters/system/random.ts';
import { distanceM, straightLineLeg } from '../../src/domain/geo.ts';
import { formatId, parseId, shardKeyOf, sixDigitsOf } from '../../src/domain/ids.ts';
import { freshnessOf, limits, type PositionInput, positionViolation } from '../../src/domain/locations/rules.ts';

const place = fc.record({
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
});
const travel = { detourFactor: 1.35, averageSpeedMps: 6 };

t.test('ids: region and creation time come back, order is the order of creation, no two alike', async (t) => {
  const kind = fc.constantFrom('trip', 'drv', 'ofr', 'evt');
  const region = fc.stringMatching(/^[a-z0-9-]{1,32}$/);
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  const random = fc.uint8Array({ minLength: 16, maxLength: 16 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(kind, region, time, random, random, (kind, region, at, bytes, others) => {
        const id = formatId(kind, region, at, bytes);
        const parts = parseId(id);
        if (parts?.kind !== kind || parts.region !== region || parts.createdAt !== at) throw new Error(id);
        const key = shardKeyOf(id, 'elsewhere', 1);
        if (key.region !== region || key.createdAt !== at) throw new Error(JSON.stringify(key));
        if (at > 0 && !(formatId(kind, region, at - 1, others) < id)) throw new Error(`order of ${id}`);
      }),
    ),
  );
  t.doesNotThrow(() =>
    fc.assert(fc.property(fc.string(), (text) => parseId(text) === null || /^[a-z]+_[a-z0-9-]+_\w{26}$/.test(text))),
  );
  t.same(
    shardKeyOf('somebody', 'here', 7),
    { region: 'here', createdAt: 7 },
    'an id from elsewhere: where and when it is made',
  );
  const source = createRandom();
  const ids = new Set(Array.from({ length: 20_000 }, () => formatId('evt', 'x', 1, source.bytes(16))));
  t.equal(ids.size, 20_000);
  const digits = [...ids].map(sixDigitsOf);
  t.ok(digits.every((six) => /^[0-9]{6}$/.test(six)));
  t.ok(new Set(digits).size > 19_500, 'and six digits of them hardly ever meet');
  for (let place = 0; place < 6; place++) {
    const zeros = digits.filter((six) => six[place] === '0').length;
    t.ok(zeros > 1700 && zeros < 2300, `a tenth of them has a 0 in place ${place}: ${zeros}`);
  }
});

t.test('distances: symmetric, nought to itself, at most half the globe, and right where it is known', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(place, place, (a, b) => {
        const there = distanceM(a, b);
        if (!(there >= 0 && there <= 20_015_200)) throw new Error(`${there}`);
        if (Math.abs(there - distanceM(b, a)) > 1e-6 * Math.max(1, there)) throw new Error('not symmetric');
        return distanceM(a, a) === 0;
      }),
    ),
  );
  // Great-circle distances on a sphere of 6 371 008.8 m.
  const newYork = { lat: 40.7128, lng: -74.006 };
  const london = { lat: 51.5074, lng: -0.1278 };
  t.ok(Math.abs(distanceM(newYork, london) - 5_570_230) < 50, `${distanceM(newYork, london)}`);
  t.ok(Math.abs(distanceM({ lat: 0, lng: 179.9 }, { lat: 0, lng: -179.9 }) - 22_239) < 1, 'over the date line');
  const leg = straightLineLeg({ lat: 0, lng: 0 }, { lat: 0, lng: 1 }, travel);
  t.same(leg, { distanceM: 150_113, etaS: 25_019 });
});

t.test('what a position must be: its limits belong to it, what lies beyond is named', async (t) => {
  const now = 1_421_322_000_000;
  const good: PositionInput = { lat: 0, lng: 0, recordedAt: now, tripId: '' };
  const within = (p: Partial<PositionInput>): string | null =>
    positionViolation({ ...good, ...p }, now, 1000)?.field ?? null;
  for (const [name, { min, max }] of Object.entries(limits)) {
    const wire = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    t.equal(within({ [name]: min }), null, `${name} ${min}`);
    t.equal(within({ [name]: max }), null, `${name} ${max}`);
    for (const bad of [min - 1e-9, max + 1e-3, Number.NaN, Number.POSITIVE_INFINITY])
      t.equal(within({ [name]: bad }), wire, `${name} ${bad}`);
  }
  t.equal(within({ recordedAt: now + 1000 }), null, 'as far ahead as a clock may be');
  for (const bad of [now + 1001, 0, -1, 1.5, Number.NaN])
    t.equal(within({ recordedAt: bad }), 'recorded_at_ms', `${bad}`);
  t.equal(positionViolation({ ...good, lat: 91 }, now, 0, 'updates[3].')?.field, 'updates[3].lat');
});

t.test('freshness: of no negative age, stale from just beyond the limit on', async (t) => {
  t.same(freshnessOf(1000, 1000, 50), { ageMs: 0, stale: false });
  t.same(freshnessOf(1000, 1050, 50), { ageMs: 50, stale: false });
  t.same(freshnessOf(1000, 1051, 50), { ageMs: 51, stale: true });
  t.same(freshnessOf(2000, 1000, 50), { ageMs: 0, stale: false }, 'a clock that runs ahead');
});
