/** Departures and bookings over real store and Redis, on two nodes: races, repeats, crashes, searches, and the driver's one trip. */
import { DatabaseSync } from 'node:sqlite';
import { fromBinary } from '@bufbuild/protobuf';
import t from 'tap';
import { pageStatements, whereClause } from '../../../src/adapters/sqlite/query.ts';
import { tableOf } from '../../../src/adapters/sqlite/schema.ts';
import type { Departure } from '../../../src/domain/departures/departure.ts';
import type { DepartureInput } from '../../../src/domain/departures/service.ts';
import { RideError } from '../../../src/errors.ts';
import type { Store } from '../../../src/ports/store.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

const HOUR = 3_600_000;
const clock = manualClock();
const place = await shared(t, clock);
const nodes = [await stack(t, place), await stack(t, place)] as const;
const [a, b] = nodes;

let drivers = 0;
const input = (more: Partial<DepartureInput> = {}): DepartureInput => ({
  driverId: `driver-${++drivers}`,
  pickup: CENTER,
  dropoff: near(20_000),
  city: 'testville',
  departureTime: clock.now() + 30 * HOUR,
  seats: 3,
  seatFareMinor: 1000,
  vehicleClass: 'standard',
  ...more,
});

async function published(s: Stack, more: Partial<DepartureInput> = {}) {
  const wish = input(more);
  return (await s.departures.publish(person('driver', wish.driverId), wish)).departure;
}

const codeOf = (error: unknown): string => (error instanceof RideError ? error.code : String(error));

/** What a topic remembers, as it was told. */
async function told(s: Stack, topic: string) {
  const { messages } = await s.bus.history(topic, { epoch: '', offset: 0 }, 1000);
  return messages.flatMap(({ payload }) => {
    const { payload: said } = fromBinary(ServerEnvelopeSchema, payload);
    return said.case === 'tripEvent' ? [said.value] : [];
  });
}

const settle = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.idle())));

t.test(
  'many want the last seats, on both nodes at once: as many as there are have them, the others know who',
  async (t) => {
    const { id } = await published(a, { seats: 3 });
    const wishes = Array.from({ length: 12 }, (_, i) =>
      nodes[i % 2]!.bookings.book(id, { passengerId: `racer-${i}`, seats: 1 }).then(
        ({ booking }) => ({ won: booking }),
        (error: unknown) => ({ lost: error as RideError }),
      ),
    );
    const outcomes = await Promise.all(wishes);
    const won = outcomes.flatMap((o) => ('won' in o ? [o.won] : []));
    const lost = outcomes.flatMap((o) => ('lost' in o ? [o.lost] : []));
    t.equal(won.length, 3);
    t.same(new Set(lost.map(codeOf)), new Set(['RIDE_SEATS_TAKEN']));
    const last = won.sort((x, y) => y.wonAtVersion - x.wonAtVersion)[0]!;
    for (const { facts } of lost) {
      t.match(facts, { seats_free: 0, winner_booking_id: last.id, winner_version: 4, version: 4 });
    }
    const departure = await b.departures.get(id);
    t.equal(departure.seatsFree, 0);
    await settle();
    const events = await told(a, `trip:${id}`);
    t.same(
      events.map(({ seq, type }) => [Number(seq), type]),
      [
        [1, 'published'],
        [2, 'booked'],
        [3, 'booked'],
        [4, 'booked'],
      ],
    );
    t.same(
      events.map(({ seatsFree }) => seatsFree),
      [3, 2, 1, 0],
    );
    t.ok(
      events.slice(1).every(({ actorId, riderId }) => actorId === 'passenger' && riderId === ''),
      'nobody is named',
    );
    const [own] = await told(b, `user:${last.passengerId}`);
    t.match(own, { type: 'booked', tripId: id, riderId: last.passengerId, bookingId: last.id, seats: 1 });
    // Two nodes may tell it twice; it is one event by its seq.
    const heard = new Set((await told(b, `user:${departure.driverId}`)).map(({ seq }) => Number(seq)));
    t.same(heard, new Set([2, 3, 4]), 'the driver is told of each, and it waits for him');
  },
);

t.test('two who want two seats of three: one of them, never a half', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { id } = await published(a, { seats: 3 });
    const both = await Promise.allSettled(
      nodes.map((node, i) => node.bookings.book(id, { passengerId: `pair-${round}-${i}`, seats: 2 })),
    );
    t.equal(both.filter(({ status }) => status === 'fulfilled').length, 1);
    t.equal((await a.departures.get(id)).seatsFree, 1);
  }
});

t.test('a booking and the cancellation of the departure at once: the seat is held by nobody', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { id, driverId } = await published(a);
    const [booked] = await Promise.allSettled([
      b.bookings.book(id, { passengerId: `late-${round}`, seats: 1 }),
      a.departures.cancel(person('driver', driverId), id),
    ]);
    const departure = await a.departures.get(id);
    t.equal(departure.status, 'cancelled');
    t.notOk(departure.bookings.some(({ status }) => status === 'confirmed'));
    if (booked.status === 'rejected')
      t.match(booked.reason, { code: 'RIDE_ILLEGAL_TRANSITION', facts: { status: 'cancelled' } });
  }
});

t.test('the same key and body: one booking, whoever is first; another body is refused', async (t) => {
  const { id } = await published(a, { seats: 10 });
  const key = { id: `idem:${id}`, bodyHash: 'one' };
  const twelve = await Promise.all(
    Array.from({ length: 12 }, (_, i) => nodes[i % 2]!.bookings.book(id, { passengerId: 'same', seats: 2 }, key)),
  );
  t.equal(new Set(twelve.map(({ booking }) => booking.id)).size, 1);
  t.equal(twelve.filter(({ created }) => created).length, 1);
  t.equal((await a.departures.get(id)).seatsFree, 8);
  await t.rejects(a.bookings.book(id, { passengerId: 'same', seats: 1 }, { ...key, bodyHash: 'two' }), {
    code: 'RIDE_IDEMPOTENCY_MISMATCH',
  });
  await t.rejects(a.bookings.book(id, { passengerId: 'same', seats: 1 }), {
    code: 'RIDE_ALREADY_EXISTS',
    facts: { booking_id: twelve[0]!.booking.id, booking_version: 1 },
  });
  const wish = input();
  const publishKey = { id: `idem:publish-${id}`, bodyHash: 'x' };
  const driver = person('driver', wish.driverId);
  const both = await Promise.all(nodes.map((node) => node.departures.publish(driver, wish, publishKey)));
  t.equal(both[0]!.departure.id, both[1]!.departure.id);
  t.equal(both.filter(({ created }) => created).length, 1);
  clock.add(31 * HOUR);
  t.equal((await a.departures.publish(driver, wish, publishKey)).created, false, 'also when its time is over');
  await t.rejects(a.departures.publish(driver, wish), { code: 'RIDE_INVALID_INPUT', field: 'departure_time' });
});

t.test('a crash after the departure was written: the booking is listed and told all the same', async (t) => {
  let broken = false;
  const dying = await stack(t, place, {
    wrapStore: (store): Store => ({
      ...store,
      collection(spec) {
        const real = store.collection(spec);
        if (spec.name !== 'bookings') return real;
        const die = () => Promise.reject(new Error('the process is gone'));
        return {
          ...real,
          get: (id) => (broken ? die() : real.get(id)),
          insert: (d, e) => (broken ? die() : real.insert(d, e)),
        };
      },
    }),
  });
  const { id } = await published(a);
  await settle();
  broken = true;
  const key = { id: `idem:crash-${id}`, bodyHash: 'x' };
  const { booking } = await dying.bookings.book(id, { passengerId: 'unlucky', seats: 2 }, key);
  await dying.idle();
  const mine = () => a.bookings.list(person('rider', 'unlucky'), { pageSize: 10 });
  t.equal((await mine()).items.length, 0, 'it died before');
  t.same(
    (await a.bookings.book(id, { passengerId: 'unlucky', seats: 2 }, key)).booking,
    booking,
    'asked again: the same',
  );
  clock.add(1000);
  await a.sweep();
  await settle();
  t.match((await mine()).items, [{ id: booking.id, status: 'confirmed', tripId: id, seats: 2, bookingVersion: 1 }]);
  t.match((await told(a, 'user:unlucky'))[0], { type: 'booked', bookingId: booking.id });
  t.equal((await a.collections.trips.outboxOf(id)).length, 0);
});

t.test('a process that only lists late never overwrites what is newer', async (t) => {
  const { id, driverId } = await published(a);
  const rider = person('rider', 'lister');
  const { booking } = await a.bookings.book(id, { passengerId: rider.userId, seats: 1 });
  await Promise.all([b.bookings.cancel(rider, booking.id, 'ill'), a.idle()]);
  await settle();
  t.match((await a.bookings.list(rider, { pageSize: 5 })).items, [
    { status: 'cancelled', cancelReason: 'ill', bookingVersion: 2 },
  ]);
  t.equal((await b.bookings.list(rider, { pageSize: 5, status: 'confirmed' })).items.length, 0);
  t.equal((await b.bookings.cancel(rider, booking.id)).booking.version, 2, 'a repeat is the present state');
  await t.rejects(a.bookings.cancel(person('driver', driverId), booking.id), { code: 'RIDE_ILLEGAL_TRANSITION' });
});

t.test('a driver is on one trip: a departure binds him, and is refused while he is on another', async (t) => {
  const wish = input({ departureTime: clock.now() + HOUR / 2 });
  const driver = await onDuty(a, wish.driverId);
  const { departure } = await a.departures.publish(driver, wish);
  const other = await published(a, { driverId: driver.userId, departureTime: clock.now() + HOUR / 2 });
  const [first, second] = await Promise.allSettled([
    a.departures.arrive(driver, departure.id),
    b.departures.arrive(driver, other.id),
  ]);
  const [won, lost] = first.status === 'fulfilled' ? [departure, second] : [other, first];
  t.match(lost, {
    reason: { code: 'RIDE_DRIVER_BUSY', facts: { active_trip_id: won.id, status: 'scheduled', version: 1 } },
  });
  t.match(lost, { reason: { facts: { winner_role: 'driver', winner_version: Number } } });
  t.equal((await a.drivers.get(driver.userId))!.activeTripId, won.id);
  t.equal(await a.dispatch.reconcile(0, 100), 0, 'he is bound for good reason');
  const trip = await request(b, 'rider-in-vain');
  await settle();
  t.not((await b.trips.find(trip.id))!.offer?.driverId, driver.userId, 'no ride is offered to him');
  await b.trips.command(trip.id, { type: 'cancel', actorId: 'rider-in-vain', role: 'rider' });
  t.equal((await b.departures.arrive(driver, won.id)).status, 'driver_arrived', 'a repeat');
  clock.add(HOUR / 2);
  await b.departures.command(won.id, { type: 'start', driverId: driver.userId });
  const where = { ...near(500), recordedAt: clock.now(), tripId: won.id };
  t.ok(await b.locations.update(driver, where, 'stream'), 'he is tracked on it');
  await a.departures.command(won.id, { type: 'complete', driverId: driver.userId });
  await settle();
  t.equal((await a.drivers.get(driver.userId))!.activeTripId, null, 'and free again');
});

t.test(
  'a claim that was undone: the departure waits again when he got another trip, and binds him when not',
  async (t) => {
    const wish = input({ departureTime: clock.now() + HOUR / 2 });
    const driver = await onDuty(a, wish.driverId);
    const { departure } = await a.departures.publish(driver, wish);
    await a.departures.command(departure.id, { type: 'arrive', driverId: driver.userId });
    await a.idle();
    t.equal((await a.drivers.get(driver.userId))!.activeTripId, departure.id, 'bound by the event itself');
    const rival = await published(a, { driverId: driver.userId, departureTime: clock.now() + HOUR / 2 });
    await a.departures.command(rival.id, { type: 'arrive', driverId: driver.userId });
    await until(async () => (await a.departures.get(rival.id)).status === 'scheduled', 'the rival to wait again');
    await settle();
    t.equal((await a.drivers.get(driver.userId))!.activeTripId, departure.id);
    t.match(
      (await a.departures.get(rival.id)).history.map(({ type }) => type),
      ['published', 'driver_arrived', 'recalled'],
    );
    await a.departures.cancel(driver, departure.id);
    await settle();
    t.equal((await a.drivers.get(driver.userId))!.activeTripId, null);
  },
);

t.test('the sweep ends what nobody drove, tells the passengers, and frees who never came to an end', async (t) => {
  const wish = input({ departureTime: clock.now() + HOUR / 2 });
  const driver = await onDuty(a, wish.driverId);
  const [{ departure: left }, forgotten] = [
    await a.departures.publish(driver, wish),
    await published(a, { departureTime: clock.now() + HOUR / 2 }),
  ];
  const { booking } = await b.bookings.book(forgotten.id, { passengerId: 'waiting', seats: 1 });
  await a.departures.arrive(driver, left.id);
  await settle();
  clock.add(HOUR + HOUR / 2);
  await a.sweep();
  t.equal((await a.departures.get(forgotten.id)).status, 'scheduled', 'not before its grace is over');
  clock.add(1);
  await a.sweep();
  await settle();
  t.equal((await a.departures.get(forgotten.id)).status, 'expired');
  t.match((await b.bookings.get(person('rider', 'waiting'), booking.id)).booking, { status: 'cancelled', feeMinor: 0 });
  t.match(
    (await told(a, 'user:waiting')).map(({ type }) => type),
    ['booked', 'expired'],
  );
  t.equal((await a.departures.get(left.id)).status, 'driver_arrived');
  clock.add(12 * HOUR);
  await b.sweep();
  await settle();
  t.match(await a.departures.get(left.id), { status: 'cancelled', cancelReason: 'no_end_in_time' });
  t.equal((await a.drivers.get(driver.userId))!.activeTripId, null);
});

t.test('who may follow: the driver, who has seats, operators; and an SOS of a passenger is of this trip', async (t) => {
  const { id, driverId } = await published(a);
  const rider = person('rider', 'follower');
  await t.rejects(a.trips.follow(rider, id), { code: 'RIDE_FORBIDDEN' });
  const { booking } = await a.bookings.book(id, { passengerId: rider.userId, seats: 1 });
  for (const who of [rider, person('driver', driverId), person('admin', 'desk')])
    t.equal((await b.trips.follow(who, id)).id, id);
  await t.rejects(b.trips.follow(person('driver', 'somebody'), id), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(a.trips.get(rider, id), { code: 'RIDE_NOT_FOUND' }, 'on-demand trips are read elsewhere');
  await t.rejects(a.trips.command(id, { type: 'cancel', actorId: 'desk', role: 'admin' }), { code: 'RIDE_NOT_FOUND' });
  t.equal((await a.trips.list(person('driver', driverId), { pageSize: 10 })).items.length, 0);
  await b.bookings.cancel(rider, booking.id);
  await t.rejects(a.trips.follow(rider, id), { code: 'RIDE_FORBIDDEN' }, 'who gave his seat back does not');
  await t.rejects(a.bookings.get(person('rider', 'stranger'), booking.id), { code: 'RIDE_FORBIDDEN' });
  await t.rejects(a.bookings.get(rider, 'bkg'), { code: 'RIDE_NOT_FOUND' });
});

t.test('searches: by city, window, places and seats, page by page, in the order of departure', async (t) => {
  const start = clock.now() + 100 * HOUR;
  const made: Departure[] = [];
  for (let i = 0; i < 20; i++) {
    made.push(
      await published(nodes[i % 2]!, {
        city: i % 2 ? 'oddville' : 'evenville',
        pickup: near(1000 * i),
        dropoff: { ...near(300_000), city: 'farville' },
        departureTime: start + (20 - i) * 60_000,
        seats: 1 + (i % 4),
      }),
    );
  }
  const rider = person('rider', 'seeker');
  const all = { departsFrom: start, pageSize: 50 };
  const find = async (s: Stack, query: object): Promise<number[]> => {
    const { items } = await s.departures.search(rider, { ...all, ...query });
    return items.map(({ id }) => made.findIndex((one) => one.id === id));
  };
  const expected = (keep: (i: number) => boolean): number[] => [...made.keys()].filter(keep).reverse();
  for (const s of nodes) {
    t.same(
      await find(s, {}),
      expected(() => true),
    );
    t.same(
      await find(s, { city: 'oddville' }),
      expected((i) => i % 2 === 1),
    );
    t.same(
      await find(s, { toCity: 'farville', seats: 3 }),
      expected((i) => i % 4 >= 2),
    );
    t.same(
      await find(s, { departsBefore: start + 6 * 60_000 }),
      expected((i) => i > 14),
    );
    t.same(
      await find(s, { near: { ...CENTER, radiusM: 5500 } }),
      expected((i) => i <= 5),
    );
    t.same(
      await find(s, { near: { ...CENTER, radiusM: 5500 }, seats: 2, city: 'evenville' }),
      expected((i) => [2].includes(i)),
    );
    t.same(await find(s, { toNear: { ...CENTER, radiusM: 50_000 } }), []);
  }
  const walked: string[] = [];
  let pageToken: string | undefined;
  let pages = 0;
  do {
    const page = await nodes[pages % 2]!.departures.search(rider, {
      ...all,
      pageSize: 3,
      near: { ...CENTER, radiusM: 7200 },
      ...(pageToken ? { pageToken } : {}),
    });
    walked.push(...page.items.map(({ id }) => id));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== undefined && pages < 30);
  t.same(
    walked,
    made
      .slice(0, 8)
      .reverse()
      .map(({ id }) => id),
    'every one once',
  );
  const { nextPageToken } = await a.departures.search(rider, { pageSize: 1 });
  clock.add(5);
  t.equal(
    (await b.departures.search(rider, { pageSize: 1, pageToken: nextPageToken! })).items.length,
    1,
    'time goes on',
  );
  for (const wrong of ['x', '12.x', `1${nextPageToken}`])
    await t.rejects(a.departures.search(rider, { pageSize: 1, pageToken: wrong }), {
      code: 'RIDE_INVALID_INPUT',
      field: 'page_token',
    });
  const full = made[0]!;
  await a.bookings.book(full.id, { passengerId: 'last', seats: 1 });
  t.notOk((await find(b, { seats: 1 })).includes(0), 'what is full is not found by who needs a seat');
  t.notOk((await find(b, {})).includes(0), 'nor by who says nothing of seats');
  t.ok((await find(b, { status: 'scheduled' })).includes(0), 'but by who asks for all that have not begun');
  await a.departures.cancel(person('driver', full.driverId), full.id);
  t.notOk((await find(b, { status: 'scheduled' })).includes(0));
  await t.rejects(a.departures.search(rider, { ...all, status: 'cancelled' }), { code: 'RIDE_FORBIDDEN' });
  const own = await a.departures.search(person('driver', full.driverId), { driverId: full.driverId, pageSize: 5 });
  t.match(own.items, [{ id: full.id, status: 'cancelled' }], 'its driver finds it');
});

t.test(
  'what is closed for booking is not found as what can be booked, by whichever terms it was published',
  async (t) => {
    const one = await published(a, { city: 'closington', departureTime: clock.now() + 50 * HOUR });
    const rider = person('rider', 'late');
    const closesAt = one.departureTime - one.terms.closesBeforeMs;
    const find = async (query: object): Promise<string[]> =>
      (await b.departures.search(rider, { city: 'closington', pageSize: 5, ...query })).items.map(({ id }) => id);
    clock.add(closesAt - clock.now() - 1);
    t.same(await find({}), [one.id]);
    clock.add(1);
    await t.rejects(a.bookings.book(one.id, { passengerId: 'late', seats: 1 }), { code: 'RIDE_ILLEGAL_TRANSITION' });
    t.same(await find({}), [], 'from the instant on from which nobody books');
    t.same(await find({ status: 'scheduled' }), [one.id]);
  },
);

const sqliteFile = place.store.adapter === 'sqlite' ? place.store.file : '';
const elsewhere = sqliteFile === '' && 'the suite runs on another store';

t.test('SQLite answers searches by an index', { skip: elsewhere }, async (t) => {
  const file = new DatabaseSync(sqliteFile, { readOnly: true });
  t.after(() => file.close());
  const plan = (where: object): string => {
    const page = { where: where as never, orderBy: 'departureTime', direction: 'asc' as const, pageSize: 10 };
    const [[sql, ...parameters]] = pageStatements('trips', page, { value: 1, id: 'x' }) as [[string, ...never[]]];
    return file
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...parameters)
      .map(({ detail }) => detail)
      .join('; ');
  };
  const open = { kind: 'scheduled', status: 'scheduled', departureTime: { gte: 5 } };
  t.match(plan(open), /USING INDEX trips\.status_departure/);
  t.match(plan({ ...open, 'source.city': 'x' }), /USING INDEX trips\.status_(city_)?departure/);
  t.match(plan({ ...open, 'source.cell': { in: ['a', 'b'] } }), /USING INDEX trips\.status_(cell_)?departure/);
});

t.test('SQLite counts trips of each kind without reading one', { skip: elsewhere }, async (t) => {
  const file = new DatabaseSync(sqliteFile, { readOnly: true });
  t.after(() => file.close());
  for (const kind of ['ride', 'delivery', 'scheduled']) {
    const where = whereClause({ kind, status: 'completed' });
    const sql = `EXPLAIN QUERY PLAN SELECT count(*) FROM ${tableOf('trips')} WHERE ${where.sql}`;
    const [plan] = file.prepare(sql).all(...(where.parameters as never[]));
    t.match(plan?.detail, /USING COVERING INDEX/);
  }
});

t.test('what cannot be published', async (t) => {
  const rules: [Partial<DepartureInput>, string][] = [
    [{ dropoff: CENTER }, 'dropoff'],
    [{ dropoff: { lat: -40, lng: 100 } }, 'dropoff'],
    [{ seats: 61 }, 'seats'],
    [{ departureTime: clock.now() }, 'departure_time'],
    [{ departureTime: clock.now() + 91 * 24 * HOUR }, 'departure_time'],
  ];
  for (const [more, field] of rules) await t.rejects(published(a, more), { code: 'RIDE_INVALID_INPUT', field });
  await t.rejects(a.departures.get('trip_x'), { code: 'RIDE_NOT_FOUND' });
  await t.rejects(a.bookings.book((await request(a, 'rider')).id, { passengerId: 'x', seats: 1 }), {
    code: 'RIDE_NOT_FOUND',
  });
});
t.end();
