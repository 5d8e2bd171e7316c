/** The driver's document and the index of available drivers, which is a copy of it: they agree in the end, whoever writes when. */
import fc from 'fast-check';
import t from 'tap';
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
