/** The promises of the routing port as one suite, run on every engine over the made-up town, whose ways are known by heart. */
import type { Test } from 'tap';
import { distanceM, type LatLng } from '../../src/domain/geo.ts';
import type { RoadLeg, RoutingEngine } from '../../src/ports/routing.ts';
import { corner, island, sea, TOWN } from '../servers/grid-town.ts';

export interface RoutingPlace {
  /** Over the town; `batch` origins in one request. */
  engine(options?: { batch?: number; maxInFlight?: number; timeoutMs?: number }): RoutingEngine;
  /** Requests that reached the engine since the last call, by outcome. */
  asked(): Record<'ok' | 'failed' | 'busy', number>;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

type Case = (t: Test, place: RoutingPlace) => Promise<void>;

const AT = 1_421_322_000_000;
const { stepM } = TOWN;
/** Engines measure on the ellipsoid and along their own geometry: a hundredth. */
const near = (a: number, b: number, share = 0.01): boolean => Math.abs(a - b) <= share * b + 1;
const one = async (engine: RoutingEngine, from: LatLng, to: LatLng): Promise<RoadLeg | null> =>
  (await engine.legsTo([from], to, AT))[0]!;

const cases: Record<string, Case> = {
  'one to one: metres and seconds of a way along one avenue': async (t, place) => {
    const leg = await one(place.engine(), corner(1, 4), corner(9, 4));
    t.ok(leg && near(leg.distanceM, 8 * stepM), `${leg?.distanceM} m`);
    // At 36 km/h 10 m a second; engines differ in what they think of limits and corners.
    t.ok(leg && leg.durationS > 0.8 * 160 && leg.durationS < 1.8 * 160, `${leg?.durationS} s`);
  },

  'one-way streets count: the way back goes round the block': async (t, place) => {
    const engine = place.engine();
    const there = await one(engine, corner(4, 2), corner(4, 8));
    const back = await one(engine, corner(4, 8), corner(4, 2));
    t.ok(there && near(there.distanceM, 6 * stepM), `${there?.distanceM} m there`);
    t.ok(back && near(back.distanceM, 8 * stepM), `${back?.distanceM} m back`);
    t.ok(there!.durationS < back!.durationS);
  },

  'a road is never shorter than the straight line': async (t, place) => {
    const to = corner(7, 7);
    const from = [corner(0, 0), corner(13, 1), corner(3, 12), corner(11, 13), corner(6, 7)];
    for (const [i, leg] of (await place.engine().legsTo(from, to, AT)).entries())
      t.ok(leg && leg.distanceM >= 0.99 * distanceM(from[i]!, to), `${i}: ${leg?.distanceM} m`);
  },

  'many to one, in more requests than one, in order, as each alone': async (t, place) => {
    const to = corner(7, 7);
    const from = Array.from({ length: 23 }, (_, i) => corner((i * 5) % TOWN.size, (i * 3) % TOWN.size));
    place.asked();
    const together = await place.engine({ batch: 5 }).legsTo(from, to, AT);
    t.equal(place.asked().ok, 5);
    t.equal(together.length, from.length);
    for (const [i, leg] of together.entries()) {
      const alone = await one(place.engine(), from[i]!, to);
      t.ok(alone && leg && near(leg.distanceM, alone.distanceM), `${i}: ${leg?.distanceM}, alone ${alone?.distanceM}`);
      t.ok(alone && leg && near(leg.durationS, alone.durationS, 0.05), `${i}: ${leg?.durationS} s`);
    }
  },

  'none to one is none, and asks nothing': async (t, place) => {
    place.asked();
    t.same(await place.engine().legsTo([], corner(1, 1), AT), []);
    t.same(place.asked(), { ok: 0, failed: 0, busy: 0 });
  },

  'to where one is already: next to nothing': async (t, place) => {
    const leg = await one(place.engine(), corner(5, 5), corner(5, 5));
    t.ok(leg && leg.distanceM < 5 && leg.durationS < 5, JSON.stringify(leg));
  },

  'no road, or none near: null for that one alone': async (t, place) => {
    const engine = place.engine();
    const from = [corner(2, 2), island, corner(3, 3), sea, corner(9, 9)];
    const legs = await engine.legsTo(from, corner(6, 6), AT);
    t.same(
      legs.map((leg) => leg === null),
      [false, true, false, true, false],
    );
    t.same(await engine.legsTo([corner(2, 2), corner(3, 3)], sea, AT), [null, null]);
    t.same(await engine.legsTo([corner(2, 2)], island, AT), [null]);
  },

  'a way is drawn from end to end, along its streets': async (t, place) => {
    const engine = place.engine();
    const [from, to] = [corner(4, 8), corner(4, 2)];
    const line = (await engine.lineTo(from, to))!;
    t.ok(near(line.distanceM, 8 * stepM), `${line.distanceM} m: round the block`);
    t.ok(line.durationS > 0);
    t.ok(distanceM(line.points[0]!, from) < 20 && distanceM(line.points.at(-1)!, to) < 20);
    let drawnM = 0;
    for (const [i, point] of line.points.entries()) if (i > 0) drawnM += distanceM(line.points[i - 1]!, point);
    t.ok(near(drawnM, line.distanceM, 0.05), `${drawnM} m as drawn`);
    for (const [from, to] of [
      [corner(2, 2), island],
      [sea, corner(2, 2)],
    ] as const)
      t.equal(await engine.lineTo(from, to), null);
  },

  'many questions at once, few requests at once': async (t, place) => {
    const engine = place.engine({ maxInFlight: 2 });
    const legs = await Promise.all(
      Array.from({ length: 16 }, (_, i) => one(engine, corner(i % 10, 0), corner(i % 10, 6))),
    );
    t.ok(legs.every((leg) => leg !== null));
  },

  'more questions than may wait are refused at once, and only those': async (t, place) => {
    const engine = place.engine({ maxInFlight: 1 });
    place.asked();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => engine.legsTo([corner(1, 1)], corner(2, 2), AT)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    t.equal(refused.length, 30 - 9, 'one under way, eight that wait');
    for (const outcome of refused) t.match(outcome, { reason: { code: 'RIDE_UNAVAILABLE' } });
    t.same(place.asked(), { ok: 9, failed: 0, busy: 21 });
  },

  'connections that the engine closes cost no answer': async (t, place) => {
    const engine = place.engine({ maxInFlight: 2, timeoutMs: 10_000 });
    place.asked();
    // OSRM closes a connection after 512 requests.
    for (let round = 0; round < 110; round++)
      await Promise.all(Array.from({ length: 12 }, () => one(engine, corner(1, 1), corner(2, 2))));
    t.same(place.asked(), { ok: 1320, failed: 0, busy: 0 });
  },

  'a killed engine is away, in time, and there again after its restart': async (t, place) => {
    const engine = place.engine({ timeoutMs: 2000 });
    t.ok(await one(engine, corner(1, 1), corner(2, 2)));
    await place.kill();
    const before = performance.now();
    await t.rejects(one(engine, corner(1, 1), corner(2, 2)), { code: 'RIDE_UNAVAILABLE' });
    await t.rejects(engine.lineTo(corner(1, 1), corner(2, 2)), { code: 'RIDE_UNAVAILABLE' });
    t.ok(performance.now() - before < 20_000, 'nobody waits for what is not there');
    await place.restart();
    t.ok(await one(engine, corner(1, 1), corner(2, 2)));
  },
};

export async function routingConformance(t: Test, name: string, place: RoutingPlace): Promise<void> {
  for (const [title, body] of Object.entries(cases)) await t.test(`${name}: ${title}`, (t) => body(t, place));
}
