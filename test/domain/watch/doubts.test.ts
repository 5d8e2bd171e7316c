/** Positions that are not believed: their driver is flagged or counted, and matching passes him over. */
import t from 'tap';
import type { Ports } from '../../../src/domain/services.ts';
import { manualClock, near, onDuty, type Stack, shared, stack } from '../stack.ts';

/** A driver on duty, what was counted of him, and how often Redis was told that he is not believed. */
async function setUp(t: Parameters<typeof shared>[0], driverId: string) {
  const clock = manualClock();
  const counted: string[] = [];
  let told = 0;
  const wrapPorts = (ports: Ports): Ports => {
    const { distrust } = ports.positions;
    const positions = {
      ...ports.positions,
      distrust(id: string, overdueAt: number) {
        told++;
        return distrust(id, overdueAt);
      },
    };
    return { ...ports, positions, onWatched: (what, label) => void counted.push(`${what} ${label}`) };
  };
  const s: Stack = await stack(t, await shared(t, clock), { wrapPorts });
  const driver = await onDuty(s, driverId);
  // What was heard then is looked at then.
  await s.watch.idle();
  /** He says where he is, 5 s later and `agoMs` after it was measured. */
  const tell = async (metres: number, more: { agoMs?: number; isMock?: boolean } = {}): Promise<void> => {
    clock.add(5000);
    const { agoMs = 0, isMock } = more;
    const input = {
      ...near(metres),
      recordedAt: clock.now() - agoMs,
      tripId: '',
      ...(isMock === undefined ? {} : { isMock }),
    };
    await s.locations.update(driver, input, 'stream');
    await s.watch.idle();
  };
  const isCandidate = async () => (await s.redis.zcard('active-drivers')) === 1;
  return { s, clock, driver, counted, tell, isCandidate, told: () => told };
}

t.test(
  'positions that the device says an app made up: flagged once, and no candidate for a while after the last',
  async (t) => {
    const { s, counted, tell, isCandidate, told } = await setUp(t, 'mocker');
    await tell(110, { isMock: false });
    t.equal(await isCandidate(), true);
    for (let i = 0; i < 60; i++) await tell(120 + 10 * i, { isMock: true });
    t.equal(await isCandidate(), false);
    const { items } = await s.anomalies.list({ subjectId: 'mocker', pageSize: 10 });
    t.match(items, [{ kind: 'spoofed_gps', count: 1, score: 1, evidence: [{ facts: { sign: 'mock_provider' } }] }]);
    t.ok(told() <= 11, `60 positions in 5 minutes, Redis is told every half: ${told()} times`);
    t.equal(counted.filter((one) => one === 'anomaly spoofed_gps').length, 1);
    t.ok(counted.includes('distrusted spoofed_gps'));
    for (let i = 0; i < 119; i++) await tell(720 + 10 * i);
    t.equal(await isCandidate(), false, 'ten minutes');
    await tell(2000);
    t.equal(await isCandidate(), true);
  },
);

t.test('a clock far behind: counted, and no candidate until a position is of now', async (t) => {
  const { s, counted, tell, isCandidate, told } = await setUp(t, 'late');
  for (let i = 0; i < 24; i++) await tell(120 + 10 * i, { agoMs: 7_200_000 - 60_000 });
  t.equal(counted.filter((one) => one === 'refused late').length, 24, 'what was measured before the last is only late');
  t.equal(await isCandidate(), true);
  const { s: other, ...behind } = await setUp(t, 'behind');
  behind.clock.add(3_600_000);
  for (let i = 0; i < 24; i++) await behind.tell(120 + 10 * i, { agoMs: 600_000 });
  t.equal(await behind.isCandidate(), false);
  t.equal(behind.counted.filter((one) => one === 'refused stale_clock').length, 24);
  t.equal(behind.counted.filter((one) => one === 'distrusted stale_clock').length, 1);
  t.ok(behind.told() <= 5, `24 positions in 2 minutes: ${behind.told()} times`);
  await behind.tell(400, { agoMs: 299_000 });
  t.equal(await behind.isCandidate(), true, 'what comes late out of a tunnel');
  t.same((await other.anomalies.list({ subjectId: 'behind', pageSize: 10 })).items, [], 'it is no sign of spoofing');
  t.equal(told(), 0);
  await s.idle();
});
t.end();
