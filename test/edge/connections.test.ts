/** Connections that are one too many: for a user, for an address, for the process. Refused cleanly, with a time to come back. */
import t from 'tap';
import { openEvents } from '../clients/events.ts';
import { connect, openGrpc, openWebSocket, type TransportName, transports, UpgradeRefused } from '../clients/peer.ts';
import { beside, build, type TestServer } from '../helper.ts';
import { assignedRide, member, type Ride } from '../scene.ts';
import { until } from '../until.ts';

interface Refusal {
  /** HTTP status, or status of gRPC. */
  status: number;
  code: string;
  retryAfterMs: number;
}

/** Connects where it must not succeed. */
async function refused(s: TestServer, transport: TransportName, token?: string): Promise<Refusal> {
  if (transport === 'grpc') {
    const { code, trailers } = await openGrpc(s.at, token).ended;
    const retryAfterMs = Number(trailers['ride-retry-after-ms']);
    if (trailers['grpc-retry-pushback-ms'] !== trailers['ride-retry-after-ms']) throw new Error('two waits');
    return { status: code, code: trailers['ride-code']!, retryAfterMs };
  }
  const error = await openWebSocket(s.at, transport, token).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof UpgradeRefused)) throw new Error(`not refused: ${error}`);
  const { code, retry_after_ms: retryAfterMs } = error.body;
  if (Number(error.headers['retry-after']) !== Math.max(1, Math.ceil(retryAfterMs / 1000)))
    throw new Error('two waits');
  return { status: error.status, code, retryAfterMs };
}

const RESOURCE_EXHAUSTED = 8;
const statusOn = (transport: TransportName, http: number): number => (transport === 'grpc' ? RESOURCE_EXHAUSTED : http);

t.test('a user with as many sessions as he may', async (t) => {
  const s = await build(t, { env: { MAX_SESSIONS_PER_USER: '3', HEARTBEAT_TIMEOUT: '70s' } });
  const rider = await member(s, 'rider');
  const peers = await Promise.all(transports.map((transport) => connect(t, s.at, transport, rider.token)));
  for (const transport of transports) {
    t.same(await refused(s, transport, rider.token), {
      status: statusOn(transport, 429),
      code: 'RIDE_USER_SESSIONS',
      retryAfterMs: 70_000,
    });
  }
  const trip = await s.rest('POST', '/api/v1/trips', rider.token, {
    pickup: { lat: 1, lng: 1 },
    dropoff: { lat: 1.01, lng: 1 },
  });
  const path = `/api/v1/trips/${trip.body.id}/events/stream`;
  const events = await openEvents(t, s.at.http, path, { authorization: `Bearer ${rider.token}` });
  t.equal(events.status, 429, 'a listener is a session too');
  t.equal(events.headers['retry-after'], '70');
  t.equal((await events.problem()).code, 'RIDE_USER_SESSIONS');

  await connect(t, s.at, 'grpc', (await member(s, 'rider')).token);
  t.ok((await peers[0]!.ask({ heartbeat: {} })).ack, 'those that are there stay');
  peers[2]!.close();
  await until(
    () =>
      connect(t, s.at, 'websocket-json', rider.token).then(
        () => true,
        () => false,
      ),
    'a place for another device',
  );
});

t.test('many devices at once: never more than the limit, the others are told', async (t) => {
  const s = await build(t, { env: { MAX_SESSIONS_PER_USER: '5' } });
  const { token } = await member(s, 'rider');
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => connect(t, s.at, transports[i % 3]!, token)),
  );
  t.equal(results.filter((r) => r.status === 'fulfilled').length, 5);
  for (const result of results) {
    if (result.status === 'rejected') t.match(String(result.reason), /RIDE_USER_SESSIONS|4004|429|: 8 /);
  }
  const { body } = await s.rest('GET', '/admin/stats', (await member(s, 'admin')).token);
  t.equal(body.sessions.total, 5);
});

t.test(
  'server-sent events are refused like other connections: by the sessions of the process and the address that is too fast',
  async (t) => {
    const listen = (s: TestServer, ride: Ride) =>
      openEvents(t, s.at.http, `/api/v1/trips/${ride.id}/events/stream`, {
        authorization: `Bearer ${ride.rider.token}`,
      });
    const s = await build(t);
    const ride = await assignedRide(t, s);
    const shared = beside(s);
    const full = await build(t, { env: { ...shared, MAX_SESSIONS: '1' } });
    t.equal((await listen(full, ride)).status, 200);
    const tooMany = await listen(full, ride);
    t.equal(tooMany.status, 503);
    t.hasStrict(await tooMany.problem(), { code: 'RIDE_TOO_MANY_SESSIONS' });
    t.match(tooMany.headers['retry-after'], /^[1-9]/, 'with a time to come back');
    // So slow that nothing comes back while the test runs.
    const slow = await build(t, { env: { ...shared, CONNECTION_RATE: '1', CONNECTION_BURST: '1' } });
    await until(async () => {
      const answer = await listen(slow, ride);
      if (answer.status === 200) return false;
      t.equal(answer.status, 429);
      t.hasStrict(await answer.problem(), { code: 'RIDE_RATE_LIMITED' });
      t.match(answer.headers['retry-after'], /^[1-9]/);
      return true;
    }, 'a refusal');
  },
);

t.test('behind a trusted proxy each caller counts by his own address; nobody else is believed about his', async (t) => {
  const env = { CONNECTION_RATE: '1', CONNECTION_BURST: '2' };
  const knocks = async (s: TestServer, from: (n: number) => string): Promise<string> => {
    const { token } = await member(s, 'rider');
    for (let n = 0; n < 20; n++) {
      try {
        await connect(t, s.at, 'websocket-json', token, { headers: { 'x-forwarded-for': from(n) } });
      } catch (error) {
        return (error as UpgradeRefused).body.code;
      }
    }
    return 'all came in';
  };
  const trusting = await build(t, { env: { ...env, TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.1' } });
  t.equal(await knocks(trusting, (n) => `203.0.113.${n}`), 'all came in');
  t.equal(await knocks(trusting, () => '203.0.113.99'), 'RIDE_RATE_LIMITED', 'one caller');
  t.equal(
    await knocks(trusting, (n) => `198.51.100.${n}, 203.0.113.98`),
    'RIDE_RATE_LIMITED',
    'who forges its beginning',
  );
  const usual = await build(t, { env });
  t.equal(await knocks(usual, (n) => `203.0.113.${n}`), 'RIDE_RATE_LIMITED', 'nobody is trusted unless it is said');
});

t.test('an address that connects too fast', async (t) => {
  // Slow enough that nothing comes back while the test runs.
  const s = await build(t, { env: { CONNECTION_RATE: '1', CONNECTION_BURST: '3' } });
  const tokens = await Promise.all([1, 2, 3, 4].map(async () => (await member(s, 'rider')).token));
  for (const [index, transport] of transports.entries()) await connect(t, s.at, transport, tokens[index]!);
  for (const transport of transports) {
    let refusal: Refusal | null = null;
    // On a slow machine an address has earned a connection meanwhile.
    await until(async () => {
      refusal = await refused(s, transport, tokens[3]).catch(() => null);
      return refusal !== null;
    }, `a refusal on ${transport}`);
    const { status, code, retryAfterMs } = refusal!;
    t.same([status, code], [statusOn(transport, 429), 'RIDE_RATE_LIMITED'], transport);
    t.ok(retryAfterMs > 0 && retryAfterMs <= 1000, `${retryAfterMs} ms`);
  }
  await until(
    async () => (await refused(s, 'websocket-json')).code === 'RIDE_RATE_LIMITED',
    'a refusal before the token is looked at',
  );
  t.equal((await s.rest('GET', '/livez')).status, 200, 'requests are no connections');
  await until(
    () =>
      connect(t, s.at, 'grpc', tokens[3]!).then(
        () => true,
        () => false,
      ),
    'the address to be let in again',
  );
});

t.test('a process with as many sessions as it may', async (t) => {
  const s = await build(t, { env: { MAX_SESSIONS: '2' } });
  const tokens = await Promise.all([1, 2, 3].map(async () => (await member(s, 'rider')).token));
  const first = await connect(t, s.at, 'grpc', tokens[0]!);
  await connect(t, s.at, 'websocket-json', tokens[1]!);
  for (const transport of transports) {
    const expected = { status: statusOn(transport, 503), code: 'RIDE_TOO_MANY_SESSIONS', retryAfterMs: 1000 };
    t.same(await refused(s, transport, tokens[2]), expected);
  }
  first.close();
  await until(
    () =>
      connect(t, s.at, 'websocket-protobuf', tokens[2]!).then(
        () => true,
        () => false,
      ),
    'a place',
  );
});
