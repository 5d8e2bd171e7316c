/** Reconnect tokens (R10): identity and topics go on at the next connection, on any node, once. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, refusalOf, resuming, type TransportName, transports } from '../clients/peer.ts';
import { livesOn } from '../edge/streams.ts';
import { beside, build, type TestServer } from '../helper.ts';
import { assignedRide, member, type Ride } from '../scene.ts';
import { until } from '../until.ts';

const env = { HEARTBEAT_INTERVAL: '100ms', HEARTBEAT_TIMEOUT: '20s' };

/** Two nodes on one Redis and one store. */
async function twoNodes(t: Test, more: Record<string, string> = {}): Promise<[TestServer, TestServer]> {
  const a = await build(t, { env: { ...env, ...more } });
  return [a, await build(t, { env: { ...env, ...more, ...beside(a) } })];
}

const welcomeOf = (peer: Peer): Message => peer.inbox.all.find((m) => m.welcome)!.welcome;
const tokenOf = (peer: Peer): string => welcomeOf(peer).reconnect_token;
const stepsOf = (peer: Peer): string[] => peer.inbox.all.filter((m) => m.trip_event).map((m) => m.trip_event.type);

/** A rider of a ride of his own, who follows it from its start. */
async function follower(t: Test, s: TestServer, transport: TransportName): Promise<{ ride: Ride; peer: Peer }> {
  const ride = await assignedRide(t, s);
  const peer = await connect(t, s.at, transport, ride.rider.token);
  const { subscribed } = await peer.ask({ subscribe: { topic: `trip:${ride.id}`, since_offset: 0 } });
  t.equal(subscribed.recovered, true);
  return { ride, peer };
}

const [a, b] = await twoNodes(t);

for (const transport of transports) {
  t.test(`${transport}: a connection that broke goes on at the other node, without a sign-in`, async (t) => {
    const { ride, peer } = await follower(t, a, transport);
    await until(() => stepsOf(peer).includes('assigned'), 'the ride so far');
    peer.cut();
    await ride.step('arrive');
    await ride.step('start');

    const back = await connect(t, b.at, transport, undefined, resuming(transport, tokenOf(peer)));
    const welcome = welcomeOf(back);
    t.hasStrict(welcome, { user_id: ride.rider.id, role: 'rider', restored_topics: [`trip:${ride.id}`] });
    t.not(welcome.reconnect_token, tokenOf(peer), 'the next one needs another token');
    const { subscribed } = await back.next((m) => m.subscribed, 'the topic is restored');
    t.hasStrict(subscribed, { topic: `trip:${ride.id}`, recovered: true });
    const replayed = stepsOf(back);
    t.equal(replayed.length, subscribed.replayed);
    t.same(replayed.slice(-2), ['driver_arrived', 'started'], 'what was missed came before');
    const ids = new Set([...peer.inbox.all, ...back.inbox.all].filter((m) => m.trip_event).map((m) => m.event_id));
    t.equal(ids.size, 5, 'nothing is missing after dedupe');
    await ride.step('complete');
    await back.next((m) => m.trip_event?.type === 'completed', 'live again');
    await livesOn(t, back, 'the restored session');
  });

  t.test(`${transport}: what a token is refused for`, async (t) => {
    const { token } = await member(a, 'rider');
    const reconnectToken = tokenOf(await connect(t, a.at, transport, token));
    const refused = { code: 'RIDE_UNAUTHENTICATED', field: 'reconnect_token' };
    const refusal = (given: string, accessToken?: string) =>
      refusalOf(b.at, transport, accessToken, resuming(transport, given));

    t.hasStrict(await refusal('A'.repeat(24)), refused, 'unknown');
    t.hasStrict(await refusal('no'), refused, 'none at all');
    await connect(t, b.at, transport, undefined, resuming(transport, reconnectToken));
    t.hasStrict(await refusal(reconnectToken), refused, 'used');

    const other = tokenOf(await connect(t, a.at, transport, (await member(a, 'rider')).token));
    t.hasStrict(await refusal(other, token), refused, 'another user’s');
    t.hasStrict(await refusal(other), refused, 'and then it is worth nothing any more');
    const id = welcomeOf(await connect(t, a.at, transport, token)).user_id;
    const asDriver = tokenOf(await connect(t, a.at, transport, await a.token('driver', id)));
    t.hasStrict(await refusal(asDriver, token), refused, 'another role of the same user');
    t.hasStrict(await refusal(tokenOf(await connect(t, a.at, transport, token)), 'x.y.z'), {
      code: 'RIDE_UNAUTHENTICATED',
      field: 'authorization',
    });
  });

  t.test(`${transport}: of two connections that redeem one token at once, on two nodes, one wins`, async (t) => {
    const { token } = await member(a, 'rider');
    for (let round = 0; round < 8; round++) {
      const reconnectToken = tokenOf(await connect(t, a.at, transport, token));
      const outcomes = await Promise.allSettled(
        [a, b, a, b].map(({ at }) => connect(t, at, transport, undefined, resuming(transport, reconnectToken))),
      );
      t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    }
  });

  t.test(`${transport}: a client that says goodbye leaves no token; a drain and a broken line do`, async (t) => {
    const [a, b] = await twoNodes(t, { DRAIN_JITTER: '300ms' });
    const { token } = await member(a, 'rider');
    const [leaving, broken, stays, leavesWhenTold] = await Promise.all(
      [1, 2, 3, 4].map(() => connect(t, a.at, transport, token)),
    );
    const resume = (peer: Peer) => resuming(transport, tokenOf(peer));
    leaving!.close();
    broken!.cut();
    await Promise.all([leaving!.ended, broken!.ended]);
    await until(async () => {
      const sessions = (await a.rest('GET', '/admin/stats', await a.token('admin', 'op'))).body.sessions;
      return sessions.total === 2;
    }, 'the server to know');
    t.hasStrict(await refusalOf(b.at, transport, undefined, resume(leaving!)), { field: 'reconnect_token' });
    await connect(t, b.at, transport, undefined, resume(broken!));

    const stopped = a.stop();
    await leavesWhenTold!.next((m) => m.go_away, 'go-away');
    leavesWhenTold!.close();
    await Promise.all([stays!.ended, leavesWhenTold!.ended, stopped]);
    await connect(t, b.at, transport, undefined, resume(stays!));
    await connect(t, b.at, transport, undefined, resume(leavesWhenTold!));
  });
}

t.test('with a sign-in an unknown token does no harm: the session begins anew and says so', async (t) => {
  const { token, id } = await member(a, 'rider');
  for (const transport of transports) {
    const peer = await connect(t, a.at, transport, token, resuming(transport, 'B'.repeat(24)));
    t.hasStrict(welcomeOf(peer), { user_id: id });
    t.same(welcomeOf(peer).restored_topics ?? [], []);
    const again = await connect(t, b.at, transport, token, resuming(transport, tokenOf(peer)));
    t.hasStrict(welcomeOf(again), { user_id: id });
  }
});

t.test('a browser gives it in the query or as a subprotocol', async (t) => {
  const { token, id } = await member(a, 'rider');
  const first = await connect(t, a.at, 'websocket-json', token);
  const path = `/ws/client?reconnect_token=${tokenOf(first)}`;
  const second = await connect(t, b.at, 'websocket-json', undefined, { path });
  t.equal(welcomeOf(second).user_id, id);
  const protocols = ['ride.v1.json', `reconnect.${tokenOf(second)}`];
  const third = await connect(t, a.at, 'websocket-json', undefined, { protocols });
  t.equal(welcomeOf(third).user_id, id);
});

t.test('a token that was refused for its place stays good', async (t) => {
  const s = await build(t, { env: { ...env, MAX_SESSIONS: '2' } });
  const { token, id } = await member(s, 'rider');
  const first = await connect(t, s.at, 'websocket-json', token);
  const resume = resuming('websocket-json', tokenOf(first));
  t.hasStrict(await refusalOf(s.at, 'websocket-json', undefined, { ...resume, path: '/ws/driver' }), {
    code: 'RIDE_FORBIDDEN',
  });
  const second = await connect(t, s.at, 'websocket-json', token);
  t.hasStrict(await refusalOf(s.at, 'grpc', undefined, resuming('grpc', tokenOf(first))), {
    code: 'RIDE_TOO_MANY_SESSIONS',
  });
  second.close();
  await second.ended;
  t.equal(welcomeOf(await connect(t, s.at, 'websocket-json', undefined, resume)).user_id, id);
});

t.test('a handshake that is refused leaves the token as good as it was', async (t) => {
  const { token, id } = await member(a, 'rider');
  const [host, port] = [new URL(`http://${a.at.http}`).hostname, Number(a.at.http.split(':').at(-1))];
  const good = {
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'ride.v1.json',
  };
  const wrongs: Record<string, string>[] = [
    { 'sec-websocket-key': 'short' },
    { 'sec-websocket-version': '12' },
    { 'sec-websocket-protocol': 'ride.v1.json,,' },
  ];
  let reconnectToken = tokenOf(await connect(t, a.at, 'websocket-json', token));
  for (const wrong of wrongs) {
    const [what] = Object.keys(wrong);
    const headers = {
      ...good,
      ...wrong,
      connection: 'upgrade',
      upgrade: 'websocket',
      'x-reconnect-token': reconnectToken,
    };
    const [answer] = (await once(get({ host, port, path: '/ws/client', headers }), 'response')) as [IncomingMessage];
    answer.resume();
    t.equal(answer.statusCode, 400, `${what}`);
    const { redis } = a.server.app;
    const key = `reconnect:token:${reconnectToken}`;
    await until(async () => (await redis.commands!.exists(key)) === 1, `the token to be there again: ${what}`);
    const peer = await connect(t, b.at, 'websocket-json', undefined, resuming('websocket-json', reconnectToken));
    t.equal(welcomeOf(peer).user_id, id);
    reconnectToken = tokenOf(peer);
  }
});

t.test('a dead connection that does not know it brings no used token back', async (t) => {
  const { ride, peer: zombie } = await follower(t, a, 'websocket-json');
  const resume = resuming('websocket-json', tokenOf(zombie));
  await connect(t, b.at, 'websocket-json', undefined, resume);
  // Its server writes the token anew with each change of what it follows.
  t.ok((await zombie.ask({ unsubscribe: { topic: `trip:${ride.id}` } })).ack);
  t.ok((await zombie.ask({ subscribe: { topic: `trip:${ride.id}` } })).subscribed);
  t.ok((await zombie.ask({ heartbeat: {} })).ack);
  t.hasStrict(await refusalOf(b.at, 'websocket-json', undefined, resume), { field: 'reconnect_token' });
});

t.test('what may not be followed any more is named; the rest is restored', async (t) => {
  const ride = await assignedRide(t, a);
  const driver = await connect(t, a.at, 'grpc', ride.driver.token);
  const zone = 'zone:872a1072cffffff';
  for (const topic of [`trip:${ride.id}`, zone]) t.ok((await driver.ask({ subscribe: { topic } })).subscribed);
  driver.cut();
  t.equal((await a.rest('POST', `/api/v1/trips/${ride.id}/cancel`, ride.driver.token, { reason: 'flat' })).status, 200);
  const back = await connect(t, b.at, 'grpc', undefined, resuming('grpc', tokenOf(driver)));
  t.same(welcomeOf(back).restored_topics.toSorted(), [`trip:${ride.id}`, zone]);
  const { error } = await back.inbox.find((m) => m.error, 'the refusal');
  t.hasStrict(error, { code: 'RIDE_FORBIDDEN', field: 'topic' });
  t.match(error.message, ride.id);
  t.hasStrict((await back.inbox.find((m) => m.subscribed, 'the zone')).subscribed, { topic: zone, recovered: true });
  const again = await connect(t, a.at, 'grpc', undefined, resuming('grpc', tokenOf(back)));
  t.same(welcomeOf(again).restored_topics, [zone], 'the next token no longer stands for it');
});

t.test('a token ends with its own life, and with the sign-in', async (t) => {
  const { redisUrl } = a;
  const short = await build(t, { env: { ...env, RECONNECT_TOKEN_TTL: '3s', REDIS_URL: redisUrl } });
  const brief = await build(t, { env: { ...env, SOCKET_TOKEN_TTL: '4s', REDIS_URL: redisUrl } });
  for (const s of [short, brief]) {
    const { token } = await member(s, 'rider');
    const first = await connect(t, s.at, 'websocket-json', token);
    first.cut();
    const second = await connect(t, s.at, 'websocket-json', undefined, resuming('websocket-json', tokenOf(first)));
    second.cut();
    await second.ended;
    // Any attempt uses the token up, so the wait is for the key's own end.
    const { redis } = s.server.app;
    const key = `reconnect:token:${tokenOf(second)}`;
    await until(async () => (await redis.commands!.exists(key)) === 0, 'the token to expire');
    const refusal = await refusalOf(s.at, 'websocket-json', undefined, resuming('websocket-json', tokenOf(second)));
    t.hasStrict(refusal, { code: 'RIDE_UNAUTHENTICATED', field: 'reconnect_token' });
  }
});
t.end();
