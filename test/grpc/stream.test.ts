/** Streams of the gRPC server by themselves: real grpc-js on both sides, and in the place of the core a connection that notes all. */
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { Client, type ClientDuplexStream, credentials, type StatusObject, status } from '@grpc/grpc-js';
import t from 'tap';
import { startGrpcServer } from '../../src/grpc/server.ts';
import type { GrpcStream } from '../../src/grpc/stream.ts';
import type { Connection } from '../../src/realtime/connection.ts';
import { Batch, Frame } from '../../src/realtime/frame.ts';
import type { Gateway } from '../../src/realtime/gateway.ts';
import type { SignedIn } from '../../src/realtime/sign-in.ts';
import { until } from '../until.ts';

const SERVICE = 'ride.v1.RideStreamService';
const PATH = `/${SERVICE}/Connect`;
const same = (bytes: Buffer): Buffer => bytes;

/** The core's end of a stream. */
class Noted {
  readonly stream: GrpcStream;
  readonly got: string[] = [];
  gone_ = 0;
  finished = 0;

  constructor(stream: GrpcStream) {
    this.stream = stream;
  }

  binary(bytes: Buffer): void {
    this.got.push(bytes.toString());
  }

  async finish(): Promise<void> {
    this.finished++;
  }

  gone(): void {
    this.gone_++;
  }
}

const opened: Noted[] = [];
const gateway: Pick<Gateway, 'accept'> = {
  accept(_signedIn, _namespace, transport) {
    const noted = new Noted(transport as GrpcStream);
    opened.push(noted);
    return noted as unknown as Connection;
  },
};
const server = await startGrpcServer({
  listen: { host: '127.0.0.1', port: 0, shared: false },
  gateway: gateway as Gateway,
  door: { knock() {} } as never,
  signIn: async () => ({}) as SignedIn,
  maxPayloadBytes: 65_536,
  maxUnsignedCalls: 100,
  closeTimeoutMs: 500,
});
t.teardown(() => server.close());
const address = `127.0.0.1:${server.port}`;

const message = (text: string): Frame => new Frame(Buffer.from(text), 'notification');

interface Opened {
  call: ClientDuplexStream<Buffer, Buffer>;
  core: Noted;
  heard: string[];
  status: Promise<StatusObject>;
}

async function open(t: Tap): Promise<Opened> {
  const client = new Client(address, credentials.createInsecure());
  t.teardown(() => client.close());
  const before = opened.length;
  const call = client.makeBidiStreamRequest(PATH, same, same);
  const heard: string[] = [];
  call.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  // An end that is not OK is an error too.
  call.on('error', () => {});
  const status = new Promise<StatusObject>((resolve) => call.on('status', resolve));
  await until(() => opened.length > before, 'the stream to be accepted');
  return { call, core: opened.at(-1)!, heard, status };
}

type Tap = Pick<typeof t, 'teardown'>;

t.test('what is written in a turn arrives whole and in order, and as one DATA frame', async (t) => {
  const session = connectHttp2(`http://${address}`);
  t.teardown(() => session.destroy());
  const before = opened.length;
  const request = session.request({
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  await until(() => opened.length > before, 'the stream to be accepted');
  const { stream } = opened.at(-1)!;
  stream.cork();
  stream.write(message('one'));
  stream.write(new Batch([message('two'), message('three')]));
  stream.write(message(''));
  stream.uncork();
  const framed = (text: string): Buffer => Buffer.from([0, 0, 0, 0, text.length, ...Buffer.from(text)]);
  const all = Buffer.concat(['one', 'two', 'three', ''].map(framed));
  await until(() => Buffer.concat(chunks).length >= all.length, 'all of it');
  t.same(Buffer.concat(chunks), all);
  t.equal(chunks.length, 1, 'one DATA frame');
});

t.test('grpc-js understands a joined write, before, between and after single ones', async (t) => {
  const { core, heard } = await open(t);
  const expected: string[] = [];
  const say = (...texts: string[]): void => {
    const frames = texts.map(message);
    core.stream.write(frames.length === 1 ? frames[0]! : new Batch(frames));
    expected.push(...texts);
  };
  say('a', 'b');
  say('c');
  say(...Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(i)}`));
  say('d');
  await until(() => heard.length >= expected.length, 'all messages');
  t.same(heard, expected);
});

t.test('a peer that does not read blocks, and what waited is drained when it reads again', async (t) => {
  const { call, core, heard } = await open(t);
  core.stream.write(message('first'));
  await until(() => heard.length === 1, 'the first');
  call.pause();
  let written = 0;
  await until(() => {
    while (!core.stream.blocked()) {
      core.stream.write(message('x'.repeat(10_000)));
      written++;
    }
    // Blocked for good once the windows of both sides are full.
    return written > 20;
  }, 'the windows to fill');
  let drained = 0;
  core.stream.onDrain(() => drained++);
  call.resume();
  await until(() => drained === 1, 'a drain');
  t.notOk(core.stream.blocked());
  await until(() => heard.length === written + 1, 'all that was written');
});

t.test('paused, it takes no more than the message that was asked for; resumed, all in order', async (t) => {
  const { call, core } = await open(t);
  core.stream.pauseReading();
  const all = Array.from({ length: 20_000 }, (_, i) => String(i));
  for (const text of all) call.write(Buffer.from(text));
  await until(() => core.got.length === 1, 'the one that was asked for');
  // Whatever else was on its way has come by the time that another stream is served.
  const other = await open(t);
  other.call.write(Buffer.from('hello'));
  await until(() => other.core.got.length === 1, 'another stream to be served');
  t.same(core.got, ['0']);
  core.stream.resumeReading();
  await until(() => core.got.length >= all.length, 'the rest');
  t.same(core.got, all);
});

t.test('ends: by the client, by the server with a reason, and by going away', async (t) => {
  const orderly = await open(t);
  orderly.call.end();
  t.equal((await orderly.status).code, status.OK);
  t.equal(orderly.core.finished, 1);

  const dropped = await open(t);
  dropped.core.stream.write(message('last words'));
  dropped.core.stream.close('RIDE_SLOW_READER', 'resume from the last offset');
  dropped.core.stream.write(message('too late'));
  const ending = await dropped.status;
  t.equal(ending.code, status.RESOURCE_EXHAUSTED);
  t.equal(ending.details, 'resume from the last offset');
  t.same(ending.metadata.get('ride-code'), ['RIDE_SLOW_READER']);
  t.same(dropped.heard, ['last words']);

  const cancelled = await open(t);
  cancelled.call.cancel();
  await until(() => cancelled.core.gone_ > 0, 'to be told that it is gone');
  cancelled.core.stream.write(message('to nobody'));
  t.equal(cancelled.core.finished, 0, 'which is no orderly end');
});

t.test('an ended stream is cut off when its peer neither reads what is left nor ends its side', async (t) => {
  const peer = async (initialWindowSize: number) => {
    const session = connectHttp2(`http://${address}`, { settings: { initialWindowSize } });
    t.teardown(() => session.destroy());
    const before = opened.length;
    const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
    const request = session.request(headers);
    const cut = new Promise<number | undefined>((resolve) => request.on('close', () => resolve(request.rstCode)));
    request.on('error', () => {});
    request.resume();
    await until(() => opened.length > before, 'the stream to be accepted');
    return { cut, core: opened.at(-1)! };
  };
  const deaf = await peer(0);
  deaf.core.stream.write(message('never read'));
  deaf.core.stream.close('RIDE_SLOW_READER', 'resume from the last offset');
  t.equal(await deaf.cut, constants.NGHTTP2_CANCEL, 'who reads nothing');
  t.equal(deaf.core.gone_, 1);
  const endless = await peer(65_535);
  endless.core.stream.close('RIDE_SLOW_READER', 'resume from the last offset');
  t.equal(await endless.cut, constants.NGHTTP2_CANCEL, 'who never ends');
});

t.test('who asks what is served and reads no answer is not read either, until he does', async (t) => {
  const session = connectHttp2(`http://${address}`, { settings: { initialWindowSize: 0 } });
  t.teardown(() => session.destroy());
  const ask = Buffer.concat([Buffer.from([0x22, SERVICE.length]), Buffer.from(SERVICE)]);
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, ask.length]), ask]);
  // More than the window of a stream lets through unread.
  const questions = Math.ceil((4 * 65_536) / framed.length);
  const request = session.request({
    ':method': 'POST',
    ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.resume();
  let isTaken = false;
  request.end(Buffer.concat(Array<Buffer>(questions).fill(framed)), () => {
    isTaken = true;
  });
  await once(request, 'response');
  // It has its answer when what was read of the questions has been handled.
  const other = await open(t);
  other.call.end();
  await other.status;
  t.notOk(isTaken, 'what is not answered stays with the one who asks');
  session.settings({ initialWindowSize: 65_535 });
  await once(request, 'end');
  t.ok(isTaken, 'he reads: all is answered');
});
t.end();
