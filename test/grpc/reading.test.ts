/** What is read of a gRPC stream: every message whole and in order, however it was cut up, packed or held up. */
import { once } from 'node:events';
import { deflateSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { until } from '../until.ts';
import { framed, MAX_PAYLOAD, open, openRaw } from './streams.ts';

t.test('paused, it takes nothing; resumed, all in order, and the end after it', async (t) => {
  const { call, core, status } = await open(t);
  call.write(Buffer.from('first'));
  await until(() => core.got.length === 1, 'the first');
  core.stream.pauseReading();
  const all = Array.from({ length: 20_000 }, (_, i) => String(i));
  for (const text of all) call.write(Buffer.from(text));
  call.end();
  // Whatever was on its way has come by the time that another stream is served.
  const other = await open(t);
  other.call.write(Buffer.from('hello'));
  await until(() => other.core.got.length === 1, 'another stream to be served');
  t.same(core.got, ['first']);
  core.stream.resumeReading();
  await until(() => core.got.length > all.length, 'the rest');
  t.same(core.got.slice(1), all);
  await status;
  t.equal(core.finished, 1);
});

t.test('paused in the middle of what came at once, it keeps the rest, and the end with it', async (t) => {
  const { request, core } = await openRaw(t);
  core.onMessage = (text) => {
    if (text === 'b') core.stream.pauseReading();
  };
  request.end(Buffer.concat(['a', 'b', 'c', 'd'].map(framed)));
  await until(() => core.got.length === 2, 'the first two');
  const other = await open(t);
  other.call.end();
  await other.status;
  t.same([core.got, core.finished], [['a', 'b'], 0]);
  // Paused and resumed again while a message is handed out.
  core.onMessage = () => {
    core.stream.pauseReading();
    core.stream.resumeReading();
  };
  core.stream.resumeReading();
  t.same(core.got, ['a', 'b', 'c', 'd']);
  await until(() => core.finished === 1, 'the end');
});

t.test('messages are found however the bytes are cut up', async (t) => {
  const { request, core } = await openRaw(t);
  const texts = ['', 'short', 'x'.repeat(5000), '', 'y'.repeat(70_000), 'last'];
  const bytes = Buffer.concat(texts.map(framed));
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 1009) {
    if (!request.write(bytes.subarray(at, at + size))) await once(request, 'drain');
  }
  await until(() => core.got.length === texts.length, 'all messages');
  t.same(core.got, texts);
  for (const byte of framed('byte by byte')) {
    request.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await until(() => core.got.length > texts.length, 'one that came byte by byte');
  t.equal(core.got.at(-1), 'byte by byte');
});

t.test('compressed messages are inflated, and what cannot be taken ends the stream', async (t) => {
  const packed = (bytes: Buffer): Buffer => {
    const prefix = Buffer.from([1, 0, 0, 0, 0]);
    prefix.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([prefix, bytes]);
  };
  for (const [encoding, pack] of [['gzip', gzipSync] as const, ['deflate', deflateSync] as const]) {
    const { request, core } = await openRaw(t, { 'grpc-encoding': encoding });
    request.write(Buffer.concat([packed(pack('one')), framed('two'), packed(pack(Buffer.alloc(0)))]));
    await until(() => core.got.length === 3, `all of ${encoding}`);
    t.same(core.got, ['one', 'two', '']);
  }
  const refused = async (bytes: Buffer, headers?: Record<string, string>): Promise<[string, string]> => {
    const { request, core } = await openRaw(t, headers);
    request.write(Buffer.concat([bytes, framed('never looked at')]));
    const [answer] = await once(request, 'response');
    await until(() => core.gone_ > 0, 'the core to be told');
    t.same(core.got, []);
    return [answer['grpc-status'], decodeURI(answer['grpc-message'])];
  };
  const tooLong = Buffer.alloc(4 * MAX_PAYLOAD + 1);
  t.same(await refused(framed(tooLong)), [
    '8',
    `Received message larger than max (${tooLong.length} vs ${4 * MAX_PAYLOAD})`,
  ]);
  t.same(await refused(packed(gzipSync(tooLong)), { 'grpc-encoding': 'gzip' }), [
    '8',
    `Received message that decompresses to a size larger than ${4 * MAX_PAYLOAD}`,
  ]);
  t.same(await refused(packed(Buffer.from('no gzip')), { 'grpc-encoding': 'gzip' }), [
    '13',
    'Failed to decompress message',
  ]);
  t.same(await refused(packed(Buffer.from('zstd')), { 'grpc-encoding': 'zstd' }), [
    '12',
    'Received message compressed with unsupported encoding "zstd"',
  ]);
});

t.test('a compressed flag that there is not is not read as one that there is', async (t) => {
  for (const flag of [2, 128, 255]) {
    const bytes = framed('not to be read');
    bytes[0] = flag;
    const { request, core } = await openRaw(t);
    request.write(Buffer.concat([framed('before it'), bytes]));
    const [answer] = await once(request, 'response');
    await until(() => core.gone_ > 0, 'the core to be told');
    t.same(core.got, ['before it']);
    t.equal(answer['grpc-status'], '13');
    t.equal(decodeURI(answer['grpc-message']), `Received message with unknown compressed flag ${flag}`);
  }
});

t.test('a stream that ends within a message is finished, and not well', async (t) => {
  const whole = framed('whole');
  for (const cut of [1, 4, 5, whole.length - 1]) {
    const { request, core } = await openRaw(t);
    const answered = once(request, 'response');
    request.end(Buffer.concat([whole, whole.subarray(0, cut)]));
    const [answer] = await answered;
    t.same([core.got, core.finished], [['whole'], 1], `${cut} bytes more`);
    t.equal(answer['grpc-status'], '13');
    t.equal(decodeURI(answer['grpc-message']), 'The stream ended within a message');
  }
  const { request } = await openRaw(t);
  const answered = once(request, 'response');
  request.end(whole);
  t.equal((await answered)[0]['grpc-status'], '0', 'one that ends behind a message is well');
});
t.end();
