/** A node keeps the entries of its sessions alive in Redis, a bounded share at a time, and its own lease. */
import t from 'tap';
import { createRedisSessionDirectory } from '../../src/adapters/redis/session-directory.ts';
import { type DirectoryEntry, ENTRY_TTL_MS } from '../../src/ports/session-directory.ts';
import { NodeLease } from '../../src/realtime/node-lease.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { quiet, realtimeNode } from './node.ts';

const redis = await startRedis(t);
const ROUND_MS = ENTRY_TTL_MS / 4;
const HOUR_S = 3600;

t.test('every entry gets its whole life again within a round, and what was lost is written anew', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const directory = createRedisSessionDirectory(node.redis, 60_000, quiet);
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
  const lease = new NodeLease({ directory, broker: node.broker, everyMs: ROUND_MS / 10, log: quiet });
  await lease.tick();
  t.equal(await renewed(), 9, 'three sessions at a tick');
  t.equal((await directory.cluster())[0]?.total, 25, 'and the lease of the node');
  for (let tick = 1; tick < 10; tick++) await lease.tick();
  t.equal(await renewed(), keys.length);
  t.same(await Promise.all(keys.map((key) => node.redis.dump(key))), before);
});

t.test('the place of a user is that of his newest session still; who has gone is not written', async (t) => {
  const node = await realtimeNode(t, redis.url);
  const directory = createRedisSessionDirectory(node.redis, 60_000, quiet);
  const old = node.connect('two').session;
  const newest = node.connect('two').session;
  const gone = node.connect('gone').session;
  node.broker.lost(gone);
  const lease = new NodeLease({ directory, broker: node.broker, everyMs: ROUND_MS, log: quiet });
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
  const lease = new NodeLease({ directory, broker, everyMs: ROUND_MS * 2, log: quiet });
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
t.end();
