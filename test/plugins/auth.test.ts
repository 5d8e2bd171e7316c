/** Tokens that were verified once: remembered for as long as they are good, and nothing that is like one of them is. */
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import t from 'tap';
import type { Role } from '../../src/domain/roles.ts';
import { build, type TestScope } from '../helper.ts';
import { until } from '../until.ts';

const s = await build(t);
const { app } = s.server;
const me = '/api/v1/drivers/me';

/** A token that is good for a second or two. */
function tokenFor(userId: string, ttlMs: number): string {
  const principal = { userId, role: 'driver' as Role, city: 'c', vehicleClass: 'standard' as const, premium: false };
  return app.signToken(principal, ttlMs);
}

t.test('a remembered token ends with its exp, a long one like a short one', async (t) => {
  // One with more claims than ours is too long to be remembered.
  const longToken = () =>
    app.jwt.sign({ sub: 'd-long', role: 'driver', more: 'x'.repeat(3000) } as object, { expiresIn: 2 });
  for (const [userId, newToken] of [
    ['d-1', () => tokenFor('d-1', 1500)],
    ['d-long', longToken],
  ] as const) {
    const token = newToken();
    for (let n = 0; n < 3; n++) t.equal(app.verifyToken(token).userId, userId);
    const { expiresAt } = app.verifyToken(token);
    t.ok(expiresAt > Date.now());
    let refused: unknown;
    await until(() => {
      try {
        app.verifyToken(token);
        return false;
      } catch (error) {
        refused = error;
        return true;
      }
    }, 'the token to end');
    t.ok(Date.now() >= expiresAt, 'not before its time');
    t.hasStrict(refused, { code: 'RIDE_TOKEN_EXPIRED' });
    t.throws(() => app.verifyToken(token), { code: 'RIDE_TOKEN_EXPIRED' }, 'and for good');
  }
});

t.test('a token like a remembered one is verified itself', async (t) => {
  const token = tokenFor('d-2', 60_000);
  t.equal((await s.rest('GET', me, token)).status, 200);
  const [head, claims, signature] = token.split('.') as [string, string, string];
  const others = JSON.parse(Buffer.from(claims, 'base64url').toString());
  const promoted = Buffer.from(JSON.stringify({ ...others, role: 'admin' })).toString('base64url');
  const flipped = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1);
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  for (const forged of [
    `${head}.${promoted}.${signature}`,
    `${head}.${claims}.${flipped}`,
    `${none}.${claims}.`,
    token.slice(0, -1),
    `${token}x`,
    token.toLowerCase(),
  ]) {
    const answer = await s.rest('GET', me, forged);
    t.equal(answer.status, 401, forged);
    t.equal(answer.body.code, 'RIDE_UNAUTHENTICATED');
  }
  t.equal((await s.rest('GET', me, token)).body.id, 'd-2', 'the good one is still good');
});

t.test('each of many tokens is its own user, on one connection too', async (t) => {
  const ids = Array.from({ length: 50 }, (_, n) => `many-${n}`);
  const tokens = ids.map((id) => tokenFor(id, 60_000));
  for (const _round of [1, 2]) {
    const answers = await Promise.all(tokens.map((token) => s.rest('GET', me, token)));
    t.same(
      answers.map(({ body }) => body.id),
      ids,
    );
  }
  t.equal((await s.rest('GET', me)).status, 401, 'and without a token nobody');
});
/** Asks on one connection, as a proxy may for many clients. */
function oneConnection(t: TestScope) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ports = new Set<number>();
  const ask = async (authorization?: string): Promise<{ status: number; id?: string; code?: string }> => {
    const headers = authorization === undefined ? {} : { authorization };
    const request = get(`http://${s.at.http}${me}`, { agent, headers });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    ports.add(response.socket.localPort!);
    return { ...((await json(response)) as object), status: response.statusCode! };
  };
  return { ask, ports };
}

t.test('who speaks on a connection is found out at each request', async (t) => {
  const { ask, ports } = oneConnection(t);
  const [one, two] = [tokenFor('c-1', 60_000), tokenFor('c-2', 60_000)];
  t.equal((await ask()).status, 401);
  for (const [token, id] of [
    [one, 'c-1'],
    [one, 'c-1'],
    [two, 'c-2'],
    [one, 'c-1'],
  ] as const)
    t.hasStrict(await ask(`Bearer ${token}`), { status: 200, id });
  for (const header of [undefined, '', `Bearer ${one}x`, `Basic ${one}`, one])
    t.equal((await ask(header)).status, 401, `${header?.slice(0, 10)}`);
  t.hasStrict(await ask(`bearer ${one}`), { status: 200, id: 'c-1' });
  const short = `Bearer ${tokenFor('c-3', 1000)}`;
  t.hasStrict(await ask(short), { status: 200, id: 'c-3' });
  await until(async () => (await ask(short)).status !== 200, 'the token to end');
  t.hasStrict(await ask(short), { status: 401, code: 'RIDE_TOKEN_EXPIRED' });
  t.equal(ports.size, 1, 'all on one connection');
});
t.end();
