/** Going off duty while the price rises, and back for it, over real stores: kept as it happens, flagged when it is a habit. */
import t from 'tap';
import { manualClock, near, onDuty, request, shared, stack } from '../stack.ts';

t.test('off duty without a surge and back for it, three times: flagged, with the zone and the rise', async (t) => {
  const clock = manualClock();
  const s = await stack(t, await shared(t, clock));
  // Of a class that nobody asks for, so that he stays free.
  const driver = await onDuty(s, 'driver-g', 100, { vehicleClass: 'moto' });
  const flags = async () => (await s.anomalies.list({ subjectId: 'driver-g', pageSize: 5 })).items;
  async function pause(rises: boolean): Promise<void> {
    // A board that nobody computes any more is no surge.
    clock.add(60_001);
    await s.drivers.setStatus(driver, 'offline');
    await s.drivers.setStatus(driver, 'offline');
    await s.duty.idle();
    if (rises) {
      await s.surge.refresh();
      for (let turn = 0; turn < 12; turn++) {
        clock.add(10_000);
        await s.surge.refresh();
      }
    }
    await s.drivers.setStatus(driver, 'looking');
    await s.duty.idle();
  }
  for (let i = 0; i < 6; i++) await request(s, `rider-${i}`, { dropoff: near(3000) });
  await pause(true);
  await pause(false);
  await pause(true);
  t.same(await flags(), [], 'twice is no habit');
  await pause(true);
  const [flag] = await flags();
  t.hasStrict(flag, { kind: 'surge_gaming', status: 'open', subjectRole: 'driver', city: 'testville' });
  const {
    pauses,
    zones,
    largest_rise: rise,
  } = flag!.evidence[0]!.facts as {
    pauses: number;
    zones: string[];
    largest_rise: number;
  };
  t.equal(pauses, 3, 'a repeat of the same status is no change of duty');
  t.equal(zones.length, 1);
  t.ok(rise > 0.2 && rise <= 1.5, `${rise}`);
});
