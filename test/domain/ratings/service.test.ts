/** Ratings over a real store, Redis and two nodes: once for each side, counted exactly, and felt by dispatch. */
import t from 'tap';
import { ratingIdOf } from '../../../src/domain/ratings/rating.ts';
import type { Trip } from '../../../src/domain/trips/trip.ts';
import { until } from '../../until.ts';
import { onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

/** A ride that the only driver on duty drove to its end; he goes off duty then. */
async function driven(s: Stack, riderId: string, driverId: string): Promise<Trip> {
  const driver = await onDuty(s, driverId);
  const { id } = await request(s, riderId);
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'an offer');
  await s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, driverId);
  for (const type of ['arrive', 'start', 'complete'] as const) await s.trips.command(id, { type, driverId });
  await s.idle();
  await s.drivers.setStatus(driver, 'offline');
  return (await s.trips.find(id))!;
}

const reputation = async (s: Stack, driverId: string) => {
  const { ratings = 0, ratingSum = 0 } = (await s.drivers.get(driverId))!;
  return [ratings, ratingSum];
};

t.test('both sides once each, from two nodes at once; the driver’s reputation has counted each once', async (t) => {
  const place = await shared(t);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  const trips = [await driven(a, 'rider-1', 'driver'), await driven(a, 'rider-2', 'driver')];
  const stars = [5, 2];
  const given = await Promise.all(
    Array.from({ length: 12 }, (_, i) => {
      const n = i % 2;
      const input = { stars: stars[n]! };
      return (i % 3 ? a : b).ratings.give(person('rider', `rider-${n + 1}`), trips[n]!.id, input);
    }),
  );
  t.equal(given.filter(({ created }) => created).length, 2);
  const back = await b.ratings.give(person('driver', 'driver'), trips[0]!.id, { stars: 4, comment: 'polite' });
  t.hasStrict(back, { created: true, rating: { subjectId: 'rider-1', subjectRole: 'rider', comment: 'polite' } });
  await Promise.all([a.idle(), b.idle()]);
  t.same(await reputation(a, 'driver'), [2, 7]);
  const rider = person('rider', 'rider-1');
  t.same(await a.ratings.ofUser(rider, 'rider-1'), { rider: { count: 1, sum: 4 }, driver: { count: 0, sum: 0 } });
  await t.rejects(a.ratings.ofUser(rider, 'driver'), { code: 'RIDE_FORBIDDEN' }, 'the ride is over');
  const desk = person('dispatcher', 'desk');
  t.equal((await a.ratings.ofTrip(desk, trips[0]!.id)).length, 2);
  t.same(
    (await a.ratings.ofTrip(rider, trips[0]!.id)).map(({ raterId }) => raterId),
    ['rider-1'],
    'what the driver said of him is not told',
  );
  await t.rejects(a.ratings.give(rider, trips[0]!.id, { stars: 1 }), {
    code: 'RIDE_ALREADY_EXISTS',
    facts: { stars: 5 },
  });
});

t.test('an idempotency key is good for one body; without one a repeat is known all the same', async (t) => {
  const s = await stack(t, await shared(t));
  const { id } = await driven(s, 'rider', 'driver');
  const rider = person('rider', 'rider');
  const key = { id: 'idem:1', bodyHash: 'five' };
  t.equal((await s.ratings.give(rider, id, { stars: 5 }, key)).created, true);
  t.equal((await s.ratings.give(rider, id, { stars: 5 }, key)).created, false);
  t.equal((await s.ratings.give(rider, id, { stars: 5 })).created, false);
  t.equal((await s.ratings.give(rider, id, { stars: 5 }, { ...key, id: 'idem:2' })).created, false);
  const other = s.ratings.give(rider, id, { stars: 4 }, { ...key, bodyHash: 'four' });
  await t.rejects(other, { code: 'RIDE_IDEMPOTENCY_MISMATCH' });
});

t.test('refusals: not completed, a stranger, an operator, a driver who was offered it', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'driver');
  const { id } = await request(s, 'rider');
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'an offer');
  const give = (role: 'rider' | 'driver' | 'admin', userId: string, tripId = id) =>
    s.ratings.give(person(role, userId), tripId, { stars: 5 });
  await t.rejects(give('rider', 'rider'), { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'offered' } });
  await t.rejects(give('driver', 'driver'), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(give('rider', 'stranger'), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(give('admin', 'admin'), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(give('rider', 'rider', 'trip_none'), { code: 'RIDE_NOT_FOUND' });
  await s.trips.command(id, { type: 'cancel', actorId: 'rider', role: 'rider' });
  await t.rejects(give('rider', 'rider'), { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'cancelled' } });
});

t.test('killed between the rating and what follows: another node counts it, and counts it once', async (t) => {
  const place = await shared(t);
  const s = await stack(t, place);
  const { id, region, source } = await driven(s, 'rider', 'driver');
  const dying = await stack(t, place, {
    wrapPorts: (ports) => ({
      ...ports,
      publisher: {
        ...ports.publisher,
        publishLatest() {
          throw new Error('killed');
        },
      },
    }),
  });
  await dying.ratings.give(person('rider', 'rider'), id, { stars: 3 });
  await dying.idle();
  t.same(await reputation(s, 'driver'), [0, 0], 'stored, and nothing followed');
  await until(async () => {
    await s.sweep();
    return (await reputation(s, 'driver'))[0] === 1;
  }, 'the sweep of the other node');
  t.same(await reputation(s, 'driver'), [1, 3]);
  const [rating] = await s.ratings.ofTrip(person('rider', 'rider'), id);
  t.hasStrict(rating, { id: ratingIdOf(id, 'rider'), region, city: source.city, version: 1 });
  const version = (await s.drivers.get('driver'))!.version;
  await s.ratings.handler.react('', { id: 'e', seq: 1, type: 'rating.given', at: 0, data: { ...rating } });
  t.equal((await s.drivers.get('driver'))!.version, version, 'told again, it changes nothing');
});

t.test('of two drivers as far away the better rated is asked', async (t) => {
  const s = await stack(t, await shared(t));
  for (const [n, [driverId, stars]] of (
    [
      ['bad', 1],
      ['good', 5],
    ] as const
  ).entries()) {
    const { id } = await driven(s, `rider-${n}`, driverId);
    await s.ratings.give(person('rider', `rider-${n}`), id, { stars });
    await s.idle();
  }
  // As idle as each other is not to be had from a real clock; the bad one has waited longer, which is worth less than the stars.
  await onDuty(s, 'bad', 100);
  await onDuty(s, 'good', 100);
  const { id } = await request(s, 'rider');
  await until(async () => (await s.trips.find(id))?.status === 'offered', 'an offer');
  t.equal((await s.trips.find(id))!.offer!.driverId, 'good');
  const [decision] = (await s.decisions.ofTrip(id, 1)).items;
  const costOf = (driverId: string) =>
    decision!.ranked.find((one) => one.driverId === driverId)!.terms.find(({ name }) => name === 'rating')!;
  t.ok(costOf('bad').costMs > costOf('good').costMs, 'and the decision says so');
});
t.end();
