/** Quotes over a real store and Redis on two nodes: booked once, whoever is faster, charged as said, refused when they should be. */
import t from 'tap';
import type { Journey } from '../../../src/domain/pricing/rules.ts';
import { chargeOf } from '../../../src/domain/trips/trip.ts';
import type { RideError } from '../../../src/errors.ts';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, person, type Stack, shared, stack } from '../stack.ts';

const journey: Journey = {
  riderId: 'rider',
  pickup: CENTER,
  dropoff: near(3000),
  city: 'testville',
  vehicleClass: 'standard',
};
const refusal = async (call: Promise<unknown>): Promise<Partial<RideError>> => {
  const error = await call.then(
    () => null,
    (reason: RideError) => reason,
  );
  if (!error) throw new Error('was not refused');
  const { code, field, facts } = error;
  return { code, ...(field ? { field } : {}), ...(facts ? { facts } : {}) } as Partial<RideError>;
};
const key = (id: string) => ({ id: `idem:${id}`, bodyHash: 'h' });

/** A driver takes the trip and brings it to an end. */
async function drive(s: Stack, tripId: string, waits: { add(ms: number): void }, waitMs: number, rideMs: number) {
  await until(async () => (await s.trips.find(tripId))?.status === 'offered', 'an offer');
  const { offer } = (await s.trips.find(tripId))!;
  const { driverId } = offer!;
  await s.dispatch.accept(tripId, offer!.id, driverId);
  await s.trips.command(tripId, { type: 'arrive', driverId });
  waits.add(waitMs);
  await s.trips.command(tripId, { type: 'start', driverId });
  waits.add(rideMs);
  return s.trips.command(tripId, { type: 'complete', driverId });
}

t.test('a trip booked with a quote is charged by it, however long it takes', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  await onDuty(a, 'driver');
  const { id, quote, fare } = await a.pricing.quote(journey);
  clock.add(299_999);
  // The other node takes what this one gave.
  const { trip } = await b.trips.request({ ...journey, quoteId: id });
  t.equal(trip.id, quote.tripId);
  t.equal(trip.estimate.fareMinor, fare.totalMinor);
  t.equal(trip.terms!.quoted, true);
  t.equal(chargeOf(trip), null, 'nothing is owed yet');
  const driver = person('driver', 'driver');
  await a.locations.update(driver, { ...near(100), recordedAt: clock.now(), tripId: '' }, 'stream');
  await a.dispatch.match(trip.id);
  const done = await drive(a, trip.id, clock, 240_000, 7_200_000);
  const charged = chargeOf(done)!;
  t.equal(charged.totalMinor, fare.totalMinor + 30, 'the quote, and one minute of waiting');
  t.same(charged.lines.at(-1), { kind: 'waiting', amountMinor: 30, quantity: 60 });
});

t.test('without a quote the time is counted', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  await onDuty(s, 'driver');
  const { trip } = await s.trips.request(journey);
  const done = await drive(s, trip.id, clock, 0, 3_600_000);
  t.same(
    chargeOf(done)!.lines.find(({ kind }) => kind === 'time'),
    { kind: 'time', amountMinor: 3000, quantity: 3600 },
  );
});

t.test('many book one quote at once on two nodes: one trip, and the others are told which', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  for (const keyed of [false, true]) {
    const { id, quote } = await a.pricing.quote(journey);
    const answers = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) =>
        (i % 2 ? a : b).trips.request({ ...journey, quoteId: id }, keyed ? key(`${quote.tripId}-${i}`) : undefined),
      ),
    );
    const won = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    t.equal(won.length, 1);
    t.hasStrict(won[0], { created: true, trip: { id: quote.tripId } });
    for (const one of answers) {
      if (one.status === 'rejected')
        t.hasStrict(one.reason, { code: 'RIDE_QUOTE_USED', facts: { trip_id: quote.tripId } });
    }
  }
});

t.test(
  'one request with a key, many times and also after the quote expired: one trip, always the same answer',
  async (t) => {
    const clock = manualClock();
    const place = await shared(t, clock);
    const [a, b] = [await stack(t, place), await stack(t, place)];
    const { id, quote } = await a.pricing.quote(journey);
    const input = { ...journey, quoteId: id };
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (i % 2 ? a : b).trips.request(input, key('one'))),
    );
    t.same(new Set(answers.map(({ trip }) => trip.id)), new Set([quote.tripId]));
    t.equal(answers.filter(({ created }) => created).length, 1);
    clock.add(300_000);
    t.hasStrict(await b.trips.request(input, key('one')), { created: false, trip: { id: quote.tripId } });
    t.hasStrict(await refusal(b.trips.request(input, key('two'))), { code: 'RIDE_QUOTE_EXPIRED' });
    t.hasStrict(await refusal(b.trips.request(input)), { code: 'RIDE_QUOTE_EXPIRED' });
  },
);

t.test('a crash between key and trip: the repeat books the quote', async (t) => {
  const place = await shared(t);
  const s = await stack(t, place);
  let crashing = true;
  const dying = await stack(t, place, {
    wrapStore: (store) => ({
      ...store,
      collection(spec) {
        const real = store.collection(spec);
        if (spec.name !== 'trips') return real;
        return {
          ...real,
          insert: (document, events) =>
            crashing ? Promise.reject(new Error('killed')) : real.insert(document, events),
        };
      },
    }),
  });
  const { id, quote } = await s.pricing.quote(journey);
  await t.rejects(dying.trips.request({ ...journey, quoteId: id }, key('k')), { message: 'killed' });
  crashing = false;
  const again = await s.trips.request({ ...journey, quoteId: id }, key('k'));
  t.hasStrict(again, { created: true, trip: { id: quote.tripId } });
});

t.test('refused: expired, changed, another’s, another journey; and the key is not used up', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const { id } = await s.pricing.quote(journey);
  const book = (more: object, quoteId = id) => refusal(s.trips.request({ ...journey, ...more, quoteId }));
  t.same(await book({ riderId: 'other' }), { code: 'RIDE_INVALID_INPUT', field: 'rider_id' });
  t.same(await book({ pickup: near(1) }), { code: 'RIDE_INVALID_INPUT', field: 'pickup' });
  t.same(await book({ dropoff: near(3001) }), { code: 'RIDE_INVALID_INPUT', field: 'dropoff' });
  t.same(await book({ city: 'elsewhere' }), { code: 'RIDE_INVALID_INPUT', field: 'city' });
  t.same(await book({ vehicleClass: 'xl' }), { code: 'RIDE_INVALID_INPUT', field: 'vehicle_class' });
  const [body, signature] = id.slice('quote_'.length).split('.') as [string, string];
  const cheaper = Buffer.from(Buffer.from(body, 'base64url').toString().replace('"baseMinor":250', '"baseMinor":0'));
  const forged = `quote_${cheaper.toString('base64url')}.${signature}`;
  for (const [what, bad] of [
    ['forged', forged],
    ['cut', id.slice(0, -1)],
    ['another prefix', id.slice(1)],
    ['nothing', 'quote_'],
    ['a trip', 'trip_test_01234567890123456789abcdef'],
  ] as const) {
    t.same(await book({}, bad), { code: 'RIDE_INVALID_INPUT', field: 'quote_id' }, what);
  }
  clock.add(300_000);
  const late = await refusal(s.trips.request({ ...journey, quoteId: id }, key('k')));
  t.hasStrict(late, { code: 'RIDE_QUOTE_EXPIRED', field: 'quote_id' });
  const fresh = await s.pricing.quote(journey);
  const { created } = await s.trips.request({ ...journey, quoteId: fresh.id }, key('k'));
  t.equal(created, true, 'the refused request left its key free');
  t.same(await refusal(s.pricing.quote({ ...journey, dropoff: near(3) })), {
    code: 'RIDE_INVALID_INPUT',
    field: 'dropoff',
  });
});
