/** Pages of other origins: none may use the API unless the operator names them; then REST and server-sent events, refusals included. */
import t from 'tap';
import { loadConfig } from '../../src/config.ts';
import { openEvents } from '../clients/events.ts';
import { build, type TestServer } from '../helper.ts';
import { assignedRide } from '../scene.ts';

const APP = 'https://app.example.com';
const LOCAL = 'http://localhost:5173';
const trips = '/api/v1/trips';

const preflight = (s: TestServer, origin: string, path = trips, method = 'POST') =>
  fetch(`http://${s.at.http}${path}`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  });
const allowOrigin = (answer: { headers: Headers }) => answer.headers.get('access-control-allow-origin');

t.test('by default no other origin', async (t) => {
  const s = await build(t);
  const asked = await preflight(s, APP);
  t.equal(asked.status, 405);
  t.equal(allowOrigin(asked), null);
  const answer = await s.rest('GET', trips, undefined, undefined, { origin: APP });
  t.equal(allowOrigin(answer), null);
  t.equal(answer.headers.get('vary'), null);
});

t.test('the origins that are named, and no other', async (t) => {
  const s = await build(t, { env: { CORS_ORIGINS: `${APP}, ${LOCAL}` } });
  for (const origin of [APP, LOCAL]) {
    for (const path of [trips, '/api/v1/drivers/me/status', '/admin/stats', '/api/v1/trips/x/events/stream']) {
      const { status, headers } = await preflight(s, origin, path, 'PUT');
      t.equal(status, 204, path);
      t.equal(headers.get('access-control-allow-origin'), origin);
      t.match(headers.get('access-control-allow-methods'), /\bPUT\b/);
      for (const name of ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match'])
        t.match(headers.get('access-control-allow-headers'), name);
      t.equal(headers.get('access-control-allow-credentials'), null, 'tokens are no cookies');
      t.equal(headers.get('vary'), 'origin');
    }
  }
  for (const origin of ['https://evil.example.com', `${APP}.evil.com`, 'http://app.example.com', 'null', '']) {
    const answer = await preflight(s, origin);
    t.equal(answer.status, 405, origin);
    t.equal(allowOrigin(answer), null);
  }
  const options = await s.rest('OPTIONS', trips, undefined, undefined, { origin: APP });
  t.equal(options.status, 405, 'OPTIONS that is no preflight');

  const token = await s.token('rider', 'cors-1');
  const from = (origin: string, more: Record<string, string> = {}) => ({ origin, ...more });
  const good = await s.rest('GET', trips, token, undefined, from(APP));
  t.equal(good.status, 200);
  t.equal(allowOrigin(good), APP);
  for (const name of ['etag', 'retry-after', 'location', 'topic-position', 'x-correlation-id'])
    t.match(good.headers.get('access-control-expose-headers'), name);
  const stranger = await s.rest('GET', trips, token, undefined, from('https://evil.example.com'));
  t.equal(allowOrigin(stranger), null, 'a browser keeps the answer from the page');
  t.equal(stranger.headers.get('vary'), 'origin');
  t.equal((await s.rest('GET', trips, token)).headers.get('vary'), 'origin', 'nor may a cache mix them up');
  const limited = await build(t, { env: { CORS_ORIGINS: LOCAL, RATE_LIMIT_DEFAULT: '3' } });
  for (const [path, status] of [
    [trips, 401],
    ['/api/v1/nothing', 404],
    [trips, 401],
    [trips, 429],
  ] as const) {
    const refused = await limited.rest('GET', path, undefined, undefined, from(LOCAL));
    t.equal(refused.status, status);
    t.equal(allowOrigin(refused), LOCAL, `a page reads a ${status}`);
  }
});

t.test('server-sent events', async (t) => {
  const s = await build(t, { env: { CORS_ORIGINS: APP } });
  const ride = await assignedRide(t, s);
  const path = `${trips}/${ride.id}/events/stream?access_token=${ride.rider.token}`;
  const events = await openEvents(t, s.at.http, path, { origin: APP });
  t.equal(events.status, 200);
  t.equal(events.headers['access-control-allow-origin'], APP);
  await events.next((m) => m.subscribed, 'subscribed');
  const other = await openEvents(t, s.at.http, path, { origin: LOCAL });
  t.equal(other.headers['access-control-allow-origin'], undefined);
});

t.test('any origin, when the operator says so', async (t) => {
  const s = await build(t, { env: { CORS_ORIGINS: '*' } });
  t.equal(allowOrigin(await preflight(s, LOCAL)), '*');
  const answer = await s.rest('GET', trips, undefined, undefined, { origin: LOCAL });
  t.equal(answer.status, 401);
  t.equal(allowOrigin(answer), '*');
  t.equal(answer.headers.get('vary'), null, 'the same for all');
});

t.test('the setting takes origins as browsers name them', async (t) => {
  t.same(loadConfig({ CORS_ORIGINS: `${APP},${LOCAL}` }).corsOrigins, [APP, LOCAL]);
  t.same(loadConfig({ CORS_ORIGINS: '*' }).corsOrigins, ['*']);
  t.same(loadConfig({ CORS_ORIGINS: 'capacitor://localhost' }).corsOrigins, ['capacitor://localhost'], 'packaged apps');
  t.equal(loadConfig({}).corsOrigins, undefined);
  for (const bad of ['app.example.com', `${APP}/`, `${APP}:443`, `${APP},*`, 'https://*.example.com', ',', 'null'])
    t.throws(() => loadConfig({ CORS_ORIGINS: bad }), /^CORS_ORIGINS: .* must be origins such as/, bad);
});
t.end();
