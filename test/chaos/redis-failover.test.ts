/** Two nodes on a Redis Cluster, of which a master is killed while people talk on their trips. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Message } from '../clients/inbox.ts';
import { follower, type Roamer } from '../clients/roamer.ts';
import { everythingHeard, saidMore, Talk } from '../clients/talk.ts';
import { build } from '../helper.ts';
import { assignedRide, type Ride } from '../scene.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { until } from '../until.ts';

const eventsOf = ({ books }: Roamer, { id }: Ride): readonly Message[] => books.taken.get(`trip:${id}`) ?? [];

const FAILOVER_LIMIT_MS = 30_000;

t.test('a master of the cluster is killed: whoever stays connected gets everything once, in one order', async (t) => {
  const cluster = await startRedisCluster(t);
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-failover-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const env = {
    REDIS_URL: cluster.url,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    HEARTBEAT_TIMEOUT: '30s',
    SWEEP_INTERVAL: '500ms',
    SWEEP_AGE: '500ms',
  };
  const [a, b] = [await build(t, { env }), await build(t, { env })];

  // Rides whose topics lie on every master.
  const rides: Ride[] = [];
  const mastersOf = new Map<Ride, number>();
  while (new Set(mastersOf.values()).size < 3 || rides.length < 6) {
    const ride = await assignedRide(t, rides.length % 2 ? a : b);
    rides.push(ride);
    mastersOf.set(ride, (await cluster.masterOf(`trip:${ride.id}`)).port);
  }
  const followers = rides.map((ride) =>
    [a, b].map((node, i) => follower(t, node.at, (i ? ride.driver : ride.rider).token, `trip:${ride.id}`)),
  );
  await Promise.all(followers.flat().map(({ live }) => live));
  const talks = rides.map((ride, index) => new Talk(ride.id, followers[index]![index % 2]!));
  await saidMore(talks, 10);

  const victim = await cluster.masterOf(`trip:${rides[0]!.id}`);
  await victim.kill();
  const isReplaced = async () => (await cluster.masterOf(`trip:${rides[0]!.id}`)).port !== victim.port;
  await until(isReplaced, 'a replica takes over', FAILOVER_LIMIT_MS);
  await saidMore(talks, 10, FAILOVER_LIMIT_MS);
  // Not before: it comes back empty, and as a master it would have nothing for anybody.
  await victim.restart();
  await saidMore(talks, 10, FAILOVER_LIMIT_MS);
  await Promise.all(talks.map((talk) => talk.stop()));

  for (const [index, talk] of talks.entries()) {
    await everythingHeard(t, talk, followers[index]!);
    const wasHit = mastersOf.get(rides[index]!) === victim.port;
    for (const one of followers[index]!) {
      t.equal(one.stays.length, 1, 'it stayed');
      const epochs = new Set(eventsOf(one, rides[index]!).map((event) => event.epoch));
      t.equal(epochs.size, wasHit ? 2 : 1, 'the epoch tells that Redis may have lost something');
    }
  }

  await t.test('who comes back to such a topic with an old place is told', async (t) => {
    const { token } = rides[0]!.rider;
    const topic = `trip:${rides[0]!.id}`;
    const [old] = eventsOf(followers[0]![0]!, rides[0]!);
    const app = await b.ws('/ws', token);
    const answer = await app.ask({ subscribe: { topic, since_offset: old!.offset, epoch: old!.epoch } });
    t.equal(answer.subscribed.recovered ?? false, false);
    t.not(answer.subscribed.epoch, old!.epoch);
  });

  await t.test('and rides go on to their end', async (t) => {
    for (const ride of rides) for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
    for (const [index, ride] of rides.entries()) {
      const types = (): string[] =>
        eventsOf(followers[index]![0]!, ride).flatMap((m) => (m.trip_event ? [m.trip_event.type] : []));
      await until(() => types().at(-1) === 'completed', 'completed');
      t.same(types(), ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'completed'], ride.id);
    }
  });
});
