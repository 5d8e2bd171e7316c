/** Writers of one document over a real store: nobody's write is lost, and who loses too often is told so. */
import t, { type Test } from 'tap';
import { checkVersion, isTaken, LOST, put, untilWritten } from '../../../src/domain/documents/writing.ts';
import { RideError } from '../../../src/errors.ts';
import type { StoredDocument } from '../../../src/ports/store.ts';
import { createStoreAt } from '../../conformance/store/place.ts';
import { ownStore } from '../../servers/own-store.ts';

interface Tally extends StoredDocument {
  by: string[];
}

const NEW: Tally = { id: 'tally', region: 'test', createdAt: 1, version: 1, by: [] };

async function tallies(t: Test) {
  const store = await createStoreAt(await ownStore(t));
  const collection = store.collection<Tally>({ name: 'tallies', indexes: [] });
  await store.open();
  t.teardown(() => store.close());
  return collection;
}

t.test('of many writers at once, of whom the first makes the document, each is heard', async (t) => {
  const collection = await tallies(t);
  const names = Array.from({ length: 8 }, (_, n) => `writer-${n}`);
  let lost = 0;
  const add = (name: string) =>
    untilWritten('tally', async () => {
      const stored = await collection.get(NEW.id);
      const before = stored ?? { ...NEW, version: 0 };
      const next = { ...before, version: before.version + 1, by: [...before.by, name] };
      if (await put(collection, stored, next)) return next;
      lost++;
      return LOST;
    });
  const written = await Promise.all(names.map(add));
  t.same(written.map(({ version }) => version).sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
  t.ok(lost > 0, 'there were races');
  const { version, by } = (await collection.get(NEW.id))!;
  t.equal(version, names.length);
  t.same([...by].sort(), names);
});

t.test('who loses every race is told when to come again', async (t) => {
  let tried = 0;
  const lose = async () => {
    tried++;
    return LOST;
  };
  await t.rejects(untilWritten('tally', lose), {
    code: 'RIDE_CONFLICT',
    message: 'The tally changed too often; try again',
    retryAfterMs: 50,
  });
  t.equal(tried, 16);
  await t.rejects(untilWritten('tally', lose, { attempts: 2, retryAfterMs: 1000 }), {
    code: 'RIDE_CONFLICT',
    retryAfterMs: 1000,
  });
  t.equal(tried, 18);
});

t.test('what fails is not tried again', async (t) => {
  let tried = 0;
  const failed = untilWritten('tally', async () => {
    tried++;
    throw new RideError('RIDE_UNAVAILABLE', 'away');
  });
  await t.rejects(failed, { code: 'RIDE_UNAVAILABLE' });
  t.equal(tried, 1);
});

t.test('a document is written with its events, or not at all', async (t) => {
  const collection = await tallies(t);
  const event = (seq: number) => ({ id: `e${seq}`, seq, type: 'tally.changed', at: seq, data: {} });
  t.ok(await put(collection, null, NEW, [event(1)]));
  t.notOk(await put(collection, null, { ...NEW, by: ['late'] }, [event(2)]), 'there is one already');
  t.ok(await put(collection, NEW, { ...NEW, version: 2 }, [event(2)]));
  t.notOk(await put(collection, NEW, { ...NEW, version: 2, by: ['late'] }, [event(3)]), 'it is not what it was');
  t.same(
    (await collection.outboxOf(NEW.id)).map(({ id }) => id),
    ['e1', 'e2'],
  );
  t.same((await collection.get(NEW.id))?.by, []);
});

t.test('what the store refuses is no lost race', async (t) => {
  const collection = await tallies(t);
  await t.rejects(put(collection, null, { ...NEW, version: 2 }), { code: 'RIDE_INVALID_INPUT' });
});

t.test('a taken id is told from everything else', async (t) => {
  const collection = await tallies(t);
  await collection.insert(NEW);
  t.ok(await collection.insert(NEW).then(() => false, isTaken));
  t.notOk(await collection.insert({ ...NEW, version: 2 }).then(() => false, isTaken));
  t.notOk(isTaken(new Error('away')));
});

t.test('a caller who decided on another version is told the current one', async (t) => {
  const document = { ...NEW, version: 3 };
  checkVersion('tally', document, undefined);
  checkVersion('tally', document, 3);
  t.throws(() => checkVersion('tally', document, 2, { status: 'open' }), {
    code: 'RIDE_PRECONDITION_FAILED',
    message: 'The tally is at version 3',
    field: 'If-Match',
    rule: 'the current version',
    facts: { version: 3, status: 'open' },
  });
});
