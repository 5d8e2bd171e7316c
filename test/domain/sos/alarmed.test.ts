/** Whose alert is open is known on every node, also on one that has just begun, and his track is kept whole until it is resolved. */
import t from 'tap';
import { Alarmed } from '../../../src/domain/sos/alarmed.ts';
import type { SosDocument } from '../../../src/domain/sos/schemas.ts';
import type { Page } from '../../../src/ports/store.ts';
import { manualClock, near, person, type Stack, shared, stack } from '../stack.ts';

const driver = person('driver', 'driver');
const desk = person('dispatcher', 'desk');
const input = { tripId: '', position: near(0), note: 'help' };

t.test('the track of a driver with an open alert has every position, on any node and after a restart', async (t) => {
  const clock = manualClock();
  const place = await shared(t, clock);
  const [a, b] = [await stack(t, place), await stack(t, place)];
  let metres = 0;
  /** Points that are kept of 20 positions, one each 5 s, that he tells a node. */
  const keptOf = async (s: Stack): Promise<number> => {
    const from = clock.now() + 1;
    for (let i = 0; i < 20; i++) {
      clock.add(5000);
      metres += 20;
      await s.locations.update(driver, { ...near(metres), recordedAt: clock.now(), tripId: '' }, 'stream');
    }
    await s.watch.idle();
    return (await s.store.tracks.read(driver.userId, from, clock.now() + 1)).length;
  };
  t.equal(await keptOf(a), 2);
  const id = await a.sos.trigger(driver, input);
  await a.idle();
  t.equal(await keptOf(a), 20, 'at once where it was raised');
  await b.sos.alarmed.refresh();
  t.equal(await keptOf(b), 20, 'and elsewhere');
  const begun = await stack(t, place);
  await begun.sos.alarmed.refresh();
  t.equal(await keptOf(begun), 20, 'and on a node that begins later');
  await b.sos.resolve(desk, id);
  await b.idle();
  t.equal(await keptOf(b), 2, 'until it is resolved');
  for (const s of [a, begun]) {
    await s.sos.alarmed.refresh();
    t.equal(await keptOf(s), 2);
  }
});

t.test('what is told while the store is read is not forgotten', async (t) => {
  const read = Promise.withResolvers<Page<SosDocument>>();
  const alarmed = new Alarmed({ page: () => read.promise });
  alarmed.opened('before', 'sos_1');
  const refreshed = alarmed.refresh();
  alarmed.opened('meanwhile', 'sos_2');
  alarmed.opened('both', 'sos_3');
  alarmed.closed('both', 'sos_3');
  alarmed.closed('again', 'sos_4');
  read.resolve({
    items: [
      { id: 'sos_5', userId: 'again' },
      { id: 'sos_3', userId: 'both' },
      { id: 'sos_4', userId: 'again' },
    ] as SosDocument[],
  });
  await refreshed;
  const known = ['before', 'meanwhile', 'both', 'again'].filter((userId) => alarmed.has(userId));
  t.same(known, ['meanwhile', 'again'], 'his former alert is closed, another is open');
});
t.end();
