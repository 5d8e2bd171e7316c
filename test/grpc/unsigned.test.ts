/** Calls whose caller is not known, of one connection: how many there may be, and what they may make the server do. */
import { createHook } from 'node:async_hooks';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { RideError } from '../../src/errors.ts';
import type { SignedIn } from '../../src/realtime/sign-in.ts';
import { until } from '../until.ts';
import { serveKnocked } from './knocking.ts';

const CONNECT = '/ride.v1.RideStreamService/Connect';
const HEALTH = '/grpc.health.v1.Health/Watch';
const MAX = 5;

const server = await serveKnocked(t, {
  maxUnsignedCalls: MAX,
  connectionWindow: 65_535,
  refuse({ accessToken }) {
    if (accessToken === 'bad') throw new RideError('RIDE_UNAUTHENTICATED', 'The token is not valid');
  },
});
const { knocking, heard } = server;

interface Call {
  stream: ClientHttp2Stream;
  /** `grpc-status` of headers or trailers. */
  status: number | null;
  /** HTTP/2 error code; null while it goes on. */
  closed: number | null;
}

function openSession(t: Test): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${server.port}`);
  t.teardown(() => session.destroy());
  return session;
}

function open(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}): Call {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const call: Call = { stream, status: null, closed: null };
  const note = (headers: Record<string, unknown>): void => {
    if (headers['grpc-status'] !== undefined) call.status = Number(headers['grpc-status']);
  };
  stream
    .on('response', note)
    .on('trailers', note)
    .on('error', () => {})
    .resume();
  stream.on('close', () => {
    call.closed = stream.rstCode;
  });
  return call;
}

const watch = (session: ClientHttp2Session): Call => {
  const call = open(session, HEALTH);
  // A HealthCheckRequest that names no service.
  call.stream.write(Buffer.alloc(5));
  return call;
};

const CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;
const isReset = ({ closed }: Call): boolean => closed === CALM;

t.test('so many at once and no more, whatever they call; a known caller makes room', async (t) => {
  const session = openSession(t);
  const first = Array.from({ length: MAX - 1 }, () => open(session, CONNECT));
  const watching = watch(session);
  await until(() => knocking.length === MAX - 1, 'all sign-ins to be under way');
  const beyond = [open(session, CONNECT), watch(session)];
  await until(() => beyond.every(isReset), 'what is too much to be reset');
  t.equal(knocking.length, MAX - 1, 'none of them began to sign in');

  const other = openSession(t);
  const there = open(other, CONNECT);
  await until(() => knocking.length === MAX, 'another connection to be counted by itself');
  t.equal(there.closed, null);

  knocking[0]!.resolve({} as SignedIn);
  knocking[1]!.reject(new RideError('RIDE_UNAUTHENTICATED', 'The token is not valid'));
  await until(() => first[1]!.closed !== null, 'the refused one to end');
  t.equal(first[1]!.status, status.UNAUTHENTICATED);
  watching.stream.close(constants.NGHTTP2_CANCEL);
  // The server hears of it after what was sent before.
  await until(() => watching.closed !== null, 'the watching one to end');
  const next: Call[] = [];
  await until(() => {
    if (next.every(isReset)) next.push(open(session, CONNECT), open(session, CONNECT), open(session, CONNECT));
    return knocking.length === MAX + 3;
  }, 'one signed in, one refused and one ended leave room for three');
  const last = open(session, CONNECT);
  await until(() => isReset(last), 'and for no fourth');
  t.equal(first[0]!.closed, null, 'the known one goes on');
});

t.test('refused calls whose peer keeps his side open are cut off, and count no longer', async (t) => {
  const session = openSession(t);
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: MAX }, () => open(session, CONNECT, { authorization: 'Bearer bad' }));
    await until(() => calls.every(({ closed }) => closed !== null), 'all of them to end');
    for (const call of calls) t.equal(call.status, status.UNAUTHENTICATED, `round ${round}`);
  }
});

const packed = (text: string): Buffer => {
  const bytes = gzipSync(text);
  const prefix = Buffer.alloc(5);
  prefix[0] = 1;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
};

t.test('nobody who has not signed in has a message inflated', async (t) => {
  const [large, refusal, early] = ['\0'.repeat(100_000), 'refused', 'said early'].map(packed);
  let inflated = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'ZLIB') inflated++;
    },
  }).enable();
  t.teardown(() => hook.disable());
  const session = openSession(t);
  const gzip = { 'grpc-encoding': 'gzip' };
  const paths = ['Health/Check', 'Health/Watch'].map((name) => `/grpc.health.v1.${name}`);
  for (const path of [...paths, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo']) {
    const call = open(session, path, gzip);
    call.stream.end(large);
    await until(() => call.closed !== null, `${path} to end`);
    t.equal(call.status, status.UNIMPLEMENTED, path);
  }
  const refused = open(session, CONNECT, { ...gzip, authorization: 'Bearer bad' });
  refused.stream.write(refusal);
  await until(() => refused.closed !== null, 'the refusal');
  const before = knocking.length;
  const slow = open(session, CONNECT, gzip);
  slow.stream.write(early);
  await until(() => knocking.length > before, 'the sign-in to begin');
  // What was written has come: another call is answered after it.
  const after = open(session, CONNECT, { authorization: 'Bearer bad' });
  await until(() => after.closed !== null, 'a later call to end');
  t.equal(inflated, 0, 'nothing so far');
  knocking.at(-1)!.resolve({} as SignedIn);
  await until(() => heard.includes('said early'), 'a known caller to be heard');
  t.equal(inflated, 1);
});
