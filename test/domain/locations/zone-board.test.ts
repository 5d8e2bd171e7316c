/** Broadcasts of zones and cities: everyone who moved once, in messages of a bounded size. */
import t, { type Test } from 'tap';
import type { Driver } from '../../../src/domain/drivers/driver.ts';
import { createZoneBoard } from '../../../src/domain/locations/zone-board.ts';
import { createTelematics } from '../../../src/domain/telematics/service.ts';
import type { OutboundMessages, Publisher } from '../../../src/ports/publisher.ts';
import { quiet } from '../../realtime/node.ts';
import { manualClock } from '../stack.ts';

type Age = [ageMs: number, isStale: boolean, why?: string];
const sent: { topic: string; drivers: string[]; statuses: string[]; ages: Age[] }[] = [];
const of = (topic: string) => sent.filter((one) => one.topic === topic).map((one) => one.drivers);

function boardOf(
  t: Test,
  areAvailable: (ids: readonly string[]) => Promise<boolean[]>,
  getMany: (ids: readonly string[]) => Promise<Driver[]> = async () => [],
) {
  sent.length = 0;
  const publisher = {
    publishLatest(topic: string, kind: string, message: unknown) {
      t.equal(kind, 'zone_broadcast');
      const { positions, city, zone } = message as OutboundMessages['zone_broadcast'];
      t.equal(city, 'testville');
      t.equal(zone, topic.startsWith('zone:') ? topic.slice(5) : '');
      const drivers = positions.map(({ position }) => position.driverId);
      const ages = positions.map(({ ageMs, stale, staleReason }): Age => [ageMs, stale, staleReason]);
      sent.push({ topic, drivers, statuses: positions.map(({ status }) => status), ages });
    },
  } as unknown as Publisher;
  const clock = manualClock();
  const nothingSaid = { keep: async () => {}, of: async () => null };
  const telematics = createTelematics({ board: nothingSaid, clock, freshnessMs: 60_000 });
  const zoneOf = (lat: number): string => (lat < 40 ? 'south' : 'north');
  const board = createZoneBoard({
    ...{ publisher, positions: { areAvailable }, drivers: { getMany }, telematics, clock, zoneOf },
    ...{ batchMax: 3, log: quiet },
  });
  const move = (driverId: string, lat: number, isOnTrip = false): void => {
    const rest = { vehicleClass: 'standard', city: 'testville', source: 'stream' } as const;
    board.moved({ driverId, tripId: '', lat, lng: 0, recordedAt: clock.now(), ...rest }, isOnTrip);
  };
  return { board, move, clock, telematics };
}

t.test('many drivers are several messages, each with as many as it may hold', async (t) => {
  const { board, move } = boardOf(t, async (ids) => ids.map(() => true));
  const drivers = Array.from({ length: 7 }, (_, i) => `d${i}`);
  for (const [i, driverId] of drivers.entries())
    for (let again = 0; again < 2; again++) move(driverId, i < 3 ? 39 : 41);
  await board.flush();
  t.same(of('zone:south'), [drivers.slice(0, 3)], 'what fits is one message');
  t.same(of('zone:north'), [drivers.slice(3, 6), drivers.slice(6)]);
  t.same(of('city:testville'), [drivers.slice(0, 3), drivers.slice(3, 6), drivers.slice(6)]);
  await board.flush();
  t.equal(sent.length, 6, 'who has not moved since is not told of again');
});

t.test(
  'each is as old as its position, and stale beyond the cut-off, with the reason that its device gave',
  async (t) => {
    const { board, move, clock, telematics } = boardOf(t, async (ids) => ids.map(() => true));
    move('old', 39);
    move('weak', 39);
    telematics.heard('weak', { batteryRatio: 0.05 });
    clock.add(60_000);
    move('late', 39);
    clock.add(1);
    await board.flush();
    t.same(sent[0]!.drivers, ['old', 'weak', 'late']);
    t.same(sent[0]!.ages, [
      [60_001, true, 'silent'],
      [60_001, true, 'battery_low'],
      [1, false, undefined],
    ]);
  },
);

t.test('who is off duty is not told of, until he goes on duty', async (t) => {
  const free = new Set(['free']);
  const asked: (readonly string[])[] = [];
  const { board, move, clock } = boardOf(t, async (ids) => {
    asked.push(ids);
    return ids.map((id) => free.has(id));
  });
  for (let again = 0; again < 3; again++) for (const id of ['free', 'home']) move(id, 39);
  move('driving', 39, true);
  await board.flush();
  t.same(asked, [['free', 'home']]);
  t.same(of('city:testville'), [['free', 'driving']]);
  t.same(sent[0]!.statuses, ['available', 'on_trip']);
  await board.flush();
  t.equal(sent.length, 2);
  free.add('home');
  await board.flush();
  t.same(of('city:testville').at(-1), ['home'], 'without having moved again');
  free.delete('home');
  move('home', 39);
  await board.flush();
  clock.add(60_001);
  await board.flush();
  free.add('home');
  await board.flush();
  t.same(of('city:testville').length, 2, 'where he was a minute ago is no news');
});

t.test(
  'who is on a trip is told of as such, though his positions do not name it; his document is read now and then',
  async (t) => {
    const read: (readonly string[])[] = [];
    const { board, move, clock } = boardOf(
      t,
      async (ids) => ids.map(() => false),
      async (ids) => {
        read.push(ids);
        return ids.flatMap((id) =>
          id === 'nobody' ? [] : { id, activeTripId: id === 'bound' ? 'trip' : null },
        ) as Driver[];
      },
    );
    for (let again = 0; again < 3; again++) {
      for (const id of ['bound', 'idle', 'nobody']) move(id, 39);
      await board.flush();
      clock.add(1000);
    }
    t.same(read, [['bound', 'idle', 'nobody']]);
    t.same(of('city:testville'), [['bound'], ['bound'], ['bound']]);
    t.ok(sent.every(({ statuses }) => statuses.join() === 'on_trip'));
    clock.add(10_000);
    move('bound', 39);
    await board.flush();
    t.equal(read.length, 2);
  },
);

t.test('while nobody knows who is on duty, what moved waits', async (t) => {
  let answer = Promise.withResolvers<boolean[]>();
  const { board, move } = boardOf(t, () => answer.promise);
  move('early', 39);
  move('both', 39);
  const flushed = board.flush();
  move('both', 41);
  t.equal(board.flush(), flushed, 'one at a time');
  answer.reject(new Error('away'));
  await flushed;
  t.same(sent, []);
  answer = Promise.withResolvers();
  answer.resolve([true, true]);
  await board.flush();
  t.same([of('zone:south'), of('zone:north')], [[['early']], [['both']]], 'each where he was last');
});
t.end();
