/** A process that is killed at any write of a ride, its own or the provider's: another node brings trip and payment to an end, once. */
import t, { type Test } from 'tap';
import { isTerminal } from '../../../src/domain/trips/rules.ts';
import { chargeOf, type Trip } from '../../../src/domain/trips/trip.ts';
import type { Payments } from '../../../src/ports/payments.ts';
import type { Store } from '../../../src/ports/store.ts';
import { until } from '../../until.ts';
import { type ManualClock, manualClock, onDuty, person, request, type Stack, shared, stack } from '../stack.ts';

t.setTimeout(280_000);

const openHolds = async (s: Stack) => (await s.provider.openHolds(Number.MAX_SAFE_INTEGER, 100)).items;

/** A process that is killed at its n-th write, before or after it; afterwards it reads and writes nothing. */
function mortal(at: number, when: 'before' | 'after') {
  let writes = 0;
  let dead = false;
  const killed = (): Error => new Error('killed');
  async function write<T>(run: () => Promise<T>): Promise<T> {
    if (dead) throw killed();
    const mine = ++writes;
    if (mine === at && when === 'before') dead = true;
    if (dead) throw killed();
    const answer = await run();
    if (mine === at) dead = true;
    if (dead) throw killed();
    return answer;
  }
  async function read<T>(run: () => Promise<T>): Promise<T> {
    if (dead) throw killed();
    return run();
  }
  const wrapStore = (store: Store): Store => ({
    ...store,
    collection(spec) {
      const c = store.collection(spec);
      return {
        insert: (...args) => write(() => c.insert(...args)),
        compareAndSet: (...args) => write(() => c.compareAndSet(...args)),
        acknowledge: (...args) => write(() => c.acknowledge(...args)),
        remove: (...args) => write(() => c.remove(...args)),
        get: (id) => read(() => c.get(id)),
        getMany: (ids) => read(() => c.getMany(ids)),
        page: (query) => read(() => c.page(query)),
        near: (query) => read(() => c.near(query)),
        count: (where) => read(() => c.count(where)),
        outboxOf: (id) => read(() => c.outboxOf(id)),
        pending: (...args) => read(() => c.pending(...args)),
      };
    },
  });
  const wrapPayments = (real: Payments): Payments => ({
    hold: (asked) => write(() => real.hold(asked)),
    capture: (...args) => write(() => real.capture(...args)),
    release: (...args) => write(() => real.release(...args)),
    openHolds: (...args) => read(() => real.openHolds(...args)),
  });
  return { wrapStore, wrapPayments, isDead: () => dead, writes: () => writes };
}

/** The next step of a trip, whoever has to take it; `driverId` is on duty for it where one is sought. */
async function drive(s: Stack, tripId: string, driverId: string): Promise<void> {
  if ((await s.trips.find(tripId))!.status === 'requested') {
    await onDuty(s, driverId, 50);
    await s.dispatch.match(tripId);
    await s.idle();
  }
  const trip = (await s.trips.find(tripId))!;
  if (trip.status === 'offered') await s.dispatch.accept(tripId, trip.offer!.id, trip.offer!.driverId);
  else if (trip.status === 'assigned') await step(s, trip, 'arrive');
  else if (trip.status === 'driver_arrived') await step(s, trip, 'start');
  else if (trip.status === 'in_progress') await step(s, trip, 'complete');
}

const step = (s: Stack, { id, driverId }: Trip, type: 'arrive' | 'start' | 'complete') =>
  s.trips.command(id, { type, driverId: driverId! });

/** Brings a trip on from wherever it stands, until it and its payment have come to an end. */
async function carryOn(s: Stack, clock: ManualClock, tripId: string): Promise<void> {
  let turn = 0;
  await until(async () => {
    // Older than every patience but a trip's own deadline.
    clock.add(31_000);
    await s.sweep();
    await s.payments.reconcile(10_000);
    await s.idle();
    await drive(s, tripId, `driver-${++turn}`);
    await s.idle();
    const { status } = (await s.trips.find(tripId))!;
    const payment = await s.payments.find(tripId);
    return isTerminal(status) && (payment === null || (payment.dueAt === null && payment.owedMinor !== null));
  }, 'the trip and its payment to come to an end');
}

async function soundAfter(t: Test, s: Stack, tripId: string): Promise<void> {
  const trip = (await s.trips.find(tripId))!;
  const payment = await s.payments.find(tripId);
  t.same(
    trip.history.map(({ seq }) => seq),
    trip.history.map((_, i) => i + 1),
    'no event of the trip is missing',
  );
  t.same(
    payment?.history.map(({ seq }) => seq),
    payment?.history.map((_, i) => i + 1),
    'nor of the payment',
  );
  const charged = chargeOf(trip)!.totalMinor;
  t.equal(payment?.capturedMinor ?? 0, charged, `${trip.status}: captured what was charged`);
  t.equal(payment?.status ?? 'released', charged > 0 ? 'settled' : 'released');
  t.same(await openHolds(s), [], 'no hold is left');
  t.equal(await s.collections.ledger.count({}), charged > 0 ? 1 : 0, 'in the books once');
  t.same(await s.collections.payments.pending(Number.MAX_SAFE_INTEGER, 10), [], 'nothing waits to be relayed');
}

/** One ride on a process that dies at a write; resolves how many writes it made, had it not died. */
async function dyingRide(t: Test, at: number, when: 'before' | 'after'): Promise<number> {
  const clock = manualClock();
  const place = await shared(t, clock);
  const body = mortal(at, when);
  const dying = await stack(t, place, body);
  const survivor = await stack(t, place);
  let tripId: string | undefined;
  try {
    await onDuty(dying, 'driver-0');
    const { id } = await request(dying, 'rider');
    await until(async () => body.isDead() || (await survivor.trips.find(id))?.status === 'offered', 'an offer');
    const { offer } = (await survivor.trips.find(id))!;
    const trip = await dying.dispatch.accept(id, offer?.id ?? '', 'driver-0');
    tripId = trip.id;
    for (const type of ['arrive', 'start', 'complete'] as const) await step(dying, trip, type);
    const goesOn = async () => body.isDead() || (await survivor.payments.find(trip.id))?.status === 'settled';
    await until(goesOn, 'the payment to settle or the process to die');
    await dying.idle();
  } catch (error) {
    if (!body.isDead()) throw error;
  }
  tripId ??= (await survivor.trips.list(person('rider', 'rider'), { pageSize: 1 })).items[0]?.id;
  // Killed before there was a trip: nobody was promised anything.
  if (tripId === undefined) return body.writes();
  await carryOn(survivor, clock, tripId);
  await survivor.idle();
  await survivor.sweep();
  await soundAfter(t, survivor, tripId);
  return body.writes();
}

t.test('killed at every write of a ride: another node brings trip and payment to an end', async (t) => {
  const writes = await dyingRide(t, Number.POSITIVE_INFINITY, 'before');
  t.ok(writes > 15, `${writes} writes without a crash`);
  for (const when of ['before', 'after'] as const) {
    for (let at = 1; at <= writes; at++) {
      await t.test(`${when} write ${at}`, async (t) => {
        await dyingRide(t, at, when);
      });
    }
  }
});
