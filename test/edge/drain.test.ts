/** A drain finishes what is under way, within its deadline, and tells every session once, after its welcome. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { openGrpc, openWebSocket, transports } from '../clients/peer.ts';
import { build, type TestServer } from '../helper.ts';
import { member, north, somewhere } from '../scene.ts';
import { until } from '../until.ts';

interface Started {
  call: ClientRequest;
  /** Sends the rest; resolves the answer. */
  finish(): Promise<{ status: number | undefined; headers: IncomingMessage['headers']; body: Record<string, unknown> }>;
}

/** A request for a trip whose body is only half sent. */
async function halfSent(s: TestServer, token: string): Promise<Started> {
  const from = somewhere();
  const body = JSON.stringify({ pickup: from, dropoff: north(from, 2000) });
  const call = request(`http://${s.at.http}/api/v1/trips`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      authorization: `Bearer ${token}`,
      // The server says when it has read the head, and so has the request under way.
      expect: '100-continue',
    },
  });
  call.on('error', () => {});
  call.flushHeaders();
  await once(call, 'continue');
  call.write(body.slice(0, 10));
  return {
    call,
    async finish() {
      call.end(body.slice(10));
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      let text = '';
      for await (const chunk of response) text += chunk;
      return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) };
    },
  };
}

t.test('a request under way is answered, others are sent elsewhere, and then the server ends', async (t) => {
  const s = await build(t, { env: { DRAIN_DEADLINE: '20s' } });
  const { token } = await member(s, 'rider');
  const started = await halfSent(s, token);
  let isStopped = false;
  const stopped = s.stop().then(() => {
    isStopped = true;
  });
  await until(async () => (await s.rest('GET', '/api/v1/trips', token)).status === 503, 'new requests to be refused');
  const refused = await s.rest('GET', '/api/v1/trips', token);
  t.hasStrict(refused.body, { code: 'RIDE_DRAINING', status: 503 });
  t.ok(refused.headers.get('retry-after'), 'with a wait');
  t.equal(refused.headers.get('connection'), 'close', 'the client is to come by another connection');
  t.equal((await s.rest('GET', '/livez')).status, 200);
  t.equal((await s.rest('GET', '/readyz')).status, 503);
  t.equal(sum(await readMetrics(s.at.metrics), 'ride_stream_draining'), 1);
  t.notOk(isStopped, 'it waits');
  const answer = await started.finish();
  t.equal(answer.status, 201);
  t.equal(answer.headers.connection, 'close');
  await stopped;
});

t.test('the deadline cuts off what stays', async (t) => {
  const s = await build(t, { env: { DRAIN_DEADLINE: '500ms' } });
  const { token } = await member(s, 'rider');
  const { call } = await halfSent(s, token);
  // Its error would reject `once`.
  const cut = new Promise((resolve) => call.on('close', resolve));
  const startedAt = performance.now();
  await s.stop();
  const tookMs = performance.now() - startedAt;
  t.ok(tookMs >= 500 && tookMs < 5000, `${tookMs} ms`);
  await cut;
});

t.test('a session that is just being opened is welcomed first, and then told to go', async (t) => {
  for (const transport of transports) {
    const s = await build(t, { env: { DRAIN_JITTER: '1s', DRAIN_DEADLINE: '10s' } });
    const { token } = await member(s, 'rider');
    // The welcome waits for its reconnect token.
    const redis = connectRedis({ url: s.redisUrl }, () => {});
    t.after(() => redis.disconnect());
    await redis.client('PAUSE', 60_000, 'WRITE');
    const peer = transport === 'grpc' ? openGrpc(s.at, token) : await openWebSocket(s.at, transport, token);
    t.after(() => peer.cut());
    const admin = s.server.metrics;
    await until(async () => {
      const active = (await admin()).find(({ name }) => name === 'ride_stream_active_sessions');
      return active!.values.some(({ value }) => value === 1);
    }, 'the session to be open');
    const stopped = s.stop();
    await redis.client('UNPAUSE');
    await peer.inbox.find((m) => m.go_away, 'go-away');
    await peer.ended;
    const kinds = peer.inbox.all.map((m) => ['welcome', 'go_away'].find((kind) => m[kind]) ?? 'other');
    t.equal(kinds[0], 'welcome', transport);
    t.equal(kinds.filter((kind) => kind === 'go_away').length, 1, transport);
    await stopped;
  }
});

t.test('what fails while the server stops keeps nothing else from being closed', async (t) => {
  const s = await build(t);
  const { app } = s.server;
  const redis = connectRedis({ url: s.redisUrl }, () => {});
  t.after(() => redis.disconnect());
  await until(async () => (await redis.zcard('{nodes}:leases')) === 1, 'the lease of the node');
  const finish = app.requests.finish;
  app.requests.finish = async () => {
    await finish();
    throw new Error('requests cannot be counted');
  };
  await s.stop();
  t.equal(await redis.zcard('{nodes}:leases'), 0, 'its lease is given back');
  for (const [name, address] of Object.entries(s.at)) {
    const { hostname, port } = new URL(`tcp://${address}`);
    const socket = connect(Number(port), hostname);
    const [error] = await once(socket, 'error');
    t.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED', name);
  }
});
t.end();
