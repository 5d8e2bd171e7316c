/**
 * A process that is killed at any point of a booking and its payment: another one brings the departure and the payment to an end, no seat
 * is lost or sold twice, and no event is missing or told twice. Here it is killed after each effect on a payment, the books or the
 * provider, in stories of other ends from where they differ on; `script/crash` tries all effects, and before each too.
 */
import t, { type Test } from 'tap';
import { owedMinor } from '../../../src/domain/bookings/rules.ts';
import type { Booked } from '../../../src/domain/bookings/service.ts';
import type { Departure } from '../../../src/domain/departures/departure.ts';
import { isSettled } from '../../../src/domain/departures/rules.ts';
import { ledgerIdOf } from '../../../src/domain/payments/payment.ts';
import { isTerminal } from '../../../src/domain/statuses.ts';
import { until } from '../../until.ts';
import { shortLife } from '../lives.ts';
import { mortal, type When } from '../mortal.ts';
import { CENTER, manualClock, near, person, type Stack, shared, stack } from '../stack.ts';
import { counted, nothingLeft, toldOnce } from './sound.ts';

const isLong = process.env.CRASH_LONG === '1';
const LIMIT_MS = 60_000;
const FARE = 700;
t.setTimeout(isLong ? 900_000 : 240_000);

const clock = manualClock();
const place = await shared(t, clock);
const survivor = await stack(t, place);

interface Scenario {
  name: string;
  passengerId(n: number): string;
  /** What happens once he has booked. */
  go(s: Stack, booked: Booked): Promise<void>;
  /** Of the payment, when nobody dies. */
  ends: string;
  /** Until its last change of the departure it is as the first. */
  isAsFirst?: true;
  /** How long ahead it is booked, if not at the last moment; ms. */
  aheadMs?: number;
}

const LAST_MOMENT_MS = 1_800_000;
const DAY_MS = 86_400_000;

const driverOf = ({ driverId }: Departure) => person('driver', driverId);

/** The driver's next step, on any node. */
async function take(s: Stack, departure: Departure): Promise<void> {
  const { id, status, driverId, bookings } = departure;
  if (status === 'scheduled') await s.departures.arrive(driverOf(departure), id);
  if (status === 'driver_arrived') {
    for (const one of bookings) if (one.status === 'confirmed') await s.bookings.attend(driverId, one.id, 'board');
    await s.departures.command(id, { type: 'start', driverId });
  }
  if (status === 'in_progress') await s.departures.command(id, { type: 'complete', driverId });
}

const scenarios: Scenario[] = [
  {
    name: 'a journey to its end',
    passengerId: (n) => `rider-${n}`,
    async go(s, { departure: { id } }) {
      for (let i = 0; i < 3; i++) await take(s, await s.departures.get(id));
    },
    ends: 'settled',
  },
  { name: 'a booking that is declined', passengerId: (n) => `declined-${n}`, async go() {}, ends: 'declined' },
  {
    name: 'a booking that its passenger cancels late',
    passengerId: (n) => `rider-${n}`,
    go: async (s, { booking: { id, passengerId } }) => void (await s.bookings.cancel(person('rider', passengerId), id)),
    ends: 'settled',
    isAsFirst: true,
  },
  {
    name: 'a departure that its driver cancels',
    passengerId: (n) => `rider-${n}`,
    go: async (s, { departure }) => void (await s.departures.cancel(driverOf(departure), departure.id)),
    ends: 'released',
    isAsFirst: true,
  },
  {
    name: 'a hold that is made anew before a departure that was booked long ahead',
    passengerId: (n) => `rider-${n}`,
    aheadMs: 7 * DAY_MS,
    async go(s, { departure, booking: { id, passengerId } }) {
      // Late enough for a fee.
      clock.add(departure.departureTime - DAY_MS + 1 - clock.now());
      await s.payments.reconcile(10_000);
      // Read by the one who may have died: then there is nothing to wait for.
      const isRenewed = async () =>
        (await s.payments.find(id))?.history.some(({ type }) => type === 'renewed') ?? false;
      await until(isRenewed, 'another hold', LIMIT_MS);
      await s.idle();
      await s.bookings.cancel(person('rider', passengerId), id);
    },
    ends: 'settled',
  },
];

let journeys = 0;

async function hasEnded(id: string): Promise<boolean> {
  const departure = await survivor.departures.get(id);
  if (!isTerminal(departure.status)) return false;
  const payments = await Promise.all(departure.bookings.map((one) => survivor.payments.find(one.id)));
  return payments.every((payment) => payment !== null && payment.dueAt === null && payment.owedMinor !== null);
}

async function carryOn(id: string): Promise<void> {
  const { departureTime } = await survivor.departures.get(id);
  clock.add(Math.max(0, departureTime - LAST_MOMENT_MS - clock.now()));
  await until(
    async () => {
      // Older than the patience with a step.
      clock.add(31_000);
      await survivor.sweep();
      await survivor.payments.reconcile(10_000);
      await survivor.idle();
      await take(survivor, await survivor.departures.get(id));
      await survivor.idle();
      return hasEnded(id);
    },
    'the departure and its payments to come to an end',
    LIMIT_MS,
  );
}

async function soundAfter(t: Test, id: string): Promise<void> {
  const s = survivor;
  const departure = await s.departures.get(id);
  t.ok(counted(departure.history), 'no event of the departure is missing');
  await toldOnce(t, s, id, departure.history);
  const held = departure.bookings.filter(({ status }) => status !== 'cancelled').length;
  t.equal(departure.seatsFree, departure.seats - held, 'every seat is accounted for');
  for (const booking of departure.bookings) {
    const payment = (await s.payments.find(booking.id))!;
    t.ok(counted(payment.history), 'no event of the payment is missing');
    const owed = owedMinor(booking, isSettled(departure))!;
    const isDeclined = payment.declineReason !== undefined;
    t.equal(payment.capturedMinor, isDeclined ? 0 : owed, `${booking.status}: captured what is owed`);
    const end = isDeclined ? (owed > 0 ? 'unpaid' : 'declined') : owed > 0 ? 'settled' : 'released';
    t.equal(payment.status, end);
    const entry = await s.collections.ledger.get(ledgerIdOf(booking.id));
    t.equal(entry !== null, end === 'settled', 'in the books if it was paid');
  }
  await nothingLeft(t, s, id);
}

/** One booking on a process that dies at a point; resolves the points that it came to. */
async function dyingJourney(t: Test, scenario: Scenario, at: number, when: When): Promise<readonly string[]> {
  const n = ++journeys;
  const driverId = `driver-${n}`;
  const input = {
    ...{ driverId, pickup: CENTER, dropoff: near(20_000), city: 'testville' },
    departureTime: clock.now() + (scenario.aheadMs ?? LAST_MOMENT_MS),
    ...{ seats: 2, seatFareMinor: FARE, vehicleClass: 'standard' as const },
  };
  const { departure } = await survivor.departures.publish(person('driver', driverId), input);
  const { id } = departure;
  const body = mortal(at, when);
  const { s: dying, end } = await shortLife(t, place, survivor, body);
  try {
    const booked = await dying.bookings.book(id, { passengerId: scenario.passengerId(n), seats: 1 });
    const { id: bookingId } = booked.booking;
    const isKnown = async () => {
      const status = (await survivor.payments.find(bookingId))?.status;
      return body.isDead() || (status !== undefined && status !== 'holding');
    };
    await until(isKnown, 'an answer of the provider', LIMIT_MS);
    await scenario.go(dying, booked);
    const goesOn = async () => body.isDead() || (await survivor.payments.find(bookingId))?.status === scenario.ends;
    await until(goesOn, 'the payment to end or the process to die', LIMIT_MS);
    await dying.idle();
  } catch (error) {
    if (!body.isDead()) throw error;
  }
  await end();
  await carryOn(id);
  await soundAfter(t, id);
  return body.points;
}

const isOfMoney = (point: string): boolean => /^(payments|ledgerEntries)\./.test(point);

for (const scenario of scenarios) {
  t.test(`killed at every point of ${scenario.name}`, async (t) => {
    const points = await dyingJourney(t, scenario, Number.POSITIVE_INFINITY, 'before');
    t.ok(points.filter(isOfMoney).length > 4, points.join(', '));
    const from = scenario.isAsFirst ? points.lastIndexOf('trips.compareAndSet') : 0;
    for (const when of isLong ? (['before', 'after'] as const) : (['after'] as const)) {
      for (const [i, point] of points.entries()) {
        if (!isLong && (i < from || !isOfMoney(point))) continue;
        await t.test(`${when} ${i + 1}: ${point}`, async (t) => {
          await dyingJourney(t, scenario, i + 1, when);
        });
      }
    }
  });
}

t.end();
