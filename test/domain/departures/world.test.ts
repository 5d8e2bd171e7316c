/**
 * Many passengers and drivers of departures on two nodes over one store and one Redis, doing right and wrong things at once. What must
 * hold, whatever they do: no seat twice, no driver on two departures, no event missing, every list as the departures have it, and every
 * booking paid for as its end says.
 */
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { holdsSeats, owedMinor } from '../../../src/domain/bookings/rules.ts';
import type { Departure } from '../../../src/domain/departures/departure.ts';
import { evolveDeparture, isSettled } from '../../../src/domain/departures/rules.ts';
import { isDriven, isTerminal } from '../../../src/domain/statuses.ts';
import { RideError } from '../../../src/errors.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../../until.ts';
import { type Ground, grounds, manualClock } from '../shared.ts';
import { CENTER, near, person, type Stack, stack } from '../stack.ts';

const HOUR = 3_600_000;
const REFUSALS = [
  ...['RIDE_SEATS_TAKEN', 'RIDE_ALREADY_EXISTS', 'RIDE_ILLEGAL_TRANSITION', 'RIDE_FORBIDDEN', 'RIDE_NOT_FOUND'],
  ...['RIDE_DRIVER_BUSY', 'RIDE_PRECONDITION_FAILED'],
];

type Does =
  | { act: 'book'; which: number; who: number; seats: number }
  | { act: 'give back' | 'board' | 'no_show'; which: number; who: number }
  | { act: 'arrive' | 'start' | 'complete' | 'cancel'; which: number };

const which = fc.nat(2);
const who = fc.nat(4);
const does: fc.Arbitrary<Does> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ act: fc.constant('book' as const), which, who, seats: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('give back' as const), which, who }) },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constantFrom('board' as const, 'no_show' as const), which, who }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom('arrive' as const, 'arrive' as const, 'start' as const, 'complete' as const),
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('cancel' as const), which }) },
);
const act = fc.record({ node: fc.nat(1), does });

const clock = manualClock();

type Nodes = readonly [Stack, Stack];

/** Three departures at the same time, two of them of one driver. */
class World {
  readonly nodes: Nodes;
  readonly run: number;
  readonly ids: string[] = [];

  constructor(nodes: Nodes, run: number) {
    this.nodes = nodes;
    this.run = run;
  }

  driver = (i: number) => person('driver', `driver-${this.run}-${Math.min(i, 1)}`);
  rider = (i: number) => person('rider', `rider-${this.run}-${i}`);

  async open(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const input = {
        ...{ driverId: this.driver(i).userId, pickup: CENTER, dropoff: near(20_000), city: 'testville' },
        ...{ departureTime: clock.now() + HOUR / 2, seats: 3, seatFareMinor: 500, vehicleClass: 'standard' as const },
      };
      this.ids.push((await this.nodes[i % 2]!.departures.publish(this.driver(i), input)).departure.id);
    }
  }

  async do(does: Does, s: Stack): Promise<void> {
    const id = this.ids[does.which]!;
    const driver = this.driver(does.which);
    switch (does.act) {
      case 'book':
        return void (await s.bookings.book(id, { passengerId: this.rider(does.who).userId, seats: does.seats }));
      case 'arrive':
        return void (await s.departures.arrive(driver, id));
      case 'cancel':
        return void (await s.departures.cancel(driver, id));
      case 'start':
      case 'complete':
        return void (await s.departures.command(id, { type: does.act, driverId: driver.userId }));
      default:
        return this.#withBooking(does, id, s);
    }
  }

  /** What drivers do at last: nobody leaves a departure in the middle. */
  async finish(): Promise<void> {
    clock.add(HOUR);
    // Of two departures of one driver the other may have to end first.
    for (const which of [0, 1, 2, 1]) {
      for (const act of ['arrive', 'start', 'complete'] as const)
        await this.do({ act, which }, this.nodes[0]).catch(ifRefused);
      for (const node of this.nodes) await node.idle();
    }
  }

  async #withBooking(does: Does & { who: number }, id: string, s: Stack): Promise<void> {
    const passenger = this.rider(does.who);
    const his = (await s.departures.get(id)).bookings.filter((b) => b.passengerId === passenger.userId).at(-1);
    if (!his) return;
    if (does.act === 'give back') await s.bookings.cancel(passenger, his.id);
    else await s.bookings.attend(this.driver(does.which).userId, his.id, does.act as 'board' | 'no_show');
  }
}

/** A refusal is an answer; anything else is a defect. */
function ifRefused(error: unknown): void {
  if (!(error instanceof RideError && REFUSALS.includes(error.code))) throw error;
}

function checkSeats(departure: Departure): void {
  const { bookings, history, seats } = departure;
  const taken = bookings.reduce((sum, b) => (b.status === 'cancelled' ? sum : sum + b.seats), 0);
  if (taken > seats || departure.seatsFree !== seats - taken) throw new Error(`${taken} of ${seats} seats`);
  const holders = bookings.filter(holdsSeats).map((b) => b.passengerId);
  if (new Set(holders).size !== holders.length) throw new Error('two bookings of one passenger');
  let state: Departure = { ...departure, status: 'scheduled', version: 1, bookings: [], seatsFree: seats };
  for (const [i, event] of history.entries()) {
    if (event.type === 'recalled') throw new Error('a driver was at two places');
    if (event.seq !== i + 1 || event.version !== i + 1) throw new Error(`event ${event.seq} in place ${i}`);
    if (i > 0) state = evolveDeparture({ ...state, version: event.version }, event);
    if (state.seatsFree !== event.seatsFree || state.status !== event.status) throw new Error('another history');
  }
  if (JSON.stringify(state.bookings) !== JSON.stringify(bookings)) throw new Error('the history is of other bookings');
}

async function checkTold({ id, history }: Departure, s: Stack): Promise<void> {
  const { messages } = await s.bus.history(`trip:${id}`, { epoch: '', offset: 0 }, 1000);
  const told = messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).eventId).join();
  if (told !== history.map((event) => event.id).join()) throw new Error(`${id}: told ${messages.length} events`);
}

async function checkLists(departures: readonly Departure[], world: World): Promise<void> {
  const { nodes } = world;
  const desk = person('admin', 'desk');
  for (const { id, bookings } of departures) {
    const { items } = await nodes[0].bookings.list(desk, { tripId: id, pageSize: 500 });
    const listed = items.map((b) => `${b.id} ${b.status} ${b.bookingVersion}`).sort();
    const stored = bookings.map((b) => `${b.id} ${b.status} ${b.version}`).sort();
    if (listed.join() !== stored.join()) throw new Error(`${listed} listed, ${stored} stored`);
  }
  for (const i of [0, 1]) {
    const driver = world.driver(i).userId;
    const driven = departures.filter((d) => d.driverId === driver && isDriven(d.status)).map(({ id }) => id);
    if (driven.length > 1) throw new Error(`${driver} on two departures`);
    const bound = (await nodes[1].drivers.get(driver))?.activeTripId ?? null;
    if (bound !== (driven[0] ?? null)) throw new Error(`${driver} is bound to ${bound}, and drives ${driven}`);
  }
}

/** Holds become captures or are let go of behind the answers: waited for, then compared. */
async function checkMoney(departures: readonly Departure[], nodes: Nodes): Promise<void> {
  // Two nodes may tell a payment of its booking's end before another has begun it: that is found as every lost step is.
  clock.add(1);
  await nodes[0].payments.reconcile(0);
  for (const departure of departures) {
    for (const booking of departure.bookings) {
      const payment = () => nodes[0].payments.find(booking.id);
      const ended = async () => ['settled', 'released'].includes((await payment())?.status ?? '');
      await until(ended, `the payment of ${booking.id} to end`);
      const { capturedMinor, holdMinor } = (await payment())!;
      const owed = owedMinor(booking, isSettled(departure));
      if (capturedMinor !== owed || holdMinor !== booking.fareMinor) throw new Error(`${capturedMinor} of ${owed}`);
    }
  }
  if ((await nodes[1].provider.openHolds(Number.MAX_SAFE_INTEGER, 10)).items.length > 0) throw new Error('a hold');
}

const seen = new Map<string, number>();

/** One program on two nodes, and what must hold after it. */
async function play(nodes: Nodes, run: number, turns: { node: number; does: Does }[][]): Promise<void> {
  const world = new World(nodes, run);
  const read = () => Promise.all(world.ids.map((id) => nodes[run % 2]!.departures.get(id)));
  await world.open();
  for (const acts of turns) {
    await Promise.all(acts.map(({ node, does }) => world.do(does, nodes[node]!).catch(ifRefused)));
    clock.add(HOUR / 8);
  }
  for (const node of [...nodes, ...nodes]) await node.idle();
  await checkLists(await read(), world);
  await world.finish();
  const departures = await read();
  for (const departure of departures) {
    if (!isTerminal(departure.status)) throw new Error(`${departure.id} is ${departure.status} for ever`);
    checkSeats(departure);
    await checkTold(departure, nodes[0]);
    for (const { status } of [departure, ...departure.bookings]) seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  await checkLists(departures, world);
  await checkMoney(departures, nodes);
  if ((await nodes[0].collections.trips.pending(Number.MAX_SAFE_INTEGER, 10)).length > 0) throw new Error('outbox');
}

async function tryOn(t: Test, ground: Ground): Promise<void> {
  const place = await ground.place(t, clock);
  const nodes: Nodes = [await stack(t, place), await stack(t, place)];
  let run = 0;
  const turns = fc.array(fc.array(act, { minLength: 2, maxLength: 8 }), { minLength: 3, maxLength: 8 });
  const property = fc.asyncProperty(turns, (turns) => play(nodes, ++run, turns));
  await t.resolves(fc.assert(property, { numRuns: ground.runs(15), endOnFailure: true }));
}

for (const ground of await grounds(t))
  t.test(`whatever passengers and drivers do on two nodes at once, on ${ground.name}`, { skip: ground.skip }, (t) =>
    tryOn(t, ground),
  );

t.test('departures and bookings come to every end', async (t) => {
  for (const status of ['completed', 'cancelled'])
    t.ok(seen.has(status), `${status} among ${JSON.stringify([...seen])}`);
});
t.end();
