/** Several workers under a supervisor: real processes, real signals. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readMetrics, type Sample, sum } from './clients/metrics.ts';
import { connect, keepAlive, type Peer } from './clients/peer.ts';
import { follower } from './clients/roamer.ts';
import { everythingHeard, saidMore, Talk } from './clients/talk.ts';
import { firstRide } from './e2e/first-ride.ts';
import { assignedRide } from './scene.ts';
import { type RunningProgram, startProgram } from './servers/program.ts';
import { until } from './until.ts';

const WORKERS = 3;
const settings = { WORKERS: String(WORKERS), HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '8s' };

// biome-ignore lint/suspicious/noExplicitAny: read as it comes
type Stats = any;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const redisPid = async (s: RunningProgram): Promise<number> =>
  Number(await readFile(join(s.folder, 'redis', 'redis.pid'), 'utf8'));

/** Process ids of the workers, by asking the system whose children they are. */
async function workerPids({ program }: RunningProgram): Promise<number[]> {
  const children = await readFile(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8');
  const pids = children.trim().split(' ').map(Number);
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'gone meanwhile')),
  );
  return pids.filter((_pid, index) => commands[index]!.includes('--worker='));
}

async function statsOf(s: RunningProgram): Promise<Stats> {
  const { status, body } = await s.rest('GET', '/admin/stats', await s.token('admin', 'operator'));
  if (status !== 200) throw new Error(`no statistics: ${JSON.stringify(body)}`);
  return body;
}

/** A session that lasts until it is ended. */
async function lasting(t: Test, s: RunningProgram, n: number, token: string): Promise<Peer> {
  const peer = await connect(t, s.at, n % 2 ? 'grpc' : 'websocket-json', token);
  keepAlive(t, peer);
  return peer;
}

t.test('workers share the ports, and each is a node', async (t) => {
  const s = await startProgram(t, settings);
  const peers: Peer[] = [];
  for (let i = 0; i < 40; i++)
    peers.push(await lasting(t, s, i, await s.token('rider', `rider-${i}`, { city: `city-${i % 4}` })));

  await t.test('the system spreads connections of both ports over all of them', async (t) => {
    let stats: Stats;
    await until(async () => {
      stats = await statsOf(s);
      return stats.sessions.total === peers.length;
    }, 'every session is counted once');
    t.equal(stats.nodes.length, WORKERS);
    for (const node of stats.nodes) {
      t.ok(node.by_namespace.grpc > 0, `${node.node_id} has streams`);
      t.ok(node.total > node.by_namespace.grpc, `${node.node_id} has sockets`);
    }
    t.equal(stats.sessions.by_namespace.grpc, 20);
    t.same(stats.sessions.by_city, { 'city-0': 10, 'city-1': 10, 'city-2': 10, 'city-3': 10 });
  });

  await t.test('the metrics are those of all', async (t) => {
    const samples = await readMetrics(s.program.metrics);
    t.equal(sum(samples, 'ride_stream_active_sessions'), peers.length);
    t.equal(sum(samples, 'ride_worker_sessions'), peers.length);
    t.equal(sum(samples, 'ride_worker_up'), WORKERS);
    t.ok(sum(samples, 'ride_worker_sessions', { worker: '3' }) > 0);
    t.ok(
      sum(samples, 'process_resident_memory_bytes') >
        sum(samples, 'ride_worker_resident_memory_bytes', { worker: '1' }),
    );
  });

  await t.test('rider and driver may be on different ones', (t) => firstRide(t, s));

  await t.test('a draining worker says go-away to its own, and another takes them', async (t) => {
    const [pid] = await workerPids(s);
    const before = peers.filter((peer) => peer.inbox.all.some((m) => m.go_away));
    t.same(before, []);
    process.kill(pid!, 'SIGTERM');
    await until(() => !isAlive(pid!), 'it is gone');
    const sent = peers.filter((peer) => peer.inbox.all.some((m) => m.go_away));
    t.ok(sent.length > 0 && sent.length < peers.length, `${sent.length} of ${peers.length} were sent away`);
    for (const peer of sent) await peer.ended;
    for (let i = 0; i < 10; i++)
      await connect(t, s.at, i % 2 ? 'grpc' : 'websocket-json', await s.token('rider', `again-${i}`));
    await until(async () => (await workerPids(s)).length === WORKERS, 'there are as many as before');
  });

  await t.test('kill -9 of a worker loses nothing', (t) => killedWorkerLosesNothing(t, s));

  await t.test(
    'the dead are gone from the statistics within their lease, and those after them are there',
    async (t) => {
      let names: string[] = [];
      await until(async () => {
        names = (await statsOf(s)).nodes.map((node: { node_id: string }) => node.node_id);
        return names.length === WORKERS;
      }, 'three nodes, each once');
      const lives = names.map((name) => /^server-w([1-3])(?:-(\d+))?$/.exec(name)!);
      t.same(lives.map((life) => life[1]).sort(), ['1', '2', '3']);
      t.equal(
        lives.reduce((total, life) => total + Number(life[2] ?? 0), 0),
        2,
        'two were started again',
      );
    },
  );

  await t.test('SIGTERM drains all, and nothing stays behind', async (t) => {
    const last = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => lasting(t, s, i, await s.token('rider', `last-${i}`))),
    );
    await drainsAll(t, s, last);
  });
});

/** Chat on several rides, while a worker is killed. */
async function killedWorkerLosesNothing(t: Test, s: RunningProgram): Promise<void> {
  const redis = await redisPid(s);
  const rides = await Promise.all(Array.from({ length: 6 }, () => assignedRide(t, s)));
  const followers = rides.flatMap((ride) =>
    [ride.rider, ride.driver].map((user) => follower(t, s.at, user.token, `trip:${ride.id}`)),
  );
  await Promise.all(followers.map(({ live }) => live));
  const talks = rides.map((ride, index) => new Talk(ride.id, followers[2 * index]!));
  await saidMore(talks, 10);
  const counted = await readMetrics(s.program.metrics);
  const [victim] = await workerPids(s);
  process.kill(victim!, 'SIGKILL');
  await saidMore(talks, 10);
  await until(async () => (await workerPids(s)).length === WORKERS, 'it is started again');
  await saidMore(talks, 10);
  await Promise.all(talks.map((talk) => talk.stop()));

  for (const [index, talk] of talks.entries())
    await everythingHeard(t, talk, followers.slice(2 * index, 2 * index + 2));
  t.ok(followers.every(({ books }) => books.gaps.length === 0));
  t.ok(
    followers.some(({ stays }) => stays.length > 1),
    'somebody was on the worker that was killed',
  );
  t.ok(
    followers.some(({ stays }) => stays.length === 1),
    'and somebody was not',
  );
  t.equal(await redisPid(s), redis, 'the private Redis is the same');
  t.equal(isAlive(redis), true);

  await until(async () => sum(await readMetrics(s.program.metrics), 'ride_worker_up') === WORKERS, 'all are up');
  const now = await readMetrics(s.program.metrics);
  t.equal(sum(now, 'ride_worker_restarts_total'), sum(counted, 'ride_worker_restarts_total') + 1);
  const fell = (samples: readonly Sample[]): string[] =>
    samples
      .filter(
        ({ name, labels, value }) =>
          /_(total|count|bucket)$/.test(name) && !/_active_/.test(name) && sum(now, name, labels) < value,
      )
      .map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  t.same(fell(counted), [], 'no counter went back');

  for (const one of followers) await one.close();
}

/** SIGTERM to the supervisor: every client is told, and nothing stays behind. */
async function drainsAll(t: Test, s: RunningProgram, peers: readonly Peer[]): Promise<void> {
  const [pids, redis] = [await workerPids(s), await redisPid(s)];
  t.equal(pids.length, WORKERS);
  await s.program.stop();
  const ends = await Promise.all(peers.map((peer) => peer.ended));
  t.ok(ends.every(({ reason }) => /draining/.test(reason)));
  t.ok(peers.every((peer) => peer.inbox.all.some((m) => m.go_away)));
  t.equal(s.program.ended(), 'exit code 0');
  for (const pid of [...pids, redis]) t.equal(isAlive(pid), false, `process ${pid} is gone`);
}

t.test('workers do not outlive a killed supervisor', async (t) => {
  const s = await startProgram(t, settings);
  const pids = [...(await workerPids(s)), await redisPid(s)];
  await s.program.kill();
  await until(() => !pids.some(isAlive), 'all are gone');
});

t.test('what stops a worker from starting stops the server, and is said', async (t) => {
  await t.rejects(
    startProgram(t, { ...settings, MONGODB_URL: '', SQLITE_FILE: '/dev/null/no.sqlite' }),
    /ended before it was ready \(exit code 1\)/,
  );
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await t.rejects(
    startProgram(t, { ...settings, GRPC_LISTEN_ADDR: `127.0.0.1:${port}` }),
    /GRPC_LISTEN_ADDR: 127\.0\.0\.1:\d+ is in use by another program/,
    'a port of somebody else',
  );
});
