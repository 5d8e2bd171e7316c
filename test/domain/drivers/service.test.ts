/** The driver's document and the index of available drivers, which is a copy of it: they agree in the end, whoever writes when. */
import fc from 'fast-check';
import t from 'tap';
import type { EventSink, LeavingEvent } from '../../../src/ports/event-sink.ts';
import { until } from '../../until.ts';
import { near, onDuty, person, shared, stack } from '../stack.ts';

t.test('an index written from an old document is set right by whoever wrote it', async (t) => {
  const s = await stack(t, await shared(t));
  await onDuty(s, 'driver');
  await s.drivers.claim('driver', 'trip-1');
  const bound = (await s.drivers.get('driver'))!;
  await s.drivers.release('driver', 'trip-1');
  const found = async (): Promise<number> => (await s.locations.nearby(near(0), 1000, 5)).length;
  t.equal(await found(), 1, 'free and to be found');
  // Another node read the document before the release and comes to write only now.
  await s.drivers.reindex(bound);
  t.equal(await found(), 1, 'still to be found');
  const free = (await s.drivers.get('driver'))!;
  await s.drivers.setStatus(person('driver', 'driver'), 'offline');
  await s.drivers.reindex(free);
  t.equal(await found(), 0, 'nor does one off duty come back');
});

t.test(
  'claims, releases and changes of status from two nodes at once: one trip at a time, and the index agrees',
  async (t) => {
    const place = await shared(t);
    const nodes = [await stack(t, place), await stack(t, place)];
    type Act = 'claim' | 'release' | 'looking' | 'offline' | 'busy';
    const act = fc.record({
      node: fc.nat(1),
      act: fc.constantFrom<Act>('claim', 'release', 'looking', 'offline', 'busy'),
    });
    let runs = 0;
    const property = fc.asyncProperty(
      fc.array(fc.array(act, { minLength: 1, maxLength: 5 }), { maxLength: 8 }),
      async (turns) => {
        const id = `driver-${++runs}`;
        const driver = await onDuty(nodes[0]!, id, 100 * runs);
        for (const [turn, acts] of turns.entries()) {
          const changes = acts.map(async ({ node, act }, i) => {
            const { drivers } = nodes[node]!;
            const trip = `trip-${turn}-${i}`;
            if (act === 'claim') await drivers.claim(id, trip);
            else if (act === 'release') await drivers.release(id, (await drivers.get(id))!.activeTripId ?? 'none');
            else await drivers.setStatus(driver, act);
          });
          await Promise.all(changes);
        }
        const stored = (await nodes[0]!.drivers.get(id))!;
        const isAvailable = stored.status === 'looking' && stored.activeTripId === null;
        const isFound = (await nodes[1]!.redis.zscore('active-drivers', id)) !== null;
        if (isFound !== isAvailable)
          throw new Error(`${JSON.stringify(stored)} is ${isFound ? '' : 'not '}in the index`);
        if ((stored.activeTripId === null) !== (stored.activeSince === null)) throw new Error(JSON.stringify(stored));
      },
    );
    await t.resolves(fc.assert(property, { numRuns: 40 }));
  },
);

/** Takes what leaves, unless it is away. */
function listening() {
  const told: LeavingEvent[] = [];
  const state = { isAway: false };
  const sink: EventSink = {
    async record(event) {
      if (state.isAway) throw new Error('away');
      told.push(event as unknown as LeavingEvent);
    },
    sample() {},
  };
  const ofDriver = (id: string) => told.filter(({ key, kind }) => key === id && kind === 'driver_changed');
  return { state, sink, typesOf: (id: string) => ofDriver(id).map(({ type, seq }) => `${seq} ${type}`), ofDriver };
}

t.test('other systems are told of each change of availability, in order, and of nothing else', async (t) => {
  const { sink, typesOf, ofDriver, state } = listening();
  const place = await shared(t);
  const s = await stack(t, place, { sweepAgeMs: 0, wrapPorts: (ports) => ({ ...ports, sink }) });
  const driver = await onDuty(s, 'driver');
  await s.drivers.setStatus(driver, 'looking');
  await s.drivers.answered('driver', 'offer-1', false);
  t.ok(await s.drivers.claim('driver', 'trip-1'));
  await s.drivers.setStatus(driver, 'busy');
  await s.idle();
  t.same(typesOf('driver'), ['1 driver.became_available', '2 driver.took_trip'], 'the trip goes before what he says');
  state.isAway = true;
  await s.drivers.release('driver', 'trip-1');
  await s.drivers.setStatus(driver, 'offline');
  await s.idle();
  t.equal(typesOf('driver').length, 2, 'nobody could be told');
  state.isAway = false;
  await until(async () => {
    await s.sweep();
    await s.idle();
    return typesOf('driver').length >= 4;
  }, 'what was to be told');
  t.same(typesOf('driver').slice(2), ['3 driver.became_busy', '4 driver.went_offline']);
  const more = { city: 'testville', vehicleClass: 'standard', driverId: 'driver' };
  t.match(ofDriver('driver')[1]?.message, {
    availability: 'on_trip',
    status: 'looking',
    activeTripId: 'trip-1',
    ...more,
  });
  t.match(ofDriver('driver')[3]?.message, { availability: 'offline', status: 'offline', activeTripId: null, ...more });

  const silent = await stack(t, place);
  await onDuty(silent, 'untold');
  t.notOk((await silent.drivers.get('untold'))?.changes, 'without a sink nothing is written for it');
});
