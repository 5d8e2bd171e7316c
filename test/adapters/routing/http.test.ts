/** Asking an engine over HTTP, on a server that does what engines do at their worst. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { createAsk } from '../../../src/adapters/routing/http.ts';
import { until } from '../../until.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, n: number) => void;

async function serverOf(t: Test, handle: Handler) {
  let requests = 0;
  const server = createServer((request, response) => handle(request, response, ++requests)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const outcomes: string[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = (timeoutMs = 2000, maxInFlight = 4, path = '') =>
    createAsk('engine', {
      url: `${url}${path}`,
      timeoutMs,
      maxInFlight,
      meter: { asked: (_name, outcome) => void outcomes.push(outcome) },
    });
  return { ask, outcomes, requests: () => requests };
}

t.test('GET, and POST of a body, under the path of the address', async (t) => {
  const s = await serverOf(t, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.end(JSON.stringify({ method: request.method, path: request.url, body }));
  });
  const ask = s.ask(2000, 4, '/osrm/');
  t.same(await ask('/a?b=c'), { method: 'GET', path: '/osrm/a?b=c', body: '' });
  t.same(await ask('/a', { x: 1 }), { method: 'POST', path: '/osrm/a', body: '{"x":1}' });
  t.same(s.outcomes, ['ok', 'ok']);
});

t.test('a connection that is closed under a request is asked again, a bounded number of times', async (t) => {
  const s = await serverOf(t, (request, response, n) => {
    if (n <= 2) request.socket.destroy();
    else response.end('{"n":1}');
  });
  t.same(await s.ask()('/'), { n: 1 });
  t.equal(s.requests(), 3);
  const never = await serverOf(t, (request) => request.socket.destroy());
  await t.rejects(never.ask()('/'), { code: 'RIDE_UNAVAILABLE' });
  t.equal(never.requests(), 4);
  t.same(never.outcomes, ['failed']);
});

t.test('also when it is closed in the middle of the answer', async (t) => {
  const s = await serverOf(t, (request, response, n) => {
    if (n === 1) response.write('{"half":', () => request.socket.destroy());
    else response.end('{"whole":true}');
  });
  t.same(await s.ask()('/'), { whole: true });
});

t.test('silence ends with the time limit, repeats included', async (t) => {
  const s = await serverOf(t, () => {});
  await t.rejects(s.ask(100)('/'), { code: 'RIDE_UNAVAILABLE' });
  t.equal(s.requests(), 1, 'no repeat: it may be at work');
});

t.test('an answer below 500 is the adapter’s to read; 500, no JSON and no object are failures', async (t) => {
  const answers: [number, string][] = [
    [400, '{"code":"NoTable"}'],
    [503, '{"code":"busy"}'],
    [200, '<html>'],
    [200, '3'],
    [200, 'null'],
  ];
  const s = await serverOf(t, (_request, response, n) => {
    const [status, body] = answers[n - 1]!;
    response.writeHead(status).end(body);
  });
  const ask = s.ask();
  t.same(await ask('/'), { code: 'NoTable' });
  for (let n = 0; n < 4; n++) await t.rejects(ask('/'), { code: 'RIDE_UNAVAILABLE' });
  t.same(s.outcomes, ['ok', 'failed', 'failed', 'failed', 'failed']);
});

t.test('so many at once, the others wait their turn', async (t) => {
  const held: ServerResponse[] = [];
  const s = await serverOf(t, (_request, response) => void held.push(response));
  const ask = s.ask(10_000, 2);
  const answers = Promise.all(Array.from({ length: 6 }, (_, n) => ask(`/${n}`)));
  for (const seen of [2, 4, 6]) {
    await until(() => held.length >= seen, `${seen} requests`);
    t.equal(held.length, seen, 'none too many');
    for (const response of held.slice(-2)) response.end('{}');
  }
  t.equal((await answers).length, 6);
});

t.test('time spent waiting counts', async (t) => {
  const s = await serverOf(t, () => {});
  const ask = s.ask(1000, 1);
  const before = performance.now();
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => ask('/')));
  const tookMs = performance.now() - before;
  t.ok(tookMs < 8000, `${tookMs} ms: one after the other would be twelve seconds`);
  for (const outcome of outcomes) t.match(outcome, { reason: { code: 'RIDE_UNAVAILABLE' } });
});
