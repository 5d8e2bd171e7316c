/** A node keeps the entries of its sessions alive in Redis, a bounded share at a time, and its own lease. */
import t from 'tap';
import { createRedisSessionDirectory } from '../../src/adapters/redis/session-directory.ts';
import type { DirectoryEntry } from '../../src/ports/session-directory.ts';
import { NodeLease } from '../../src/realtime/node-lease.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { ENTRY_TTL_MS, quiet, realtimeNode } from './node.ts';

const redis = await startRedis(t);
const ROUND_MS = ENTRY_TTL_MS / 4;
const HOUR_S = 3600;

t.test('every entry gets its whole life again within a round, and what was lost is written anew', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const directory = createRedisSessionDirectory(node.redis, { leaseMs: 60_000, entryTtlMs: ENTRY_TTL_MS, log: quiet });
  const sessions = Array.from({ length: 25 }, (_, i) => node.connect(`u${i}`).session);
  const keys = sessions.flatMap(({ id, principal: { userId } }) => [
    `socket:user:${id}`,
    `user:socket:${userId}`,
    `session:${userId}`,
  ]);
  await until(async () => (await node.redis.exists(...keys)) === keys.length, 'the entries');
  const before = await Promise.all(keys.map((key) => node.redis.dump(key)));
  await Promise.all(keys.map((key) => node.redis.expire(key, HOUR_S)));
  const lost = keys.slice(0, 3);
  const renewed = async () => {
    const left = await Promise.all(keys.map((key) => node.redis.ttl(key)));
    return left.filter((ttlS) => ttlS > 20 * HOUR_S).length;
  };
  t.equal(await renewed(), 0);
  await node.redis.del(...lost);
  const lease = new NodeLease({
    directory,
    broker: node.broker,
    everyMs: ROUND_MS / 10,
    entryTtlMs: ENTRY_TTL_MS,
    log: quiet,
  });
  await lease.tick();
  t.equal(await renewed(), 9, 'three sessions at a tick');
  t.equal((await directory.cluster())[0]?.total, 25, 'and the lease of the node');
  for (let tick = 1; tick < 10; tick++) await lease.tick();
  t.equal(await renewed(), keys.length);
  t.same(await Promise.all(keys.map((key) => node.redis.dump(key))), before);
});

t.test('the place of a user is that of his newest session still; who has gone is not written', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const directory = createRedisSessionDirectory(node.redis, { leaseMs: 60_000, entryTtlMs: ENTRY_TTL_MS, log: quiet });
  const old = node.connect('two').session;
  const newest = node.connect('two').session;
  const gone = node.connect('gone').session;
  node.broker.lost(gone);
  const lease = new NodeLease({
    directory,
    broker: node.broker,
    everyMs: ROUND_MS,
    entryTtlMs: ENTRY_TTL_MS,
    log: quiet,
  });
  await lease.tick();
  t.equal(await node.redis.hget('session:two', 'socketId'), newest.id);
  t.same((await node.redis.smembers('user:socket:two')).sort(), [old.id, newest.id].sort());
  t.equal(await node.redis.exists(`socket:user:${gone.id}`), 0);
});

t.test('a round trip is bounded, a round takes in everyone, and a failure is made up for', async (t) => {
  const all: DirectoryEntry[] = Array.from({ length: 1200 }, (_, i) => ({
    sessionId: `s${i}`,
    userId: `u${i}`,
    role: 'rider',
    namespace: 'ws',
    nodeId: 'n',
    connectedAt: 0,
    expiresAt: 0,
    tokenHash: '',
    tripIds: [],
  }));
  const stats = { nodeId: 'n', total: all.length, byNamespace: {}, byRole: {}, byCity: {} };
  const batches: string[][] = [];
  let failures = 1;
  let leases = 0;
  const directory = {
    renew: async () => void leases++,
    async keep(entries: readonly DirectoryEntry[]) {
      if (failures-- > 0) throw new Error('Redis is away');
      batches.push(entries.map(({ sessionId }) => sessionId));
    },
  };
  const broker = { size: all.length, stats: () => stats, entries: () => all };
  const lease = new NodeLease({ directory, broker, everyMs: ROUND_MS * 2, entryTtlMs: ENTRY_TTL_MS, log: quiet });
  await lease.tick();
  t.same([leases, batches.length], [1, 0]);
  await lease.tick();
  await lease.tick();
  t.equal(leases, 3);
  t.ok(
    batches.every(({ length }) => length > 0 && length <= 500),
    `${batches.map(({ length }) => length)}`,
  );
  t.equal(new Set(batches.flat()).size, all.length);
});
t.test('who follows a trip is in its set, for as long as he does and a day beyond a node that dies', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const key = 'order:subscription:trip-1';
  const members = async () => (await node.redis.smembers(key)).sort();
  const directory = createRedisSessionDirectory(node.redis, { leaseMs: 60_000, entryTtlMs: ENTRY_TTL_MS, log: quiet });
  const lease = new NodeLease({
    directory,
    broker: node.broker,
    everyMs: ROUND_MS,
    entryTtlMs: ENTRY_TTL_MS,
    log: quiet,
  });
  const [rider, driver] = [node.connect('rider').session, node.connect('driver').session];
  for (const session of [rider, driver]) {
    await node.broker.subscribe(session, 'trip:trip-1');
    await node.broker.subscribe(session, 'zone:89');
  }
  await until(async () => (await members()).length === 2, 'both are there');
  t.same(await members(), [rider.id, driver.id].sort());
  t.same(await node.redis.keys('order:subscription:*'), [key], 'of trips only');
  t.ok((await node.redis.ttl(key)) > 23 * HOUR_S);
  await node.redis.expire(key, HOUR_S);
  await lease.tick();
  t.ok((await node.redis.ttl(key)) > 23 * HOUR_S, 'renewed');
  await node.redis.del(key);
  await lease.tick();
  t.same(await members(), [rider.id, driver.id].sort(), 'and written anew when it was lost');
  node.broker.unsubscribe(rider, 'trip:trip-1');
  await until(async () => (await members()).length === 1, 'one has left');
  node.broker.lost(driver);
  await until(async () => (await node.redis.exists(key)) === 0, 'it goes with the last');
});

t.test('the place of a user says whose token it is, never the token, and goes with its session', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const place = () => node.redis.hgetall('session:placed');
  const old = node.connect('placed').session;
  const newest = node.connect('placed').session;
  await until(async () => (await place()).socketId === newest.id, 'the place is written');
  t.same(await place(), {
    token: 'hash-of-placed',
    role: 'passenger',
    expiresAt: String(newest.principal.expiresAt),
    socketId: newest.id,
    nodeId: 'n',
  });
  node.broker.lost(old);
  await until(async () => (await node.redis.exists(`socket:user:${old.id}`)) === 0, 'the older one has gone');
  t.equal((await place()).socketId, newest.id, 'which was not the one that it names');
  node.broker.lost(newest);
  await until(async () => (await node.redis.exists('session:placed')) === 0, 'the place has gone');
});

t.test('what a killed node left in sets that live on is taken out, and nothing of a living one', async (t) => {
  const [dead, other, here] = [
    await realtimeNode(t, redis.url),
    await realtimeNode(t, redis.url),
    await realtimeNode(t, redis.url),
  ];
  const keys = ['user:socket:many', 'order:subscription:trip-9'];
  const sessions = [];
  for (const [at, node] of [dead, other, here].entries()) {
    const { session } = node.connect('many', `pruned-${at}`);
    await node.broker.subscribe(session, 'trip:trip-9');
    sessions.push(session.id);
  }
  const members = () => Promise.all(keys.map(async (key) => (await here.redis.smembers(key)).sort()));
  await until(async () => (await members()).every(({ length }) => length === 3), 'all three are there');
  // As its time to live would have it.
  await here.redis.del(`socket:user:${sessions[0]}`);
  await here.redis.hset('session:many', 'socketId', sessions[0]!);
  await here.redis.expire('session:many', HOUR_S);
  const directory = createRedisSessionDirectory(here.redis, { leaseMs: 60_000, entryTtlMs: ENTRY_TTL_MS, log: quiet });
  const lease = new NodeLease({
    directory,
    broker: here.broker,
    everyMs: ROUND_MS,
    entryTtlMs: ENTRY_TTL_MS,
    log: quiet,
  });
  await lease.tick();
  t.same(await members(), [sessions.slice(1), sessions.slice(1)]);
  t.ok((await here.redis.ttl('session:many')) <= HOUR_S, 'and nobody renews a place that names another session');
});
t.end();
