/**
 * What is MongoDB's own, beside the port: the shard key, indexes, write concern, a server that goes away and comes
 * back.
 */
import { createServer } from 'node:net';
import { MongoClient } from 'mongodb';
import t, { type Test } from 'tap';
import { freePort } from '../../../sim/free-port.ts';
import { Connection } from '../../../src/adapters/mongodb/connection.ts';
import { byId, byIds } from '../../../src/adapters/mongodb/query.ts';
import { createMongoStore } from '../../../src/adapters/mongodb/store.ts';
import type { CollectionSpec } from '../../../src/ports/store.ts';
import { eventOf, next, openAt, REGION, THINGS, type Thing, thing } from '../../conformance/store/place.ts';
import { type MongoServer, startMongo, startMongod } from '../../servers/mongo.ts';

const unavailable = { code: 'RIDE_UNAVAILABLE', retryAfterMs: Number };
const server = await startMongo(t);
const skip = 'skip' in server ? server.skip : false;
const mongo = server as MongoServer;

async function opened(t: Test, url: string, database: string) {
  const store = createMongoStore({ url, database, region: REGION, serverSelectionTimeoutMs: 1500 });
  const things = store.collection(THINGS);
  await store.open();
  t.after(() => store.close());
  return { store, things };
}

async function driver(t: Test, url: string): Promise<MongoClient> {
  const client = await new MongoClient(url).connect();
  t.after(() => client.close());
  return client;
}

t.test('filters by id carry the shard key where the ids tell it', async (t) => {
  const [a, b] = [thing(), thing()] as [Thing, Thing];
  t.strictSame(byId(a.id), { _id: a.id, region: a.region, createdAt: a.createdAt });
  t.strictSame(byId('foreign'), { _id: 'foreign' });
  t.strictSame(byIds([a.id, b.id]), {
    _id: { $in: [a.id, b.id] },
    region: { $in: [a.region] },
    createdAt: { $in: [a.createdAt, b.createdAt] },
  });
  t.strictSame(byIds([a.id, 'foreign']), { _id: { $in: [a.id, 'foreign'] } });
});

t.test('writes wait for the majority and the journal, unless the address says otherwise', async (t) => {
  const concern = (query: string): unknown => {
    const url = `mongodb://127.0.0.1:1/${query}`;
    return new Connection({ url, serverSelectionTimeoutMs: 1 }).db.writeConcern;
  };
  t.match(concern(''), { w: 'majority', journal: true });
  t.match(concern('?retryWrites=true'), { w: 'majority', journal: true });
  t.match(concern('?w=1'), { w: 1, journal: undefined });
  const name = (url: string, database?: string): string =>
    new Connection({ url, database, serverSelectionTimeoutMs: 1 }).db.databaseName;
  t.equal(name('mongodb://127.0.0.1:1'), 'ridestream');
  t.equal(name('mongodb://u:p@127.0.0.1:1/city?authSource=admin'), 'city');
  t.equal(name('mongodb://127.0.0.1:1/city', 'other'), 'other');
});

t.test('an address that is none is refused without telling its password', async (t) => {
  const make = (): unknown => createMongoStore({ url: 'mongo://u:secret@host', region: REGION });
  t.throws(make, { code: 'RIDE_INVALID_INPUT', field: 'url', message: /^((?!secret).)*$/ });
});

t.test('a server that is not there is said so, soon, and opening can be tried again', { skip }, async (t) => {
  const nowhere = `mongodb://127.0.0.1:${await freePort()}/?directConnection=true`;
  const store = createMongoStore({ url: nowhere, region: REGION, serverSelectionTimeoutMs: 200 });
  t.after(() => store.close());
  const things = store.collection(THINGS);
  for (let attempt = 0; attempt < 2; attempt++) {
    const started = performance.now();
    await t.rejects(store.open(), unavailable);
    t.ok(performance.now() - started < 5000);
  }
  await t.rejects(things.get('x'), unavailable);
  await t.rejects(store.ping(), unavailable);
});

t.test('a server that accepts and says nothing is not waited for', async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const url = `mongodb://127.0.0.1:${port}/?directConnection=true`;
  const store = createMongoStore({ url, region: REGION, serverSelectionTimeoutMs: 200 });
  await t.rejects(store.open(), unavailable);
  await store.close();
});

t.test('a server that goes away: calls are refused; when it is back they work again', async (t) => {
  const own = await startMongo(t, { durable: true });
  if ('skip' in own || own.real) {
    t.comment(`not run: ${'skip' in own ? own.skip : 'the server of MONGODB_URL is not ours to end'}`);
    return;
  }
  const { store, things } = await opened(t, own.url, own.freshDatabase());
  const one = thing();
  await things.insert(one, [eventOf(one)]);
  await own.restart();
  t.strictSame(await things.get(one.id), one, 'an orderly restart is not noticed');
  const running = Promise.allSettled(Array.from({ length: 20 }, () => things.insert(thing())));
  await own.kill();
  for (const result of await running) {
    if (result.status === 'rejected') t.match(result.reason, unavailable);
  }
  const calls = [store.ping(), things.compareAndSet(next(one)), things.get(one.id), store.tracks.read('s', 0, 1)];
  for (const result of await Promise.allSettled(calls)) t.match(result, { status: 'rejected', reason: unavailable });
  await own.restart();
  await store.ping();
  await things.insert(thing());
});

t.test('close lets running calls finish', { skip }, async (t) => {
  const database = mongo.freshDatabase();
  const { store, things } = await opened(t, mongo.url, database);
  const running = Promise.all(Array.from({ length: 200 }, () => things.insert(thing())));
  const closed = store.close();
  await t.rejects(things.insert(thing()), unavailable);
  await Promise.all([running, closed, store.close()]);
  await t.rejects(store.open(), unavailable);
  t.equal(await (await opened(t, mongo.url, database)).things.count({}), 200);
});

/** As document C has them; its two `2dsphere` ones are H3 cells here. */
const C_TRIPS: CollectionSpec<Thing> = {
  name: 'trips',
  indexes: [
    { name: 'search', fields: ['status', 'source.city', 'departureTime'] },
    { name: 'driver', fields: ['driver', 'status'] },
    { name: 'phone', fields: ['phone'], unique: true },
    { name: 'email', fields: ['email'], sparse: true },
    { name: 'source', fields: ['source.cell'], sparse: true },
  ],
};

t.test('indexes are what was declared, and are made anew when that changes', { skip }, async (t) => {
  const database = mongo.freshDatabase();
  const open = async (spec: CollectionSpec<Thing>): Promise<Record<string, unknown>> => {
    const store = createMongoStore({ url: mongo.url, database, region: REGION });
    store.collection(spec);
    await store.open();
    await store.close();
    const indexes = await (await driver(t, mongo.url)).db(database).collection('trips').indexes();
    return Object.fromEntries(indexes.map(({ name, key, unique, sparse }) => [name, { key, unique, sparse }]));
  };
  const first = await open(C_TRIPS);
  t.match(first, {
    _id_: { key: { _id: 1 } },
    shard: { key: { region: 1, createdAt: 1, _id: 1 } },
    outbox: { key: { 'outbox.at': 1 } },
    search: { key: { status: 1, 'source.city': 1, departureTime: 1, _id: 1 } },
    driver: { key: { driver: 1, status: 1, _id: 1 } },
    phone: { key: { phone: 1 }, unique: true },
    email: { key: { email: 1 }, sparse: true },
    source: { key: { 'source.cell': 1 }, sparse: true },
  });
  t.equal(Object.keys(first).length, 8);
  t.strictSame(await open(C_TRIPS), first, 'opening again changes nothing');
  const indexes = C_TRIPS.indexes.map((index) => (index.name === 'driver' ? { ...index, fields: ['driver'] } : index));
  t.match(await open({ ...C_TRIPS, indexes }), { driver: { key: { driver: 1, _id: 1 } }, phone: { unique: true } });
});

t.test('documents lie in the database under their own names', { skip }, async (t) => {
  const database = mongo.freshDatabase();
  const { store, things } = await opened(t, mongo.url, database);
  const one = thing({ status: 's', place: { city: 'c', zone: null } });
  await things.insert(one, [eventOf(one)]);
  await store.tracks.append(new Map([[one.id, [{ at: 3_600_005, lat: 1, lng: 2, speedMps: 3 }]]]));
  const db = (await driver(t, mongo.url)).db(database);
  t.strictSame(await db.collection('things').findOne(), {
    _id: one.id,
    region: REGION,
    createdAt: one.createdAt,
    version: 1,
    code: one.code,
    status: 's',
    place: { city: 'c' },
    outbox: [eventOf(one)],
    _fields: 'code createdAt place region status version',
    _nulls: ['place.zone'],
  });
  t.strictSame(await db.collection('track_buckets').findOne(), {
    _id: `${one.id}:3600000`,
    region: REGION,
    createdAt: 3_600_000,
    subject: one.id,
    points: { 3600005: { lat: 1, lng: 2, speedMps: 3 } },
  });
});

const real = skip || (mongo.real ? false : 'only a real mongod: the stand-in has no such thing');

t.test('real mongod: what was acknowledged is read with read concern majority', { skip: real }, async (t) => {
  const database = mongo.freshDatabase();
  const { things } = await openAt(t, { adapter: 'mongodb', url: mongo.url, database });
  const all = Array.from({ length: 50 }, () => thing());
  await Promise.all(all.map((one) => things.insert(one)));
  const collection = (await driver(t, mongo.url)).db(database).collection('things');
  t.equal((await collection.find({}, { readConcern: { level: 'majority' } }).toArray()).length, 50);
});

t.test('real mongod: indexes serve pages, near, pending and tracks', { skip: real }, async (t) => {
  const database = mongo.freshDatabase();
  const { things, store } = await openAt(t, { adapter: 'mongodb', url: mongo.url, database });
  for (let i = 0; i < 200; i++) {
    const one = thing({ status: `s${i % 9}`, n: i, cell: `c${i}`, place: { city: 'c' } });
    await things.insert(one, i % 20 ? [] : [eventOf(one)]);
    await store.tracks.append(new Map([[one.id, [{ at: i, lat: 1, lng: 1 }]]]));
  }
  const db = (await driver(t, mongo.url)).db(database);
  const stages = async (name: string, filter: object, sort: Record<string, 1 | -1>): Promise<string> => {
    const plan = await db.collection(name).find(filter).sort(sort).limit(10).explain('queryPlanner');
    return JSON.stringify(plan.queryPlanner.winningPlan);
  };
  const plans = [
    await stages('things', { createdAt: { $lt: 9e12 } }, { createdAt: -1, _id: -1 }),
    await stages('things', { status: 's1', 'place.city': 'c' }, { n: -1, _id: -1 }),
    await stages('things', { 'outbox.at': { $lte: 9e12 } }, {}),
    await stages('things', { cell: { $in: ['c1', 'c2'] } }, {}),
    await stages('track_buckets', { subject: 'x', createdAt: { $gte: 0, $lt: 9 } }, {}),
  ];
  for (const plan of plans) {
    t.match(plan, /IXSCAN/);
    t.notMatch(plan, /"stage":"(COLLSCAN|SORT)"/);
  }
});

t.test('real mongod: what was acknowledged survives kill -9 of the server', async (t) => {
  const own = await startMongod(t);
  if ('skip' in own) return void t.test('durability after kill -9 of the server', { skip: own.skip }, async () => {});
  const place = { adapter: 'mongodb', url: own.url, database: own.freshDatabase() } as const;
  const { things } = await openAt(t, place);
  const acknowledged: string[] = [];
  const write = async (): Promise<void> => {
    for (;;) {
      const one = thing();
      try {
        await things.insert(one, [eventOf(one)]);
      } catch (error) {
        t.match(error, unavailable);
        return;
      }
      if (acknowledged.push(one.id) === 300) await own.kill();
    }
  };
  await Promise.all(Array.from({ length: 16 }, write));
  await own.restart();
  t.equal((await things.getMany(acknowledged)).length, acknowledged.length);
});
