/** What a connection reads, however it is cut: messages by the short way, all else whole and in its place to the client. */
import fc from 'fast-check';
import t from 'tap';
import { PushedMessages } from '../../../src/adapters/redis/pushed-messages.ts';

interface Reply {
  bytes: Buffer;
  message?: { channel: string; data: Buffer };
}

const bulk = (bytes: Uint8Array, type = '$'): Buffer =>
  Buffer.concat([Buffer.from(`${type}${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
const list = (type: string, count: number, members: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(`${type}${count}\r\n`), ...members]);

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const word = fc.stringMatching(/^[a-z]{0,12}$/).map((text) => Buffer.from(text));

const message: fc.Arbitrary<Reply> = fc
  .record({ type: fc.constantFrom('>', '*'), channel: fc.string({ unit: 'grapheme', maxLength: 40 }), data: anyBytes })
  .map(({ type, channel, data }) => ({
    message: { channel, data },
    bytes: list(type, 3, [bulk(Buffer.from('message')), bulk(Buffer.from(channel)), bulk(data)]),
  }));

const { other } = fc.letrec<{ other: Buffer }>((tie) => ({
  other: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .constantFrom(
        '+OK\r\n',
        '-ERR no\r\n',
        ':12\r\n',
        ':-3\r\n',
        '_\r\n',
        '#t\r\n',
        ',1.5\r\n',
        '(123456789012345678901\r\n',
        '$-1\r\n',
        '*-1\r\n',
      )
      .map((text) => Buffer.from(text)),
    fc.tuple(fc.constantFrom('$', '!', '='), anyBytes).map(([type, bytes]) => bulk(bytes, type)),
    fc
      .tuple(word, word, fc.nat(9))
      .map(([kind, channel, n]) => list('>', 3, [bulk(kind), bulk(channel), Buffer.from(`:${n}\r\n`)])),
    fc
      .tuple(fc.constantFrom('*', '~', '>'), fc.array(tie('other'), { maxLength: 3 }))
      .map(([type, members]) => list(type, members.length, members)),
    fc
      .array(fc.tuple(tie('other'), tie('other')), { maxLength: 2 })
      .map((pairs) => list('%', pairs.length, pairs.flat())),
    fc.tuple(word, word, tie('other')).map(([name, value, about]) => list('|', 1, [bulk(name), bulk(value), about])),
  ),
}));
const reply = fc.oneof(
  { weight: 3, arbitrary: message },
  { weight: 1, arbitrary: other.map((bytes): Reply => ({ bytes })) },
);

/** What was handed out, in order; what follows each other for the client is one. */
type Handed = { channel: string; data: string } | { rest: string };

function join(handed: Handed[], rest: Buffer): void {
  const last = handed.at(-1);
  if (last && 'rest' in last) last.rest += rest.toString('hex');
  else handed.push({ rest: rest.toString('hex') });
}

t.test('messages and other replies come out whole and in order, wherever the stream is cut', async () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 400 })), (replies, cuts) => {
      const wanted: Handed[] = [];
      for (const { message, bytes } of replies) {
        if (message) wanted.push({ channel: message.channel, data: message.data.toString('hex') });
        else join(wanted, bytes);
      }
      const got: Handed[] = [];
      const reader = new PushedMessages(
        'message',
        (channel, data) => got.push({ channel, data: data.toString('hex') }),
        (rest) => join(got, rest),
      );
      const stream = Buffer.concat(replies.map(({ bytes }) => bytes));
      let at = 0;
      for (let i = 0; at < stream.length; i++) {
        const size = cuts.length === 0 ? stream.length : cuts[i % cuts.length]!;
        reader.read(stream.subarray(at, at + size));
        at += size;
      }
      return JSON.stringify(got) === JSON.stringify(wanted);
    }),
    { numRuns: 1000 },
  );
});

t.test('byte by byte, with a large message', async (t) => {
  const data = Buffer.alloc(5000, 'x');
  const got: string[] = [];
  const reader = new PushedMessages(
    'smessage',
    (channel, bytes) => got.push(`${channel} ${bytes.equals(data)}`),
    (rest) => got.push(rest.toString()),
  );
  const push = list('>', 3, [bulk(Buffer.from('smessage')), bulk(Buffer.from('trip:é')), bulk(data)]);
  for (const byte of Buffer.concat([push, Buffer.from('+PONG\r\n'), push])) reader.read(Buffer.of(byte));
  t.same(got, ['trip:é true', '+PONG\r\n', 'trip:é true']);
});

t.test('of the other kind of channel it is not its business', async (t) => {
  const got: string[] = [];
  const reader = new PushedMessages(
    'message',
    () => t.fail('it is none'),
    (rest) => got.push(rest.toString()),
  );
  const push = list('>', 3, [bulk(Buffer.from('smessage')), bulk(Buffer.from('a')), bulk(Buffer.from('b'))]).toString();
  reader.read(Buffer.from(push));
  t.same(got, [push]);
});
