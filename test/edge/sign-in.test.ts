/** Who may come in: tokens that are missing, forged, expired or of the wrong namespace, on REST, WebSocket and gRPC alike. */
import { createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import { connect, openGrpc, openWebSocket, transports, UpgradeRefused } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { locate, member, someone, somewhere } from '../scene.ts';
import { livesOn } from './streams.ts';

const s = await build(t);
const UNAUTHENTICATED = 16;

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JWT made by hand, so that any part of it can be wrong. */
function jwt(claims: object, { alg = 'HS256', secret = s.config.jwtSecret as string, hash = 'sha256' } = {}): string {
  const signed = `${base64({ alg, typ: 'JWT' })}.${base64(claims)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600;
const claims = (more: object = {}): object => ({ sub: 'rider-x', role: 'rider', exp: inAnHour(), ...more });
const unsigned = `${base64({ alg: 'none', typ: 'JWT' })}.${base64(claims({ role: 'admin' }))}.`;
const [head, , signature] = jwt(claims()).split('.');

const TRUST = 'a token that this server trusts';
const forged: [name: string, token: string][] = [
  ['no token at all', 'hello'],
  ['alg none', unsigned],
  ['alg none with a signature', `${unsigned}${signature}`],
  ['another secret', jwt(claims(), { secret: 'development-secret2' })],
  ['an empty secret', jwt(claims(), { secret: '' })],
  ['another algorithm', jwt(claims(), { alg: 'HS512', hash: 'sha512' })],
  ['a public-key algorithm on the shared secret', jwt(claims(), { alg: 'RS256' })],
  ['claims changed after signing', `${head}.${base64(claims({ role: 'admin' }))}.${signature}`],
  ['no signature', `${head}.${base64(claims())}.`],
  ['not yet valid', jwt(claims({ nbf: inAnHour() }))],
];

const USER = '1 to 180 printable ASCII characters without a space or a brace';
const CITY = '1 to 32 lower-case letters, digits or hyphens';
const ROLE = 'one of rider, driver, admin, dispatcher, service';
const CLASS = 'one of standard, xl, premium, moto';
/** Rightly signed, with a claim that docs/protocol.md does not allow. */
const broken: [name: string, claim: string, rule: string, more: object][] = [
  ['no role', 'role', ROLE, { role: undefined }],
  ['an unknown role', 'role', ROLE, { role: 'root' }],
  ['several roles', 'role', ROLE, { role: ['rider'] }],
  ['no user', 'sub', USER, { sub: undefined }],
  ['an empty user', 'sub', USER, { sub: '' }],
  ['a number for a user', 'sub', USER, { sub: 7 }],
  ['a user with a space', 'sub', USER, { sub: 'rider x' }],
  ['a user with a line end', 'sub', USER, { sub: 'rider-x\n' }],
  ['a user beyond ASCII', 'sub', USER, { sub: 'rider-é' }],
  ['a user with an opening brace', 'sub', USER, { sub: 'x{y' }],
  ['a user with a closing brace', 'sub', USER, { sub: 'x}y' }],
  ['a long user', 'sub', USER, { sub: 'x'.repeat(181) }],
  ['no end', 'exp', 'a number, the seconds since 1970 when the token ends', { exp: undefined }],
  ['a bad city', 'city', CITY, { city: 'New York' }],
  ['a number for a city', 'city', CITY, { city: 7 }],
  ['an unknown class', 'vehicle_class', CLASS, { vehicle_class: 'spaceship' }],
  ['no class, and yet one', 'vehicle_class', CLASS, { vehicle_class: null }],
  ['premium in words', 'premium', 'one of true, false', { premium: 'yes' }],
];

interface Expected {
  code: string;
  field: string;
  rule: string;
}
const field = 'authorization';

const refusals: [name: string, token: string | undefined, expected: Expected][] = [
  ['missing', undefined, { code: 'RIDE_UNAUTHENTICATED', field, rule: 'Bearer <token>' }],
  ...forged.map(([name, token]): [string, string, Expected] => [
    name,
    token,
    { code: 'RIDE_UNAUTHENTICATED', field, rule: TRUST },
  ]),
  ...broken.map(([name, claim, rule, more]): [string, string, Expected] => [
    name,
    jwt(claims(more)),
    { code: 'RIDE_UNAUTHENTICATED', field: claim, rule },
  ]),
  [
    'expired',
    jwt(claims({ exp: Math.floor(Date.now() / 1000) - 1 })),
    { code: 'RIDE_TOKEN_EXPIRED', field, rule: 'a token that has not expired' },
  ],
];

/** An upgrade that is refused with this status and problem document. */
async function isRefused(t: Test, opening: Promise<unknown>, expected: object): Promise<void> {
  const error = await opening.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  t.ok(error instanceof UpgradeRefused);
  t.hasStrict(error, expected);
}

t.test('the tokens of this test are good when nothing is wrong with them', async (t) => {
  t.equal((await s.rest('GET', '/api/v1/trips', jwt(claims()))).status, 200);
});

t.test('who keeps the rules to their limits is the same user everywhere', async (t) => {
  const sub = `~/${'%'.repeat(178)}`;
  const token = jwt(claims({ sub, city: 'a-1', vehicle_class: 'xl', premium: true }));
  const operator = jwt(claims({ sub: 'ops', role: 'admin' }));
  for (const transport of transports) {
    const peer = await connect(t, s.at, transport, token);
    t.equal(peer.inbox.all[0]!.welcome.user_id, sub, transport);
  }
  const presence = await s.rest('GET', `/api/v1/users/${encodeURIComponent(sub)}/presence`, operator);
  t.equal(presence.status, 200);
  t.hasStrict(presence.body, { user_id: sub, online: true });
  const watch = await connect(t, s.at, 'grpc', operator);
  t.ok((await watch.ask({ subscribe: { topic: `presence:${sub}` } })).subscribed);
  const asked = await s.rest('POST', '/api/v1/auth/token', undefined, { role: 'rider', user_id: sub });
  t.equal(asked.body.user_id, sub, 'the development route gives tokens to the same users');
  const trips = await s.rest('GET', `/api/v1/trips?rider_id=${encodeURIComponent(sub)}`, operator);
  t.equal(trips.status, 200);
});

t.test('server-sent events', async (t) => {
  for (const [name, token, expected] of refusals) {
    const query = token === undefined ? '' : `?access_token=${token}`;
    const answer = await s.rest('GET', `/api/v1/trips/trip_test_none/events/stream${query}`);
    t.equal(answer.status, 401, name);
    t.hasStrict(answer.body, expected, name);
  }
});

t.test('REST', async (t) => {
  for (const [name, token, expected] of refusals) {
    const answer = await s.rest('GET', '/api/v1/trips', token);
    t.equal(answer.status, 401, name);
    t.hasStrict(answer.body, { ...expected, status: 401 }, name);
  }
  const basic = await s.rest('GET', '/api/v1/trips', undefined, undefined, { authorization: 'Basic cmlkZXI6eA==' });
  t.equal(basic.body.code, 'RIDE_UNAUTHENTICATED', 'another scheme');
  const query = await s.rest('GET', `/api/v1/trips?access_token=${jwt(claims())}`);
  t.equal(query.status, 401, 'a token in the query is for sockets only');
});

t.test('WebSocket: refused before the upgrade', async (t) => {
  for (const transport of ['websocket-json', 'websocket-protobuf'] as const) {
    for (const [name, token, expected] of refusals) {
      await t.test(`${transport}, ${name}`, (t) =>
        isRefused(t, openWebSocket(s.at, transport, token), {
          status: 401,
          body: expected,
        }),
      );
    }
  }
});

t.test('gRPC', async (t) => {
  for (const [name, token, expected] of refusals) {
    const { code, trailers, reason } = await openGrpc(s.at, token).ended;
    t.equal(code, UNAUTHENTICATED, name);
    t.ok(reason, name);
    t.hasStrict(
      trailers,
      { 'ride-code': expected.code, 'ride-field': expected.field, 'ride-rule': expected.rule },
      name,
    );
  }
});

t.test('a namespace takes its own roles only', async (t) => {
  const takes: Record<string, string[]> = {
    '/ws': ['rider', 'driver', 'admin', 'dispatcher', 'service'],
    '/ws/client': ['rider'],
    '/ws/porter': ['driver'],
    '/ws/driver': ['driver'],
    '/ws/admin': ['admin', 'dispatcher'],
  };
  for (const role of takes['/ws']!) {
    const { token } = await member(s, role);
    for (const [path, roles] of Object.entries(takes)) {
      if (roles.includes(role)) {
        await livesOn(t, await connect(t, s.at, 'websocket-json', token, { path }), `${role} on ${path}`);
        continue;
      }
      await isRefused(t, openWebSocket(s.at, 'websocket-json', token, { path }), {
        status: 403,
        body: { code: 'RIDE_FORBIDDEN', field: 'authorization', rule: `a token of a ${roles.join(' or ')}` },
      });
    }
  }
  const { token } = await member(s, 'rider');
  await isRefused(t, openWebSocket(s.at, 'websocket-json', token, { path: '/ws/pilot' }), {
    status: 404,
    body: { code: 'RIDE_NOT_FOUND' },
  });
  const plain = await s.rest('GET', '/ws', token);
  t.equal(plain.status, 404, 'without an upgrade there is nothing at /ws');
  t.hasStrict(plain.body, { code: 'RIDE_NOT_FOUND', field: 'upgrade' });
});

t.test('three ways to hand a token to a WebSocket', async (t) => {
  const { id, token } = await member(s, 'rider');
  const protocols = ['ride.v1.json', `bearer.${token}`];
  for (const [name, options, header] of [
    ['header', {}, token],
    ['query', { path: `/ws?access_token=${token}` }, undefined],
    ['subprotocol', { protocols }, undefined],
  ] as const) {
    const peer = await openWebSocket(s.at, 'websocket-json', header, options as object);
    t.after(() => peer.cut());
    const { welcome } = await peer.next((m) => m.welcome);
    t.equal(welcome.user_id, id, name);
    t.equal(peer.socket.protocol, 'ride.v1.json', `${name}: the token is not echoed as the chosen subprotocol`);
  }
});

t.test('a token that runs out ends its open session, however lively', async (t) => {
  for (const transport of transports) {
    const id = someone('driver');
    const brief = jwt({ sub: id, role: 'driver', exp: (Date.now() + 2000) / 1000 });
    const peer = await connect(t, s.at, transport, brief);
    let over = false;
    const talking = (async () => {
      while (!over) await peer.ask({ heartbeat: {} }).catch(() => undefined);
    })();
    const startedAt = Date.now();
    const { code, reason, trailers } = await peer.ended;
    over = true;
    await talking;
    if (transport === 'grpc') {
      t.equal(code, UNAUTHENTICATED);
      t.equal(trailers['ride-code'], 'RIDE_TOKEN_EXPIRED');
    } else {
      t.equal(code, 4502);
      t.match(reason, /^RIDE_TOKEN_EXPIRED/);
    }
    t.ok(Date.now() - startedAt < 12_000, `${transport}: soon, not at the end of the heartbeat timeout`);
    t.equal((await s.rest('GET', '/api/v1/drivers/me', brief)).body.code, 'RIDE_TOKEN_EXPIRED', 'nor by REST');
    const again = await openGrpc(s.at, brief).ended;
    t.equal(again.code, UNAUTHENTICATED, 'nor again');
  }
});

t.test('sessions of one user are apart: ending one leaves the other', async (t) => {
  const driver = await member(s, 'driver');
  const first = await connect(t, s.at, 'grpc', driver.token);
  const second = await connect(t, s.at, 'websocket-json', driver.token, { path: '/ws/porter' });
  first.cut();
  await first.ended;
  await locate(s, driver, somewhere());
  await livesOn(t, second, 'the other');
});
t.end();
