/** Development's tokens: for whoever asks, and not at all in production. */
import t from 'tap';
import { connect, openGrpc } from '../clients/peer.ts';
import { checkedRest } from '../contracts/answers.ts';
import { build } from '../helper.ts';

const s = await build(t, { env: { SOCKET_TOKEN_TTL: '90m' } });
const { rest } = checkedRest(s);
const token = (body: unknown) => rest('POST', '/api/v1/auth/token', undefined, body);

const claimsOf = (jwt: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString());

t.test('a token is for the user, role, city and class that were asked for', async (t) => {
  const asked = { role: 'driver', user_id: 'd-1', city: 'springfield', vehicle_class: 'xl', premium: true };
  const { status, body } = await token(asked);
  t.equal(status, 200);
  t.hasStrict(body, { token_type: 'Bearer', expires_in_s: 5400, user_id: 'd-1', role: 'driver' });
  const claims = claimsOf(body.access_token);
  t.hasStrict(claims, { sub: 'd-1', role: 'driver', city: 'springfield', vehicle_class: 'xl', premium: true });
  t.equal((claims.exp as number) - (claims.iat as number), 5400);
  const driver = await rest('GET', '/api/v1/drivers/me', body.access_token);
  t.hasStrict(driver.body, { id: 'd-1', city: 'springfield', vehicle_class: 'xl' });
});

t.test('what is left out is filled in', async (t) => {
  const { body } = await token({ role: 'rider' });
  t.match(body.user_id, /^usr_test_/, 'a new user');
  t.hasStrict(claimsOf(body.access_token), { city: 'testville', vehicle_class: 'standard', premium: false });
  t.not((await token({ role: 'rider' })).body.user_id, body.user_id, 'each time another');
});

t.test('every role', async (t) => {
  for (const role of ['rider', 'driver', 'admin', 'dispatcher', 'service']) {
    const { body } = await token({ role, user_id: `the-${role}` });
    const peer = await connect(t, s.at, 'grpc', body.access_token);
    t.hasStrict(peer.inbox.all[0]!.welcome, { user_id: `the-${role}`, role });
  }
});

const USER = '1 to 180 printable ASCII characters without a space or a brace';

t.test('refusals', async (t) => {
  for (const [body, field, rule] of [
    [{}, 'role', 'given'],
    [{ role: 'root' }, 'role', 'one of rider, driver, admin, dispatcher, service'],
    [{ role: 'rider', user_id: '' }, 'user_id', USER],
    [{ role: 'rider', user_id: 'a b' }, 'user_id', USER],
    [{ role: 'rider', user_id: 'x{y}' }, 'user_id', USER],
    [{ role: 'rider', user_id: 'x'.repeat(181) }, 'user_id', USER],
    [{ role: 'rider', user_id: 7 }, 'user_id', 'string'],
    [{ role: 'rider', exp: 1 }, 'exp', 'left out: there is no such field'],
    [{ role: 'rider', premium: 'yes' }, 'premium', 'boolean'],
  ] as const) {
    const answer = await token(body);
    t.equal(answer.status, 400, JSON.stringify(body));
    t.hasStrict(answer.body, { code: 'RIDE_INVALID_INPUT', field });
    t.match(answer.body.rule, rule);
  }
  t.equal((await rest('GET', '/api/v1/auth/token')).status, 405);
});

t.test('production hands out none, and trusts none of development', async (t) => {
  const production = await build(t, {
    env: {
      RIDESTREAM_MODE: 'production',
      JWT_SECRET: 'a secret of production, long enough',
      HTTP_LISTEN_ADDR: '127.0.0.1:0',
      GRPC_LISTEN_ADDR: '127.0.0.1:0',
      METRICS_LISTEN_ADDR: '127.0.0.1:0',
    },
  });
  const asked = await production.rest('POST', '/api/v1/auth/token', undefined, { role: 'admin' });
  t.equal(asked.status, 404);
  t.equal(asked.body.code, 'RIDE_NOT_FOUND');
  t.notOk('/api/v1/auth/token' in (production.server.app.swagger() as { paths: object }).paths, 'nor is it documented');
  const { body } = await token({ role: 'admin' });
  t.equal((await production.rest('GET', '/admin/stats', body.access_token)).status, 401);
  t.equal((await openGrpc(production.at, body.access_token).ended).code, 16);
});
t.end();
