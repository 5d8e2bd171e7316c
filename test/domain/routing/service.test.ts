/** Estimates as the domain asks for them: the engine's where it has one, the straight line where not, each with its traffic. */
import t from 'tap';
import { straightLineLeg } from '../../../src/domain/geo.ts';
import type { Way } from '../../../src/domain/routing/rules.ts';
import { createRouting } from '../../../src/domain/routing/service.ts';
import type { Traffic } from '../../../src/domain/routing/traffic.ts';
import { RideError } from '../../../src/errors.ts';
import type { RoadLeg, RoutingEngine } from '../../../src/ports/routing.ts';
import { corner } from '../../servers/grid-town.ts';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, request, shared, stack } from '../stack.ts';

const travel = { detourFactor: 1.35, averageSpeedMps: 6 };
const log = { debug() {} };

/** By road everything takes 100 s a corner and has no traffic but twice the engine's time. */
function routingOver(engine: RoutingEngine | null, matrixMax = 100) {
  const answered: Record<string, number> = {};
  const traffic = {
    factors: async (source: string, _city: string, ways: readonly Way[]) =>
      ways.map(() => (source === 'straight_line' ? 1.5 : 2)),
  } as unknown as Traffic;
  const meter = {
    answered(source: string, count: number) {
      answered[source] = (answered[source] ?? 0) + count;
    },
  };
  const routing = createRouting({ engine, traffic, travel, clock: manualClock(), meter, log, matrixMax });
  return { routing, answered };
}

const engineOf = (legsTo: RoutingEngine['legsTo']): RoutingEngine => ({
  name: 'roads',
  legsTo,
  lineTo: async () => null,
});
const leg = (durationS: number): RoadLeg => ({ durationS, distanceM: durationS * 10.04 });
const to = corner(5, 5);

t.test('by road, with the traffic of that source', async (t) => {
  const { routing, answered } = routingOver(engineOf(async (from) => from.map((_, i) => leg(100 + i))));
  t.same(await routing.legsTo([corner(1, 1), corner(2, 2)], to, 'nyc'), [
    { distanceM: 1004, etaS: 200, source: 'roads', baseS: 100 },
    { distanceM: 1014, etaS: 202, source: 'roads', baseS: 101 },
  ]);
  t.same(answered, { roads: 2 });
  t.same(await routing.legsTo([], to, 'nyc'), []);
});

t.test(
  'where no road leads, or there is no engine, or it is away: by the straight line with its own factor',
  async (t) => {
    const line = straightLineLeg(corner(1, 1), to, travel);
    const straight = {
      distanceM: line.distanceM,
      etaS: Math.round(line.etaS * 1.5),
      source: 'straight_line',
      baseS: line.etaS,
    };
    const mixed = routingOver(engineOf(async () => [null, leg(100)]));
    t.match(await mixed.routing.legsTo([corner(1, 1), corner(2, 2)], to, 'nyc'), [straight, { source: 'roads' }]);
    t.same(mixed.answered, { roads: 1, straight_line: 1 });
    t.same(await routingOver(null).routing.leg(corner(1, 1), to, 'nyc'), straight);
    const away = engineOf(async () => {
      throw new RideError('RIDE_UNAVAILABLE', 'away');
    });
    t.same(await routingOver(away).routing.leg(corner(1, 1), to, 'nyc'), straight);
  },
);

t.test('a defect is not taken for an engine that is away', async (t) => {
  const broken = engineOf(async () => {
    throw new TypeError('a defect');
  });
  await t.rejects(routingOver(broken).routing.leg(corner(1, 1), to, 'nyc'), TypeError);
});

t.test('of very many only the nearest are asked of the engine', async (t) => {
  const asked: number[] = [];
  const engine = engineOf(async (from) => {
    asked.push(from.length);
    return from.map(() => leg(100));
  });
  const { routing } = routingOver(engine, 3);
  const from = [corner(13, 13), corner(5, 6), corner(0, 13), corner(4, 5), corner(6, 6)];
  t.same(
    (await routing.legsTo(from, to, 'nyc')).map(({ source }) => source),
    ['straight_line', 'roads', 'straight_line', 'roads', 'roads'],
  );
  t.same(asked, [3]);
});

t.test('in a whole domain', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const arrivals: [string, string, number, number][] = [];
  // A river: who is nearest by air is farthest by road.
  const routingEngine = engineOf(async (from, to) => from.map((one) => leg(one.lat < to.lat + 0.005 ? 900 : 300)));
  const s = await stack(t, place, {
    routingEngine,
    routingMeter: {
      asked() {},
      cached() {},
      breaker() {},
      answered() {},
      arrived: (leg, source, toldS, tookS) => void arrivals.push([leg, source, toldS, tookS]),
    },
  });
  const across = await onDuty(s, 'across', 100);
  const here = await onDuty(s, 'here', 1500);

  await t.test('nearby drivers have their times by road, in the order of distance', async (t) => {
    const found = await s.locations.nearby(CENTER, 3000, 10);
    t.match(found, [
      { driverId: across.userId, etaS: 900 },
      { driverId: here.userId, etaS: 300 },
    ]);
  });

  const trip = await request(s, 'rider-1', { dropoff: near(3000) });
  await t.test('a trip is estimated by road', async (t) => {
    t.match(trip.estimate, { durationS: 900, distanceM: 9036, source: 'roads', baseS: 900 });
  });

  await t.test('and offered to who is there first by road', async (t) => {
    await until(async () => (await s.trips.find(trip.id))?.status === 'offered', 'the offer');
    t.match((await s.trips.find(trip.id))?.offer, { driverId: here.userId, etaS: 300, source: 'roads' });
  });

  await t.test('what was told is held against what it took, and both sources learn from it', async (t) => {
    const { offer } = (await s.trips.find(trip.id))!;
    await s.dispatch.accept(trip.id, offer!.id, here.userId);
    clock.add(420_000);
    await s.trips.command(trip.id, { type: 'arrive', driverId: here.userId });
    await s.trips.command(trip.id, { type: 'start', driverId: here.userId });
    clock.add(600_000);
    await s.trips.command(trip.id, { type: 'complete', driverId: here.userId });
    await until(() => arrivals.length === 2, 'both arrivals');
    t.same(arrivals, [
      ['pickup', 'roads', 300, 420],
      ['dropoff', 'roads', 900, 600],
    ]);
    await s.idle();
    const next = await s.routing.leg(trip.source, trip.destination, 'testville');
    t.match(next, { source: 'roads', baseS: 900, etaS: 600 }, 'the next one is told better');
    const withoutEngine = await stack(t, place);
    const line = await withoutEngine.routing.leg(trip.source, trip.destination, 'testville');
    t.match(line, { source: 'straight_line', baseS: 675, etaS: 600 }, 'on another node too, and without an engine');
  });
});
