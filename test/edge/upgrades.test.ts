/** Wishes to upgrade: only a namespace becomes a WebSocket; every other wish for one is refused and counted, other protocols are ignored. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { refusalOf } from '../clients/peer.ts';
import { build, type TestServer } from '../helper.ts';
import { member } from '../scene.ts';
import { until } from '../until.ts';

const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  body: any;
}

/** What a request with these headers gets; an upgrade counts as 101. */
async function ask(s: TestServer, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  const request = httpRequest({ host: '127.0.0.1', port: Number(s.at.http.split(':')[1]), method, path, headers });
  request.end();
  const [response, socket] = await Promise.race([
    once(request, 'response'),
    once(request, 'upgrade') as Promise<[IncomingMessage, import('node:net').Socket]>,
  ]);
  socket?.destroy();
  let text = '';
  if (!socket) for await (const chunk of response) text += chunk;
  const isJson = text !== '' && (response.headers['content-type'] ?? '').includes('json');
  return { status: response.statusCode!, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

t.test('where there is no WebSocket, none is opened', async (t) => {
  const s = await build(t);
  const { token } = await member(s, 'rider');
  const wishes = [
    ['GET', '/map/'],
    ['GET', '/livez'],
    ['GET', '/nowhere'],
    ['GET', '/ws/'],
    ['GET', '/WS'],
    ['GET', '/api/v1/trips'],
    ['POST', '/api/v1/auth/token'],
    ['POST', '/ws'],
    ['HEAD', '/ws'],
  ] as const;
  for (const [method, path] of wishes) {
    const answer = await ask(s, method, path, { ...HANDSHAKE, authorization: `Bearer ${token}` });
    t.equal(answer.status, 404, `${method} ${path}`);
    if (method === 'HEAD') continue;
    t.match(answer.headers['content-type'], 'application/problem+json', path);
    t.hasStrict(answer.body, { code: 'RIDE_NOT_FOUND', field: 'upgrade' }, `${method} ${path}`);
    t.match(answer.body.rule, /^asked for by GET of \/ws, /);
  }
  const broken = await ask(s, 'GET', '/%zz', HANDSHAKE);
  t.equal(broken.status, 400, 'a path that is none');
  t.hasStrict(broken.body, { code: 'RIDE_INVALID_INPUT', field: 'path' });
  const open = await ask(s, 'GET', '/ws', { ...HANDSHAKE, authorization: `Bearer ${token}` });
  t.equal(open.status, 101, 'and a namespace is one');
});

t.test(
  'a wish behind a request that is not answered yet is answered in its turn, and leaves nothing open',
  async (t) => {
    const s = await build(t);
    const { token } = await member(s, 'rider');
    const [host, port] = s.at.http.split(':');
    const socket = connect(Number(port), host);
    t.after(() => socket.destroy());
    const lines = (path: string, headers: Record<string, string>): string =>
      [
        `GET ${path} HTTP/1.1`,
        `host: ${s.at.http}`,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
        '',
        '',
      ].join('\r\n');
    const authorization = `Bearer ${token}`;
    socket.write(lines('/api/v1/trips', { authorization }) + lines('/ws', { ...HANDSHAKE, authorization }));
    let text = '';
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
    });
    const statuses = (): string[] => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]!);
    await until(() => statuses().length === 2, 'both answers');
    t.same(statuses(), ['200', '404']);
    t.match(text, /RIDE_NOT_FOUND/);
  },
);

t.test('a wish for another protocol does not keep a request from being served', async (t) => {
  const s = await build(t);
  const { token } = await member(s, 'rider');
  // As Java's own client sends it with every request.
  const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAEAAEAAAAIAAAAB' };
  t.equal((await ask(s, 'GET', '/livez', h2c)).status, 200);
  const trips = await ask(s, 'GET', '/api/v1/trips', { ...h2c, authorization: `Bearer ${token}` });
  t.equal(trips.status, 200);
  t.same(trips.body.items, []);
  t.equal((await ask(s, 'GET', '/ws', { ...h2c, authorization: `Bearer ${token}` })).status, 404);
});

t.test('every wish for a WebSocket knocks at the door, wherever it goes', async (t) => {
  const s = await build(t, { env: { CONNECTION_RATE: '1', CONNECTION_BURST: '3' } });
  const { token } = await member(s, 'rider');
  for (const path of ['/map/', '/nowhere', '/api/v1/trips']) {
    // On a slow machine an address has earned a connection meanwhile.
    await until(async () => {
      const answer = await ask(s, 'GET', path, HANDSHAKE);
      return answer.status === 429 && answer.body.code === 'RIDE_RATE_LIMITED';
    }, `${path} one time too often`);
  }
  await until(
    () =>
      refusalOf(s.at, 'websocket-json', token, {}).then(
        ({ code }) => code === 'RIDE_RATE_LIMITED',
        () => false,
      ),
    'the same door at a namespace',
  );
  t.equal((await s.rest('GET', '/livez')).status, 200, 'requests are no connections');
});
