/** How sessions end by the server: silence, and a drain; each with a code that tells the client what to do next. */
import t from 'tap';
import { connect, keepAlive, openGrpc, openWebSocket, type Peer, transports, UpgradeRefused } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { assignedRide, lookingDriver, member, north, somewhere } from '../scene.ts';
import { until } from '../until.ts';
import { livesOn } from './streams.ts';

const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

t.test('silence ends a session with 4001; any message is a sign of life, also one that is refused', async (t) => {
  const env = { HEARTBEAT_INTERVAL: '200ms', HEARTBEAT_TIMEOUT: '1500ms' };
  const s = await build(t, { env });
  for (const transport of transports) {
    const { token } = await member(s, 'driver');
    const startedAt = Date.now();
    const silent = await connect(t, s.at, transport, token);
    const { welcome } = silent.inbox.all[0]!;
    t.equal(Number(welcome.heartbeat_interval_ms), 200);
    t.equal(Number(welcome.heartbeat_timeout_ms), 1500);
    const talkers: [name: string, say: (peer: Peer) => void, peer: Peer][] = [];
    for (const [name, say] of [
      ['heartbeats', (peer: Peer) => peer.send({ heartbeat: {} })],
      ['refused messages', (peer: Peer) => peer.send({ location_update: { lat: 91 } })],
      ['nonsense', (peer: Peer) => peer.raw(transport === 'websocket-json' ? '{' : Buffer.from([0xff]))],
    ] as const)
      talkers.push([name, say, await connect(t, s.at, transport, token)]);
    const talking = setInterval(() => {
      for (const [, say, peer] of talkers) say(peer);
    }, 100);
    t.after(() => clearInterval(talking));
    const { code, reason, trailers } = await silent.ended;
    t.ok(Date.now() - startedAt >= 1500, `${transport}: not before the timeout`);
    if (transport === 'grpc') {
      t.equal(code, DEADLINE_EXCEEDED);
      t.equal(trailers['ride-code'], 'RIDE_HEARTBEAT_MISSED');
    } else {
      t.equal(code, 4001);
      t.match(reason, /^RIDE_HEARTBEAT_MISSED: no message for \d+ ms$/);
    }
    for (const [name, , peer] of talkers) await livesOn(t, peer, `${transport}, ${name}`);
    clearInterval(talking);
  }
});

t.test('a server that stood still takes nobody for silent whom it could not hear', async (t) => {
  const s = await build(t, { env: { HEARTBEAT_INTERVAL: '200ms', HEARTBEAT_TIMEOUT: '1500ms' } });
  const peers: Peer[] = [];
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, (await member(s, 'rider')).token);
    keepAlive(t, peer);
    peers.push(peer);
  }
  for (const again of ['once', 'and once more']) {
    const stoodUntil = performance.now() + 2500;
    // The whole process, in which the clients are too.
    while (performance.now() < stoodUntil);
    for (const peer of peers) await livesOn(t, peer, `${peer.transport}, ${again}`);
  }
});

t.test('a drain says go-away first, ends with 4000, refuses new ones, and finishes what is under way', async (t) => {
  const s = await build(t, { env: { DRAIN_JITTER: '600ms', DRAIN_DEADLINE: '10s' } });
  const { token } = await member(s, 'rider');
  const peers: Peer[] = [];
  for (const transport of transports) peers.push(await connect(t, s.at, transport, token));
  const closed = s.stop();
  const delays: number[] = [];
  for (const peer of peers) {
    const { go_away } = await peer.next((m) => m.go_away, 'go-away');
    t.equal(go_away.reason, 'draining', peer.transport);
    delays.push(Number(go_away.reconnect_after_ms));
  }
  t.ok(Math.max(...delays) <= 600, 'within the jitter');
  t.equal(new Set(delays).size, 3, 'each at a moment of its own');
  // The one that stays longest: what it asks meanwhile is still answered.
  const last = peers[delays.indexOf(Math.max(...delays))]!;
  await livesOn(t, last, 'while draining');

  const ready = await s.rest('GET', '/readyz');
  t.equal(ready.status, 503);
  t.hasStrict(ready.body, { status: 'unavailable', parts: { server: 'draining' } });
  t.equal((await s.rest('GET', '/livez')).status, 200, 'draining is no reason to be killed');
  const error = await openWebSocket(s.at, 'websocket-json', token).catch((thrown: unknown) => thrown);
  t.ok(error instanceof UpgradeRefused, 'no new WebSocket');
  t.hasStrict(error, { status: 503, body: { code: 'RIDE_DRAINING' } });
  const refused = await openGrpc(s.at, token).ended;
  t.equal(refused.code, UNAVAILABLE, 'no new stream');
  t.equal(refused.trailers['ride-code'], 'RIDE_DRAINING');

  for (const peer of peers) {
    const { code, reason, trailers } = await peer.ended;
    if (peer.transport === 'grpc') {
      t.equal(code, UNAVAILABLE);
      t.equal(trailers['ride-code'], 'RIDE_DRAINING');
    } else {
      t.equal(code, 4000);
      t.match(reason, /^RIDE_DRAINING/);
    }
  }
  await closed;
  await t.rejects(s.rest('GET', '/livez'), 'nothing listens any more');
});

t.test('a drain does not wait for clients that do not listen', async (t) => {
  const s = await build(t, { env: { DRAIN_JITTER: '0s', DRAIN_DEADLINE: '2s' } });
  const { token } = await member(s, 'rider');
  const peers = await Promise.all(transports.map((transport) => connect(t, s.at, transport, token)));
  for (const peer of peers) peer.pause();
  const startedAt = Date.now();
  await s.stop();
  t.ok(Date.now() - startedAt < 8000, 'closed all the same');
});

t.test('an orderly end by the client frees everything, and the trip goes on without him', async (t) => {
  const s = await build(t);
  const ride = await assignedRide(t, s);
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, ride.driver.token);
    peer.close();
    const { code } = await peer.ended;
    t.equal(code, transport === 'grpc' ? 0 : 1005, `${transport}: no error`);
  }
  ride.driver.peer.close();
  await ride.driver.peer.ended;
  t.equal((await ride.read()).status, 'assigned');
  const back = await connect(t, s.at, 'grpc', ride.driver.token);
  t.same(back.inbox.all[0]!.welcome.active_trip_ids, [ride.id], 'he is told what he is on');
  await ride.step('arrive');
});

t.test(
  'a driver who vanished is still offered work until he is stale, and takes it on another connection',
  async (t) => {
    const s = await build(t);
    const at = somewhere();
    const driver = await lookingDriver(t, s, at, 'grpc');
    driver.peer.cut();
    const rider = await member(s, 'rider');
    const body = { pickup: at, dropoff: north(at, 2000) };
    const { id } = (await s.rest('POST', '/api/v1/trips', rider.token, body)).body;
    const back = await connect(t, s.at, 'websocket-json', driver.token);
    await back.ask({ subscribe: { topic: `user:${driver.id}`, since_offset: '0' } });
    const { job_offer } = await back.inbox.find((m) => m.job_offer?.trip_id === id, 'the offer that was missed');
    t.ok((await back.ask({ offer_reply: { offer_id: job_offer.offer_id, trip_id: id, accept: true } })).ack);
    await until(
      async () => (await s.rest('GET', `/api/v1/trips/${id}`, rider.token)).body.driver_id === driver.id,
      'match',
    );
  },
);
t.end();
