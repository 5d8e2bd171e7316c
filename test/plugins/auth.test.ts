/** Tokens that were verified once: remembered for as long as they are good, and nothing that is like one of them is. */
import t from 'tap';
import type { Role } from '../../src/domain/roles.ts';
import { build } from '../helper.ts';
import { until } from '../until.ts';

const s = await build(t);
const { app } = s.server;
const me = '/api/v1/drivers/me';

/** A token that is good for a second or two; `sub` makes it long. */
function tokenFor(userId: string, ttlMs: number): string {
  const principal = { userId, role: 'driver' as Role, city: 'c', vehicleClass: 'standard' as const, premium: false };
  return app.signToken(principal, ttlMs);
}

t.test('a remembered token ends with its exp, a long one like a short one', async (t) => {
  for (const userId of ['d-1', `d-${'x'.repeat(3000)}`]) {
    const token = tokenFor(userId, 1500);
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
t.end();
