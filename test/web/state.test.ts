/** The picture that the page keeps: whatever order messages and reads come in, the newest known state of each trip stays. */
import fc from 'fast-check';
import t from 'tap';
import { measure, state as s, trips as tr } from './modules.ts';

const T0 = 1_700_000_000_000;

const event = (tripId: string, seq: number, type: string, status: string, more: object = {}) => ({
  tripId,
  seq,
  type,
  status,
  version: seq,
  driverId: '',
  actorId: 'a',
  riderId: 'r',
  reason: '',
  atMs: T0 + seq,
  ...more,
});

const read = (id: string, seq: number, status: string, more: object = {}) => ({
  id,
  status,
  version: seq,
  seq,
  riderId: 'r',
  driverId: '',
  vehicleClass: 'standard',
  pickup: { lat: 1, lng: 2 },
  dropoff: { lat: 3, lng: 4 },
  createdAt: T0,
  updatedAt: T0 + seq,
  ...more,
});

const position = (driverId: string, more: object = {}) => ({
  driverId,
  lat: 1,
  lng: 2,
  headingDeg: null,
  status: 'available',
  ageMs: 0,
  ...more,
});

/** A whole life of a trip. */
const life = [
  event('t', 1, 'requested', 'requested'),
  event('t', 2, 'offered', 'offered', { driverId: 'other' }),
  event('t', 3, 'offer_declined', 'requested', { driverId: 'other' }),
  event('t', 4, 'offered', 'offered', { driverId: 'd' }),
  event('t', 5, 'assigned', 'assigned', { driverId: 'd' }),
  event('t', 6, 'driver_arrived', 'driver_arrived', { driverId: 'd' }),
  event('t', 7, 'started', 'in_progress', { driverId: 'd' }),
  event('t', 8, 'completed', 'completed', { driverId: 'd' }),
];

t.test('a trip through its life moves the counters one by one', (t) => {
  const state = s.createState();
  const seen: string[] = [];
  for (const e of life) {
    t.ok(tr.applyTripEvent(state, e, T0));
    const c = s.counters(state, T0);
    seen.push(`${c.waiting}/${c.active}/${c.closed.completed}`);
  }
  t.same(seen, ['1/0/0', '1/0/0', '1/0/0', '1/0/0', '0/1/0', '0/1/0', '0/1/0', '0/0/1']);
  t.equal(state.tripOfDriver.size, 0, 'the driver is free again');
  s.sweep(state, T0 + s.FADE_MS + 1);
  t.equal(state.trips.size, 0, 'and the trip has faded');
  t.end();
});

t.test('the driver of an offer is asked, not assigned', (t) => {
  const state = s.createState();
  for (const e of life.slice(0, 2)) tr.applyTripEvent(state, e, T0);
  t.equal(state.trips.get('t').driverId, '');
  for (const e of life.slice(2, 5)) tr.applyTripEvent(state, e, T0);
  t.equal(state.tripOfDriver.get('d'), 't');
  t.end();
});

t.test('repeats change nothing, by trip and sequence number', (t) => {
  const state = s.createState();
  tr.applyTripEvent(state, life[0], T0);
  t.notOk(tr.applyTripEvent(state, { ...life[0], eventId: 'another' }, T0));
  t.equal(state.feed.length, 1);
  t.equal(s.counters(state, T0).waiting, 1);
  t.end();
});

t.test('in any order, with repeats and with reads between: the newest state stays, each end counts once', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: life.length - 1 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (order, readsAt) => {
        const state = s.createState();
        let newest = 0;
        for (const [step, index] of order.entries()) {
          const e = life[index]!;
          tr.applyTripEvent(state, e, T0 + step);
          newest = Math.max(newest, e.seq);
          if (readsAt.includes(step)) {
            // A read is as old as some event before it, or as new.
            const of = life[order[Math.floor(step / 2)]!]!;
            tr.applyTrip(state, read('t', of.seq, of.status, { driverId: of.seq >= 5 ? 'd' : '' }), T0 + step);
          }
        }
        const trip = state.trips.get('t');
        const expected = life[newest - 1]!;
        const ended = expected.status === 'completed';
        return (
          trip.seq === newest &&
          trip.status === expected.status &&
          (trip.closedAt !== null) === ended &&
          state.closed.completed === (ended ? 1 : 0) &&
          (state.tripOfDriver.get('d') === 't') === ['assigned', 'driver_arrived', 'in_progress'].includes(trip.status)
        );
      },
    ),
  );
  t.end();
});

t.test('a read that was under way when the trip ended does not bring it back', (t) => {
  const state = s.createState();
  tr.applyTripEvent(state, life[0], T0);
  tr.applyTripEvent(state, event('t', 2, 'cancelled', 'cancelled'), T0);
  s.sweep(state, T0 + s.FADE_MS + 1);
  tr.applyTrip(state, read('t', 1, 'requested'), T0 + 10_000);
  t.equal(state.trips.size, 0);
  t.end();
});

t.test('a trip known from an event only waits for its places', (t) => {
  const state = s.createState();
  tr.applyTripEvent(state, life[0], T0);
  t.same([...state.unresolved], ['t']);
  tr.applyTrip(state, read('t', 1, 'requested'), T0);
  t.equal(state.unresolved.size, 0);
  t.same(state.trips.get('t').pickup, { lat: 1, lng: 2 });
  t.end();
});

t.test('a read older than the last event gives the places but no step back', (t) => {
  const state = s.createState();
  for (const e of life.slice(0, 5)) tr.applyTripEvent(state, e, T0);
  tr.applyTrip(state, read('t', 2, 'offered'), T0);
  t.match(state.trips.get('t'), { status: 'assigned', driverId: 'd', pickup: { lat: 1 } });
  t.end();
});

t.test('trips that ended while nobody listened go with the next full read, those heard of since stay', (t) => {
  const state = s.createState();
  tr.applyTrip(state, read('gone', 1, 'requested'), T0);
  tr.applyTrip(state, read('there', 1, 'requested'), T0);
  tr.applyTripEvent(state, event('new', 1, 'requested', 'requested'), T0 + 2_000);
  tr.dropMissing(state, new Set(['there']), T0 + 1_000);
  t.same([...state.trips.keys()], ['there', 'new']);
  t.end();
});

t.test('positions: conditions, staleness by age alone, older never replaces newer', (t) => {
  const state = s.createState({ freshnessMs: 60_000 });
  s.applyPositions(state, [position('a'), position('b', { status: 'on_trip' }), position('')], T0);
  const drivers = (now: number) => s.counters(state, now).drivers;
  t.same(drivers(T0), { available: 1, on_trip: 1, stale: 0 });
  t.same(drivers(T0 + 60_001), { available: 0, on_trip: 0, stale: 2 });
  s.applyPositions(state, [position('a', { lat: 5, ageMs: 90_000 })], T0 + 1_000);
  t.equal(state.drivers.get('a').lat, 1, 'another node sent an older one');
  s.applyPositions(state, [position('c', { ageMs: 61_000 })], T0);
  t.equal(s.driverCondition(state, state.drivers.get('c'), T0), 'stale', 'old already when it came');
  s.sweep(state, T0 + 3_600_000);
  t.equal(state.drivers.size, 0, 'forgotten in the end');
  t.end();
});

t.test('a driver whose trip is known is on it, whatever its last position says', (t) => {
  const state = s.createState();
  s.applyPositions(state, [position('d')], T0);
  for (const e of life.slice(0, 5)) tr.applyTripEvent(state, e, T0);
  t.equal(s.counters(state, T0).drivers.on_trip, 1);
  t.end();
});

t.test('with a fast clock ages grow in domain time, and the cut-off leaves room for a few broadcasts', (t) => {
  const state = s.createState({ freshnessMs: 60_000, clockSpeed: 60 });
  s.applyPositions(state, [position('a')], T0);
  t.equal(s.driverAgeMs(state, state.drivers.get('a'), T0 + 1_000), 60_000);
  t.equal(s.counters(state, T0 + 4_000).drivers.available, 1);
  t.equal(s.counters(state, T0 + 6_000).drivers.stale, 1);
  t.end();
});

t.test('totals are the server’s; events carry them on', (t) => {
  const state = s.createState();
  s.applyStats(state, { now_ms: T0, trips: { completed: 10, cancelled: 2 } }, T0);
  for (const e of life) tr.applyTripEvent(state, e, T0);
  t.same(s.counters(state, T0).closed, { completed: 11, cancelled: 2, expired: 0 });
  s.applyStats(state, { trips: { completed: 11, cancelled: 2, expired: 1, requested: 4000 } }, T0);
  t.same(s.counters(state, T0).closed, { completed: 11, cancelled: 2, expired: 1 });
  state.truncated = true;
  t.equal(s.counters(state, T0).waiting, 4000, 'more trips than the page reads: the server counts');
  t.end();
});

t.test('feed and memory are bounded, and an interruption is written down', (t) => {
  const state = s.createState();
  for (let i = 0; i < 30_000; i++) tr.applyTripEvent(state, event(`t${i}`, 1, 'expired', 'expired'), T0);
  t.equal(state.feed.length, 200);
  t.equal(state.feedCount, 30_000);
  t.ok(state.seen.size <= 20_000 && state.ended.size <= 5_000);
  tr.noteGap(state, 'lost', T0);
  t.match(state.feed[0], { type: 'gap', reason: 'lost' });
  t.end();
});

t.test('delays: receive time less send time, another clock is not a delay', (t) => {
  const state = s.createState();
  measure.noteDelay(state, T0 - 40, T0);
  measure.noteDelay(state, T0 + 5, T0);
  measure.noteDelay(state, T0 - 3_600_000, T0);
  measure.noteDelay(state, 0, T0);
  t.same(measure.recentDelays(state, T0), [40, 0]);
  t.same(measure.recentDelays(state, T0 + 61_000), [], 'a minute later they are history');
  t.end();
});

t.test('a clock that differs measurably is corrected, one that does not is left alone', (t) => {
  const state = s.createState();
  measure.noteClock(state, { sentAt: T0, receivedAt: T0 + 20, serverTimeMs: T0 + 12 });
  t.equal(measure.clockOffsetMs(state), 0, 'within half a round trip');
  measure.noteClock(state, { sentAt: T0, receivedAt: T0 + 10, serverTimeMs: T0 + 2_005 });
  t.equal(measure.clockOffsetMs(state), 2_000);
  measure.noteDelay(state, T0 + 2_000, T0 + 30);
  t.same(measure.recentDelays(state, T0 + 30), [30]);
  const fast = s.createState({ clockSpeed: 60 });
  measure.noteClock(fast, { sentAt: T0, receivedAt: T0 + 10, serverTimeMs: T0 + 2_005 });
  t.equal(measure.clockOffsetMs(fast), 0, 'a server in domain time says nothing of the wall');
  t.end();
});

t.test('rates: a mean of ten seconds, of fewer when the page has just been opened', (t) => {
  const state = s.createState();
  t.same(measure.rates(state, T0), { events: 0, positions: 0 });
  for (let second = 0; second < 4; second++) {
    s.applyPositions(state, [position('a'), position('b')], T0 + second * 1_000);
    tr.applyTripEvent(state, event(`t${second}`, 1, 'requested', 'requested'), T0 + second * 1_000);
  }
  t.same(measure.rates(state, T0 + 4_000), { events: 1, positions: 2 });
  t.same(measure.rates(state, T0 + 20_000), { events: 0, positions: 0 });
  for (let second = 0; second < 500; second++) s.applyPositions(state, [position('a')], T0 + second * 1_000);
  t.ok(state.rates.length <= 120);
  t.end();
});

t.test('domain time goes on from the latest that was seen, at its own speed', (t) => {
  const state = s.createState({ clockSpeed: 60 });
  t.equal(measure.domainNow(state, T0), null);
  measure.noteDomainTime(state, 1_000_000, T0);
  measure.noteDomainTime(state, 900_000, T0 + 100);
  t.equal(measure.domainNow(state, T0 + 1_000), 1_060_000);
  t.end();
});
