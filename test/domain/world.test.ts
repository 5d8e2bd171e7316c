/**
 * Many riders and drivers on two nodes over one store and one Redis, doing right and wrong things at once, faster than the clock.
 * What must hold, whatever they do: one driver a trip, one trip a driver, no event missing, and every trip comes to its end.
 */

import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createClock } from '../../src/adapters/system/clock.ts';
import { askedOf } from '../../src/domain/offers/rules.ts';
import { isDriven, isTerminal } from '../../src/domain/statuses.ts';
import { evolve } from '../../src/domain/trips/evolve.ts';
import { decide, type TripState } from '../../src/domain/trips/rules.ts';
import type { Trip } from '../../src/domain/trips/trip.ts';
import { RideError } from '../../src/errors.ts';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { until } from '../until.ts';
import { type Ground, grounds } from './shared.ts';
import { near, onDuty, person, request, type Stack, stack } from './stack.ts';

type Act =
  | { act: 'request' | 'cancel'; rider: number }
  | { act: 'looking' | 'offline' | 'accept' | 'decline' | 'give up'; driver: number }
  | { act: 'step'; driver: number; step: 'arrive' | 'start' | 'complete' }
  | { act: 'forget' };

const RIDERS = 4;
const DRIVERS = 3;
const rider = fc.nat(RIDERS - 1);
const driver = fc.nat(DRIVERS - 1);
const act: fc.Arbitrary<{ node: number; does: Act }> = fc.record({
  node: fc.nat(1),
  does: fc.oneof(
    { weight: 5, arbitrary: fc.record({ act: fc.constant('request' as const), rider }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('cancel' as const), rider }) },
    {
      weight: 3,
      arbitrary: fc.record({
        act: fc.constantFrom('looking' as const, 'looking' as const, 'offline' as const),
        driver,
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({ act: fc.constantFrom('accept' as const, 'accept' as const, 'decline' as const), driver }),
    },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('give up' as const), driver }) },
    {
      weight: 8,
      arbitrary: fc.record({
        act: fc.constant('step' as const),
        driver,
        step: fc.constantFrom('arrive' as const, 'start' as const, 'complete' as const),
      }),
    },
    { weight: 3, arbitrary: fc.record({ act: fc.constant('forget' as const) }) },
  ),
});

class World {
  readonly nodes: readonly Stack[];
  readonly run: number;
  readonly trips: string[] = [];

  constructor(nodes: readonly Stack[], run: number) {
    this.nodes = nodes;
    this.run = run;
  }

  rider = (i: number): string => `rider-${this.run}-${i}`;
  driver = (i: number): string => `driver-${this.run}-${i}`;

  async all(): Promise<Trip[]> {
    return this.nodes[0]!.trips.findMany(this.trips);
  }

  async do(does: Act, s: Stack): Promise<void> {
    switch (does.act) {
      case 'request': {
        const { id } = await request(s, this.rider(does.rider));
        this.trips.push(id);
        return;
      }
      case 'cancel': {
        const [open] = await s.trips.openOf(this.rider(does.rider));
        if (open) await s.trips.command(open.id, { type: 'cancel', actorId: open.riderId, role: 'rider' });
        return;
      }
      case 'looking':
        return void (await onDuty(s, this.driver(does.driver), 100 * does.driver));
      case 'offline':
        return void (await s.drivers.setStatus(person('driver', this.driver(does.driver)), 'offline'));
      case 'forget':
        // What is a convenience in Redis may be lost at any time.
        return void (await s.redis.del(
          'active-drivers',
          ...[...Array(DRIVERS).keys()].map((i) => `driver:offered:${this.driver(i)}`),
        ));
      default:
        return this.#asDriver(does, this.driver(does.driver), s);
    }
  }

  /** Mostly what his own trips allow; now and then what somebody else's would. */
  async #asDriver(does: Act & { driver: number }, id: string, s: Stack): Promise<void> {
    const trips = await this.all();
    const offers = trips.filter((trip) => trip.offer !== null);
    const offered = offers.find((trip) => askedOf(trip.offer!).includes(id)) ?? offers[0];
    const driven = trips.find((trip) => trip.driverId === id && isDriven(trip.status)) ?? trips[0];
    const isAsked = offered !== undefined && askedOf(offered.offer!).includes(id);
    const who = does.driver > 0 && !isAsked ? (offered?.offer?.driverId ?? id) : id;
    if (does.act === 'accept' && offered) await s.dispatch.accept(offered.id, offered.offer!.id, who);
    if (does.act === 'decline' && offered) await s.dispatch.decline(offered.id, offered.offer!.id, id);
    if (does.act === 'give up' && driven)
      await s.trips.command(driven.id, { type: 'cancel', actorId: id, role: 'driver' });
    if (does.act === 'step' && driven) await s.trips.command(driven.id, { type: does.step, driverId: id });
  }

  /** What a driver would do at last: nobody leaves a trip in the middle. */
  async finish(): Promise<void> {
    const [s] = this.nodes as [Stack];
    await until(async () => {
      for (const trip of await this.all()) {
        for (const step of ['arrive', 'start', 'complete'] as const) {
          if (!isDriven(trip.status)) break;
          await s.trips.command(trip.id, { type: step, driverId: trip.driverId! }).catch(ifRefused);
        }
      }
      return (await this.all()).every((trip) => isTerminal(trip.status));
    }, 'every trip to come to its end');
    // Whoever saw the last write may have been faster than the relay of the node that made it.
    const pending = () => s.collections.trips.pending(Number.MAX_SAFE_INTEGER, 10);
    await until(async () => (await pending()).length === 0, 'every event to be told');
    for (const node of this.nodes) await node.idle();
  }
}

/** A refusal is an answer; anything else is a defect. */
function ifRefused(error: unknown): void {
  const refusals = ['RIDE_ILLEGAL_TRANSITION', 'RIDE_OFFER_CLOSED', 'RIDE_FORBIDDEN', 'RIDE_DRIVER_BUSY'];
  if (!(error instanceof RideError && refusals.includes(error.code))) throw error;
}

function checkTrip(trip: Trip): void {
  let state: TripState = {
    ...trip,
    status: 'requested',
    driverId: null,
    offer: null,
    excludedDriverIds: [],
    offersMade: 0,
  };
  for (const [i, event] of trip.history.entries()) {
    // Events of one write share its version.
    const step = event.version - (trip.history[i - 1]?.version ?? 0);
    if (event.seq !== i + 1 || step < 0 || step > 1) throw new Error(`${trip.id}: event ${event.seq} in place ${i}`);
    if (i === 0) continue;
    const asked = event.type === 'offered' ? askedOf(event.offer!) : [];
    if (asked.some((id) => state.excludedDriverIds.includes(id))) throw new Error('asked again');
    if (isTerminal(state.status)) throw new Error(`${event.type} after ${state.status}`);
    state = evolve(state, event);
    if (state.status !== event.status) throw new Error(`${event.status} is told, ${state.status} it is`);
  }
  if (state.status !== trip.status || state.driverId !== trip.driverId)
    throw new Error('the history is of another trip');
  if ('refusal' in decide(trip, { type: 'expire', reason: '' }, 0)) throw new Error('an ended trip can be repeated to');
}

/** When each driver was on which trip, out of the histories: no two at once. */
function checkDrivers(trips: readonly Trip[]): void {
  const stays: { driver: string; from: number; to: number; trip: string }[] = [];
  for (const { id, history } of trips) {
    for (const [i, event] of history.entries()) {
      if (event.type !== 'assigned') continue;
      const end = history
        .slice(i + 1)
        .find(({ type }) => ['completed', 'cancelled', 'driver_cancelled'].includes(type));
      stays.push({ driver: event.driverId!, from: event.at, to: end?.at ?? Number.POSITIVE_INFINITY, trip: id });
    }
  }
  stays.sort((a, b) => a.from - b.from);
  for (const [i, one] of stays.entries()) {
    const other = stays.slice(i + 1).find((next) => next.driver === one.driver && next.from < one.to);
    if (other) throw new Error(`${one.driver} on two trips: ${JSON.stringify([one, other])}`);
  }
}

/** The topic has the events of the store, once each and in order. */
async function checkTopic(s: Stack, trip: Trip): Promise<void> {
  const { messages } = await s.bus.history(`trip:${trip.id}`, { epoch: '', offset: 0 }, 1000);
  const told = messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload).eventId).join();
  if (told !== trip.history.map((event) => event.id).join())
    throw new Error(`${trip.id}: told ${messages.length} events`);
}

const alone = {
  freshnessMs: 60_000,
  maxEtaS: 3600,
  offers: 1,
  weights: { idle: 0.05, idleCapS: 1200, acceptanceS: 60, ratingS: 20, headingS: 15, unservedS: 7200 },
  maxSteps: 1e9,
};
const ways = [
  { way: 'asked one after another', dispatch: { retryMs: 5000 }, runs: 10 },
  { way: 'asked two at a time', dispatch: { retryMs: 5000, decision: { ...alone, offers: 2 } }, runs: 6 },
  { way: 'assigned in windows', dispatch: { retryMs: 5000, windowMs: 1000 }, runs: 6 },
];

const seen = new Map<string, number>();

type Way = (typeof ways)[number];

/** One program on two nodes, and what must hold after it. */
async function play(nodes: [Stack, Stack], run: number, turns: { node: number; does: Act }[][]): Promise<void> {
  const world = new World(nodes, run);
  for (let i = 0; i < DRIVERS; i++) await onDuty(nodes[i % 2]!, world.driver(i), 100 * i);
  for (const [turn, acts] of turns.entries()) {
    await Promise.all(acts.map(({ node, does }) => world.do(does, nodes[node]!).catch(ifRefused)));
    // Without it everything would be over before the first offer is made.
    if (turn % 2) for (const node of nodes) await node.idle();
  }
  await world.finish();
  const trips = await world.all();
  for (const trip of trips) {
    checkTrip(trip);
    await checkTopic(nodes[0], trip);
    seen.set(trip.status, (seen.get(trip.status) ?? 0) + 1);
  }
  checkDrivers(trips);
  for (let i = 0; i < DRIVERS; i++) {
    const id = world.driver(i);
    await until(async () => (await nodes[0].drivers.get(id))!.activeTripId === null, `${id} to be free`);
    await nodes[0].drivers.setStatus(person('driver', id), 'offline');
  }
}

async function tryOn(t: Test, ground: Ground, { dispatch, runs }: Way): Promise<void> {
  // 50 domain seconds a wall second: offers last 300 ms, trips wait 0.8 s.
  const place = await ground.place(t, createClock({ speed: 50, anchor: Date.now(), start: 1_421_322_000_000 }));
  const options = { dispatch, tripRequestTtlMs: 40_000, sweepEveryMs: 300, sweepAgeMs: 300 };
  const nodes: [Stack, Stack] = [await stack(t, place, options), await stack(t, place, options)];
  let run = 0;
  const turns = fc.array(fc.array(act, { minLength: 1, maxLength: 6 }), { minLength: 6, maxLength: 18 });
  const property = fc.asyncProperty(turns, (turns) => play(nodes, ++run, turns));
  await t.resolves(fc.assert(property, { numRuns: ground.runs(runs), endOnFailure: true }));
  t.equal((await nodes[0].locations.nearby(near(0), 5000, 100)).length, 0, 'nobody off duty is left to be found');
}

for (const ground of await grounds(t))
  for (const way of ways)
    t.test(
      `whatever riders and drivers do on two nodes at once, ${way.way}, on ${ground.name}`,
      { skip: ground.skip },
      (t) => tryOn(t, ground, way),
    );

t.test('trips come to both ends', async (t) => {
  t.ok(seen.get('completed')! > 0 && seen.get('cancelled')! > 0, JSON.stringify([...seen]));
});
