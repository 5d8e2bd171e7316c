/** Payments of bookings over real store, Redis and queues, on two nodes: what is held, captured and released as passengers and drivers act. */
import t from 'tap';
import type { Departure } from '../../../src/domain/departures/departure.ts';
import type { DepartureInput } from '../../../src/domain/departures/service.ts';
import { ledgerIdOf, paymentIdOf } from '../../../src/domain/payments/payment.ts';
import { RideError } from '../../../src/errors.ts';
import type { HoldOutcome, HoldRequest, Payments as Provider } from '../../../src/ports/payments.ts';
import { until } from '../../until.ts';
import { CENTER, manualClock, near, person, type Stack, shared, stack } from '../stack.ts';

const HOUR = 3_600_000;
const clock = manualClock();
const place = await shared(t, clock);
let isAway = false;
const away = () => Promise.reject(new RideError('RIDE_UNAVAILABLE', 'the provider is away'));
/** A second hold, as the provider answers whoever is called so. */
async function renewed(real: Provider, asked: HoldRequest): Promise<HoldOutcome> {
  if (asked.riderId === 'poor') return { declined: 'insufficient_funds' };
  if (asked.riderId === 'unheard') throw new RideError('RIDE_INVALID_INPUT', 'never heard of');
  return real.hold(asked);
}
const nodes = await Promise.all(
  [0, 1].map(() =>
    stack(t, place, {
      wrapPayments: (real) => ({
        ...real,
        hold: (asked) => (isAway ? away() : asked.key.endsWith('.renew') ? renewed(real, asked) : real.hold(asked)),
      }),
    }),
  ),
);
const [a, b] = nodes as [Stack, Stack];

let drivers = 0;
async function published(more: Partial<DepartureInput> = {}): Promise<Departure> {
  const driverId = `driver-${++drivers}`;
  const input = {
    ...{ driverId, pickup: CENTER, dropoff: near(20_000), city: 'testville', departureTime: clock.now() + 30 * HOUR },
    ...{ seats: 3, seatFareMinor: 1001, vehicleClass: 'standard' as const, ...more },
  };
  return (await a.departures.publish(person('driver', driverId), input)).departure;
}

const book = async (s: Stack, { id }: Departure, passengerId: string, seats = 1) =>
  (await s.bookings.book(id, { passengerId, seats })).booking;
const becomes = (bookingId: string, status: string) =>
  until(
    async () => (await a.payments.find(bookingId))?.status === status,
    `a payment of ${bookingId} that is ${status}`,
  );
const openHolds = async () =>
  (await a.provider.openHolds(Number.MAX_SAFE_INTEGER, 100)).items.map(({ paymentId }) => paymentId).sort();

/** The driver's part, from the pick-up on. */
async function drive({ id, driverId }: Departure, ...steps: ('arrive' | 'start' | 'complete')[]): Promise<void> {
  for (const type of steps) {
    if (type === 'arrive') await b.departures.arrive(person('driver', driverId), id);
    else await b.departures.command(id, { type, driverId });
  }
}

t.test(
  'held when seats are booked, captured when the journey is over, booked once, and read by who paid',
  async (t) => {
    const departure = await published({ departureTime: clock.now() + HOUR / 2 });
    const { id: bookingId } = await book(a, departure, 'payer', 2);
    await becomes(bookingId, 'held');
    t.same(await openHolds(), [paymentIdOf(bookingId)]);
    t.hasStrict(await b.payments.find(bookingId), {
      holdMinor: 2002,
      owedMinor: null,
      riderId: 'payer',
      tripId: departure.id,
      bookingId,
      currency: 'USD',
    });
    await drive(departure, 'arrive');
    await b.bookings.attend(departure.driverId, bookingId, 'board');
    await drive(departure, 'start');
    await Promise.all(nodes.map((node) => node.idle()));
    t.equal((await a.payments.find(bookingId))!.status, 'held', 'not before it is over');
    await drive(departure, 'complete');
    await becomes(bookingId, 'settled');
    const payment = await a.payments.ofBooking(person('rider', 'payer'), bookingId);
    t.hasStrict(payment, { owedMinor: 2002, capturedMinor: 2002, dueAt: null });
    t.same(
      payment.history.map(({ seq, type }) => [seq, type]),
      ['requested', 'held', 'owed', 'captured', 'settled'].map((type, i) => [i + 1, type]),
    );
    const entry = (await a.collections.ledger.get(ledgerIdOf(bookingId)))!;
    t.hasStrict(entry, { bookingId, tripId: departure.id, paymentId: payment.id });
    t.same(
      entry.lines.map(({ amountMinor }) => amountMinor),
      [2002, -2002],
    );
    t.same(await openHolds(), []);
    for (const who of ['stranger', departure.driverId])
      await t.rejects(a.payments.ofBooking(person('rider', who), bookingId), { code: 'RIDE_FORBIDDEN' }, who);
    await t.rejects(a.payments.ofBooking(person('rider', 'payer'), 'bkg'), { code: 'RIDE_NOT_FOUND' });
    t.equal((await a.payments.ofBooking(person('admin', 'desk'), bookingId)).id, payment.id);
  },
);

t.test('cancelled: nothing in time, the fee when late, nothing when somebody else puts him off', async (t) => {
  const departure = await published({ seats: 6 });
  const names = ['early', 'middle', 'late', 'refused', 'left'];
  const [early, middle, late, refused, left] = await Promise.all(
    names.map((name, i) => book(nodes[i % 2]!, departure, name)),
  );
  for (const { id } of [early!, middle!, late!, refused!, left!]) await becomes(id, 'held');
  await a.bookings.cancel(person('rider', 'early'), early!.id);
  await becomes(early!.id, 'released');
  clock.add(7 * HOUR);
  await b.bookings.cancel(person('rider', 'middle'), middle!.id);
  await becomes(middle!.id, 'settled');
  clock.add(22 * HOUR);
  await a.bookings.cancel(person('rider', 'late'), late!.id);
  await becomes(late!.id, 'settled');
  await b.bookings.cancel(person('driver', departure.driverId), refused!.id);
  await becomes(refused!.id, 'released');
  await a.departures.cancel(person('driver', departure.driverId), departure.id);
  await becomes(left!.id, 'released');
  const captured = await Promise.all([early!, middle!, late!, refused!, left!].map(({ id }) => a.payments.find(id)));
  t.same(
    captured.map((payment) => payment!.capturedMinor),
    [0, 501, 1001, 0, 0],
  );
  t.same(await openHolds(), []);
});

t.test('who did not come pays when it leaves without him, and nothing when it is cancelled after all', async (t) => {
  for (const isLeft of [true, false]) {
    const departure = await published({ departureTime: clock.now() + HOUR / 2 });
    const { id } = await book(a, departure, 'absent');
    const { id: other } = await book(b, departure, 'there');
    for (const one of [id, other]) await becomes(one, 'held');
    await drive(departure, 'arrive');
    clock.add(HOUR / 2);
    const { booking } = await b.bookings.attend(departure.driverId, id, 'no_show');
    t.equal(booking.feeMinor, 1001);
    await Promise.all(nodes.map((node) => node.idle()));
    t.equal((await a.payments.find(id))!.owedMinor, null, 'it is not known yet');
    if (isLeft) await drive(departure, 'start', 'complete');
    else await a.departures.cancel(person('driver', departure.driverId), departure.id);
    for (const one of [id, other]) await becomes(one, isLeft ? 'settled' : 'released');
    const { booking: now } = await b.bookings.get(person('rider', 'absent'), id);
    t.hasStrict(now, { status: 'no_show', feeMinor: isLeft ? 1001 : 0, version: isLeft ? 2 : 3 });
  }
});

t.test('booked long ahead: the hold is made anew before it is needed, once, and the old one released', async (t) => {
  const departure = await published({ departureTime: clock.now() + 10 * 24 * HOUR, seats: 4 });
  const near = await published({ departureTime: clock.now() + 6 * 24 * HOUR });
  const bookings = await Promise.all(
    ['rich', 'poor', 'unheard'].map((name, i) => book(nodes[i % 2]!, departure, name)),
  );
  const [rich, poor, unheard] = bookings.map(({ id }) => id) as [string, string, string];
  const { id: soon } = await book(a, near, 'soon');
  for (const id of [rich, poor, unheard, soon]) await becomes(id, 'held');
  t.equal((await a.payments.find(soon))!.dueAt, null, 'its hold is good for so long');
  const reconciled = async () => {
    await Promise.all(nodes.map((node) => node.payments.reconcile(60_000)));
    await Promise.all(nodes.map((node) => node.idle()));
  };
  const before = (await a.payments.find(rich))!;
  t.equal(before.dueAt, departure.departureTime - 24 * HOUR);
  clock.add(9 * 24 * HOUR - 1);
  await reconciled();
  t.strictSame(await a.payments.find(rich), before, 'not before it is time');
  clock.add(1);
  await reconciled();
  const typesOf = async (id: string) => (await b.payments.find(id))!.history.map(({ type }) => type).slice(2);
  await until(async () => (await typesOf(rich)).includes('renewed'), 'another hold');
  const after = (await a.payments.find(rich))!;
  t.hasStrict(after, { status: 'held', holdMinor: 1001, dueAt: null });
  t.not(after.holdId, before.holdId);
  await becomes(poor, 'released');
  t.same(await typesOf(poor), ['renewal_requested', 'renewal_declined', 'owed', 'released']);
  t.hasStrict((await a.bookings.any(poor))!.booking, { status: 'cancelled', cancelReason: 'payment_declined' });
  await until(async () => (await typesOf(unheard)).includes('renewal_failed'), 'that it cannot be had');
  t.hasStrict(await a.payments.find(unheard), { status: 'held', dueAt: null }, 'what is held stays');
  const ofThese = async () => (await openHolds()).filter((id) => [rich, poor, unheard].map(paymentIdOf).includes(id));
  await until(async () => (await ofThese()).length === 2, 'the old hold to be released');
  clock.add(24 * HOUR - HOUR / 2);
  await drive(departure, 'arrive');
  clock.add(HOUR / 2);
  await drive(departure, 'start', 'complete');
  for (const id of [rich, unheard]) {
    await becomes(id, 'settled');
    t.equal((await a.payments.find(id))!.capturedMinor, 1001);
  }
  t.same(await ofThese(), []);
  await a.departures.cancel(person('driver', near.driverId), near.id).catch(() => {});
});

t.test('seats that cost nothing have no payment', async (t) => {
  const departure = await published({ seatFareMinor: 0 });
  const { id } = await book(a, departure, 'guest');
  await a.bookings.cancel(person('rider', 'guest'), id);
  await Promise.all(nodes.map((node) => node.idle()));
  t.equal(await b.payments.find(id), null);
  await t.rejects(b.payments.ofBooking(person('rider', 'guest'), id), { code: 'RIDE_NOT_FOUND', field: 'booking_id' });
});

t.test('what is owed may be heard before what is to be held: nothing stays held for what has ended', async (t) => {
  const departure = await published();
  const { id } = await book(a, departure, 'early');
  await becomes(id, 'held');
  await a.bookings.cancel(person('rider', 'early'), id);
  await becomes(id, 'released');
  // The same once more under another id, heard by two nodes the other way round.
  const { bookings, history, ...ended } = await a.departures.get(departure.id);
  const again = `${id}-again`;
  const twin: Departure = { ...ended, history, bookings: [{ ...bookings[0]!, id: again }] };
  const heard = (type: string) => {
    const event = history.find((one) => one.type === type)!;
    return { ...event, booking: { ...event.booking!, id: again } };
  };
  await a.payments.reactToDeparture(twin, heard('booking_cancelled'));
  t.hasStrict(await a.payments.find(again), { status: 'released', owedMinor: 0, holdId: null }, 'over from the start');
  // Read before it was cancelled.
  const stale: Departure = { ...twin, bookings: [{ ...twin.bookings[0]!, status: 'confirmed' }] };
  for (const departure of [twin, stale]) await b.payments.reactToDeparture(departure, heard('booked'));
  await Promise.all(nodes.map((node) => node.idle()));
  t.hasStrict(await a.payments.find(again), { status: 'released', owedMinor: 0, capturedMinor: 0, holdId: null });
  t.notOk((await openHolds()).includes(paymentIdOf(again)));
});

t.test('declined: the seats are free again; who is on board by then is driven, and it stays owed', async (t) => {
  const departure = await published({ seats: 2, departureTime: clock.now() + HOUR / 2 });
  const racers = ['declined-1', 'declined-2', 'able-1', 'able-2', 'able-3'];
  // Whoever is declined makes room for who can pay: in the end the seats are theirs, each with one hold.
  const sold = async () =>
    (await a.departures.get(departure.id)).bookings
      .filter((one) => one.status === 'confirmed')
      .map((one) => one.passengerId);
  await until(async () => {
    await Promise.allSettled(racers.map((name, i) => book(nodes[i % 2]!, departure, name)));
    const names = await sold();
    return names.length === 2 && names.every((name) => name.startsWith('able'));
  }, 'both seats to be of passengers who can pay');
  const { bookings } = await b.departures.get(departure.id);
  const declined = bookings.filter(({ passengerId }) => passengerId.startsWith('declined'));
  for (const one of declined) {
    t.hasStrict(one, { status: 'cancelled', cancelledBy: 'system', cancelReason: 'payment_declined', feeMinor: 0 });
    await until(async () => (await a.payments.find(one.id))?.owedMinor === 0, 'nothing owed');
    t.hasStrict(await a.payments.find(one.id), { status: 'declined', declineReason: 'insufficient_funds' });
  }
  const wanted = bookings.filter(({ status }) => status === 'confirmed').map(({ id }) => id);
  for (const id of wanted) await becomes(id, 'held');
  t.same(await openHolds(), wanted.map(paymentIdOf).sort());
  await a.departures.cancel(person('driver', departure.driverId), departure.id);
  for (const id of wanted) await becomes(id, 'released');

  isAway = true;
  const later = await published({ departureTime: clock.now() + HOUR / 2 });
  const { id } = await book(a, later, 'declined-3');
  await until(async () => ((await a.payments.find(id))?.attempts ?? 0) > 0, 'a try that failed');
  await drive(later, 'arrive');
  await b.bookings.attend(later.driverId, id, 'board');
  isAway = false;
  clock.add(HOUR / 60);
  await b.payments.reconcile(0);
  await becomes(id, 'declined');
  t.equal((await a.bookings.find(later.id, id))!.booking.status, 'boarded');
  await drive(later, 'start', 'complete');
  await becomes(id, 'unpaid');
});

t.test(
  'a payment that was not told of its end is told by the reconciliation, one that goes on is left alone',
  async (t) => {
    const over = await published({ departureTime: clock.now() + HOUR / 2 });
    const open = await published();
    const { id } = await book(a, over, 'untold');
    const { id: other } = await book(a, open, 'patient');
    for (const one of [id, other]) await becomes(one, 'held');
    // A node that was started without a provider tells no payment.
    const poor = await stack(t, place, { queues: a.queues, wrapPorts: (ports) => ({ ...ports, payments: null }) });
    await poor.departures.cancel(person('driver', over.driverId), over.id);
    await poor.idle();
    t.hasStrict(await a.payments.find(id), { status: 'held', owedMinor: null });
    const payments = a.collections.payments;
    const stored = (await a.payments.find(id))!;
    const what = { bookingId: 'bkg-gone', tripId: 'trip-gone', holdId: null, status: 'holding' as const };
    const gone = { ...stored, id: paymentIdOf('bkg-gone'), version: 1, dueAt: clock.now(), ...what };
    await payments.insert(gone);
    clock.add(HOUR);
    t.hasStrict(await b.payments.reconcile(0), { steps: 1, trips: 1 });
    await becomes(id, 'released');
    clock.add(1000);
    t.hasStrict(await b.payments.reconcile(0), { trips: 1 }, 'that of a booking that is gone, when it was held');
    await until(async () => (await payments.get(gone.id))?.status === 'released', 'its hold to be let go of');
    t.equal((await a.payments.find(other))!.status, 'held');
    t.same(await openHolds(), [paymentIdOf(other)]);
  },
);

t.end();
