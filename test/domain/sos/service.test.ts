/** SOS over a real store and a real Redis: stored before anyone is told (property 3), and one alert however often it is raised. */

import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Role } from '../../../src/domain/roles.ts';
import { RideError } from '../../../src/errors.ts';
import type { Collection, CollectionSpec, Store, StoredDocument } from '../../../src/ports/store.ts';
import { ServerEnvelopeSchema, type SosAlert } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { CENTER, manualClock, person, request, type Shared, type Stack, shared, stack } from '../stack.ts';

const alertsIn = async (s: Stack): Promise<number> => (await s.bus.position('sos:alerts')).offset;
const unavailable = (): RideError => new RideError('RIDE_UNAVAILABLE', 'away');
const input = { tripId: '', position: CENTER, note: 'help' };

/** A node whose store lets the test watch and fail the writing of alerts. */
async function watched(t: Test, place: Shared, onInsert: () => Promise<void>): Promise<Stack> {
  return stack(t, place, {
    wrapStore: (store: Store): Store => ({
      ...store,
      collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T> {
        const real = store.collection<T>(spec);
        if (spec.name !== 'sosAlerts') return real;
        return {
          ...real,
          async insert(document, events) {
            await onInsert();
            return real.insert(document, events);
          },
        };
      },
    }),
  });
}

t.test('property 3: whatever is raised and whoever raises it, nobody is told before it is stored', async (t) => {
  let told = 0;
  const s = await watched(t, await shared(t), async () => {
    // Of this one nobody may know yet, and every one before was stored and told.
    if ((await alertsIn(s)) > told) throw new Error('told before it was stored');
  });
  const raise = fc.record({
    user: fc.nat(6),
    note: fc.string({ maxLength: 40 }),
    position: fc.option(fc.constant(CENTER)),
    times: fc.integer({ min: 1, max: 4 }),
  });
  let runs = 0;
  const property = fc.asyncProperty(fc.array(raise, { minLength: 1, maxLength: 6 }), async (raises) => {
    runs++;
    const raised = new Set<string>();
    for (const { user, note, position, times } of raises) {
      const rider = person('rider', `${runs}-${user}`);
      const once = () => s.sos.trigger(rider, { tripId: '', position, note });
      const ids = await Promise.all(Array.from({ length: times }, once));
      if (new Set(ids).size !== 1) throw new Error(`several alerts: ${ids}`);
      if (!raised.has(ids[0]!)) told++;
      raised.add(ids[0]!);
      await s.idle();
      if ((await alertsIn(s)) !== told) throw new Error(`${await alertsIn(s)} told of ${told} stored`);
    }
  });
  await t.resolves(fc.assert(property, { numRuns: 15 }));
});

t.test('a storm of calls of one user costs as many writes as there are moments, not as there are calls', async (t) => {
  let writes = 0;
  const s = await watched(t, await shared(t), async () => {
    writes++;
  });
  const rider = person('rider', 'rider');
  const storm = () => Promise.all(Array.from({ length: 500 }, () => s.sos.trigger(rider, input)));
  const [first, second] = [await storm(), await storm()];
  t.equal(new Set([...first, ...second]).size, 1, 'one alert');
  t.equal(writes, 2, 'each storm is one look');
  const others = Array.from({ length: 20 }, (_, i) => s.sos.trigger(person('rider', `other-${i}`), input));
  t.equal(new Set(await Promise.all(others)).size, 20, 'nobody else is in it');
  await s.idle();
  t.equal(await alertsIn(s), 21);
});

t.test('the store is away: it is refused, nobody is told, and the repeat is the same alert', async (t) => {
  const place = await shared(t);
  let isAway = true;
  const s = await watched(t, place, async () => {
    if (isAway) throw Object.assign(new Error('away'), { code: 'RIDE_UNAVAILABLE' });
  });
  const rider = person('rider', 'rider');
  await t.rejects(s.sos.trigger(rider, input), { code: 'RIDE_UNAVAILABLE' });
  await s.idle();
  t.equal(await alertsIn(s), 0, 'nobody is told of what is not stored');
  isAway = false;
  const id = await s.sos.trigger(rider, input);
  t.equal(await s.sos.trigger(rider, input), id);
  await s.idle();
  t.equal(await alertsIn(s), 1);
  const tracking = `sos:tracking:${id}`;
  t.hasStrict(await s.redis.hgetall(tracking), { tripId: '', status: 'active' });
  t.same(Object.keys(await s.redis.hgetall(tracking)).sort(), ['lastLocation', 'startedAt', 'status', 'tripId']);
  const leftMs = await s.redis.pttl(tracking);
  const weekMs = 7 * 24 * 3_600_000;
  t.ok(leftMs > weekMs - 60_000 && leftMs <= weekMs, `it is followed for a week: ${leftMs}`);
});

t.test('Redis is away: it is stored and acknowledged, and told when Redis is back', async (t) => {
  const place = await shared(t);
  const s = await stack(t, place);
  await s.redis.call('CLIENT', 'PAUSE', '600', 'WRITE');
  const id = await s.sos.trigger(person('rider', 'rider'), input);
  t.match(id, /^sos_test_/);
  await until(async () => {
    await s.sweep();
    return (await alertsIn(s)) > 0;
  }, 'the alert to be told');
});

t.test('raised on two nodes at once, many times: one alert', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const rider = person('rider', 'rider');
  const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? a : b).sos.trigger(rider, input)));
  t.equal(new Set(ids).size, 1);
  await Promise.all([a.idle(), b.idle()]);
  t.equal(await alertsIn(a), 1, 'told once');
  t.not(await b.sos.trigger(person('rider', 'another'), input), ids[0], 'another one’s is another');
});

t.test('an alert gets through whatever trip it names, and is tied to one of the sender’s only', async (t) => {
  let isAway = false;
  const s = await stack(t, await shared(t), {
    wrapStore: (store: Store): Store => ({
      ...store,
      collection<T extends StoredDocument>(spec: CollectionSpec<T>): Collection<T> {
        const real = store.collection<T>(spec);
        if (spec.name !== 'trips') return real;
        return { ...real, get: (id) => (isAway ? Promise.reject(new Error('away')) : real.get(id)) };
      },
    }),
  });
  const { id: tripId } = await request(s, 'passenger');
  const raised = async (role: Role, userId: string, named: string) => {
    const id = await s.sos.trigger(person(role, userId), { ...input, tripId: named });
    await s.idle();
    const { messages } = await s.bus.history('sos:alerts', { epoch: '', offset: 0 }, 100);
    const told = messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).payload);
    const alert = told.map(({ value }) => value as SosAlert).find(({ alertId }) => alertId === id)!;
    const { tripId: followed } = await s.redis.hgetall(`sos:tracking:${id}`);
    return { trip: alert.tripId, claimed: alert.claimedTripId, followed };
  };
  const own = { trip: tripId, claimed: '', followed: tripId };
  const claim = (claimed: string) => ({ trip: '', claimed, followed: '' });
  t.same(await raised('rider', 'passenger', tripId), own, 'his own');
  t.same(await raised('dispatcher', 'desk', tripId), own, 'of who answers for any');
  t.same(await raised('rider', 'stranger', tripId), claim(tripId), 'someone else’s');
  t.same(await raised('driver', 'cruising', tripId), claim(tripId), 'of a driver who does not drive it');
  t.same(await raised('rider', 'confused', 'trip_x'), claim('trip_x'), 'of nobody');
  t.same(await raised('rider', 'plain', ''), claim(''), 'none');
  isAway = true;
  t.same(await raised('rider', 'passenger-2', tripId), claim(tripId), 'not to be looked up');
  t.equal((await s.bus.position(`trip:${tripId}`)).offset, 1, 'and on the trip nothing is told of it');
});

t.test('where the call came from is told with its age, accuracy and source; none is refused for these', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const told = async (userId: string, position: object) => {
    const id = await s.sos.trigger(person('rider', userId), { ...input, position: { ...CENTER, ...position } });
    await s.idle();
    const { messages } = await s.bus.history('sos:alerts', { epoch: '', offset: 0 }, 100);
    const { value } = fromBinary(ServerEnvelopeSchema, messages.at(-1)!.payload).payload;
    const { alertId, positionRecordedAtMs, ageMs, stale, staleReason, accuracyM, positionSource } = value as SosAlert;
    t.equal(alertId, id);
    const ago = clock.now() - Number(positionRecordedAtMs);
    t.equal(Number(ageMs), ago, 'its age is that of when it was measured');
    return { ago, stale, staleReason, accuracyM, positionSource };
  };
  const fresh = { ago: 0, stale: false, staleReason: '', positionSource: 'stream', accuracyM: undefined };
  const source = 'stream';
  const now = clock.now();
  t.strictSame(await told('plain', { source }), fresh);
  t.strictSame(await told('good', { source, accuracyM: 12, recordedAt: now - 900 }), {
    ...fresh,
    accuracyM: 12,
    ago: 900,
  });
  const wrong = { source, accuracyM: -1, recordedAt: now + 3_600_000 };
  t.strictSame(await told('wrong', wrong), fresh, 'what cannot be counts as not told');
  const old = { ...fresh, ago: 60_001, stale: true, staleReason: 'silent' };
  t.strictSame(await told('old', { source, recordedAt: now - 60_001 }), old);
  const { items } = await s.sos.list({ pageSize: 10 });
  const good = items.find(({ userId }) => userId === 'good')!;
  clock.add(60_000);
  const place = { ...CENTER, recordedAt: now - 900, accuracyM: 12, source };
  t.strictSame(
    await s.sos.place(good),
    { ...place, ageMs: 60_900, stale: true, staleReason: 'silent' },
    'as it is by now',
  );
});

t.test('a call is told, and seen by who answers it, while nobody knows why its position is stale', async (t) => {
  const clock = manualClock();
  let isAway = false;
  const s = await stack(t, await shared(t, clock), {
    wrapPorts: (ports) => ({
      ...ports,
      telematics: {
        ...ports.telematics,
        of: (id) => (isAway ? Promise.reject(unavailable()) : ports.telematics.of(id)),
      },
    }),
  });
  const id = await s.sos.trigger(person('rider', 'rider'), input);
  const measured = { ...CENTER, recordedAt: clock.now() };
  clock.add(61_000);
  isAway = true;
  const alert = await s.sos.get(id);
  t.strictSame(await s.sos.place(alert), { ...measured, ageMs: 61_000, stale: true, staleReason: undefined });
  await s.idle();
  const before = await alertsIn(s);
  await s.sos.trigger(person('rider', 'other'), { ...input, position: { ...CENTER, recordedAt: measured.recordedAt } });
  await s.idle();
  t.equal(await alertsIn(s), before + 1, 'told all the same');
});

t.test('what cannot be an alert is refused and leaves nothing', async (t) => {
  const s = await stack(t, await shared(t));
  const rider = person('rider', 'rider');
  const field = async (more: object): Promise<string | undefined> =>
    s.sos.trigger(rider, { ...input, ...more }).then(
      () => undefined,
      (error: RideError) => error.field,
    );
  t.equal(await field({ position: { lat: 91, lng: 0 } }), 'lat');
  t.equal(await field({ position: { lat: 0, lng: Number.NaN } }), 'lng');
  t.equal(await field({ note: 'x'.repeat(1001) }), 'note');
  await s.idle();
  t.equal(await alertsIn(s), 0);
});
