/** Streams of the gRPC server by themselves: what is written, and how they end. */
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { Batch } from '../../src/realtime/frame.ts';
import { until } from '../until.ts';
import { address, framed, HEADERS, message, open, opened, openRaw, SERVICE, serve } from './streams.ts';

t.test('what is written in a turn arrives whole and in order, and as one DATA frame', async (t) => {
  const { request, core } = await openRaw(t);
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  const { stream } = core;
  stream.cork();
  stream.write(message('one'));
  stream.write(new Batch([message('two'), message('three')]));
  stream.write(message(''));
  stream.uncork();
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

t.test('an end takes along whoever does not end by himself', async (t) => {
  const own = await serve();
  const session = connectHttp2(`http://127.0.0.1:${own.port}`);
  const before = opened.length;
  const request = session.request(HEADERS);
  // It is reset under it.
  request.on('error', () => {});
  await until(() => opened.length > before, 'the stream to be accepted');
  const isClosed = once(session, 'close');
  await own.close();
  await isClosed;
  const core = opened.at(-1)!;
  await until(() => core.gone_ === 1, 'the core to be told');
  t.equal(core.finished, 0, 'which is no orderly end');
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

t.test('at its deadline a call ends, whatever is still written to it', async (t) => {
  const { request, core } = await openRaw(t, { 'grpc-timeout': '50m' });
  let ending = '';
  request.on('trailers', (trailers) => {
    ending = trailers['grpc-status'] as string;
  });
  request.resume();
  await until(() => {
    core.stream.write(message('tick'));
    return core.gone_ > 0;
  }, 'the deadline');
  core.stream.write(message('too late'));
  await until(() => ending !== '', 'the status');
  t.equal(ending, String(status.DEADLINE_EXCEEDED));
});

t.test('an ended stream is cut off when its peer neither reads what is left nor ends its side', async (t) => {
  const peer = async (initialWindowSize: number) => {
    const { request, core } = await openRaw(t, {}, { initialWindowSize });
    const cut = new Promise<number | undefined>((resolve) => request.on('close', () => resolve(request.rstCode)));
    request.resume();
    return { cut, core };
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
  const question = framed(ask);
  // More than the window of a stream lets through unread.
  const questions = Math.ceil((4 * 65_536) / question.length);
  const request = session.request({
    ...HEADERS,
    ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  });
  request.resume();
  let isTaken = false;
  request.end(Buffer.concat(Array<Buffer>(questions).fill(question)), () => {
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
