/** Surge over a real store and Redis: counted from what waits and who is there, the same on every node, none when it is not known. */
import t from 'tap';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

const zoneOf = async (s: Stack): Promise<string> => (await s.surge.zones()).zones[0]!.zone;

t.test('trips wait and no driver is there: the price rises on every node, and a quote says why', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  for (let i = 0; i < 6; i++) await request(a, `rider-${i}`);
  await a.surge.refresh();
  clock.add(60_001);
  const gone = await b.surge.refresh();
  t.hasStrict(
    Object.values(gone.zones)[0],
    { waiting: 6, drivers: 0, multiplierPermille: 1000 },
    'first seen after a gap',
  );
  for (let turn = 0; turn < 24; turn++) {
    clock.add(10_000);
    await (turn % 2 ? a : b).surge.refresh();
  }
  const zone = await zoneOf(a);
  const here = await a.surge.at(zone);
  t.hasStrict(here, { demand: 6, supply: 0, targetPermille: 2500, multiplierPermille: 2100 }, 'two half-lives');
  clock.add(3000);
  t.same(await b.surge.at(zone), here, 'one board for all');
  const journey = {
    riderId: 'r',
    pickup: CENTER,
    dropoff: near(3000),
    city: 'testville',
    vehicleClass: 'standard',
  } as const;
  const { quote, fare } = await b.pricing.quote(journey);
  t.same(quote.terms.surge, here);
  const line = fare.lines.find(({ kind }) => kind === 'surge')!;
  t.equal(line.quantity, 2100);
  t.equal(line.amountMinor, Math.floor(((fare.totalMinor - line.amountMinor) * 1100 + 500) / 1000));
  t.equal((await request(b, 'next')).terms!.surge.multiplierPermille, 2100, 'without a quote too');
  const later = await request(b, 'later', { pickupAt: clock.now() + 86_400_000 });
  t.equal(later.terms!.surge.multiplierPermille, 1000, 'but not for tomorrow');
  t.equal((await a.surge.refresh()).zones[zone]!.waiting, 7, 'which is no demand of today');
  clock.add(60_001);
  t.equal((await b.surge.at(zone)).multiplierPermille, 1000, 'nobody computes it any more: no surge');
});

t.test('drivers count while they are available and heard of', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  const drivers = async () => Object.values((await s.surge.refresh()).zones).reduce((sum, z) => sum + z.drivers, 0);
  for (let i = 0; i < 3; i++) await onDuty(s, `driver-${i}`, 10 * i);
  t.equal(await drivers(), 3);
  await s.drivers.setStatus(person('driver', 'driver-0'), 'offline');
  t.equal(await drivers(), 2);
  const trip = await request(s, 'rider');
  await until(async () => (await s.trips.find(trip.id))?.status === 'offered', 'an offer');
  const { offer } = (await s.trips.find(trip.id))!;
  await s.dispatch.accept(trip.id, offer!.id, offer!.driverId);
  t.equal(await drivers(), 1);
  clock.add(60_001);
  t.equal(await drivers(), 0, 'not heard of');
});

t.test('a trip that found nobody counts for a while', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { tripRequestTtlMs: 1000 });
  const trip = await request(s, 'rider');
  await s.idle();
  clock.add(1000);
  t.equal(await s.dispatch.match(trip.id), 'expired');
  const lost = async () => Object.values((await s.surge.refresh()).zones).reduce((sum, z) => sum + z.lost, 0);
  t.equal(await lost(), 1);
  clock.add(299_999);
  t.equal(await lost(), 1);
  clock.add(1);
  t.equal(await lost(), 0);
});

t.test('a late board does not replace a newer one', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const behind = { now: () => clock.now() - 5000, toWallMs: (ms: number) => ms };
  const [a, late] = [await stack(t, place), await stack(t, { ...place, clock: behind })];
  await onDuty(a, 'driver');
  const newer = await a.surge.refresh();
  await late.surge.refresh();
  t.equal(Number(await a.redis.hget('surge:board', 'at')), newer.at);
});

t.test('Redis goes away: what was read last counts for a while, then nothing is dearer', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  for (let i = 0; i < 6; i++) await request(s, `rider-${i}`);
  await s.surge.refresh();
  clock.add(50_000);
  await s.surge.refresh();
  const zone = await zoneOf(s);
  const { multiplierPermille } = await s.surge.at(zone);
  t.ok(multiplierPermille > 1000);
  s.redis.disconnect();
  clock.add(60_000);
  t.equal((await s.surge.at(zone)).multiplierPermille, multiplierPermille);
  clock.add(1);
  t.equal((await s.surge.at(zone)).multiplierPermille, 1000);
  t.same(await s.surge.zones(), { at: null, zones: [] });
});
