/** Sessions that cannot be set up: what their clients are told, and what their reconnect tokens are worth afterwards. */
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { createRedisReconnects } from '../../src/adapters/redis/reconnects.ts';
import { createTracing } from '../../src/adapters/system/tracing.ts';
import { RideError } from '../../src/errors.ts';
import { createGateway } from '../../src/realtime/gateway.ts';
import { createInbound, type InboundOptions } from '../../src/realtime/inbound.ts';
import { createLamport } from '../../src/realtime/lamport.ts';
import { Recovery } from '../../src/realtime/recovery.ts';
import { webSocketRoutes } from '../../src/websocket/gateway.ts';
import { webSocketPlugin } from '../../src/websocket/upgrades.ts';
import { openWebSocket } from '../clients/peer.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { Peer, principal, quiet, realtimeNode } from './node.ts';

const redis = await startRedis(t);
const away = new RideError('RIDE_UNAVAILABLE', 'away', { retryAfterMs: 500 });

/** A gateway whose store and inbox answer when and as they are told to, and someone who comes with the token `old`. */
async function scene(t: Test, maxSessions = 1000) {
  const node = await realtimeNode(t, redis.url, { maxSessions });
  const reconnects = createRedisReconnects(node.redis, quiet);
  const trips = Promise.withResolvers<never[]>();
  const inbox = Promise.withResolvers<null>();
  for (const { promise } of [trips, inbox]) promise.catch(() => {});
  const recovery = new Recovery({
    reconnects,
    inboxes: { position: () => inbox.promise, advance() {} },
    newToken: () => 'new',
    meter: node.meter,
    tokenTtlMs: 60_000,
    intervalMs: 1000,
    log: quiet,
  });
  const clock = { now: () => Date.now(), toWallMs: (ms: number) => ms };
  const services = {
    trips: { openOf: () => trips.promise },
    bookings: { underWayOf: async () => [] },
  } as unknown as InboundOptions['services'];
  const common = { broker: node.broker, services, recovery, clock, log: quiet };
  const inbound = createInbound({
    ...common,
    lamport: createLamport(),
    limiter: {} as InboundOptions['limiter'],
    nodeId: 'n',
    meter: node.meter,
    tracing: createTracing(),
  });
  const gateway = createGateway({
    ...common,
    inbound,
    newSessionId: () => 'ses',
    heartbeatIntervalMs: 1000,
    heartbeatTimeoutMs: 60_000,
    maxPayloadBytes: 1000,
  });
  await reconnects.forget('new');
  await reconnects.create('old', { ...principal('u'), namespace: 'ws', topics: {} }, 60_000);
  const accept = async (peer: Peer) => {
    const { session } = gateway.accept({ principal: principal('u'), saved: await recovery.redeem('old') }, 'ws', peer);
    await until(() => session.reconnectToken === 'new', 'its new token');
    return session;
  };
  /** Waits until it can be redeemed. */
  const isGood = (token: string) => until(async () => (await reconnects.redeem(token)) !== null, `${token} to be good`);
  const isNone = async (token: string) => (await reconnects.redeem(token)) === null;
  return { node, gateway, recovery, trips, inbox, accept, isGood, isNone };
}

const kinds = (peer: Peer): string[] => peer.frames.map(({ kind }) => kind);

t.test(
  'before its welcome: the error comes in its place, the end has its code, and the token is as good as it was',
  async (t) => {
    const { node, trips, accept, isGood, isNone } = await scene(t);
    const peer = new Peer();
    await accept(peer);
    t.ok(await isNone('old'), 'it is taken');
    trips.reject(away);
    await until(() => peer.closed !== null, 'the end');
    t.equal(peer.closed, 'RIDE_UNAVAILABLE');
    t.same(kinds(peer), ['error']);
    await isGood('old');
    t.ok(await isNone('new'), 'nobody learnt of the new one');
    t.hasStrict(node.meter.facts, { 'reconnect given_back': 1, 'ended RIDE_UNAVAILABLE': 1 });
  },
);

t.test('gone before its welcome, whatever came of the set-up', async (t) => {
  for (const fails of [true, false]) {
    const { node, trips, accept, isGood, isNone } = await scene(t);
    const peer = new Peer();
    const session = await accept(peer);
    node.broker.lost(session);
    if (fails) trips.reject(away);
    else trips.resolve([]);
    await isGood('old');
    t.ok(await isNone('new'));
    t.same(kinds(peer), []);
  }
});

t.test('behind its welcome: the new token is the one that counts', async (t) => {
  const { trips, inbox, accept, isGood, isNone } = await scene(t);
  const peer = new Peer();
  await accept(peer);
  trips.resolve([]);
  await until(() => peer.frames.length === 1, 'its welcome');
  inbox.reject(away);
  await until(() => peer.closed !== null, 'the end');
  t.equal(peer.closed, 'RIDE_UNAVAILABLE');
  t.same(kinds(peer), ['welcome', 'error']);
  t.ok(await isNone('old'));
  await isGood('new');
});

t.test('the last place is taken during the upgrade: a message says what the refusal would have', async (t) => {
  const { node, gateway, recovery } = await scene(t, 1);
  const app = Fastify();
  t.after(() => app.close());
  // Nobody looks whether there is a place before the upgrade.
  const door = { knock() {}, enter() {} } as unknown as Parameters<typeof webSocketRoutes>[1]['door'];
  await app.register(webSocketPlugin, { maxPayloadBytes: 1000, drainDeadline: 1000, door });
  const signIn = async () => ({ principal: principal('late'), saved: null });
  await app.register(webSocketRoutes, { gateway, door, signIn, recovery });
  await app.listen({ port: 0, host: '127.0.0.1' });
  node.connect('first');
  for (const transport of ['websocket-json', 'websocket-protobuf'] as const) {
    const peer = await openWebSocket({ http: app.listeningOrigin.slice('http://'.length), grpc: '' }, transport, 'x');
    const { code, reason } = await peer.ended;
    t.equal(code, 4003);
    t.match(reason, /^RIDE_TOO_MANY_SESSIONS: /);
    t.equal(peer.inbox.all.length, 1);
    const { error } = peer.inbox.all[0]!;
    t.hasStrict(
      { ...error, retry_after_ms: Number(error.retry_after_ms) },
      {
        code: 'RIDE_TOO_MANY_SESSIONS',
        retryable: true,
        retry_after_ms: 1000,
      },
    );
  }
});
