/** The promises of the port of live positions as one suite, run on every kind of Redis. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Position, Positions } from '../../src/ports/positions.ts';
import { until } from '../until.ts';

export interface PositionsPlace {
  /** How long a position is kept, milliseconds. */
  ttlMs: number;
  /** Milliseconds that a key of Redis has left; -1 when it has no end, -2 when it is not there. */
  lifeMs(key: string): Promise<number>;
  /** The hash under a key of Redis. */
  stored(key: string): Promise<Record<string, string>>;
  /** Leaves a key a quarter of that time. */
  shorten(key: string): Promise<void>;
  /** One more node. */
  node(): Positions;
  /** Forgets where a driver was, as its TTL would. */
  forget(driverId: string): Promise<void>;
  /** Puts something under the driver's key that is no position. */
  spoil(driverId: string): Promise<void>;
}

type Case = (t: Test, place: PositionsPlace) => Promise<void>;

let drivers = 0;
const CENTER = { lat: 40.75, lng: -73.98 };
const METRES_A_DEGREE = 111_320;

function positionOf(more: Partial<Position> = {}): Position {
  return {
    driverId: `driver-${++drivers}-${randomUUID().slice(0, 8)}`,
    tripId: '',
    ...CENTER,
    recordedAt: 1_000,
    vehicleClass: 'standard',
    city: 'testville',
    source: 'stream',
    ...more,
  };
}

const north = (metres: number): Pick<Position, 'lat' | 'lng'> => ({
  lat: CENTER.lat + metres / METRES_A_DEGREE,
  lng: CENTER.lng,
});

const cases: Record<string, Case> = {
  'what was acknowledged is read by every node, field by field': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const tripId = `trip-${randomUUID()}`;
    const position = positionOf({ tripId, speedMps: 0, headingDeg: 359.5, accuracyM: 4.2, vehicleClass: 'xl' });
    t.equal(await a.record(position), true);
    t.same(await b.ofDriver(position.driverId), position);
    t.same(await b.ofTrip(tripId), position);
    const bare = positionOf({ lat: 0, lng: 0 });
    t.equal(await a.record(bare), true);
    t.same(await b.ofDriver(bare.driverId), {
      ...bare,
      speedMps: undefined,
      headingDeg: undefined,
      accuracyM: undefined,
    });
    t.equal(await b.ofDriver('nobody'), null);
    t.equal(await b.ofTrip('none'), null);
  },

  'the latest of a driver is one that is just being written, unless a newer one is there': async (t, place) => {
    const node = place.node();
    const { driverId, ...at } = positionOf();
    t.equal(await node.latestOf(driverId), null);
    const latest = async () => (await node.latestOf(driverId))?.recordedAt;
    for (const [recordedAt, newest] of [
      [1000, 1000],
      [3000, 3000],
      [2000, 3000],
    ] as const) {
      const written = node.record({ ...at, driverId, recordedAt });
      t.equal(await latest(), newest, 'at once');
      await written;
      t.equal(await latest(), newest);
    }
  },

  'it is kept for its time under the keys and fields of the documents, anew with each position': async (t, place) => {
    const node = place.node();
    const position = positionOf({ tripId: `trip-${randomUUID()}`, speedMps: 12.5, headingDeg: 90, accuracyM: 4 });
    const keys = [`location:${position.tripId}`, `porter:location:${position.driverId}`];
    await node.record(position);
    for (const key of keys) {
      const leftMs = await place.lifeMs(key);
      t.ok(leftMs > place.ttlMs / 2 && leftMs <= place.ttlMs, `${key}: ${leftMs}`);
      t.same(await place.stored(key), {
        lat: '40.75',
        lng: '-73.98',
        speed: '12.5',
        heading: '90',
        accuracy: '4',
        timestamp: '1000',
        driverId: position.driverId,
        tripId: position.tripId,
        vehicleClass: 'standard',
        city: 'testville',
        source: 'stream',
      });
      await place.shorten(key);
    }
    await node.record({ ...position, recordedAt: 2000 });
    for (const key of keys) t.ok((await place.lifeMs(key)) > place.ttlMs / 2, `${key} has its whole life again`);
  },

  'many that are asked for at once are each their own; the same one is the same for all who ask': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const all = Array.from({ length: 600 }, (_, i) =>
      positionOf({ lat: i / 10, city: `"${i}", [not] é{a}`, headingDeg: 0 }),
    );
    await Promise.all(all.map((position) => a.record(position)));
    const asked = all.flatMap(({ driverId }) => [driverId, `no-${driverId}`, driverId]);
    t.same(
      await Promise.all(asked.map((driverId) => b.ofDriver(driverId))),
      all.flatMap((position) => [position, null, position]),
    );
    const moved = { ...all[0]!, lat: 1, recordedAt: 2_000 };
    const before = b.ofDriver(moved.driverId);
    await a.record(moved);
    await before;
    t.equal((await b.ofDriver(moved.driverId))?.lat, 1, 'who asks later is not given what was read before');
  },

  'what cannot be read is told to who asked for it, and to nobody else': async (t, place) => {
    const node = place.node();
    const [good, bad] = [positionOf(), positionOf()];
    await node.record(good);
    await place.spoil(bad.driverId);
    const [first, refused, second] = await Promise.allSettled(
      [good, bad, good].map(({ driverId }) => node.ofDriver(driverId)),
    );
    t.hasStrict(refused, { status: 'rejected', reason: { code: 'RIDE_UNAVAILABLE' } });
    for (const one of [first, second]) t.same(one, { status: 'fulfilled', value: good });
  },

  'an earlier measurement never replaces a later one, on any node': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const later = positionOf({ recordedAt: 2_000, tripId: `trip-${randomUUID()}` });
    t.equal(await a.record(later), true);
    t.equal(await b.record({ ...later, ...north(100), recordedAt: 1_999 }), false);
    t.equal((await a.ofTrip(later.tripId))?.lat, later.lat);
    t.equal(await b.record({ ...later, ...north(200), recordedAt: 2_000 }), true, 'the same instant again does');
    t.equal((await a.ofDriver(later.driverId))?.lat, north(200).lat);
  },

  'a thousand drivers at once, each acknowledged by itself': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const positions = Array.from({ length: 1000 }, (_, i) =>
      positionOf({ ...north(i), recordedAt: 5_000 + i, tripId: i % 3 === 0 ? `trip-${randomUUID()}` : '' }),
    );
    const stale = positions[500]!;
    await a.record({ ...stale, recordedAt: 9_000 });
    const kept = await Promise.all(positions.map((position) => a.record(position)));
    t.same(
      kept.map((one, index) => (one ? -1 : index)).filter((index) => index >= 0),
      [500],
      'only the stale one was not kept',
    );
    const read = await Promise.all(positions.map(({ driverId }) => b.ofDriver(driverId)));
    t.ok(read.every((position, i) => position?.recordedAt === (i === 500 ? 9_000 : 5_000 + i)));
    const onTrips = positions.filter(({ tripId }) => tripId !== '');
    const ofTrips = await Promise.all(onTrips.map(({ tripId }) => b.ofTrip(tripId)));
    t.same(
      ofTrips.map((position) => position?.driverId),
      onTrips.map(({ driverId }) => driverId),
    );
  },

  'only available drivers are found, nearest first': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const before = await a.countAvailable();
    const far = [900, 100, 500, 5000].map((metres) => positionOf(north(metres)));
    const busy = positionOf(north(50));
    for (const position of [...far, busy]) await a.record(position);
    for (const { driverId } of far) t.equal(await a.setAvailable(driverId, 'standard'), true);
    t.equal(await a.setAvailable('no-such-driver', 'standard'), false, 'nobody knows where that is');
    t.equal(await b.countAvailable(), before + 4);
    const asked = [far[0]!, busy, far[3]!].map(({ driverId }) => driverId);
    t.same(await b.areAvailable([...asked, 'no-such-driver']), [true, false, true, false]);
    const many = Array.from({ length: 1200 }, (_, i) => (i % 600 === 7 ? asked[0]! : `nobody-${i}`));
    t.same(
      (await b.areAvailable(many)).flatMap((is, i) => (is ? [i] : [])),
      [7, 607],
    );
    t.same(await b.areAvailable([]), []);
    const mine = new Set([...far, busy].map(({ driverId }) => driverId));
    const found = (await b.nearby(CENTER, 1000, 500)).filter(({ position }) => mine.has(position.driverId));
    t.same(
      found.map(({ position }) => position.driverId),
      [far[1]!.driverId, far[2]!.driverId, far[0]!.driverId],
    );
    for (const [index, metres] of [100, 500, 900].entries()) t.ok(Math.abs(found[index]!.distanceM - metres) < 5);
    t.equal((await b.nearby(CENTER, 1000, 2)).length, 2, 'at most so many');
    await b.setUnavailable(far[1]!.driverId);
    t.notOk((await a.nearby(CENTER, 1000, 500)).some(({ position }) => position.driverId === far[1]!.driverId));
  },

  'who is distrusted is kept out, whoever adds him, until he is trusted': async (t, place) => {
    const [a, b] = [place.node(), place.node()];
    const driver = positionOf(north(30));
    const { driverId } = driver;
    const isFound = async () =>
      (await b.nearby(CENTER, 1000, 500)).some(({ position }) => position.driverId === driverId);
    await a.record(driver);
    t.equal(await a.setAvailable(driverId, 'standard'), true);
    t.equal(await isFound(), true);
    await a.distrust(driverId, 5_000);
    t.equal(await isFound(), false);
    await b.record({ ...driver, recordedAt: 2_000 });
    t.equal(await isFound(), false, 'a later position does not bring him back');
    t.equal(await b.setAvailable(driverId, 'standard'), false);
    t.equal(await isFound(), false);
    t.equal((await b.ofDriver(driverId))?.recordedAt, 2_000, 'where he says to be is still known');
    t.notOk((await b.overdue(4_999, 500)).includes(driverId));
    t.ok((await b.overdue(5_000, 500)).includes(driverId));
    await b.distrust(driverId, 9_000);
    t.notOk((await a.overdue(5_000, 500)).includes(driverId), 'again, and longer');
    await b.trust(driverId);
    t.notOk((await a.overdue(9_000, 500)).includes(driverId));
    t.equal(await isFound(), false, 'trust alone adds nobody');
    t.equal(await a.setAvailable(driverId, 'standard'), true);
    t.equal(await isFound(), true);
  },

  'an available driver is found where it went': async (t, place) => {
    const positions = place.node();
    const there = { lat: -33.86, lng: 151.2 };
    const driver = positionOf(north(10));
    await positions.record(driver);
    await positions.setAvailable(driver.driverId, 'standard');
    await positions.record({ ...driver, ...there, recordedAt: 2_000 });
    const isThere = async () =>
      (await positions.nearby(there, 100, 10)).some(({ position }) => position.driverId === driver.driverId);
    await until(isThere, 'the index follows');
    t.notOk((await positions.nearby(CENTER, 1000, 500)).some((n) => n.position.driverId === driver.driverId));
  },

  'an available driver is of the class that he was made available with, whatever his positions say': async (
    t,
    place,
  ) => {
    const positions = place.node();
    const driver = positionOf(north(20));
    const classHere = async () =>
      (await place.node().nearby(CENTER, 1000, 500)).find(({ position }) => position.driverId === driver.driverId)
        ?.position.vehicleClass;
    await positions.record(driver);
    await positions.setAvailable(driver.driverId, 'xl');
    t.equal(await classHere(), 'xl');
    await positions.record({ ...driver, recordedAt: 2_000 });
    t.equal(await classHere(), 'xl', 'a later position changes nothing');
    await positions.setUnavailable(driver.driverId);
    await positions.setAvailable(driver.driverId, 'moto');
    t.equal(await classHere(), 'moto');
  },

  'a driver whose position ran out is found no more': async (t, place) => {
    const positions = place.node();
    const driver = positionOf({ lat: 48.2, lng: 16.37 });
    await positions.record(driver);
    await positions.setAvailable(driver.driverId, 'standard');
    const before = await positions.countAvailable();
    await place.forget(driver.driverId);
    t.same(await positions.nearby(driver, 100, 10), []);
    await until(async () => (await positions.countAvailable()) === before - 1, 'it leaves the index');
  },

  'drivers whose positions ran out do not hide who is behind them': async (t, place) => {
    const positions = place.node();
    const inRow = Array.from({ length: 4 }, (_, i) => positionOf({ lat: 47.4 + i / METRES_A_DEGREE, lng: 8.5 }));
    for (const one of inRow) {
      await positions.record(one);
      await positions.setAvailable(one.driverId, 'standard');
    }
    for (const one of inRow.slice(0, 3)) await place.forget(one.driverId);
    const found = await positions.nearby(inRow[0]!, 100, 2);
    t.same(
      found.map(({ position }) => position.driverId),
      [inRow[3]!.driverId],
    );
  },

  'the poles are places too': async (t, place) => {
    const positions = place.node();
    const driver = positionOf({ lat: 90, lng: 10 });
    t.equal(await positions.record(driver), true);
    t.equal(await positions.setAvailable(driver.driverId, 'standard'), true);
    t.equal((await positions.ofDriver(driver.driverId))?.lat, 90);
  },
};

export async function positionsConformance(t: Test, name: string, place: PositionsPlace): Promise<void> {
  for (const [title, body] of Object.entries(cases)) await t.test(`${name}: ${title}`, (t) => body(t, place));
}
