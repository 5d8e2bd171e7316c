/**
 * A departure that is under way, over real store and Redis on two nodes: its driver is on it and on no ride, his way is kept and followed
 * by his passengers, and what the detectors find is asked of all who are on board.
 */
import { fromBinary } from '@bufbuild/protobuf';
import t, { type Test } from 'tap';
import type { Departure } from '../../../src/domain/departures/departure.ts';
import type { Principal } from '../../../src/domain/roles.ts';
import { RideError } from '../../../src/errors.ts';
import { watchSweepJob } from '../../../src/jobs/watch-sweep.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { quiet } from '../../realtime/node.ts';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

const HALF_HOUR = 1_800_000;
const clock = manualClock();
const place = await shared(t, clock);
const nodes = [await stack(t, place), await stack(t, place)] as const;
const [a, b] = nodes;
const settle = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.idle())));

let count = 0;

async function published(driver: Principal): Promise<Departure> {
  const input = {
    ...{
      driverId: driver.userId,
      pickup: CENTER,
      dropoff: near(9000),
      city: 'testville',
      seats: 4,
      seatFareMinor: 500,
    },
    ...{ departureTime: clock.now() + HALF_HOUR, vehicleClass: 'standard' as const },
  };
  return (await a.departures.publish(driver, input)).departure;
}

interface Journey {
  id: string;
  driver: Principal;
  /** On board. */
  riders: Principal[];
  /** Gave the seat back. */
  gone: Principal;
  bookingIds: string[];
  /** The driver says where he is; the watch has looked at it when this resolves. */
  at(node: Stack, metres: number): Promise<void>;
}

/** On its way, with so many passengers. */
async function onItsWay(aboard: number): Promise<Journey> {
  const n = ++count;
  const driver = person('driver', `driver-${n}`);
  const { id } = await published(driver);
  const riders = Array.from({ length: aboard }, (_, i) => person('rider', `rider-${n}-${i}`));
  const gone = person('rider', `gone-${n}`);
  const bookings = await Promise.all(
    [...riders, gone].map(({ userId }, i) => nodes[i % 2]!.bookings.book(id, { passengerId: userId, seats: 1 })),
  );
  await a.bookings.cancel(gone, bookings.at(-1)!.booking.id);
  await a.departures.arrive(driver, id);
  const bookingIds = bookings.slice(0, -1).map(({ booking }) => booking.id);
  for (const bookingId of bookingIds) await b.bookings.attend(driver.userId, bookingId, 'board');
  await b.departures.command(id, { type: 'start', driverId: driver.userId });
  await settle();
  return {
    ...{ id, driver, riders, gone, bookingIds },
    async at(node, metres) {
      clock.add(5000);
      await node.locations.update(
        driver,
        { ...near(metres), recordedAt: clock.now(), tripId: id, speedMps: 10 },
        'stream',
      );
      await node.watch.idle();
    },
  };
}

/** Messages of one kind that a topic remembers. */
async function told(topic: string, kind: string): Promise<Record<string, unknown>[]> {
  const { messages } = await a.bus.history(topic, { epoch: '', offset: 0 }, 500);
  return messages
    .map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).payload)
    .filter((payload) => payload.case === kind)
    .map(({ value }) => value as unknown as Record<string, unknown>);
}

const stopFor = async ({ at }: Journey, node: Stack): Promise<void> => {
  for (let i = 0; i < 5; i++) await at(node, 300 + i * 100);
  for (let i = 0; i < 65; i++) await at(node, 900);
  await settle();
};

t.test(
  'a ride and a departure want one driver at once, on two nodes: one has him, the other is told which',
  async (t) => {
    let rides = 0;
    for (let round = 0; round < 8; round++) {
      const driver = await onDuty(a, `torn-${round}`);
      const { id } = await published(driver);
      const ride = await request(b, `hailer-${round}`);
      const offer = async () => (await a.trips.find(ride.id))!.offer;
      await until(async () => (await offer())?.driverId === driver.userId, 'an offer');
      const offerId = (await offer())!.id;
      const [taken, arrived] = await Promise.allSettled([
        nodes[round % 2]!.dispatch.accept(ride.id, offerId, driver.userId),
        nodes[(round + 1) % 2]!.departures.arrive(driver, id),
      ]);
      const won = taken.status === 'fulfilled' ? ride.id : id;
      if (won === ride.id) rides++;
      t.not(taken.status, arrived.status, 'one of both');
      const { reason } = (won === ride.id ? arrived : taken) as PromiseRejectedResult;
      t.ok(reason instanceof RideError);
      t.match(reason, { code: 'RIDE_DRIVER_BUSY', facts: { active_trip_id: won } });
      await settle();
      t.equal((await b.drivers.get(driver.userId))!.activeTripId, won);
      t.equal(await b.dispatch.reconcile(0, 100), 0, 'and is bound for good reason');
      t.equal((await a.departures.get(id)).status, won === id ? 'driver_arrived' : 'scheduled');
      if (won === ride.id) {
        await t.rejects(b.departures.arrive(driver, id), { code: 'RIDE_DRIVER_BUSY' }, 'for as long as he is on it');
        for (const type of ['arrive', 'start', 'complete'] as const)
          await a.trips.command(ride.id, { type, driverId: driver.userId });
        await settle();
        t.equal((await b.departures.arrive(driver, id)).status, 'driver_arrived', 'then it is its turn');
      }
      // Nobody else is there to take what was not accepted.
      await a.trips.command(ride.id, { type: 'cancel', actorId: 'desk', role: 'admin' }).catch((error: RideError) => {
        if (error.code !== 'RIDE_ILLEGAL_TRANSITION') throw error;
      });
      await a.departures.cancel(driver, id);
      await settle();
      t.equal((await a.drivers.get(driver.userId))!.activeTripId, null);
      await b.drivers.setStatus(driver, 'offline');
    }
    t.comment(`${rides} of 8 went to the ride`);
  },
);

t.test(
  'his way is kept, and read by who rides, who drives, and operators; passengers know what they are on',
  async (t) => {
    const journey = await onItsWay(2);
    const [first] = journey.riders as [Principal];
    for (let i = 0; i < 12; i++) await journey.at(nodes[i % 2]!, i === 6 ? 400_000 : 100 + i * 50);
    for (const who of [first, journey.driver, person('admin', 'desk')]) {
      const { kept, dropped } = await b.tracks.ofTrip(who, journey.id, { isRaw: false, pageSize: 1000 });
      t.equal(kept.length, 11, who.role);
      t.equal(dropped.jump, 1);
    }
    for (const who of [journey.gone, person('rider', 'stranger'), person('driver', 'other')])
      await t.rejects(a.tracks.ofTrip(who, journey.id, { isRaw: true, pageSize: 5 }), { code: 'RIDE_FORBIDDEN' });
    t.same(await b.bookings.underWayOf(first.userId), [journey.id]);
    t.same(await b.bookings.underWayOf(journey.gone.userId), []);
    t.match(await b.locations.followed(first, journey.id), { position: { driverId: journey.driver.userId } });
    await a.departures.command(journey.id, { type: 'complete', driverId: journey.driver.userId });
    await settle();
    t.same(await b.bookings.underWayOf(first.userId), []);
    const { kept } = await a.tracks.ofTrip(first, journey.id, { isRaw: true, pageSize: 1000 });
    t.equal(kept.length, 12, 'also when it is over');
    const waiting = await published(person('driver', 'patient'));
    const { kept: none } = await a.tracks.ofTrip(person('driver', 'patient'), waiting.id, { isRaw: true, pageSize: 5 });
    t.same(none, [], 'nothing of one that waits');
  },
);

async function askedAll(t: Test, { riders, driver, gone, id }: Journey): Promise<void> {
  for (const { userId } of riders) {
    const [question] = await told(`user:${userId}`, 'checkIn');
    t.match(question, { tripId: id, type: 'asked', hazard: 'long_stop', round: 1, riderId: userId });
  }
  t.match(await told(`user:${driver.userId}`, 'checkIn'), [{ type: 'asked', riderId: '' }]);
  t.same(await told(`user:${gone.userId}`, 'checkIn'), []);
}

t.test('a long stop: all on board are asked, and one who says that all is well speaks for all', async (t) => {
  const journey = await onItsWay(3);
  const [first, second] = journey.riders as [Principal, Principal];
  await stopFor(journey, a);
  await askedAll(t, journey);
  t.hasStrict(await b.checkIns.get(second, journey.id), { status: 'asked', present: ['long_stop'], round: 1 });
  for (const who of [journey.gone, person('rider', 'stranger')]) {
    await t.rejects(b.checkIns.get(who, journey.id), { code: 'RIDE_FORBIDDEN' });
    for (const isSafe of [true, false])
      await t.rejects(b.checkIns.answer(who, journey.id, 1, isSafe), { code: 'RIDE_FORBIDDEN' });
  }
  t.equal((await a.checkIns.answer(journey.driver, journey.id, 1, true)).status, 'asked', 'the driver does not');
  t.equal((await b.checkIns.answer(second, journey.id, 1, true)).status, 'calm');
  t.equal((await a.checkIns.answer(first, journey.id, 1, true)).status, 'calm', 'who is slower agrees');
  await settle();
  t.same(
    (await told(`user:${first.userId}`, 'checkIn')).map(({ type }) => type),
    ['asked', 'confirmed_safe'],
  );
  for (let i = 0; i < 5; i++) await journey.at(b, 900);
  t.same((await b.checkIns.get(first, journey.id)).round, 1, 'and another node does not ask again');
  t.equal((await b.checkIns.answer(first, journey.id, 1, false)).status, 'escalated', 'one who asks for help gets it');
  await settle();
  const alerts = async () => (await told('sos:alerts', 'sosAlert')).filter(({ tripId }) => tripId === journey.id);
  await until(async () => (await alerts()).length > 0, 'the alert');
  t.match(await alerts(), [{ userId: first.userId, role: 'rider', note: /rider_asked_for_help.*3 on board/ }]);
});

t.test('nobody on board answers: it becomes one SOS, though the job and the sweep both find it', async (t) => {
  const journey = await onItsWay(2);
  await stopFor(journey, b);
  clock.add(70_000);
  await Promise.all([a.checkIns.sweep(0), a.checkIns.expire(journey.id, 1), b.checkIns.expire(journey.id, 1)]);
  await settle();
  const alerts = async () => (await told('sos:alerts', 'sosAlert')).filter(({ tripId }) => tripId === journey.id);
  await until(async () => (await alerts()).length > 0, 'the alert');
  const first = (await a.departures.get(journey.id)).bookings.find(({ status }) => status === 'boarded')!;
  t.match(await alerts(), [{ userId: first.passengerId, note: /unanswered; long_stop; 2 on board/ }]);
  t.equal((await alerts()).length, 1);
});

t.test('a car without passengers is asked about by nobody, nor is one whose journey is over', async (t) => {
  const empty = await onItsWay(0);
  await stopFor(empty, a);
  await t.rejects(a.checkIns.get(empty.driver, empty.id), { code: 'RIDE_NOT_FOUND' });
  await t.rejects(a.checkIns.answer(empty.driver, empty.id, 0, false), { code: 'RIDE_NOT_FOUND' });

  const journey = await onItsWay(1);
  const [rider] = journey.riders as [Principal];
  await stopFor(journey, a);
  await b.departures.command(journey.id, { type: 'complete', driverId: journey.driver.userId });
  await settle();
  t.equal((await a.checkIns.get(rider, journey.id)).status, 'calm', 'the question is taken back');
  clock.add(70_000);
  await a.checkIns.expire(journey.id, 1);
  t.equal((await b.checkIns.get(rider, journey.id)).status, 'calm');
});

t.test('silence: found by the sweep when the node that listened is gone', async (t) => {
  const journey = await onItsWay(1);
  await journey.at(a, 300);
  const sweep = watchSweepJob({
    ...{ checkIns: b.checkIns, geofences: b.geofences, watch: b.watch, tracks: b.store.tracks },
    ...{
      trips: b.collections.trips,
      telematics: b.telematics,
      positions: { ofTrip: b.locations.ofTrip },
      clock,
      log: quiet,
    },
    ...{ everyMs: 1000, silenceMs: 180_000, retentionMs: 86_400_000 },
  });
  clock.add(100_000);
  await sweep.run({});
  await t.rejects(b.checkIns.get(journey.riders[0]!, journey.id), { code: 'RIDE_NOT_FOUND' }, 'not yet');
  clock.add(80_000);
  await sweep.run({});
  t.hasStrict(await b.checkIns.get(journey.riders[0]!, journey.id), { status: 'asked', present: ['signal_lost'] });
});

t.end();
