/** What a request for a trip may ask, and whom it may never be offered to. */
import t from 'tap';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, request, shared, stack } from '../stack.ts';

t.test('a rider who drives too is not asked to drive himself', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'both', 50);
  const alone = await request(s, 'both');
  await s.idle();
  t.equal((await s.trips.find(alone.id))!.status, 'requested', 'nobody else is there');
  t.equal(await s.dispatch.match(alone.id), 'no_driver');
  await onDuty(s, 'another', 900);
  t.equal(await s.dispatch.match(alone.id), 'offered');
  t.equal((await s.trips.find(alone.id))!.offer!.driverId, 'another', 'though he is farther away');
  const other = await request(s, 'rider');
  await until(async () => (await s.trips.find(other.id))?.offer?.driverId === 'both', 'he drives others');
});

t.test('a pick-up cannot lie in the past, but what was in time then is answered again', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const journey = { pickup: CENTER, dropoff: near(3000), city: 'testville', vehicleClass: 'standard' as const };
  const at = (pickupAt: number) => ({ ...journey, riderId: 'rider', pickupAt });
  const key = { id: 'key', bodyHash: 'body' };
  await t.rejects(s.trips.request(at(clock.now() - 3_600_000)), { code: 'RIDE_INVALID_INPUT', field: 'pickup_at' });
  await t.rejects(s.trips.request(at(clock.now() - 3_600_000), key), { code: 'RIDE_INVALID_INPUT' });
  const input = at(clock.now() + 600_000);
  const first = await s.trips.request(input, key);
  t.equal(first.created, true, 'a refusal does not use up the key');
  clock.add(86_400_000);
  const again = await s.trips.request(input, key);
  t.same([again.created, again.trip.id], [false, first.trip.id]);
  await t.rejects(s.trips.request(input, { ...key, id: 'another' }), { code: 'RIDE_INVALID_INPUT' });
  await t.rejects(s.trips.request(input, { ...key, bodyHash: 'another' }), { code: 'RIDE_IDEMPOTENCY_MISMATCH' });
  t.equal((await s.trips.request(at(clock.now() - 1000))).created, true, 'clocks differ a little');
});
t.test('keys past their life are forgotten in one sweep, however many they are', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const { idempotency: keys } = s.collections;
  const record = (id: string) => ({
    id,
    region: 'test',
    createdAt: clock.now(),
    version: 1,
    bodyHash: '',
    resourceId: '',
  });
  await Promise.all(Array.from({ length: 1001 }, (_, i) => keys.insert(record(`key-${i}`))));
  const call = { id: 'call', bodyHash: '' };
  await s.calls.begin(call);
  clock.add(86_400_001);
  await keys.insert(record('young'));
  t.ok(await s.collections.calls.get(call.id));
  await s.sweep();
  t.equal(await s.collections.calls.get(call.id), null, 'of a call too');
  t.equal((await keys.getMany(['key-0', 'key-500', 'key-1000', 'young'])).length, 1, 'the young one');
});
t.end();
