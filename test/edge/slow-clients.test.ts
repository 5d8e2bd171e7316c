/**
 * Readers that do not keep up: what must not be lost ends the session with a reason, what may be lost gives way to what is newer,
 * and neither costs the node more than the session's bounded buffer or anyone else a message.
 */
import { Redis } from 'ioredis';
import t from 'tap';
import type { Message } from '../clients/inbox.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { connect, encodeServer, type Peer, transports } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { type Member, member, someone } from '../scene.ts';
import { until } from '../until.ts';
import { livesOn } from './streams.ts';

const BUFFER = 32;
const RESOURCE_EXHAUSTED = 8;
/** More than the sockets' buffers of both sides hold. */
const FLOOD = 300;
const PAD = 'x'.repeat(60_000);

const s = await build(t, { env: { OUTBOUND_BUFFER: String(BUFFER), OUTBOUND_BUFFER_BYTES: '100000000' } });
const redis = new Redis(s.redisUrl);
t.after(() => redis.disconnect());

/** As another node would publish it. `epoch offset` is the place in history of an ordered message. */
const publish = (topic: string, place: string, message: object): Promise<unknown> =>
  redis.publish(topic, Buffer.concat([Buffer.from(`${place}\n`), encodeServer({ topic, ...message })]));

const dropped = async (reason: string): Promise<number> =>
  sum(await readMetrics(s.at.metrics), 'ride_stream_dropped_total', { reason });
const depth = async (): Promise<number> => sum(await readMetrics(s.at.metrics), 'ride_stream_queue_depth');

async function slowAndQuick(
  t: Parameters<typeof livesOn>[0],
  transport: Peer['transport'],
  who: Member,
  topic: string,
) {
  const slow = await connect(t, s.at, transport, who.token);
  const quick = await connect(t, s.at, 'websocket-protobuf', who.token);
  for (const peer of [slow, quick]) await peer.ask({ subscribe: { topic } });
  slow.pause();
  return { slow, quick };
}

for (const transport of transports) {
  t.test(`${transport}: ordered messages are never skipped; who cannot take them is told to resume`, async (t) => {
    const who = await member(s, 'rider');
    const topic = `user:${who.id}`;
    const { slow, quick } = await slowAndQuick(t, transport, who, topic);
    const before = await dropped('slow_reader');
    for (let n = 1; n <= FLOOD; n++) {
      await publish(topic, `e1 ${n}`, { event_id: `n${n}`, notification: { id: `n${n}`, body: PAD } });
    }
    await quick.inbox.find((m) => m.event_id === `n${FLOOD}`, 'the last one, by who reads');
    const offsets = (peer: Peer): number[] => peer.inbox.all.filter((m) => m.notification).map((m) => Number(m.offset));
    const all = Array.from({ length: FLOOD }, (_, i) => i + 1);
    t.same(offsets(quick), all, 'who reads misses nothing');
    await until(async () => (await dropped('slow_reader')) === before + 1, 'the slow one to be dropped');
    t.ok((await depth()) <= BUFFER, 'and nothing of his waits in memory');
    slow.resume();
    const { code, reason, trailers } = await slow.ended;
    if (transport === 'grpc') {
      t.equal(code, RESOURCE_EXHAUSTED);
      t.equal(trailers['ride-code'], 'RIDE_SLOW_READER');
    } else {
      t.equal(code, 4002);
      t.match(reason, /^RIDE_SLOW_READER: resume from the last offset/);
    }
    const got = offsets(slow);
    t.same(got, all.slice(0, got.length), 'what he did get has no hole');
    t.ok(got.length < FLOOD, 'and was not all');
    await livesOn(t, quick, 'who reads');
  });

  for (const [kind, wrap] of [
    ['zone_broadcast', (n: number) => ({ zone_broadcast: { zone: `${n}`, city: PAD } })],
    ['location', (n: number) => ({ location: { driver_id: 'd1', trip_id: PAD, recorded_at_ms: n } })],
  ] as const) {
    t.test(`${transport}: ${kind} gives way to what is newer, and the session lives on`, async (t) => {
      const who = await member(s, 'admin');
      const topic = `zone:${someone('z')}`;
      const { slow, quick } = await slowAndQuick(t, transport, who, topic);
      let deepest = 0;
      for (let n = 1; n <= FLOOD; n++) {
        await publish(topic, '', wrap(n));
        if (n % 100 === 0) deepest = Math.max(deepest, await depth());
      }
      const number = (m: Message): number => Number(m[kind]?.[kind === 'location' ? 'recorded_at_ms' : 'zone']);
      await quick.inbox.find((m) => number(m) === FLOOD, 'the last one, by who reads');
      t.ok(deepest <= BUFFER, `at most ${BUFFER} wait: ${deepest}`);
      slow.resume();
      await slow.inbox.find((m) => number(m) === FLOOD, 'the newest, by who did not read');
      const got = slow.inbox.all.filter((m) => m[kind]).map(number);
      t.ok(got.length < FLOOD, `some were left out: ${got.length} came`);
      t.same(
        got,
        [...got].sort((a, b) => a - b),
        'and none came late',
      );
      if (kind === 'location') t.ok(FLOOD - got.at(-2)! > BUFFER, 'of one driver only the newest waits');
      await livesOn(t, slow, 'who did not read');
      await livesOn(t, quick, 'who reads');
    });
  }

  t.test(`${transport}: who talks and never listens is held, and costs nobody else`, async (t) => {
    const talker = await member(s, 'rider');
    const peer = await connect(t, s.at, transport, talker.token);
    const other = await connect(t, s.at, transport, (await member(s, 'rider')).token);
    peer.pause();
    for (let n = 0; n < 5000; n++)
      peer.send({ corr_id: `c${n}`, chat_send: { trip_id: 't'.repeat(200), message_id: 'm', text: 'hello' } });
    await livesOn(t, other, 'another user');
    peer.resume();
    const answers = () => peer.inbox.all.filter((m) => m.error).map((m) => Number(m.corr_id.slice(1)));
    await until(() => answers().length >= 5000, 'an answer to everything, once he listens');
    t.same(answers(), [...Array(5000).keys()], 'each once, in order');
    await livesOn(t, peer, 'who talked');
    await livesOn(t, other, 'another user');
  });
}
t.end();
