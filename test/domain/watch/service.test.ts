/**
 * The watch over a real store and a real Redis: tracks are whole, geofences are told once however many nodes see a driver, a
 * hazard is asked about and becomes an SOS when nobody answers, and what a node does not see another does.
 */
import { fromBinary } from '@bufbuild/protobuf';
import t, { type Test } from 'tap';
import { offset } from '../../../sim/geo.ts';
import { distanceM } from '../../../src/domain/geo.ts';
import type { Principal } from '../../../src/domain/roles.ts';
import type { Trip } from '../../../src/domain/trips/trip.ts';
import { RideError } from '../../../src/errors.ts';
import { watchSweepJob } from '../../../src/jobs/watch-sweep.ts';
import type { RoutingEngine } from '../../../src/ports/routing.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { quiet } from '../../realtime/node.ts';
import { until } from '../../until.ts';
import {
  CENTER,
  type ManualClock,
  manualClock,
  near,
  onDuty,
  person,
  request,
  type Shared,
  type Stack,
  shared,
  stack,
} from '../stack.ts';

interface Riding {
  trip: Trip;
  driver: Principal;
  rider: Principal;
  /** The driver says where he is on the trip, `metres` from the centre; the watch has looked at it when this resolves. */
  at(node: Stack, metres: number, eastM?: number): Promise<void>;
}

let rides = 0;

async function riding(s: Stack, clock: ManualClock, more: Parameters<typeof request>[2] = {}): Promise<Riding> {
  const n = ++rides;
  const driver = await onDuty(s, `driver-${n}`);
  const { id } = await request(s, `rider-${n}`, { dropoff: near(9000), ...more });
  await until(async () => (await s.trips.find(id))?.offer?.driverId === driver.userId, 'an offer');
  const { offer } = (await s.trips.find(id))!;
  await s.dispatch.accept(id, offer!.id, driver.userId);
  for (const type of ['arrive', 'start'] as const) await s.trips.command(id, { type, driverId: driver.userId });
  await s.idle();
  return {
    trip: (await s.trips.find(id))!,
    driver,
    rider: person('rider', `rider-${n}`),
    async at(node, metres, eastM = 0) {
      clock.add(5000);
      const place = offset(near(metres), eastM, 0);
      await node.locations.update(driver, { ...place, recordedAt: clock.now(), tripId: id, speedMps: 10 }, 'stream');
      await node.watch.idle();
    },
  };
}

/** Messages of one kind that a topic remembers. */
async function told(s: Stack, topic: string, kind: string): Promise<unknown[]> {
  const { messages } = await s.bus.history(topic, { epoch: '', offset: 0 }, 200);
  return messages
    .map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).payload)
    .filter((payload) => payload.case === kind)
    .map(({ value }) => value);
}

async function place(t: Test): Promise<{ place: Shared; clock: ManualClock }> {
  const clock = manualClock();
  return { place: await shared(t, clock), clock };
}

/** @param seenBy the node that is asked for positions */
const sweeper = (s: Stack, seenBy = s) =>
  watchSweepJob({
    checkIns: s.checkIns,
    geofences: s.geofences,
    watch: s.watch,
    tracks: s.store.tracks,
    trips: s.collections.trips,
    telematics: s.telematics,
    positions: { ofTrip: seenBy.locations.ofTrip },
    clock: s.clock,
    everyMs: 1000,
    silenceMs: 180_000,
    retentionMs: 86_400_000,
    log: quiet,
  });

t.test('a track holds every position of its trip and a tenth of the rest, cleansed when it is read', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  const ride = await riding(s, clock);
  for (let i = 0; i < 30; i++) await ride.at(s, i === 10 ? 400_000 : 100 + i * 50);
  const all = await s.tracks.ofTrip(ride.rider, ride.trip.id, { isRaw: true, pageSize: 1000 });
  t.equal(all.kept.length, 30);
  const clean = await s.tracks.ofTrip(ride.driver, ride.trip.id, { isRaw: false, pageSize: 1000 });
  t.equal(clean.kept.length, 29);
  t.equal(clean.dropped.jump, 1);

  const paged = [];
  let pageToken: string | undefined;
  do {
    const page = await s.tracks.ofTrip(ride.rider, ride.trip.id, {
      isRaw: false,
      pageSize: 7,
      ...(pageToken ? { pageToken } : {}),
    });
    paged.push(...page.kept);
    pageToken = page.nextPageToken;
  } while (pageToken);
  t.same(paged, clean.kept, 'the pages are the whole');
  await t.rejects(s.tracks.ofTrip(person('rider', 'stranger'), ride.trip.id, { isRaw: true, pageSize: 5 }), {
    code: 'RIDE_FORBIDDEN',
  });
  for (const pageToken of ['x', 'WzFd', Buffer.from('[1,[1],null,0]').toString('base64url')])
    await t.rejects(s.tracks.ofTrip(ride.rider, ride.trip.id, { isRaw: true, pageSize: 5, pageToken }), {
      code: 'RIDE_INVALID_INPUT',
      field: 'page_token',
    });

  const idle = person('driver', 'cruising');
  for (let i = 0; i < 25; i++) {
    clock.add(5000);
    await s.locations.update(idle, { ...near(i * 40), recordedAt: clock.now(), tripId: '' }, 'stream');
  }
  await s.watch.idle();
  const sampled = await s.store.tracks.read('cruising', 0, Number.MAX_SAFE_INTEGER);
  t.equal(sampled.length, 3, 'the first, the eleventh, the twenty-first');
});

t.test('geofences: entered and left once, on whichever node he is, also when two see it', async (t) => {
  const { place: where, clock } = await place(t);
  const [a, b] = [await stack(t, where), await stack(t, where)];
  const ring = ([-300, -300, 300, 300, -300] as const).map((north, i) => {
    const east = [-0.005, 0.005, 0.005, -0.005, -0.005][i]!;
    return [CENTER.lng + east, near(north).lat] as const;
  });
  const { fence } = await a.geofences.create({
    name: 'the station',
    city: 'testville',
    purpose: 'custom',
    area: { type: 'MultiPolygon', coordinates: [[ring]] },
    exitMarginM: 50,
  });
  t.equal(await b.geofences.refresh(), 1, 'another node learns of it');
  t.equal(b.geofences.index.size, 1);
  const driver = person('driver', 'driver-x');
  const go = async (metres: number, ...nodes: Stack[]): Promise<void> => {
    clock.add(10_000);
    for (const node of nodes) {
      await node.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
      await node.watch.idle();
    }
  };
  for (const metres of [900, 700, 500, 350]) await go(metres, a);
  await go(250, a, b);
  for (const metres of [310, 290, 320, 295]) await go(metres, b);
  await go(200, b);
  for (const metres of [380, 450]) await go(metres, b, a);
  await Promise.all([a.idle(), b.idle()]);
  const { items } = await a.geofences.crossings(fence.id, { pageSize: 50 });
  t.same(items.map(({ type }) => type).sort(), ['entered', 'exited']);
  const exit = items.find(({ type }) => type === 'exited')!;
  t.hasStrict(exit, { driverId: 'driver-x', geofenceName: 'the station', insideMs: 60_000 });
  t.same(await a.redis.hgetall('geofence:inside:driver-x'), {});

  await b.geofences.remove(fence.id);
  await a.geofences.refresh();
  t.equal(a.geofences.index.size, 0, 'and that it is gone');
  await t.rejects(a.geofences.get(fence.id), { code: 'RIDE_NOT_FOUND' });
});

t.test('Redis is away when he enters: it is told by a later position, once', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  const driver = person('driver', 'driver-y');
  const position = (metres: number) => ({
    ...near(metres),
    driverId: driver.userId,
    tripId: '',
    recordedAt: clock.now(),
    vehicleClass: 'standard' as const,
    city: 'testville',
    source: 'stream',
  });
  const { lat, lng } = CENTER;
  const ring = [
    [lng - 0.01, lat - 0.01],
    [lng + 0.01, lat - 0.01],
    [lng, lat + 0.01],
    [lng - 0.01, lat - 0.01],
  ] as const;
  const { fence } = await s.geofences.create({
    name: 'f',
    city: 'testville',
    purpose: 'custom',
    area: { type: 'MultiPolygon', coordinates: [[ring]] },
    exitMarginM: 50,
  });
  s.watch.moved(position(5000), null);
  await s.watch.idle();
  await s.redis.del('geofence:inside:driver-y');
  await s.redis.set('geofence:inside:driver-y', 'not a hash');
  clock.add(600_000);
  s.watch.moved(position(0), null);
  await s.watch.idle();
  t.equal((await s.geofences.crossings(fence.id, { pageSize: 5 })).items.length, 0, 'it could not be marked');
  await s.redis.del('geofence:inside:driver-y');
  clock.add(5000);
  s.watch.moved(position(10), null);
  await s.watch.idle();
  t.same(
    (await s.geofences.crossings(fence.id, { pageSize: 5 })).items.map(({ type }) => type),
    ['entered'],
  );
});

t.test(
  'a long stop: the rider is asked, says that all is well, and is not asked again until it was over',
  async (t) => {
    const { place: where, clock } = await place(t);
    const s = await stack(t, where);
    const ride = await riding(s, clock);
    const { id } = ride.trip;
    for (let i = 0; i < 5; i++) await ride.at(s, 100 + i * 100);
    await t.rejects(s.checkIns.get(ride.rider, id), { code: 'RIDE_NOT_FOUND' });
    for (let i = 0; i < 65; i++) await ride.at(s, 600);
    await s.idle();
    const asked = await s.checkIns.get(ride.rider, id);
    t.hasStrict(asked, { status: 'asked', present: ['long_stop'], round: 1 });
    t.ok(asked.evidence[0]!.value >= 300_000);
    for (const who of [ride.rider, ride.driver])
      t.match(await told(s, `user:${who.userId}`, 'checkIn'), [
        { tripId: id, type: 'asked', hazard: 'long_stop', round: 1 },
      ]);

    await t.rejects(s.checkIns.answer(person('rider', 'stranger'), id, 1, true), { code: 'RIDE_FORBIDDEN' });
    t.equal((await s.checkIns.answer(ride.driver, id, 1, true)).status, 'asked', 'the driver cannot answer for him');
    t.equal((await s.checkIns.answer(ride.rider, id, 1, true)).status, 'calm');
    t.equal((await s.checkIns.answer(ride.rider, id, 1, true)).status, 'calm', 'a repeat');
    clock.add(60_000);
    await s.checkIns.expire(id, 1);
    for (let i = 0; i < 5; i++) await ride.at(s, 600);
    t.hasStrict(await s.checkIns.get(ride.rider, id), { status: 'calm', round: 1, present: ['long_stop'] });
    for (let i = 0; i < 5; i++) await ride.at(s, 700 + i * 50);
    t.same((await s.checkIns.get(ride.rider, id)).present, [], 'he drives on');
    t.equal((await s.bus.position('sos:alerts')).offset, 0, 'and no alarm was raised');
  },
);

t.test(
  'a delivery has a track, and nobody on board who is asked how he is, however long the porter stands',
  async (t) => {
    const { place: where, clock } = await place(t);
    const s = await stack(t, where);
    const contact = { name: 'Ada', phone: '+12125550100' };
    const delivery = {
      pickupContact: contact,
      dropoffContact: contact,
      parcel: { description: 'books', weightG: 1000 },
      accepts: ['code' as const],
      code: '042917',
      wrongCodes: 0,
    };
    const ride = await riding(s, clock, { delivery });
    for (let i = 0; i < 70; i++) await ride.at(s, 600);
    t.equal(s.watch.riding(), 0, 'nobody is missed when the porter falls silent');
    clock.add(300_000);
    s.watch.tick();
    await s.watch.idle();
    await sweeper(s).run({});
    await s.idle();
    await t.rejects(s.checkIns.get(ride.rider, ride.trip.id), { code: 'RIDE_NOT_FOUND' });
    t.equal((await s.bus.position('sos:alerts')).offset, 0, 'no alarm');
    const { kept } = await s.tracks.ofTrip(ride.rider, ride.trip.id, { isRaw: true, pageSize: 1000 });
    t.equal(kept.length, 70, 'every position');
  },
);

t.test('off its way: another way that is hardly longer is taken for his, a long one is asked about', async (t) => {
  const { place: where, clock } = await place(t);
  /** Roads go straight; what they cost besides is the test's to say. */
  const roads = { besidesM: 0, asked: 0, isAway: false };
  const routingEngine: RoutingEngine = {
    name: 'roads',
    legsTo: async (from, to) => from.map((one) => ({ distanceM: distanceM(one, to), durationS: 600 })),
    async lineTo(from, to) {
      roads.asked++;
      if (roads.isAway) throw new RideError('RIDE_UNAVAILABLE', 'away');
      return { distanceM: distanceM(from, to) + roads.besidesM, durationS: 600, points: [from, to] };
    },
  };
  const s = await stack(t, where, { routingEngine });
  /** North for a while, then east, and north again beside the way. */
  const drive = async (ride: Riding, onTheWay: () => void): Promise<void> => {
    for (let i = 0; i < 5; i++) await ride.at(s, 100 + i * 150);
    onTheWay();
    for (let i = 1; i <= 10; i++) await ride.at(s, 700, i * 150);
    for (let i = 1; i <= 20; i++) await ride.at(s, 700 + i * 150, 1500);
    await s.idle();
  };
  const other = await riding(s, clock);
  await drive(other, () => {});
  await t.rejects(s.checkIns.get(other.rider, other.trip.id), { code: 'RIDE_NOT_FOUND' });
  t.equal(roads.asked, 2, 'at the start, and once when he left the way');

  const long = await riding(s, clock);
  await drive(long, () => {
    roads.besidesM = 20_000;
  });
  t.same((await s.checkIns.get(long.rider, long.trip.id)).present, ['route_deviation'], 'it has become long');
  roads.besidesM = 0;

  const unknown = await riding(s, clock);
  await drive(unknown, () => {
    roads.isAway = true;
  });
  t.same((await s.checkIns.get(unknown.rider, unknown.trip.id)).present, ['route_deviation'], 'nobody can say');
});

t.test('nobody answers: it becomes an SOS of the rider, once, though the job and the sweep both find it', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  const ride = await riding(s, clock);
  const { id } = ride.trip;
  for (let i = 0; i < 75; i++) await ride.at(s, Math.min(600, 100 + i * 100));
  t.equal((await s.checkIns.get(ride.rider, id)).status, 'asked');
  await s.checkIns.expire(id, 1);
  t.equal((await s.checkIns.get(ride.rider, id)).status, 'asked', 'not before its time');
  clock.add(70_000);
  await Promise.all([sweeper(s).run({}), s.checkIns.expire(id, 1), s.checkIns.expire(id, 1)]);
  await s.idle();
  await until(async () => (await told(s, 'sos:alerts', 'sosAlert')).length > 0, 'the alert');
  const alerts = await told(s, 'sos:alerts', 'sosAlert');
  t.match(alerts, [{ tripId: id, userId: ride.rider.userId, role: 'rider', note: /unanswered; long_stop/ }]);
  t.equal(alerts.length, 1);
  t.hasStrict(await s.checkIns.get(ride.rider, id), { status: 'escalated' });
});

t.test(
  'silence: missed by the node that listened, by the sweep when that node is gone; not when he talks to another',
  async (t) => {
    const { place: where, clock } = await place(t);
    const [a, b] = [await stack(t, where), await stack(t, where)];
    const ride = await riding(a, clock);
    const { id } = ride.trip;
    for (let i = 0; i < 5; i++) await ride.at(a, 100 + i * 50);
    for (let i = 5; i < 30; i++) await ride.at(b, 100 + i * 50);
    a.watch.tick();
    await a.watch.idle();
    t.equal(a.watch.riding(), 0, 'he is heard by another');
    await t.rejects(a.checkIns.get(ride.rider, id), { code: 'RIDE_NOT_FOUND' });
    b.telematics.heard(ride.driver.userId, { inBackground: true });
    await until(async () => (await b.telematics.of(ride.driver.userId)) !== null, 'what his device said');
    clock.add(90_000);
    b.watch.tick();
    await b.watch.idle();
    const silent = await a.checkIns.get(ride.rider, id);
    t.same(silent.present, ['signal_lost']);
    t.hasStrict(silent.evidence.at(-1), { hazard: 'signal_lost', staleReason: 'background' }, 'with the reason');
    for (let i = 0; i < 4; i++) await ride.at(a, 1500 + i * 50);
    const heard = await a.checkIns.get(ride.rider, id);
    t.same(heard.present, [], 'a third place hears him again');
    t.equal(heard.status, 'calm', 'and takes the question back');

    const other = await riding(a, clock);
    await other.at(a, 100);
    clock.add(180_000);
    await sweeper(b).run({});
    const swept = await b.checkIns.get(other.rider, other.trip.id);
    t.same(swept.present, ['signal_lost'], 'found by the sweep');
    t.hasStrict(swept.evidence.at(-1), { hazard: 'signal_lost', staleReason: 'silent' });
    await b.trips.command(other.trip.id, { type: 'complete', driverId: other.driver.userId });
    await b.idle();
    t.equal((await b.checkIns.get(other.rider, other.trip.id)).status, 'calm', 'the trip is over: nobody is asked');
  },
);

t.test('silence is asked about also while nobody knows what the device said last', async (t) => {
  const { place: where, clock } = await place(t);
  let asked = 0;
  const of = () => {
    asked++;
    return Promise.reject(new RideError('RIDE_UNAVAILABLE', 'away'));
  };
  const s = await stack(t, where, {
    wrapPorts: (ports) => ({ ...ports, telematics: { ...ports.telematics, of } }),
  });
  const [heard, unheard] = [await riding(s, clock), await riding(s, clock)];
  const other = await stack(t, where);
  await heard.at(s, 100);
  await heard.at(s, 150);
  await unheard.at(other, 100);
  clock.add(90_000);
  s.watch.tick();
  await s.watch.idle();
  t.ok(asked > 0);
  const missed = await other.checkIns.get(heard.rider, heard.trip.id);
  t.same(missed.present, ['signal_lost']);
  t.equal(missed.evidence.at(-1)!.staleReason, undefined);
  clock.add(90_000);
  asked = 0;
  await sweeper(s, other).run({});
  t.ok(asked > 0);
  t.same((await other.checkIns.get(unheard.rider, unheard.trip.id)).present, ['signal_lost'], 'by the sweep too');
});

t.test('a device that jumps about is flagged once, with its evidence; a review holds for a day', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  const driver = person('driver', 'spoofer');
  const jump = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      clock.add(5000);
      const metres = i % 3 === 2 ? 100_000 + i * 3000 : i * 20;
      await s.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
    }
    await s.watch.idle();
  };
  await jump();
  const { items } = await s.anomalies.list({ subjectId: 'spoofer', pageSize: 10 });
  t.match(items, [{ kind: 'spoofed_gps', status: 'open', subjectRole: 'driver', city: 'testville' }]);
  t.equal(items.length, 1);
  const flag = items[0]!;
  t.equal(flag.evidence[0]!.facts.sign, 'jumps');
  await t.rejects(s.anomalies.review(flag.id, 'op', 'dismissed', undefined, flag.version + 7), {
    code: 'RIDE_PRECONDITION_FAILED',
  });
  const reviewed = await s.anomalies.review(flag.id, 'op', 'dismissed', 'a tunnel', flag.version);
  t.hasStrict(reviewed, { status: 'dismissed', reviewedBy: 'op', note: 'a tunnel' });
  await jump();
  t.equal((await s.anomalies.get(flag.id)).status, 'dismissed', 'no news for a day');
  clock.add(86_400_000);
  await jump();
  t.hasStrict(await s.anomalies.get(flag.id), { status: 'open', count: reviewed.count + 1 });
});

t.test('a driver who cannot be where he says to be is no candidate, until a position is believed again', async (t) => {
  const { place: where, clock } = await place(t);
  const [a, b] = [await stack(t, where), await stack(t, where)];
  const driver = await onDuty(a, 'driver-j');
  const go = async (metres: number): Promise<void> => {
    clock.add(5000);
    await a.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
    await a.watch.idle();
  };
  const candidates = async (metres: number) =>
    (await b.locations.nearby(near(metres), 1000, 10)).map(({ driverId }) => driverId);
  await go(120);
  t.same(await candidates(100), ['driver-j']);
  await go(80_000);
  t.same([await candidates(100), await candidates(80_000)], [[], []], 'neither there nor here');
  const lured = await request(b, 'rider-j', { pickup: near(80_000), dropoff: near(83_000) });
  await b.idle();
  t.equal((await b.trips.find(lured.id))!.offer, null, 'nor for who asks there');
  await b.drivers.setStatus(driver, 'looking');
  t.same(await candidates(80_000), [], 'whatever he says of himself, to whichever node');
  await go(200);
  t.same(await candidates(100), ['driver-j'], 'he is back');

  await go(80_000);
  clock.add(119_000);
  t.equal(await b.watch.release(), 0, 'his node may hear him yet');
  clock.add(6000);
  t.equal(await b.watch.release(), 1, 'which is gone');
  await b.locations.update(driver, { ...near(300), recordedAt: clock.now(), tripId: '' }, 'stream');
  t.same(await candidates(100), ['driver-j']);
});

t.test('a driver whose positions look spoofed is no candidate for a while', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  const driver = await onDuty(s, 'driver-s');
  const round = Array.from({ length: 30 }, (_, i) => 100 + i * 40);
  const tell = async (metres: number, afterMs: number): Promise<void> => {
    clock.add(afterMs);
    await s.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
    await s.watch.idle();
  };
  const isCandidate = async () => (await s.locations.nearby(near(500), 2000, 10)).length === 1;
  for (const metres of round) await tell(metres, 5000);
  t.equal(await isCandidate(), true);
  for (const [i, metres] of round.entries()) await tell(metres, i === 0 ? 300_000 : 5000);
  const { items } = await s.anomalies.list({ subjectId: 'driver-s', pageSize: 10 });
  t.match(items, [{ kind: 'spoofed_gps', evidence: [{ facts: { sign: 'replayed_track' } }] }]);
  t.equal(await isCandidate(), false, 'a recording, played again');
  await tell(1300, 300_000);
  t.equal(await isCandidate(), false);
  await tell(1350, 300_000);
  t.equal(await isCandidate(), true, 'ten minutes later');
});

t.test('what happens to trips is remembered of both sides, each event once, and shows collusion', async (t) => {
  const { place: where, clock } = await place(t);
  const s = await stack(t, where);
  for (let i = 0; i < 3; i++) {
    const driver = await onDuty(s, 'driver-c');
    const { id } = await request(s, 'rider-c', { dropoff: near(60) });
    await until(async () => (await s.trips.find(id))?.offer?.driverId === 'driver-c', 'an offer');
    await s.dispatch.accept(id, (await s.trips.find(id))!.offer!.id, driver.userId);
    for (const type of ['arrive', 'start', 'complete'] as const) {
      clock.add(1000);
      await s.trips.command(id, { type, driverId: driver.userId });
    }
    await s.idle();
    const trip = (await s.trips.find(id))!;
    await s.anomalies.onTripEvent(trip, trip.history.at(-1)!, null);
  }
  for (const subjectId of ['driver-c', 'rider-c']) {
    const { items } = await s.anomalies.list({ subjectId, pageSize: 10 });
    t.match(items, [{ kind: 'collusion', status: 'open' }], subjectId);
    t.match(items[0]!.evidence[0]!.facts, { trips: 3, short_trips: 3 }, 'and an event that came twice counts once');
  }
});
t.end();
