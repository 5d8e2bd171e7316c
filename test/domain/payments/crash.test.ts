/**
 * A process that is killed at any point of a ride: another one brings the trip and its payment to an end, and no event is missing or
 * told twice. Here it is killed after each effect, in rides of other ends from the first of their payment on, for until then they are
 * the same; `script/crash` tries all, and before each too.
 */
import t, { type Test } from 'tap';
import { ledgerIdOf, paymentIdOf } from '../../../src/domain/payments/payment.ts';
import { isTerminal } from '../../../src/domain/statuses.ts';
import { chargeOf, type Trip } from '../../../src/domain/trips/trip.ts';
import { until } from '../../until.ts';
import { shortLife } from '../lives.ts';
import { mortal, type When } from '../mortal.ts';
import { manualClock, near, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';
import { counted, nothingLeft, toldOnce } from './sound.ts';

const isLong = process.env.CRASH_LONG === '1';
const LIMIT_MS = 60_000;
t.setTimeout(isLong ? 900_000 : 240_000);

const clock = manualClock();
const place = await shared(t, clock);
/** The node that goes on with everything. */
const survivor = await stack(t, place);

interface Scenario {
  name: string;
  riderId(n: number): string;
  /** What rider and driver do once he has taken the trip. */
  go(s: Stack, trip: Trip): Promise<void>;
  /** Of the payment, when nobody dies. */
  ends: string;
}

const take = (s: Stack, { id, driverId }: Trip, type: 'arrive' | 'start' | 'complete') =>
  s.trips.command(id, { type, driverId: driverId! });

async function waited(s: Stack, trip: Trip): Promise<void> {
  await take(s, trip, 'arrive');
  clock.add(3_600_000);
  for (const type of ['start', 'complete'] as const) await take(s, trip, type);
}

const scenarios: Scenario[] = [
  {
    // Its driver waits longer than was held for.
    name: 'a ride to its end',
    riderId: (n) => `rider-${n}`,
    go: waited,
    ends: 'settled',
  },
  { name: 'a ride whose rider is declined', riderId: (n) => `declined-${n}`, async go() {}, ends: 'declined' },
  ...(isLong
    ? [{ name: 'a ride whose rider has no more', riderId: (n: number) => `limited-${n}`, go: waited, ends: 'settled' }]
    : []),
  {
    name: 'a ride that its rider cancels late',
    riderId: (n) => `rider-${n}`,
    async go(s, trip) {
      clock.add(121_000);
      await s.trips.command(trip.id, { type: 'cancel', actorId: trip.riderId, role: 'rider' });
    },
    ends: 'settled',
  },
];

let rides = 0;

/** The next step of a trip, whoever has to take it; where a driver is sought one comes. */
async function drive(tripId: string, driverId: string, metres: number): Promise<void> {
  const s = survivor;
  if ((await s.trips.find(tripId))!.status === 'requested') {
    await onDuty(s, driverId, metres);
    await s.dispatch.match(tripId);
    await s.idle();
  }
  const trip = (await s.trips.find(tripId))!;
  if (trip.status === 'offered') await s.dispatch.accept(tripId, trip.offer!.id, trip.offer!.driverId);
  else if (trip.status === 'assigned') await take(s, trip, 'arrive');
  else if (trip.status === 'driver_arrived') await take(s, trip, 'start');
  else if (trip.status === 'in_progress') await take(s, trip, 'complete');
}

async function isOver(tripId: string): Promise<boolean> {
  const { status } = (await survivor.trips.find(tripId))!;
  const payment = await survivor.payments.find(tripId);
  return isTerminal(status) && (payment === null || (payment.dueAt === null && payment.owedMinor !== null));
}

/** What recurs on a node, when everything that was under way is old enough. */
async function lookAfter(): Promise<void> {
  // Older than every patience but a trip's own deadline.
  clock.add(31_000);
  await survivor.sweep();
  await survivor.payments.reconcile(10_000);
  await survivor.idle();
}

async function carryOn(tripId: string, name: string, metres: number): Promise<void> {
  let turn = 0;
  await until(
    async () => {
      await lookAfter();
      await drive(tripId, `${name}-${++turn}`, metres);
      await survivor.idle();
      return isOver(tripId);
    },
    'the trip and its payment to come to an end',
    LIMIT_MS,
  );
  await lookAfter();
}

async function soundAfter(t: Test, tripId: string): Promise<void> {
  const s = survivor;
  const trip = (await s.trips.find(tripId))!;
  const payment = await s.payments.find(tripId);
  t.ok(counted(trip.history) && counted(payment?.history), 'no event of trip or payment is missing');
  await toldOnce(t, s, tripId, trip.history);
  const charged = chargeOf(trip)!.totalMinor;
  const isDeclined = payment?.declineReason !== undefined;
  const isRefused = payment?.history.some(({ type }) => type === 'raise_refused');
  const due = isDeclined ? 0 : isRefused ? payment!.holdMinor : charged;
  t.equal(payment?.capturedMinor ?? 0, due, `${trip.status}: captured what was charged, or could be had`);
  const end = isDeclined ? (charged > 0 ? 'unpaid' : 'declined') : charged > 0 ? 'settled' : 'released';
  t.equal(payment?.status ?? 'released', end);
  t.equal(
    (await s.collections.ledger.get(ledgerIdOf(tripId))) !== null,
    end === 'settled',
    'in the books if it was paid',
  );
  await nothingLeft(t, s, paymentIdOf(tripId));
}

/** One ride on a process that dies at a point; resolves the points that it came to. */
async function dyingRide(t: Test, scenario: Scenario, at: number, when: When): Promise<readonly string[]> {
  const n = ++rides;
  // Each far from those of the others; positions of long ago are forgotten.
  const metres = 20_000 * (n % 100);
  const name = `driver-${n}`;
  const riderId = scenario.riderId(n);
  const body = mortal(at, when);
  const { s: dying, end } = await shortLife(t, place, survivor, body);
  await onDuty(survivor, `${name}-0`, metres + 100);
  let tripId: string | undefined;
  try {
    const { id } = await request(dying, riderId, { pickup: near(metres), dropoff: near(metres + 3000) });
    tripId = id;
    const offered = async () => body.isDead() || (await survivor.trips.find(id))?.status === 'offered';
    await until(offered, 'an offer', LIMIT_MS);
    const { offer } = (await survivor.trips.find(id))!;
    await scenario.go(dying, await dying.dispatch.accept(id, offer?.id ?? '', `${name}-0`));
    const goesOn = async () => body.isDead() || (await survivor.payments.find(id))?.status === scenario.ends;
    await until(goesOn, 'the payment to end or the process to die', LIMIT_MS);
    await dying.idle();
  } catch (error) {
    if (!body.isDead()) throw error;
  }
  await end();
  tripId ??= (await survivor.trips.list(person('rider', riderId), { pageSize: 1 })).items[0]?.id;
  // Killed before there was a trip: nobody was promised anything.
  if (tripId !== undefined) {
    await carryOn(tripId, name, metres + 50);
    await soundAfter(t, tripId);
  }
  await survivor.drivers.setStatus(person('driver', `${name}-0`), 'offline');
  return body.points;
}

for (const scenario of scenarios) {
  t.test(`killed at every point of ${scenario.name}`, async (t) => {
    const points = await dyingRide(t, scenario, Number.POSITIVE_INFINITY, 'before');
    t.ok(points.length > 20, points.join(', '));
    for (const when of isLong ? (['before', 'after'] as const) : (['after'] as const)) {
      const payment = points.findIndex((point) => point.startsWith('payments.'));
      const from = isLong || scenario === scenarios[0] ? 0 : payment;
      for (const [i, point] of points.entries()) {
        if (i < from) continue;
        await t.test(`${when} ${i + 1}: ${point}`, async (t) => {
          await dyingRide(t, scenario, i + 1, when);
        });
      }
    }
  });
}

t.end();
