/** Presence on a real Redis: leases, first joins and last leaves in their order, dead nodes, a memory that is lost. */
import fc from 'fast-check';
import t from 'tap';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { createRedisPresences } from '../../../src/adapters/redis/presences.ts';
import type { Presences } from '../../../src/ports/presences.ts';
import { type RedisServer, startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

interface Scope {
  after(hook: () => void): void;
}

/** Long enough that a busy machine lets no lease run out by mistake; where one has to, `retire` ends it. */
const LEASE_MS = 2500;

function nodeOn(t: Scope, redis: RedisServer, nodeId: string, leaseMs = LEASE_MS): Presences {
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  const encode = (state: object): Buffer => Buffer.from(JSON.stringify(state));
  return createRedisPresences(client, { nodeId, leaseMs, encode });
}

interface Told {
  userId: string;
  online: boolean;
  lastSeenMs: number;
}

/** What the followers of all users are told, in order. */
async function followAll(t: Scope, redis: RedisServer): Promise<Told[]> {
  const told: Told[] = [];
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  client.on('pmessage', (_pattern, _channel, text: string) => told.push(JSON.parse(text.slice(1))));
  await client.psubscribe('presence:*');
  return told;
}

const states = (told: readonly Told[], userId: string): boolean[] =>
  told.filter((one) => one.userId === userId).map((one) => one.online);

/** Renews until the test ends or it is stopped, as a node's timer does. */
function keepAlive(t: Scope, node: Presences, everyMs = LEASE_MS / 10): () => void {
  const timer = setInterval(() => void node.renew().catch(() => {}), everyMs);
  t.after(() => clearInterval(timer));
  return () => clearInterval(timer);
}

t.test('the first join and the last leave are told, over two nodes', async (t) => {
  const redis = await startRedis(t);
  const told = await followAll(t, redis);
  const [a, b] = [nodeOn(t, redis, 'a', 60_000), nodeOn(t, redis, 'b', 60_000)];
  t.same(await a.read('u'), { userId: 'u', online: false, lastSeenMs: null }, 'never heard of');
  await a.renew();
  await b.renew();
  await a.join(['u', 'v']);
  await a.join(['u']);
  await b.join(['u']);
  t.hasStrict(await b.read('u'), { online: true });
  await a.leave([{ userId: 'u', seenMs: 1000 }]);
  await a.leave([{ userId: 'u', seenMs: 1000 }]);
  t.hasStrict(await a.read('u'), { online: true }, 'still on b');
  await b.leave([{ userId: 'u', seenMs: 2000 }]);
  t.same(await a.read('u'), { userId: 'u', online: false, lastSeenMs: 2000 });
  await a.leave([{ userId: 'never here', seenMs: 3000 }]);
  await until(() => told.length >= 3, 'three messages');
  t.same(states(told, 'u'), [true, false]);
  t.same(states(told, 'v'), [true]);
  t.equal(told.find((one) => !one.online)?.lastSeenMs, 2000);
});

t.test('users of a node that stopped renewing are offline when its lease ends, and told so once', async (t) => {
  const redis = await startRedis(t);
  const told = await followAll(t, redis);
  const [dead, b, c] = ['dead', 'b', 'c'].map((name) => nodeOn(t, redis, name)) as [Presences, Presences, Presences];
  for (const node of [dead, b, c]) await node.renew();
  keepAlive(t, b);
  keepAlive(t, c);
  const stopDead = keepAlive(t, dead);
  const users = Array.from({ length: 450 }, (_, i) => `u${i}`);
  await dead.join(users);
  await b.join(['u0']);
  stopDead();
  const renewedFrom = Date.now();
  t.equal(await dead.renew(), true);
  const renewedBy = Date.now();
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  const nodes = await client.zrange('{presence}:nodes', '0', '-1', 'WITHSCORES');
  const dueAt = nodes[nodes.findIndex((name) => name.startsWith('dead~')) + 1];
  t.ok(Number(dueAt) <= renewedBy + LEASE_MS, 'within the lease');
  let overdue = 0;
  await until(async () => {
    const [seconds, micros] = (await client.time()) as unknown as [string, string];
    const { online } = await b.read('u1');
    if (online && Number(seconds) * 1000 + Number(micros) / 1000 > Number(dueAt)) overdue++;
    return !online;
  }, 'reads to be right');
  t.equal(overdue, 0, 'from the moment at which it ran out');
  const swept = async () => (await Promise.all([b.sweep(), c.sweep()])).reduce((sum, n) => sum + n);
  let ended = 0;
  await until(async () => {
    ended += await swept();
    return ended > 0;
  }, 'someone to end it');
  await until(() => told.filter((one) => !one.online).length === 449, 'all who were only there');
  t.equal(ended, 1, 'one of them did it');
  t.equal(await swept(), 0);
  t.same(states(told, 'u0'), [true], 'who is elsewhere too was never away');
  for (const user of ['u1', 'u449']) t.same(states(told, user), [true, false]);
  const { lastSeenMs } = await b.read('u1');
  t.ok(lastSeenMs! >= renewedFrom && lastSeenMs! <= renewedBy, 'last seen when the node was');
});

t.test('a node that dies while it ends another is replaced', async (t) => {
  const redis = await startRedis(t);
  const told = await followAll(t, redis);
  const dead = nodeOn(t, redis, 'dead');
  await dead.renew();
  await dead.join(['u', 'v']);
  await dead.retire(1);
  const b = nodeOn(t, redis, 'b');
  await b.renew();
  keepAlive(t, b);
  // What one that died leaves: its mark on the lease, and a claim that runs out.
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  await until(async () => !(await b.read('u')).online, 'the lease to end');
  const [name] = (await client.zrange('{presence}:nodes', '0', '0')) as [string];
  t.match(name, /^dead~/);
  await client.zadd('{presence}:nodes', String(1000 - Date.now()), name);
  await client.set(`{presence}:sweep:${name}`, 'another', 'PX', 300);
  await until(async () => (await b.sweep()) === 1, 'the claim to run out');
  await until(() => told.filter((one) => !one.online).length === 2, 'both told');
  t.equal(await client.zscore('{presence}:nodes', name), null);
});

t.test('a record that cannot be written keeps nobody else from his', async (t) => {
  const redis = await startRedis(t);
  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  const told = await followAll(t, redis);
  const [a, b] = [nodeOn(t, redis, 'a', 60_000), nodeOn(t, redis, 'b')];
  await a.renew();
  await client.set('online:{presence:broken}', 'no hash');
  const seenMs = Date.now();
  t.same(await a.join(['u', 'broken', 'v']), ['broken']);
  t.same(
    await a.leave([
      { userId: 'broken', seenMs },
      { userId: 'u', seenMs },
    ]),
    ['broken'],
  );
  await t.rejects(a.join(['broken']), { code: 'RIDE_UNAVAILABLE' }, 'when it is everyone');
  await until(() => told.length === 3, 'all to be told');
  t.same(states(told, 'u'), [true, false]);
  t.same(states(told, 'v'), [true]);
  // Its node dies: the others go offline all the same, and what is left is tried again.
  await a.retire(0);
  keepAlive(t, b);
  await until(async () => {
    await b.sweep().catch(() => {});
    return states(told, 'v').length === 2;
  }, 'the others to be offline');
  await client.del('online:{presence:broken}');
  await until(async () => (await b.sweep().catch(() => 0)) === 1, 'the node to be ended');
});

t.test('after Redis was away nobody is declared dead before he had time to come back', async (t) => {
  const redis = await startRedis(t, { appendOnly: true });
  const [a, b] = [nodeOn(t, redis, 'a'), nodeOn(t, redis, 'b')];
  await a.renew();
  await b.renew();
  await a.join(['u']);
  await b.join(['v']);
  // By the time Redis is back, both leases have run out.
  await a.retire(1);
  await b.retire(1);
  await redis.stop();
  await t.rejects(a.renew(), { code: 'RIDE_UNAVAILABLE' });
  await t.rejects(b.renew(), { code: 'RIDE_UNAVAILABLE' });
  await redis.restart();
  const told = await followAll(t, redis);
  await until(
    () =>
      a.renew().then(
        (held) => held === true,
        () => false,
      ),
    'the lease of a again, in time',
  );
  t.equal(await a.sweep(), 0, 'b is late, and lives');
  t.equal(await b.renew(), true, 'its lease had run out, and nobody had ended it');
  t.same(await Promise.all(['u', 'v'].map(async (user) => (await b.read(user)).online)), [true, true]);
  t.same(told, []);
});

t.test('a lease that was ended, or a memory that was lost: everyone joins again', async (t) => {
  const redis = await startRedis(t);
  const [a, b] = [nodeOn(t, redis, 'a'), nodeOn(t, redis, 'b')];
  await b.renew();
  keepAlive(t, b);
  await a.renew();
  await a.join(['u']);
  await a.retire(1);
  await until(async () => (await b.sweep()) === 1, 'b to end the presence of a, which hangs');
  t.equal(await a.renew(), false, 'a learns it');
  keepAlive(t, a);
  t.hasStrict(await a.read('u'), { online: false });
  await a.join(['u']);
  t.hasStrict(await a.read('u'), { online: true });
  const told = await followAll(t, redis);
  await until(async () => (await b.sweep()) === 1, 'what a was before to end too');
  t.hasStrict(await a.read('u'), { online: true }, 'and to take nothing with it');

  const client = connectRedis({ url: redis.url }, () => {});
  t.after(() => client.disconnect());
  await client.flushall();
  await until(
    async () => (await a.renew()) === false || (await a.read('u')).online === false,
    'the loss to be noticed',
  );
  await a.join(['u']);
  t.hasStrict(await a.read('u'), { online: true });
  await a.leave([{ userId: 'u', seenMs: 5 }]);
  await until(() => states(told, 'u').at(-1) === false, 'offline is told');
});

t.test('what is on record for a node can be gone through', async (t) => {
  const redis = await startRedis(t);
  const a = nodeOn(t, redis, 'a', 60_000);
  await a.renew();
  const users = Array.from({ length: 1000 }, (_, i) => `u${i}`);
  await a.join(users);
  const seen = new Set<string>();
  await until(async () => {
    for (const user of await a.recorded()) seen.add(user);
    return seen.size === users.length;
  }, 'all of them');
});

t.test('whatever nodes do, a follower hears on and off in turn, and last what is true', async (t) => {
  const redis = await startRedis(t);
  const told = await followAll(t, redis);
  const nodes = ['a', 'b', 'c'].map((name) => nodeOn(t, redis, name, 60_000));
  for (const node of nodes) await node.renew();
  const step = fc.record({ node: fc.nat(2), user: fc.nat(2), joins: fc.boolean() });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const name = (user: number): string => `run${run}-${user}`;
      run++;
      const on = [new Set<number>(), new Set<number>(), new Set<number>()];
      // Each node does its own steps in order; between nodes they race.
      await Promise.all(
        nodes.map(async (node, index) => {
          for (const { user, joins } of steps.filter((one) => one.node === index)) {
            if (joins) await node.join([name(user)]);
            else await node.leave([{ userId: name(user), seenMs: 1 }]);
            if (joins) on[user]!.add(index);
            else on[user]!.delete(index);
          }
        }),
      );
      const barrier = `barrier${run}`;
      await nodes[0]!.join([barrier]);
      await until(() => told.some((one) => one.userId === barrier), 'all messages');
      for (let user = 0; user < 3; user++) {
        const heard = states(told, name(user));
        if (heard.some((online, index) => online !== (index % 2 === 0))) return false;
        const truth = on[user]!.size > 0;
        if ((heard.at(-1) ?? false) !== truth) return false;
        if ((await nodes[1]!.read(name(user))).online !== truth) return false;
      }
      return true;
    }),
    { numRuns: 60 },
  );
  t.pass('held');
});
