/** Arriving where one is: by the newest position while it is fresh, on one's word where none is, and said so. */
import t, { type Test } from 'tap';
import { seenAt, tooFar } from '../../../src/domain/arrivals/rules.ts';
import type { RideError } from '../../../src/errors.ts';
import { until } from '../../until.ts';
import {
  CENTER,
  type ManualClock,
  manualClock,
  near,
  onDuty,
  person,
  request,
  type Stack,
  shared,
  stack,
} from '../stack.ts';

const LIMIT_M = 300;

/** A ride that a driver far away has accepted. */
async function assigned(t: Test, options: Parameters<typeof stack>[2] = {}): Promise<Scene> {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { arrivalRadiusM: LIMIT_M, ...options });
  const driver = await onDuty(s, 'driver', 2000);
  const { id } = await request(s, 'rider');
  await until(async () => (await s.trips.find(id))?.offer != null, 'an offer');
  await s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, 'driver');
  await s.idle();
  return {
    ...{ s, clock, id },
    arrive: () => s.trips.command(id, { type: 'arrive', driverId: 'driver' }),
    at: async (metres, more = {}) => {
      clock.add(1000);
      await s.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '', ...more }, 'stream');
    },
    noted: async () => (await s.trips.find(id))!.history.find(({ type }) => type === 'driver_arrived')?.reason,
  };
}

interface Scene {
  s: Stack;
  clock: ManualClock;
  id: string;
  arrive(): Promise<{ status: string }>;
  at(metres: number, more?: { accuracyM?: number; tripId?: string }): Promise<void>;
  noted(): Promise<string | undefined>;
}

t.test('how far away somebody is at least, by what his device says of its error', async (t) => {
  const distanceM = (metres: number, accuracyM?: number) =>
    seenAt({ ...near(metres), accuracyM }, CENTER, LIMIT_M).distanceM;
  t.equal(distanceM(500), 500);
  t.equal(distanceM(500, 150), 350);
  t.equal(distanceM(100, 150), 0);
  t.equal(distanceM(5000, 100_000), 4700, 'who claims to know nothing is not everywhere');
  t.equal(tooFar(undefined), null);
  t.equal(tooFar({ distanceM: null, limitM: LIMIT_M }), null);
  t.equal(tooFar({ distanceM: LIMIT_M, limitM: LIMIT_M }), null);
  t.same(tooFar({ distanceM: 301, limitM: LIMIT_M }), {
    reason: 'too_far_from_pickup',
    distance_m: 301,
    limit_m: LIMIT_M,
  });
});

t.test(
  'who is somewhere else has not arrived, and is told how far he is; there he has, and a repeat is one',
  async (t) => {
    const { s, id, arrive, at, noted } = await assigned(t);
    const facts = {
      reason: 'too_far_from_pickup',
      distance_m: 2000,
      limit_m: LIMIT_M,
      status: 'assigned',
      driver_id: 'driver',
    };
    await t.rejects(arrive(), { code: 'RIDE_TOO_FAR', facts });
    t.equal((await s.trips.find(id))!.status, 'assigned', 'nothing was written');
    const stranger = s.trips.command(id, { type: 'arrive', driverId: 'other' });
    await t.rejects(stranger, { code: 'RIDE_FORBIDDEN' }, 'others are not told where he is');
    await at(250, { tripId: id });
    t.equal((await arrive()).status, 'driver_arrived');
    t.equal(await noted(), undefined);
    await at(2000);
    t.equal((await arrive()).status, 'driver_arrived', 'a repeat is answered with what is, wherever he went');
  },
);

t.test('a position that he sent just before counts, written or not', async (t) => {
  const { arrive, at } = await assigned(t);
  const [, trip] = await Promise.all([at(100), arrive()]);
  t.equal(trip.status, 'driver_arrived');
});

t.test('without a fresh position he is believed, which is said', async (t) => {
  const { clock, arrive, noted } = await assigned(t);
  clock.add(60_001);
  t.equal((await arrive()).status, 'driver_arrived');
  t.equal(await noted(), 'position_unknown');
});

t.test('while Redis cannot be read trips go on', async (t) => {
  const { arrive, noted } = await assigned(t, {
    wrapPorts: (ports) => ({
      ...ports,
      positions: { ...ports.positions, latestOf: () => Promise.reject(new Error('away')) },
    }),
  });
  t.equal((await arrive()).status, 'driver_arrived');
  t.equal(await noted(), 'position_unknown');
});

t.test('a departure is boarded where it leaves', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock), { arrivalRadiusM: LIMIT_M });
  const driver = person('driver', 'driver');
  const wish = { driverId: 'driver', pickup: CENTER, dropoff: near(30_000), departureTime: clock.now() + 600_000 };
  const more = { seats: 2, seatFareMinor: 500, city: 'testville', vehicleClass: 'standard' as const };
  const { departure } = await s.departures.publish(driver, { ...wish, ...more });
  const at = (metres: number) =>
    s.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
  await at(2000);
  const refusal = (await s.departures.arrive(driver, departure.id).catch((error: unknown) => error)) as RideError;
  t.match(refusal, { code: 'RIDE_TOO_FAR', facts: { distance_m: 2000, limit_m: LIMIT_M } });
  t.notOk((await s.drivers.get('driver'))?.activeTripId, 'he is not bound by it');
  clock.add(60_001);
  t.equal((await s.departures.arrive(driver, departure.id)).history.at(-1)?.reason, 'position_unknown');
});
