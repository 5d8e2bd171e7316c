/** What a crash between two steps leaves behind: claims of drivers, jobs, offers. The sweeper finds it, however much there is. */
import t from 'tap';
import { until } from '../../until.ts';
import { manualClock, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

/** A trip whose driver got as far as the first half of his acceptance, and whose offer has expired since. */
async function halfAccepted(s: Stack, driverId: string, clock: { add(ms: number): void }): Promise<string> {
  const trip = await request(s, `rider-of-${driverId}`);
  await until(async () => (await s.trips.find(trip.id))?.offer?.driverId === driverId, 'the offer');
  if (!(await s.drivers.claim(driverId, trip.id))) throw new Error('not claimed');
  const { offer } = (await s.trips.find(trip.id))!;
  if ((await s.dispatch.reconcile(0, 100)) !== 0) throw new Error('an acceptance that may be under way was undone');
  clock.add(20_000);
  await s.dispatch.expireOffer(trip.id, offer!.id);
  await s.trips.command(trip.id, { type: 'cancel', actorId: `rider-of-${driverId}`, role: 'rider' });
  await s.idle();
  if ((await s.drivers.get(driverId))!.activeTripId !== trip.id) throw new Error('nothing was left behind');
  return trip.id;
}

t.test('a crash between claim and acceptance: the sweeper frees the driver', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  await onDuty(s, 'driver');
  await halfAccepted(s, 'driver', clock);
  t.equal(await s.dispatch.reconcile(1000, 100), 1);
  t.equal((await s.drivers.get('driver'))!.activeTripId, null);
  t.equal(await s.dispatch.reconcile(1000, 100), 0);
});

t.test('a crash between claim and acceptance: so does his next acceptance', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  await onDuty(s, 'driver');
  await halfAccepted(s, 'driver', clock);
  const next = await request(s, 'rider');
  await s.idle();
  const offer = { id: 'ofr', driverId: 'driver', etaS: 1, distanceM: 1, lat: 0, lng: 0, expiresAt: clock.now() + 1000 };
  await s.trips.command(next.id, { type: 'offer', offer });
  await s.dispatch.accept(next.id, 'ofr', 'driver');
  t.equal((await s.drivers.get('driver'))!.activeTripId, next.id);
});

t.test('however many drivers are busy for good reason, the one who is not is found', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  for (let i = 0; i < 12; i++) {
    const id = `busy-${i}`;
    await s.drivers.ensure(person('driver', id));
    const trip = await request(s, `rider-${i}`);
    await s.idle();
    const offer = { id: `o-${i}`, driverId: id, etaS: 1, distanceM: 1, lat: 0, lng: 0, expiresAt: clock.now() + 1000 };
    await s.trips.command(trip.id, { type: 'offer', offer });
    await s.dispatch.accept(trip.id, offer.id, id);
    clock.add(10);
  }
  await onDuty(s, 'driver');
  await halfAccepted(s, 'driver', clock);
  // Fewer at a time than there are, so the one comes after those who are always there.
  let freed = 0;
  for (let i = 0; i < 5 && freed === 0; i++) freed += await s.dispatch.reconcile(1000, 5);
  t.equal(freed, 1);
  t.equal((await s.drivers.get('driver'))!.activeTripId, null);
  t.equal((await s.drivers.get('busy-0'))!.activeTripId === null, false, 'the others are where they were');
});

t.test('Redis forgets everything: the sweeper recurs all the same, and trips and drivers go on', async (t) => {
  const s = await stack(t, await shared(t), { sweepEveryMs: 200, sweepAgeMs: 100, dispatch: { retryMs: 200 } });
  const driver = await onDuty(s, 'driver');
  await s.drivers.setStatus(driver, 'offline');
  const trip = await request(s, 'rider');
  await s.idle();
  await s.redis.flushall();
  // The driver knows nothing of it: he only tells where he is.
  await s.drivers.setStatus(driver, 'looking');
  await s.redis.flushall();
  const tell = () =>
    s.locations.update(driver, { lat: 40.7484, lng: -73.9857, recordedAt: s.clock.now(), tripId: '' }, 'stream');
  await until(async () => {
    await tell();
    return (await s.trips.find(trip.id))?.status === 'offered';
  }, 'the trip to be offered to him');
  t.equal((await s.trips.find(trip.id))!.offer!.driverId, 'driver');
});

t.test('one trip that cannot be mended does not keep the others from it', async (t) => {
  const clock = manualClock();
  let broken = '';
  const s = await stack(t, await shared(t, clock), {
    wrapStore: (store) => ({
      ...store,
      collection(spec) {
        const real = store.collection(spec);
        return {
          ...real,
          get: (id) => (id === broken ? Promise.reject(new Error('this document cannot be read')) : real.get(id)),
        };
      },
    }),
  });
  const first = await request(s, 'rider-1');
  clock.add(10);
  const second = await request(s, 'rider-2');
  await s.idle();
  broken = first.id;
  clock.add(700_000);
  await s.sweep();
  t.equal((await s.trips.find(second.id))!.status, 'expired');
});
