/** A peer that sends and does not take: when its messages wait, which do not, who is judged silent, and what always finds room. */
import t, { type Test } from 'tap';
import { Connection, type ConnectionOptions } from '../../src/realtime/connection.ts';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import { Frame, type Outgoing } from '../../src/realtime/frame.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { eventIdOf, note, Peer, principal, realtimeNode } from './node.ts';

/** A peer that takes so many messages and then no more. */
class Sipping extends Peer {
  #room = 0;
  override stuck = true;

  override write(outgoing: Outgoing): void {
    super.write(outgoing);
    this.#room -= outgoing.frames.length;
    this.stuck = this.#room <= 0;
  }

  sip(messages: number): void {
    this.#room = messages;
    this.drain();
  }
}

const TOPIC = 'user:u';
const ordered = (n: number): Frame => new Frame(note(TOPIC, `n${n}`), 'notification', TOPIC, n, 'e');
const answer = (n: number): Frame => {
  const header = { lamport: 1, nodeId: 'n', sequence: n, eventId: `a${n}`, topic: '', sentAtMs: 0 };
  return new Frame(encodeEnvelope(header, { case: 'ack', value: {} }), 'ack');
};

const BUFFER = 8;
const redis = await startRedis(t);

/** A session whose outbound buffer holds eight, with a peer that takes nothing, and what was handled of what it sent. */
async function scene(t: Test) {
  const limits = { outboundMessages: BUFFER, outboundBytes: 1 << 20 };
  const node = await realtimeNode(t, redis.url, { limits });
  const peer = new Sipping();
  const session = node.broker.open('ses', principal('u'), 'ws', peer);
  const handled: string[] = [];
  const inbound: ConnectionOptions['inbound'] = {
    handle: (_session, { corrId }) => handled.push(corrId) > 0,
    undecodable: async (_session, _error, corrId) => void handled.push(`bad ${corrId}`),
  };
  const recovery = { forget() {} };
  const options = { inbound, recovery, broker: node.broker, maxPayloadBytes: 1000 };
  const connection = new Connection(session, options, Promise.resolve());
  let sent = 0;
  /** So many wait for the peer afterwards: the first one is written, for nobody knows yet that it takes nothing. */
  async function fill(waiting: number): Promise<void> {
    if (sent === 0) {
      session.send(ordered(++sent));
      await until(() => session.queued === 0 && !session.idle, 'the peer is known to be stuck');
    }
    while (session.queued < waiting) session.send(ordered(++sent));
  }
  const say = (corrId: string, message: object): void =>
    connection.text(Buffer.from(JSON.stringify({ corr_id: corrId, ...message })));
  const ask = (corrId: string): void => say(corrId, { typing: { trip_id: 't' } });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { node, peer, session, connection, handled, fill, say, ask, settled };
}

t.test('what was handled at a release is not counted among what waits', async (t) => {
  const { session, peer, connection, handled, settled } = await scene(t);
  // Its welcome is sent.
  await settled();
  const big = (corrId: string): void =>
    connection.text(Buffer.from(JSON.stringify({ corr_id: corrId, typing: { trip_id: 'x'.repeat(900) } })));
  session.hold();
  for (let n = 0; n < 60; n++) big(`c${n}`);
  t.equal(peer.paused, false, 'less than may wait');
  // What is handled may hold the session anew.
  const push = handled.push.bind(handled);
  handled.push = (...ids) => {
    if (handled.length === 39) session.hold();
    return push(...ids);
  };
  session.release();
  await settled();
  t.equal(handled.length, 40, 'the others wait');
  for (let n = 60; n < 80; n++) big(`c${n}`);
  t.equal(peer.paused, false, 'what waits is less than may still');
  session.release();
  await settled();
  t.equal(handled.length, 80);
});

t.test('above three quarters messages wait, below a half they go on, in order', async (t) => {
  const { node, peer, fill, ask, handled, settled } = await scene(t);
  await fill(6);
  ask('at 75 %');
  await settled();
  t.same(handled, ['at 75 %']);
  t.same(node.meter.facts, {});
  await fill(7);
  for (let n = 0; n < 70; n++) ask(`c${n}`);
  await settled();
  t.same(handled, ['at 75 %'], 'nothing is handled');
  t.equal(peer.paused, true, 'nor read, when enough waits');
  peer.sip(3);
  await settled();
  t.same(handled, ['at 75 %'], 'nor at a half');
  t.equal(peer.paused, true);
  peer.sip(1);
  await settled();
  t.same(
    handled.slice(1),
    Array.from({ length: 70 }, (_, n) => `c${n}`),
  );
  t.equal(peer.paused, false, 'and it is read again');
  t.same(node.meter.facts, { 'backpressure held': 1, 'backpressure paused': 1 });
});

t.test('what cannot be read waits too; what is urgent does not', async (t) => {
  const { connection, peer, fill, say, ask, handled, settled } = await scene(t);
  await fill(7);
  ask('first');
  connection.text(Buffer.from('{"corr_id":"second"'));
  connection.text(Buffer.alloc(1001, 'x'));
  say('heartbeat', { heartbeat: {} });
  say('sos', { sos_trigger: { note: 'help' } });
  say('received', { received: { topic: TOPIC, offset: 1, epoch: 'e' } });
  await settled();
  t.same(handled, ['heartbeat', 'sos', 'received']);
  for (let n = 0; n < 100; n++) say(`h${n}`, { heartbeat: {} });
  await settled();
  t.equal(handled.length, 16, 'urgent ones are bounded as well');
  t.equal(peer.paused, true);
  peer.sip(100);
  await settled();
  t.same(handled.slice(16, 19), ['first', 'bad second', 'bad ']);
  t.equal(handled.length, 106, 'and nothing was lost');
});

t.test('who has said all he has to say still gets what waits for him, and only then the end', async (t) => {
  const { session, connection, peer, fill, settled } = await scene(t);
  await fill(5);
  const finished = connection.finish();
  await settled();
  peer.sip(3);
  await settled();
  t.equal(session.closed, false, 'he has taken some of it');
  peer.sip(100);
  await finished;
  t.equal(session.closed, true);
  t.same(peer.frames.map(eventIdOf), ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']);
});

t.test('who is not read is not silent, as long as he takes something', async (t) => {
  const { node, session, peer, fill, ask } = await scene(t);
  const TIMEOUT = 60_000;
  const start = Date.now();
  /** So many timeouts later. */
  const tick = (timeouts: number): void => node.broker.tick(start + timeouts * (TIMEOUT + 2000));
  await fill(7);
  for (let n = 0; n < 64; n++) ask(`c${n}`);
  t.equal(peer.paused, true);
  tick(1);
  t.equal(session.closed, false, 'it took something before');
  peer.sip(1);
  tick(2);
  t.equal(session.closed, false, 'it takes one now and then');
  t.equal(peer.paused, true);
  tick(3);
  t.equal(peer.closed, 'RIDE_SLOW_READER', 'nothing for a whole timeout');
});

t.test('a node that stood still waits as long again for whom it could not hear, and no longer', async (t) => {
  const { node, session, peer } = await scene(t);
  const TIMEOUT = 60_000;
  const start = Date.now();
  node.broker.tick(start + TIMEOUT + 2000, 4000);
  t.equal(session.closed, false, 'he may have spoken while nobody listened');
  node.broker.tick(start + TIMEOUT + 6000);
  t.equal(peer.closed, 'RIDE_HEARTBEAT_MISSED');
});

t.test('a node that stands still again at once waits for the sum of it, and that has its end', async (t) => {
  const { node, session, peer } = await scene(t);
  const TIMEOUT = 60_000;
  const start = session.lastSeen;
  const tick = (afterMs: number, stoodMs = 0) => node.broker.tick(start + afterMs, stoodMs);
  tick(TIMEOUT + 2000, 4000);
  tick(TIMEOUT + 8000, 6000);
  t.equal(session.closed, false, 'neither pause alone explains so long a silence');
  tick(TIMEOUT + 9000);
  t.equal(session.closed, false);
  tick(TIMEOUT + 12_000);
  t.equal(peer.closed, 'RIDE_HEARTBEAT_MISSED', 'both together explain no more');
});

t.test('a pause before somebody was heard of explains nothing of his silence', async (t) => {
  const { node, session, peer } = await scene(t);
  const TIMEOUT = 60_000;
  const start = session.lastSeen;
  node.broker.tick(start + 10_000, 9000);
  session.lastSeen = start + 11_000;
  node.broker.tick(start + 11_000 + TIMEOUT + 2000);
  t.equal(peer.closed, 'RIDE_HEARTBEAT_MISSED');
});

t.test('who is read again has a whole timeout to be heard', async (t) => {
  const { session, peer, fill, ask, settled } = await scene(t);
  await fill(7);
  for (let n = 0; n < 64; n++) ask(`c${n}`);
  session.lastSeen = 0;
  peer.sip(100);
  await settled();
  t.ok(Date.now() - session.lastSeen < 10_000);
});

t.test('answers have room where data has none, and data gets none of it', async (t) => {
  const { session, peer, fill } = await scene(t);
  await fill(BUFFER);
  for (let n = 1; n <= 160; n++) session.send(answer(n));
  t.equal(session.closed, false, 'as many answers as can be under way');
  t.equal(session.queued, BUFFER + 160);
  session.send(new Frame(note('trip:t', 'l'), 'typing_notice', 'trip:t'));
  t.equal(session.queued, BUFFER + 160, 'what may be lost is');
  peer.sip(1000);
  await until(() => session.idle, 'all taken');
  const ids = peer.frames.map(eventIdOf);
  t.same(
    ids.slice(-160),
    Array.from({ length: 160 }, (_, n) => `a${n + 1}`),
    'behind the data, in order',
  );
  t.equal(session.closed, false);
});

const latest = (topic: string, id: string): Frame => new Frame(note(topic, id), 'location', topic);
const ephemeral = (n: number): Frame => new Frame(note('trip:t', `e${n}`), 'typing_notice', 'trip:t');

t.test('the newest value of each topic reaches a reader who was behind, whatever else waited', async (t) => {
  const { node, session, peer, fill } = await scene(t);
  await fill(BUFFER);
  for (const topic of ['trip:a', 'trip:b']) for (let n = 1; n <= 5; n++) session.send(latest(topic, `${topic} ${n}`));
  t.equal(session.queued, BUFFER + 2, 'beside the data, which keeps its room');
  t.same(node.meter.drops, { latest: 8 });
  session.send(ephemeral(1));
  t.same(node.meter.drops, { latest: 8, ephemeral: 1 }, 'what is ephemeral finds none');
  t.equal(session.closed, false);
  peer.sip(1000);
  await until(() => session.idle, 'all taken');
  t.same(peer.frames.map(eventIdOf).slice(-3), [`n${BUFFER + 1}`, 'trip:a 5', 'trip:b 5']);
});

t.test('what is ephemeral gives way, oldest first, and the newest values never do', async (t) => {
  const { node, session, peer, fill } = await scene(t);
  await fill(2);
  for (const topic of ['trip:a', 'trip:b', 'trip:c']) session.send(latest(topic, topic));
  for (let n = 1; n <= 20; n++) session.send(ephemeral(n));
  t.equal(session.queued, BUFFER + 3);
  t.same(node.meter.drops, { ephemeral: 14 });
  for (let n = 100; n < 104; n++) session.send(ordered(n));
  t.same(node.meter.drops, { ephemeral: 18 });
  t.equal(session.closed, false, 'ordered messages take the room of ephemeral ones');
  peer.sip(1000);
  await until(() => session.idle, 'all taken');
  t.same(peer.frames.map(eventIdOf).slice(3), [
    'trip:a',
    'trip:b',
    'trip:c',
    'e19',
    'e20',
    'n100',
    'n101',
    'n102',
    'n103',
  ]);
});

t.test('newest values of more bytes than may wait end the session, for who comes back gets them', async (t) => {
  const { node, session, peer, fill } = await scene(t);
  await fill(1);
  const large = (topic: string): Frame => new Frame(note(topic, 'x'.repeat(150_000)), 'location', topic);
  for (let round = 0; round < 3; round++) for (const topic of ['a', 'b', 'c']) session.send(large(`trip:${topic}`));
  t.equal(session.closed, false);
  session.send(large('trip:d'));
  t.equal(peer.closed, 'RIDE_SLOW_READER');
  t.same(node.meter.drops, { latest: 6, slow_reader: 1 });
});

t.test('data beyond the buffer ends the session, and answers beyond their reserve do', async (t) => {
  const one = await scene(t);
  await one.fill(BUFFER);
  one.session.send(ordered(99));
  t.equal(one.peer.closed, 'RIDE_SLOW_READER');
  const other = await scene(t);
  await other.fill(BUFFER);
  for (let n = 1; n <= 161; n++) other.session.send(answer(n));
  t.equal(other.peer.closed, 'RIDE_SLOW_READER');
});

t.end();
