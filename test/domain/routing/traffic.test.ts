/** Learnt traffic over a real store: shared by nodes, never twice from one trip, never lost to a race, never in anyone's way. */
import t, { type Test } from 'tap';
import type { Way } from '../../../src/domain/routing/rules.ts';
import { createTraffic, trafficCollection } from '../../../src/domain/routing/traffic.ts';
import { RideError } from '../../../src/errors.ts';
import { createStoreAt } from '../../conformance/store/place.ts';
import { ownStore } from '../../servers/own-store.ts';
import { until } from '../../until.ts';
import { type ManualClock, manualClock } from '../shared.ts';

async function storeOf(t: Test) {
  const store = await createStoreAt(await ownStore(t));
  const records = store.collection(trafficCollection);
  await store.open();
  t.teardown(() => store.close());
  return records;
}

type Records = Awaited<ReturnType<typeof storeOf>>;

function nodeOn(records: Records, clock: ManualClock, warnings: object[] = []) {
  return createTraffic({
    records,
    clock,
    region: 'test',
    halfLifeMs: 1_209_600_000,
    prior: (source) => (source === 'osrm' ? 2 : 1),
    log: { warn: (facts) => void warnings.push(facts) },
  });
}

const way = (at: number, zones = ['a', 'b']): Way => ({
  from: { lat: 40.7, lng: -74 },
  to: { lat: 40.75, lng: -73.95 },
  fromZone: zones[0]!,
  toZone: zones[1]!,
  at,
  baseS: 600,
  baseM: 7000,
});
const factor = async (node: ReturnType<typeof nodeOn>, clock: ManualClock, city = 'nyc', source = 'osrm') =>
  (await node.factors(source, city, [way(clock.now())]))[0]!;

t.test('each source and city has its own, beginning with its prior', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  const node = nodeOn(records, clock);
  t.equal(await factor(node, clock), 2);
  t.equal(await factor(node, clock, 'nyc', 'straight_line'), 1);
  for (let n = 0; n < 30; n++) await node.observe('osrm', 'nyc', `trip-${n}`, way(clock.now()), 1800);
  const learnt = await factor(node, clock);
  t.ok(Math.abs(learnt - 3) < 0.05, `${learnt}`);
  t.equal(await factor(node, clock, 'porto'), 2);
  t.equal(await factor(node, clock, 'nyc', 'straight_line'), 1);
});

t.test('another node reads it, and reads again after a while', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  const [one, other] = [nodeOn(records, clock), nodeOn(records, clock)];
  t.equal(await factor(other, clock), 2);
  for (let n = 0; n < 20; n++) await one.observe('osrm', 'nyc', `trip-${n}`, way(clock.now()), 1800);
  t.equal(await factor(other, clock), 2, 'what it knows is fresh enough');
  clock.add(60_001);
  await until(async () => Math.abs((await factor(other, clock)) - (await factor(one, clock))) < 1e-9, 'read again');
  t.ok((await factor(other, clock)) > 2.8);
});

t.test('an event that comes twice, here or elsewhere, is learnt once', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  const nodes = [nodeOn(records, clock), nodeOn(records, clock)];
  await Promise.all([0, 1, 0, 1, 0].map((i) => nodes[i]!.observe('osrm', 'nyc', 'trip-1', way(clock.now()), 1800)));
  const record = (await records.get('osrm.nyc'))!;
  t.same(record.recent, ['trip-1']);
  t.equal(record.effects.all!.weight, 1);
});

t.test('many trips at once on two nodes: none is lost, and they share writes', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  let writes = 0;
  const counted = (): Records => ({
    ...records,
    get: (id: string) => records.get(id),
    getMany: (ids: readonly string[]) => records.getMany(ids),
    insert(...args: Parameters<Records['insert']>) {
      writes++;
      return records.insert(...args);
    },
    compareAndSet(...args: Parameters<Records['compareAndSet']>) {
      writes++;
      return records.compareAndSet(...args);
    },
  });
  const nodes = [nodeOn(counted(), clock), nodeOn(counted(), clock)];
  await Promise.all(
    Array.from({ length: 60 }, (_, n) => nodes[n % 2]!.observe('osrm', 'nyc', `trip-${n}`, way(clock.now()), 1500)),
  );
  for (const id of ['osrm.nyc', 'osrm.nyc.a', 'osrm.nyc.b']) t.equal((await records.get(id))!.recent.length, 60, id);
  t.ok(writes < 60, `${writes} writes for 180 lessons`);
});

t.test('what is no drive is not learnt', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  const node = nodeOn(records, clock);
  await node.observe('osrm', 'nyc', 'trip-1', way(clock.now()), 5);
  await node.observe('osrm', 'nyc', 'trip-2', way(clock.now()), 600 * 9);
  t.equal(await records.get('osrm.nyc'), null);
});

t.test('the store away: the last known factors serve, lessons are given up and said', async (t) => {
  const clock = manualClock();
  const records = await storeOf(t);
  let away = false;
  const fail =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (away) throw new RideError('RIDE_UNAVAILABLE', 'away');
      return work(...args);
    };
  const shaky: Records = {
    ...records,
    get: fail((id: string) => records.get(id)),
    getMany: fail((ids: readonly string[]) => records.getMany(ids)),
  };
  const warnings: object[] = [];
  const node = nodeOn(shaky, clock, warnings);
  for (let n = 0; n < 20; n++) await node.observe('osrm', 'nyc', `trip-${n}`, way(clock.now()), 1800);
  const before = await factor(node, clock);
  away = true;
  clock.add(60_001);
  t.equal(await factor(node, clock), before);
  await node.observe('osrm', 'nyc', 'late', way(clock.now()), 1800);
  t.equal((await node.factors('osrm', 'porto', [way(clock.now())]))[0], 2);
  t.ok(warnings.length >= 2);
  away = false;
  await node.observe('osrm', 'nyc', 'later', way(clock.now()), 1800);
  t.ok((await records.get('osrm.nyc'))!.recent.includes('later'));
});
