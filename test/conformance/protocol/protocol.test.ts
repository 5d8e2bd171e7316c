/** The server keeps its protocol; the suite that says so covers the page, runs against any address, and sees what is broken. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { clientMessages } from '../../../src/realtime/messages/index.ts';
import type { Message } from '../../clients/inbox.ts';
import type { Place } from './case.ts';
import { ownPlace } from './own-server.ts';
import { protocolCases, runProtocol } from './suite.ts';

const place = await ownPlace(t);

t.test('the server keeps every promise of the page', async (t) => {
  const outcomes = await runProtocol(place);
  for (const { section, title, transport, result, reason, error } of outcomes) {
    const why = reason ?? (error instanceof Error ? error.stack : error) ?? '';
    t.equal(result, 'ok', `${section}: ${title} [${transport}] ${why}`);
  }
  t.ok(outcomes.length > 150);
});

t.test('the suite covers the page', async (t) => {
  const page = await readFile(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
  const headings = [...page.matchAll(/^##+ (.+)$/gm)].map(([, heading]) => heading!);
  const covered = new Set(protocolCases.map(({ section }) => section));
  for (const section of covered) t.ok(headings.includes(section), `${section} is a section of the page`);
  // Tables that the cases of the section around them go through, the suite itself, and an example.
  const rest = ['What a client sends', 'What the server sends', 'Is it right?', 'A ride, in JSON'];
  t.same(
    headings.filter((heading) => !covered.has(heading) && !rest.includes(heading)),
    [],
    'every section has a case',
  );
  const titles = protocolCases.map(({ section, title }) => `${section}: ${title}`);
  t.equal(new Set(titles).size, titles.length, 'no two cases have one name');
  const source = await Promise.all(
    ['messages', 'envelopes', 'sessions', 'topics', 'recovery'].map((name) =>
      readFile(new URL(`./${name}.ts`, import.meta.url), 'utf8'),
    ),
  );
  for (const { kind } of Object.values(clientMessages)) {
    t.match(source.join(''), new RegExp(`\\b${kind}\\b`), `${kind} is sent`);
  }
});

/** What stands between clients and the server, and changes what the server says; null swallows it. */
async function spoilt(t: Test, alter: (message: Message) => Message | Message[] | null): Promise<Place> {
  const proxy = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(proxy, 'listening');
  t.after(() => {
    for (const socket of proxy.clients) socket.terminate();
    proxy.close();
  });
  proxy.on('connection', (client, request) => {
    const { authorization = '' } = request.headers;
    const server = new WebSocket(`ws://${place.at.http}${request.url}`, ['ride.v1.json'], {
      headers: { authorization },
    });
    const waiting: Buffer[] = [];
    client.on('message', (data: Buffer) => {
      if (server.readyState === server.OPEN) server.send(data.toString());
      else waiting.push(data);
    });
    server.on('open', () => {
      for (const data of waiting) server.send(data.toString());
    });
    server.on('message', (data) => {
      for (const message of [alter(JSON.parse(String(data)))].flat()) if (message) client.send(JSON.stringify(message));
    });
    client.on('close', () => server.terminate());
    server.on('close', () => client.close());
    for (const end of [client, server]) end.on('error', () => end.terminate());
  });
  const { port } = proxy.address() as AddressInfo;
  return { ...place, at: { ...place.at, http: `127.0.0.1:${port}` } };
}

t.test('the suite sees what is broken', async (t) => {
  const breaks: [what: string, only: string, alter: (message: Message) => Message | Message[] | null][] = [
    ['nothing', 'from the beginning', (m) => m],
    ['an ordered message is lost', 'from the beginning', (m) => (m.offset === '2' ? null : m)],
    ['an ordered message comes twice', 'from the beginning', (m) => (m.offset === '2' ? [m, m] : m)],
    [
      'a lie about recovery',
      'another epoch',
      (m) => (m.subscribed ? { ...m, subscribed: { ...m.subscribed, recovered: true } } : m),
    ],
    [
      'a late position is called kept',
      'location_update: kept',
      (m) => (m.ack?.late ? { ...m, ack: { accepted: 1 } } : m),
    ],
    [
      'an error without its field',
      'received: takes',
      (m) => (m.error ? { ...m, error: { ...m.error, field: '' } } : m),
    ],
    [
      'a limit without a wait',
      'over the general limit',
      (m) => (m.error ? { ...m, error: { ...m.error, retry_after_ms: '0' } } : m),
    ],
    ['numbers in place of texts', 'JSON has the names', (m) => ({ ...m, lamport: Number(m.lamport) })],
    ['a broadcast with a corr_id', 'every message is answered once', (m) => (m.welcome ? { ...m, corr_id: 'x' } : m)],
    ['an answer given twice', 'every message is answered once', (m) => (m.ack ? [m, m] : m)],
    ['a presence that is told twice', 'only the first device', (m) => (m.presence ? [m, m] : m)],
    ['a Lamport clock that stands', 'Lamport clock', (m) => ({ ...m, lamport: '1' })],
    ['a location that has a place', 'ordered messages have a place', (m) => (m.location ? { ...m, offset: '9' } : m)],
    ['a double after a reconnect', 'from a place', (m) => (m.chat_message ? [m, m] : m)],
  ];
  for (const [what, only, alter] of breaks) {
    const [outcome, ...more] = await runProtocol(await spoilt(t, alter), { only, over: ['websocket-json'] });
    t.equal(outcome!.result, what === 'nothing' ? 'ok' : 'failed', `${what}: ${outcome!.error}`);
    t.same(more, [], 'one case');
  }
});

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

async function conformance(...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [MAIN, ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  return { code, output };
}

t.test('as a program it judges the server at an address', async (t) => {
  const at = ['--url', `http://${place.at.http}`, '--grpc', place.at.grpc];
  const good = await conformance(...at, '--only', 'Opening a session');
  t.equal(good.code, 0, good.output);
  t.match(good.output, /^ok +Opening a session \| .+ \[grpc\] \d+ ms$/m);
  t.match(
    good.output,
    /^skipped .+expired token.+\(needs --token-secret\)$/m,
    'the development route gives no such token',
  );
  t.match(good.output, /: \d+ passed, 0 failed, 6 skipped in /);
  const secret = ['--token-secret', 'development-secret'];
  const signed = await conformance(...at, ...secret, '--only', 'expired token');
  t.match(signed, { code: 0, output: ': 3 passed, 0 failed, 0 skipped' });
  const nothing = await conformance(...at, '--only', 'no such case');
  t.equal(nothing.code, 1, 'what tries nothing proves nothing');

  const other = createServer((_request, response) => response.end('{"access_token":"x"}'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const elsewhere = ['--url', `http://127.0.0.1:${(other.address() as AddressInfo).port}`, ...secret];
  const bad = await conformance(...elsewhere, '--only', 'the welcome is the first', '--over', 'websocket-json');
  t.match(bad, { code: 1, output: /: 0 passed, 1 failed, 0 skipped/ }, 'what is no such server passes nothing');
});
t.end();
