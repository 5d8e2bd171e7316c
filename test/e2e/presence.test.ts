/** Presence from end to end: devices and nodes, who may know, kill -9 of a process, a drain, the newest value on subscribing. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import { connect, type Peer } from '../clients/peer.ts';
import { beside, build, type TestScope, type TestServer } from '../helper.ts';
import { watchMachine } from '../machine.ts';
import { assignedRide, member } from '../scene.ts';
import { startProgram } from '../servers/program.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';

const quick = { PRESENCE_GRACE: '200ms', HEARTBEAT_INTERVAL: '500ms', HEARTBEAT_TIMEOUT: '6s' };

async function twoNodes(t: TestScope, env: Record<string, string> = {}): Promise<[TestServer, TestServer]> {
  const a = await build(t, { env: { ...quick, ...env } });
  return [a, await build(t, { env: { ...quick, ...env, ...beside(a) } })];
}

/** Keeps a session alive, as a client does. */
function beat(t: TestScope, peer: Peer): Peer {
  const timer = setInterval(() => peer.send({ heartbeat: {} }), 300);
  t.after(() => clearInterval(timer));
  peer.ended.then(() => clearInterval(timer));
  return peer;
}

const presences = (peer: Peer) => peer.inbox.all.filter((m) => m.presence).map((m) => m.presence);
/** Protobuf JSON leaves false out. */
const onlines = (peer: Peer): boolean[] => presences(peer).map((p) => p.online === true);

t.test('one user, several devices, two nodes: one arrival, one departure', async (t) => {
  // Long enough for a reconnect on a slow machine.
  const [a, b] = await twoNodes(t, { PRESENCE_GRACE: '3s' });
  const admin = await member(a, 'admin');
  const rider = await member(a, 'rider');
  const topic = `presence:${rider.id}`;
  const watch = beat(t, await connect(t, b.at, 'grpc', admin.token));
  t.ok((await watch.ask({ subscribe: { topic } })).subscribed);
  await watch.next((m) => m.presence, 'how it is');
  t.same(onlines(watch), [false]);
  t.equal(Number(presences(watch)[0].last_seen_ms ?? 0), 0, 'never seen');

  const first = beat(t, await connect(t, a.at, 'websocket-json', rider.token));
  await watch.next((m) => m.presence?.online, 'online');
  const second = beat(t, await connect(t, b.at, 'grpc', rider.token));
  const third = beat(t, await connect(t, a.at, 'websocket-protobuf', rider.token));
  const read = async (on: TestServer) => (await on.rest('GET', `/api/v1/users/${rider.id}/presence`, rider.token)).body;
  t.hasStrict(await read(a), { user_id: rider.id, online: true });
  t.hasStrict(await read(b), { user_id: rider.id, online: true });
  const late = beat(t, await connect(t, a.at, 'websocket-json', admin.token));
  await late.ask({ subscribe: { topic } });
  await late.next((m) => m.presence?.online, 'how it is now');

  first.close();
  third.cut();
  // A reconnect within the grace, to the other node.
  second.close();
  const fourth = beat(t, await connect(t, a.at, 'grpc', rider.token));
  // A bystander who comes and goes meanwhile shows that what had to happen did.
  const other = await member(a, 'rider');
  const otherPeer = await connect(t, b.at, 'grpc', other.token);
  await watch.ask({ subscribe: { topic: `presence:${other.id}` } });
  await watch.next((m) => m.presence?.user_id === other.id && m.presence.online, 'the other online');
  otherPeer.close();
  await watch.next((m) => m.presence?.user_id === other.id && !m.presence.online, 'the other offline');
  t.same(
    presences(watch)
      .filter((p) => p.user_id === rider.id)
      .map((p) => p.online === true),
    [false, true],
    'no word of the devices in between',
  );

  const leftAt = Date.now();
  fourth.close();
  const { presence } = await watch.next((m) => m.presence?.user_id === rider.id && !m.presence.online, 'offline');
  const seenAt = Number(presence.last_seen_ms);
  t.ok(seenAt >= leftAt && seenAt <= Date.now(), 'last seen when the last device went');
  t.hasStrict(await read(b), { online: false, last_seen_ms: Number(presence.last_seen_ms) });
  await late.next((m) => m.presence && !m.presence.online, 'offline, for the other follower too');
  t.same(onlines(late), [true, false]);
});

t.test('who may know', async (t) => {
  const [s] = await twoNodes(t);
  const ride = await assignedRide(t, s);
  beat(t, ride.driver.peer);
  const stranger = await member(s, 'rider');
  const otherDriver = await member(s, 'driver');
  const operator = await member(s, 'dispatcher');
  const path = (id: string): string => `/api/v1/users/${id}/presence`;
  const status = async (token: string | undefined, id: string) => (await s.rest('GET', path(id), token)).status;
  t.equal(await status(ride.rider.token, ride.driver.id), 200, 'the rider of his driver');
  t.equal(await status(ride.driver.token, ride.rider.id), 200, 'the driver of his rider');
  t.equal(await status(ride.rider.token, ride.rider.id), 200, 'of oneself');
  t.equal(await status(operator.token, ride.rider.id), 200);
  t.equal(await status(stranger.token, ride.driver.id), 403);
  t.equal(await status(otherDriver.token, ride.rider.id), 403);
  t.equal(await status(stranger.token, 'nobody'), 403, 'whether there is such a user is not told either');
  t.equal(await status(undefined, ride.rider.id), 401);

  const follow = async (peer: Peer, id: string) => peer.ask({ subscribe: { topic: `presence:${id}` } });
  const strange = await connect(t, s.at, 'grpc', stranger.token);
  t.equal((await follow(strange, ride.driver.id)).error.code, 'RIDE_FORBIDDEN');
  const app = beat(t, await connect(t, s.at, 'websocket-json', ride.rider.token));
  t.ok((await follow(app, ride.driver.id)).subscribed);
  await app.next((m) => m.presence?.online, 'the driver is online');
  t.ok((await follow(ride.driver.peer, ride.rider.id)).subscribed);
  await app.ask({ subscribe: { topic: `trip:${ride.id}` } });

  for (const step of ['arrive', 'start', 'complete'] as const) await ride.step(step);
  await app.next((m) => m.trip_event?.type === 'completed', 'the end of the ride');
  t.equal(await status(ride.rider.token, ride.driver.id), 403, 'the ride is over');
  t.equal((await follow(app, ride.driver.id)).error.code, 'RIDE_FORBIDDEN');
  const admin = await member(s, 'admin');
  const members = async () =>
    (await s.rest('GET', `/admin/topics/presence:${ride.driver.id}/members`, admin.token)).body.items;
  t.same(await members(), [], 'and with it what the two heard of each other');
  ride.driver.peer.close();
  const watch = beat(t, await connect(t, s.at, 'grpc', admin.token));
  await follow(watch, ride.driver.id);
  await watch.next((m) => m.presence && !m.presence.online, 'the driver is offline');
  t.same(onlines(app), [true], 'the rider was not told');
});

t.test('kill -9 of a process: its users are offline within one lease, those who come back never were', async (t) => {
  const redis = await startRedis(t);
  const machine = await watchMachine(t, redis.url);
  const lease = 5000;
  const env = {
    REDIS_URL: redis.url,
    HEARTBEAT_INTERVAL: '500ms',
    HEARTBEAT_TIMEOUT: `${lease}ms`,
    PRESENCE_GRACE: '200ms',
  };
  const doomed = await startProgram(t, env);
  const survivor = await startProgram(t, { ...env, ...doomed.store });
  const startedAt = performance.now();
  const admin = await member(survivor, 'admin');
  const watch = beat(t, await connect(t, survivor.at, 'grpc', admin.token));
  const users = await Promise.all(['rider', 'driver', 'rider', 'rider'].map((role) => member(survivor, role)));
  const [lost, lostToo, back, elsewhere] = users as [typeof admin, typeof admin, typeof admin, typeof admin];
  for (const user of users) {
    beat(t, await connect(t, doomed.at, 'websocket-json', user.token));
    await watch.ask({ subscribe: { topic: `presence:${user.id}` } });
    await watch.inbox.find((m) => m.presence?.user_id === user.id && m.presence.online, 'online');
  }
  beat(t, await connect(t, survivor.at, 'grpc', elsewhere.token));
  // The survivor judges nobody before it has held its own lease for a while.
  await until(() => performance.now() - startedAt > lease, 'the survivor to be settled');

  const killedAt = performance.now();
  const killedAtMs = Date.now();
  await doomed.program.kill();
  const killedByMs = Date.now();
  beat(t, await connect(t, survivor.at, 'grpc', back.token));
  for (const { id } of [lost, lostToo]) {
    await watch.inbox.find((m) => m.presence?.user_id === id && !m.presence.online, 'offline');
  }
  const offlineAt = performance.now();
  const afterMs = offlineAt - killedAt - machine.stoodMs(killedAt, offlineAt);
  t.ok(afterMs <= lease, `offline after ${Math.round(afterMs)} ms of ${lease}`);
  const heard = (id: string) =>
    presences(watch)
      .filter((p) => p.user_id === id)
      .map((p) => p.online === true);
  for (const { id } of [lost, lostToo]) t.same(heard(id).slice(-2), [true, false]);
  for (const { id } of [back, elsewhere]) t.equal(heard(id).at(-1), true, 'who is on the other node never was away');
  const { body } = await survivor.rest('GET', `/api/v1/users/${lost.id}/presence`, lost.token);
  t.equal(body.online, false);
  t.ok(body.last_seen_ms > killedAtMs - lease && body.last_seen_ms <= killedByMs, 'last seen when the process was');
});

t.test('a drain: who comes back elsewhere was never away, who does not is offline soon', async (t) => {
  const [a, b] = await twoNodes(t);
  const admin = await member(a, 'admin');
  const [stays, goes] = [await member(a, 'rider'), await member(a, 'rider')];
  const watch = beat(t, await connect(t, b.at, 'grpc', admin.token));
  for (const user of [stays, goes]) {
    await connect(t, a.at, 'websocket-json', user.token);
    await watch.ask({ subscribe: { topic: `presence:${user.id}` } });
    await watch.inbox.find((m) => m.presence?.user_id === user.id && m.presence.online, 'online');
  }
  await a.stop();
  beat(t, await connect(t, b.at, 'grpc', stays.token));
  await watch.next((m) => m.presence?.user_id === goes.id && !m.presence.online, 'offline');
  t.same(
    presences(watch)
      .filter((p) => p.user_id === stays.id)
      .at(-1).online,
    true,
  );
});

t.test('a listener by server-sent events is online too', async (t) => {
  const [s] = await twoNodes(t);
  const rider = await member(s, 'rider');
  const trip = await s.rest('POST', '/api/v1/trips', rider.token, {
    pickup: { lat: 1, lng: 1 },
    dropoff: { lat: 1.01, lng: 1 },
  });
  const read = async () => (await s.rest('GET', `/api/v1/users/${rider.id}/presence`, rider.token)).body.online;
  t.equal(await read(), false);
  const path = `/api/v1/trips/${trip.body.id}/events/stream`;
  const events = await openEvents(t, s.at.http, path, { authorization: `Bearer ${rider.token}` });
  await until(read, 'online');
  events.close();
  await until(async () => !(await read()), 'offline');
});
