/** The life of a departure and of its seats, by its rules alone: whatever is done to it, in whatever order. */
import fc from 'fast-check';
import t from 'tap';
import { cancelFeeMinor, cancelSteps, holdsSeats } from '../../../src/domain/bookings/rules.ts';
import { cellOf, cellsAround, RADIUS_MAX_M } from '../../../src/domain/departures/cover.ts';
import { type DepartureState, evolveDeparture, isPassenger } from '../../../src/domain/departures/rules.ts';
import { distanceM } from '../../../src/domain/geo.ts';
import { isTerminal } from '../../../src/domain/statuses.ts';
import { type Command, command, DRIVER, decideAny, LEAVES, moment, published, TERMS } from './arbitraries.ts';

const HOUR = 3_600_000;

/** Applies a command as the store would; the refusal's code where there is one. */
function act(state: DepartureState, command: Command, now: number): { state: DepartureState; refused?: string } {
  const decision = decideAny(state, command, now);
  if ('refusal' in decision) return { state, refused: decision.refusal.code };
  const next = decision.events.reduce(evolveDeparture, { ...state, version: state.version + 1 });
  return decision.events.length === 0 ? { state } : { state: next };
}

function must(state: DepartureState, commands: readonly [Command, number][]): DepartureState {
  return commands.reduce((before, [command, now]) => {
    const { state: after, refused } = act(before, command, now);
    if (refused) throw new Error(`${JSON.stringify(command)}: ${refused}`);
    return after;
  }, state);
}

const book = (bookingId: string, passengerId: string, seats = 1): Command => ({
  type: 'book',
  bookingId,
  passengerId,
  seats,
});
const step = (type: 'arrive' | 'start' | 'complete'): Command => ({ type, driverId: DRIVER });
const refusal = (state: DepartureState, command: Command, now: number) => {
  const decision = decideAny(state, command, now);
  return 'refusal' in decision ? decision.refusal : null;
};

t.test('whatever is done: no seat twice, one booking a passenger, nothing after the end', async (t) => {
  const seen = new Set<string>();
  const acts = fc.array(fc.tuple(command, moment), { minLength: 1, maxLength: 25 });
  // Blind commands hardly ever get a departure on its way.
  const way: [Command, number][] = [
    [book('b1', 'ann'), LEAVES - 30 * HOUR],
    [step('arrive'), LEAVES - HOUR],
    [step('start'), LEAVES],
  ];
  const property = fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(way.length), acts, (seats, gone, acts) => {
    let state = published(seats);
    for (const [command, now] of [...way.slice(0, gone), ...acts]) {
      const over = isTerminal(state.status);
      const { state: next, refused } = act(state, command, now);
      seen.add(refused ?? `${command.type} → ${next.status}`);
      const taken = next.bookings.filter((b) => b.status !== 'cancelled').reduce((sum, b) => sum + b.seats, 0);
      if (taken > seats || next.seatsFree !== seats - taken) throw new Error(`${taken} of ${seats} taken`);
      const holders = next.bookings.filter(holdsSeats).map((b) => b.passengerId);
      if (new Set(holders).size !== holders.length || holders.includes(DRIVER)) throw new Error(`${holders}`);
      if (over && next !== state) throw new Error('changed after its end');
      if (isTerminal(next.status) && next.bookings.some(holdsSeats)) throw new Error('a seat is held for ever');
      // A repeat changes nothing more.
      if (!refused && act(next, command, now).state !== next) throw new Error(`${command.type} repeated`);
      for (const [i, booking] of state.bookings.entries()) {
        const after = next.bookings[i]!;
        const isSame = after.status === booking.status && after.feeMinor === booking.feeMinor;
        if (after.version - booking.version !== (isSame ? 0 : 1)) throw new Error('version');
        if (!isSame && after.status === 'no_show' && booking.status === 'no_show' && next.startedAt !== undefined)
          throw new Error('it left without him, and he owes nothing');
      }
      state = next;
    }
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 800 }));
  for (const code of ['RIDE_SEATS_TAKEN', 'RIDE_ALREADY_EXISTS', 'RIDE_PRECONDITION_FAILED', 'complete → completed'])
    t.ok(seen.has(code), `${code} among ${[...seen]}`);
});

t.test('the loser of the last seat is told who won, and at which version', async (t) => {
  const full = must(published(2), [
    [book('b1', 'ann'), 0],
    [book('b2', 'bob'), 0],
  ]);
  t.match(refusal(full, book('b3', 'cem'), 0), {
    code: 'RIDE_SEATS_TAKEN',
    facts: { seats_asked: 1, seats_free: 0, winner_booking_id: 'b2', winner_version: 3, status: 'scheduled' },
  });
  t.match(refusal(published(2), book('b3', 'cem', 3), 0), { facts: { seats_free: 2, winner_booking_id: null } });
});

t.test('what is refused, and why', async (t) => {
  const early = LEAVES - 30 * HOUR;
  const booked = must(published(), [[book('b1', 'ann'), early]]);
  const boarding = must(booked, [[step('arrive'), LEAVES - HOUR]]);
  const riding = must(boarding, [[step('start'), LEAVES]]);
  const cancel = (actorId: string, role: 'rider' | 'driver', bookingVersion?: number): Command => ({
    type: 'cancel_booking',
    bookingId: 'b1',
    actorId,
    role,
    ...(bookingVersion ? { bookingVersion } : {}),
  });
  const board = (bookingId: string, driverId = DRIVER): Command => ({ type: 'board', bookingId, driverId });
  const missing = (bookingId: string): Command => ({ type: 'no_show', bookingId, driverId: DRIVER });
  const cases: [string, DepartureState, Command, number, string][] = [
    ['his own departure', published(), book('b', DRIVER), early, 'RIDE_FORBIDDEN'],
    ['a second booking', booked, book('b', 'ann'), early, 'RIDE_ALREADY_EXISTS'],
    ['too late', published(), book('b', 'bob'), LEAVES - HOUR / 6, 'RIDE_ILLEGAL_TRANSITION'],
    ['while it is boarded', boarding, book('b', 'bob'), early, 'RIDE_ILLEGAL_TRANSITION'],
    ['an unknown booking', booked, { ...cancel('ann', 'rider'), bookingId: 'b9' } as Command, early, 'RIDE_NOT_FOUND'],
    ['somebody else’s booking', booked, cancel('bob', 'rider'), early, 'RIDE_FORBIDDEN'],
    ['another driver', booked, cancel('other', 'driver'), early, 'RIDE_FORBIDDEN'],
    ['another version', booked, cancel('ann', 'rider', 2), early, 'RIDE_PRECONDITION_FAILED'],
    ['on board already', riding, cancel('ann', 'rider'), LEAVES, 'RIDE_ILLEGAL_TRANSITION'],
    ['boarding before he is there', booked, board('b1'), LEAVES, 'RIDE_ILLEGAL_TRANSITION'],
    ['boarding by another', boarding, board('b1', 'other'), LEAVES, 'RIDE_FORBIDDEN'],
    ['boarding of nobody', boarding, board('b9'), LEAVES, 'RIDE_NOT_FOUND'],
    ['missed before the time', boarding, missing('b1'), LEAVES - 1, 'RIDE_ILLEGAL_TRANSITION'],
    ['boarding too early', booked, step('arrive'), LEAVES - HOUR - 1, 'RIDE_ILLEGAL_TRANSITION'],
    ['leaving without them', boarding, step('start'), LEAVES - 1, 'RIDE_ILLEGAL_TRANSITION'],
    ['leaving from nowhere', booked, step('start'), LEAVES, 'RIDE_ILLEGAL_TRANSITION'],
    ['a step of another', booked, { type: 'arrive', driverId: 'other' }, LEAVES, 'RIDE_FORBIDDEN'],
    ['cancelled by a passenger', booked, { type: 'cancel', actorId: 'ann', role: 'rider' }, early, 'RIDE_FORBIDDEN'],
    [
      'by its driver on the way',
      riding,
      { type: 'cancel', actorId: DRIVER, role: 'driver' },
      LEAVES,
      'RIDE_ILLEGAL_TRANSITION',
    ],
  ];
  for (const [name, state, command, now, code] of cases) t.equal(refusal(state, command, now)?.code, code, name);
  let often = published();
  for (const [i, id] of ['b1', 'b2', 'b3'].entries()) {
    often = must(often, [[book(id, 'ann'), early + i]]);
    often = must(often, [[{ type: 'cancel_booking', bookingId: id, actorId: 'ann', role: 'rider' }, early + i]]);
  }
  t.equal(refusal(often, book('b4', 'ann'), early)?.code, 'RIDE_FORBIDDEN', 'booked and cancelled too often');
  t.equal(refusal(often, book('b4', 'bob'), early), null, 'which is nothing to the others');
});

t.test('who is not there is waited for, from the arrival of a driver who is late', async (t) => {
  const state = published();
  const waits: DepartureState = { ...state, terms: { ...state.terms, waitsMs: 180_000 } };
  const booked = must(waits, [[book('b1', 'ann'), LEAVES - 30 * HOUR]]);
  const missing: Command = { type: 'no_show', bookingId: 'b1', driverId: DRIVER };
  for (const [arrivedAt, from] of [
    [LEAVES - HOUR, LEAVES],
    [LEAVES - 60_000, LEAVES + 120_000],
    [LEAVES + 60_000, LEAVES + 240_000],
  ] as const) {
    const boarding = must(booked, [[step('arrive'), arrivedAt]]);
    t.match(refusal(boarding, missing, from - 1), { facts: { no_show_from_ms: from, departure_time_ms: LEAVES } });
    t.equal(refusal(boarding, missing, from), null);
  }
});

t.test('leaving before the time with everybody, and after it without who did not come', async (t) => {
  const early = LEAVES - 30 * HOUR;
  const booked = must(published(), [
    [book('b1', 'ann', 2), early],
    [book('b2', 'bob'), early],
  ]);
  const boarding = must(booked, [[step('arrive'), LEAVES - HOUR]]);
  const all = must(boarding, [
    [{ type: 'board', bookingId: 'b1', driverId: DRIVER }, LEAVES - HOUR],
    [{ type: 'board', bookingId: 'b2', driverId: DRIVER }, LEAVES - HOUR],
    [step('start'), LEAVES - HOUR],
    [step('complete'), LEAVES],
  ]);
  t.same(
    all.bookings.map((b) => b.status),
    ['completed', 'completed'],
  );
  const without = must(boarding, [
    [{ type: 'no_show', bookingId: 'b1', driverId: DRIVER }, LEAVES],
    [step('start'), LEAVES],
  ]);
  t.match(without.bookings, [{ status: 'no_show', feeMinor: Math.round(2002 * 0.8) }, { status: 'boarded' }]);
  t.notOk(isPassenger(without, 'ann'), 'who did not come does not follow it');
  t.ok(isPassenger(without, 'bob'));
  const recalled = must(must(boarding, [[{ type: 'board', bookingId: 'b1', driverId: DRIVER }, LEAVES]]), [
    [{ type: 'recall' }, LEAVES],
  ]);
  t.same([recalled.status, ...recalled.bookings.map((b) => b.status)], ['scheduled', 'confirmed', 'confirmed']);
});

t.test('fees: fixed with the terms, nothing for whom another puts off, never less for later', async (t) => {
  const at = (beforeMs: number): number => cancelFeeMinor(TERMS, LEAVES, 1001, LEAVES - beforeMs);
  t.same(
    [at(48 * HOUR), at(24 * HOUR), at(24 * HOUR - 1), at(2 * HOUR), at(2 * HOUR - 1), at(-HOUR)],
    [0, 0, 501, 501, 1001, 1001],
  );
  t.same(cancelSteps(TERMS, LEAVES, 1001), [
    { until: LEAVES - 24 * HOUR, feeMinor: 0 },
    { until: LEAVES - 2 * HOUR, feeMinor: 501 },
    { feeMinor: 1001 },
  ]);
  const instant = fc.integer({ min: LEAVES - 72 * HOUR, max: LEAVES + HOUR });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(1_000_000), instant, fc.nat(HOUR * 48), (fare, now, later) => {
        const fee = cancelFeeMinor(TERMS, LEAVES, fare, now);
        return Number.isSafeInteger(fee) && fee <= fare && fee <= cancelFeeMinor(TERMS, LEAVES, fare, now + later);
      }),
    ),
  );
  const booked = must(published(), [[book('b1', 'ann'), LEAVES - 30 * HOUR]]);
  for (const [actorId, role] of [
    [DRIVER, 'driver'],
    ['desk', 'admin'],
  ] as const) {
    const put = must(booked, [[{ type: 'cancel_booking', bookingId: 'b1', actorId, role }, LEAVES - 1]]);
    t.match(put.bookings[0], { status: 'cancelled', feeMinor: 0, cancelledBy: actorId });
  }
  const own = must(booked, [
    [{ type: 'cancel_booking', bookingId: 'b1', actorId: 'ann', role: 'rider', reason: 'ill' }, LEAVES - 1],
  ]);
  t.match(own.bookings[0], { feeMinor: 1001, cancelledBy: 'passenger', cancelReason: 'ill' });
  const whole = must(booked, [[{ type: 'cancel', actorId: DRIVER, role: 'driver' }, LEAVES - 1]]);
  t.match(whole, { seatsFree: 3, bookings: [{ status: 'cancelled', feeMinor: 0 }] });
});

t.test('cells around a place hold every place within the radius, anywhere on earth', async (t) => {
  const lat = fc.double({ min: -80, max: 80, noNaN: true });
  const lng = fc.double({ min: -180, max: 180, noNaN: true });
  const turn = fc.double({ min: 0, max: 2 * Math.PI, noNaN: true });
  const radius = fc.integer({ min: 100, max: RADIUS_MAX_M });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(lat, lng, radius, fc.array(turn, { minLength: 4, maxLength: 8 }), (lat, lng, radiusM, turns) => {
        const cells = new Set(cellsAround({ lat, lng }, radiusM));
        if (cells.size > 700) throw new Error(`${cells.size} cells`);
        for (const angle of turns) {
          const north = (radiusM * 0.999 * Math.cos(angle)) / 111_195;
          const east = (radiusM * 0.999 * Math.sin(angle)) / (111_195 * Math.cos((lat * Math.PI) / 180));
          const place = { lat: lat + north, lng: ((lng + east + 540) % 360) - 180 };
          if (distanceM({ lat, lng }, place) > radiusM) continue;
          if (!cells.has(cellOf(place))) throw new Error(`${JSON.stringify(place)} is not covered`);
        }
      }),
      { numRuns: 150 },
    ),
  );
});
