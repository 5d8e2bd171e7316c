/** What is SQLite's own, beside the port: its locks, its thread, its file, its indexes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { pageStatements, whereClause } from '../../../src/adapters/sqlite/query.ts';
import { tableOf } from '../../../src/adapters/sqlite/schema.ts';
import { createSqliteStore } from '../../../src/adapters/sqlite/store.ts';
import type { Filter } from '../../../src/ports/store.ts';
import { CHILD, checkAcknowledged, checkWhole } from '../../conformance/store/crash.ts';
import { eventOf, next, openAt, THINGS, type Thing, thing } from '../../conformance/store/place.ts';

const unavailable = { code: 'RIDE_UNAVAILABLE' };

async function freshFile(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-sqlite-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'ride.db');
}

async function opened(t: Test, file: string, busyTimeoutMs?: number) {
  const store = createSqliteStore({ file, busyTimeoutMs });
  const things = store.collection(THINGS);
  await store.open();
  t.after(() => store.close());
  return { store, things };
}

/** Another program that holds the lock on writing until it lets go. */
function holdLock(t: Test, file: string): () => void {
  const other = new DatabaseSync(file);
  t.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  return () => other.exec('ROLLBACK');
}

t.test('a node joins others without a lock, whatever they write', async (t) => {
  const file = await freshFile(t);
  await opened(t, file);
  holdLock(t, file);
  const { things } = await opened(t, file, 50);
  t.equal(await things.get('nobody'), null);
});

t.test('while another process holds the lock, writes wait, reads do not, and the wait has an end', async (t) => {
  const file = await freshFile(t);
  const { things } = await opened(t, file, 60_000);
  const { store, things: hasty } = await opened(t, file, 250);
  const one = thing();
  await things.insert(one);

  const release = holdLock(t, file);
  let settled = false;
  const waiting = things.insert(thing()).finally(() => {
    settled = true;
  });
  for (let i = 0; i < 20; i++) t.strictSame(await things.get(one.id), one);
  t.equal(settled, false, 'twenty reads were served while the write waited');
  release();
  await waiting;
  t.equal(await things.count({}), 2);

  const releaseAgain = holdLock(t, file);
  const started = performance.now();
  const late = thing();
  const refused = await Promise.allSettled([hasty.insert(late), hasty.compareAndSet(next(one)), store.ping()]);
  t.ok(performance.now() - started >= 240);
  for (const result of refused) {
    t.match(result, { status: 'rejected', reason: { ...unavailable, retryAfterMs: Number } });
  }
  releaseAgain();
  t.equal(await things.get(late.id), null, 'what was refused is not written later');
  t.strictSame(await things.get(one.id), one);
  await things.insert(late);
});

t.test('opening waits for the lock, gives up in time, and can be tried again', async (t) => {
  // Something is to be made: all of it.
  const file = await freshFile(t);
  const release = holdLock(t, file);
  const store = createSqliteStore({ file, busyTimeoutMs: 100 });
  const things = store.collection(THINGS);
  await t.rejects(store.open(), unavailable);
  await t.rejects(things.count({}), unavailable);
  release();
  await store.open();
  t.equal(await things.count({}), 0);
  await store.close();
});

t.test('when the thread dies, running calls are refused, and another takes its place', async (t) => {
  const file = await freshFile(t);
  const workers: Worker[] = [];
  const collect = (worker: Worker): unknown => workers.push(worker);
  process.on('worker', collect);
  t.after(() => process.off('worker', collect));
  const { store, things } = await opened(t, file);
  const one = thing();
  await things.insert(one, [eventOf(one)]);
  const release = holdLock(t, file);
  const running = [
    things.insert(thing()),
    things.compareAndSet(next(one)),
    store.tracks.append(new Map([['s', [{ at: 1, lat: 1, lng: 1 }]]])),
  ];
  const all = Promise.allSettled(running);
  await things.get(one.id);
  const before = workers.length;
  await workers.at(-1)!.terminate();
  for (const result of await all) t.match(result, { status: 'rejected', reason: unavailable });
  await t.rejects(store.ping(), unavailable);
  release();
  await t.resolves(until(() => store.ping()));
  t.ok(workers.length > before, 'another worker serves');
  t.strictSame(await things.get(one.id), one);
  t.equal(await things.count({}), 1);
  t.equal(await things.compareAndSet(next(one)), true);
});

/** Repeats a call while it rejects with RIDE_UNAVAILABLE. */
async function until(call: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'RIDE_UNAVAILABLE') throw error;
      await new Promise(setImmediate);
    }
  }
}

t.test('close lets running calls finish, and refuses later ones', async (t) => {
  const file = await freshFile(t);
  const { store, things } = await opened(t, file);
  const all = Array.from({ length: 3000 }, () => thing());
  const running = Promise.all(all.map((one) => things.insert(one)));
  const closed = store.close();
  await t.rejects(things.insert(thing()), unavailable);
  await Promise.all([running, closed, store.close()]);
  t.equal(await (await opened(t, file)).things.count({}), 3000);
});

t.test(
  'a full disk refuses writes whole, and what was acknowledged stays',
  { skip: process.platform === 'win32' },
  async (t) => {
    const file = await freshFile(t);
    const place = { adapter: 'sqlite', file } as const;
    // The size limit of a file stands for the full disk: the same system call fails, its signal being ignored, as Node
    // does. The test runner's hooks, which every Node below it is given, would turn the signal on again.
    const command = 'unset NODE_OPTIONS; ulimit -f 2048; exec "$0" "$@"';
    const args = ['-c', command, process.execPath, CHILD, JSON.stringify(place), 'fill'];
    const child = spawn('/bin/sh', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const exit = once(child, 'exit');
    const acknowledged = new Map<string, number>();
    const refusals: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const [id, rest] = line.split(' ');
      if (id === 'refused') refusals.push(rest!);
      else acknowledged.set(id!, Number(rest));
    }
    t.strictSame((await exit)[0], 0, 'reads and close still worked');
    t.strictSame(refusals, Array(8).fill('RIDE_UNAVAILABLE'));
    t.ok(acknowledged.size > 50, `${acknowledged.size} before it was full`);
    const { things } = await openAt(t, place);
    await checkAcknowledged(t, things, acknowledged);
    t.equal(await checkWhole(t, things), acknowledged.size, 'and nothing that was refused');
  },
);

t.test('a write whose event is a defect fails alone among those of its group', async (t) => {
  const { things } = await opened(t, await freshFile(t));
  const first = thing();
  await things.insert(first, [eventOf(first)]);
  const repeated = { ...eventOf(first), id: 'another' };
  const before = thing();
  const after = thing();
  const results = await Promise.allSettled([
    things.insert(before, [eventOf(before)]),
    things.compareAndSet(next(first, { note: 'never' }), [repeated]),
    things.insert(after, [eventOf(after)]),
    things.compareAndSet(next(first, { note: 'stored' })),
  ]);
  t.strictSame(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  t.equal((await things.get(first.id))?.note, 'stored');
  t.strictSame(await things.outboxOf(first.id), [eventOf(first)]);
  t.strictSame(await things.outboxOf(after.id), [eventOf(after)]);
});

t.test('a file that is no database, of a newer program, or that has no place is refused', async (t) => {
  const file = await freshFile(t);
  await writeFile(file, 'not a database, but long enough to look like one'.repeat(100));
  await t.rejects(createSqliteStore({ file }).open(), unavailable);
  await t.rejects(createSqliteStore({ file: join(file, 'below', 'a.db') }).open(), unavailable);
  const newer = await freshFile(t);
  const db = new DatabaseSync(newer);
  db.exec('PRAGMA user_version = 99');
  db.close();
  await t.rejects(createSqliteStore({ file: newer }).open(), { ...unavailable, message: /schema 99/ });
  await mkdir(`${newer}.folder`);
  await t.rejects(createSqliteStore({ file: `${newer}.folder` }).open(), unavailable);
});

t.test('an index whose definition changed is made anew', async (t) => {
  const file = await freshFile(t);
  await (await opened(t, file)).store.close();
  const again = createSqliteStore({ file });
  again.collection<Thing>({ ...THINGS, indexes: [{ name: 'status', fields: ['note'] }] });
  await again.open();
  await again.close();
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  const row = db.prepare("SELECT sql FROM sqlite_master WHERE name = 'things.status'").get();
  t.match(row?.sql, /note/);
});

t.test('a page has one bound on each side, for of two SQLite may seek by the wider', async (t) => {
  const bounded = (direction: 'asc' | 'desc', value: number | null) => {
    const query = { where: { n: { gte: 1000, lt: 9000 } }, orderBy: 'n', direction, pageSize: 10 };
    const [sql, ...parameters] = pageStatements('things', query, value === null ? null : { value, id: 'x' }).at(-1)!;
    t.notMatch(sql, /'' *\)/, 'both ends are closed by numbers');
    return parameters;
  };
  for (const [direction, passed, left] of [
    ['asc', 1000, 9000],
    ['desc', 9000, 1000],
  ] as const) {
    t.same(bounded(direction, null).slice(0, 2), [1000, 9000]);
    const later = bounded(direction, 5000);
    t.ok(later.includes(left) && later.includes(5000), `${direction}: from the cursor on`);
    t.notOk(later.includes(passed), `${direction}: not from the beginning`);
  }
});

t.test('declared indexes serve the queries they are declared for', async (t) => {
  const file = await freshFile(t);
  await (await opened(t, file)).store.close();
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  const plan = (sql: string, parameters: readonly (string | number | null)[]): string =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...parameters)
      .map((row) => row.detail)
      .join('; ');
  const where = (filter: Filter): string => {
    const clause = whereClause(filter);
    return plan(`SELECT doc FROM ${tableOf('things')} WHERE ${clause.sql}`, clause.parameters);
  };
  t.match(where({ id: 'x' }), /USING INDEX sqlite_autoindex/);
  t.match(where({ handle: 'x' }), /USING INDEX things.handle/, 'sparse');
  t.match(where({ run: 'r', code: 'c' }), /USING INDEX things.code \(<expr>=\? AND <expr>=\?\)/);
  t.match(
    where({ status: 's', 'place.city': 'c', n: { gte: 1 } }),
    /things.status \(<expr>=\? AND <expr>=\? AND <expr>>\?/,
  );
  t.match(where({ cell: { in: ['a', 'b'] } }), /USING INDEX things.cell/, 'near');
  t.match(
    where({ status: 's', flag: true }),
    /USING INDEX things.flag \(<expr>=\? AND <expr>=\?/,
    'of those who have it',
  );
  t.match(where({ createdAt: { lt: 5 } }), /USING INDEX things.created/);

  const page = (filter: Filter, orderBy: string, after: { value: number | string; id: string } | null): string => {
    const query = { where: filter, orderBy, pageSize: 10 };
    return pageStatements('things', query, after)
      .map(([sql, ...parameters]) => plan(sql, parameters))
      .join('; ');
  };
  for (const after of [null, { value: 5, id: 'x' }]) {
    const created = page({}, 'createdAt', after);
    t.match(created, after ? /SEARCH \S+ USING INDEX things.created/ : /USING INDEX things.created/);
    t.notMatch(created, /TEMP B-TREE/, 'the index gives the order');
    const busy = page({ status: 's', 'place.city': 'c' }, 'n', after);
    t.match(busy, /things.status \(<expr>=\? AND <expr>=\?/);
    t.notMatch(busy, /TEMP B-TREE/);
  }
  t.match(plan('SELECT id FROM outbox WHERE collection = ? AND at <= ? ORDER BY at', ['x', 1]), /INDEX outbox_at/);
});
