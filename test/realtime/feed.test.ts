/** One topic's way through a node: what it hands out and when, with a handing out that costs what the test says. */
import t from 'tap';
import type { Bus, BusMessage, HistoryPage, TopicPosition } from '../../src/ports/bus.ts';
import { encodeEnvelope } from '../../src/realtime/envelope.ts';
import { Feed } from '../../src/realtime/feed.ts';
import type { Outgoing } from '../../src/realtime/frame.ts';
import { serverMessages } from '../../src/realtime/messages/index.ts';
import type { ServerPayload } from '../../src/realtime/payload.ts';
import { BEGINNING } from '../../src/realtime/replay.ts';
import { type Sink, Subscription } from '../../src/realtime/subscription.ts';
import { Turn } from '../../src/realtime/turn.ts';
import { until } from '../until.ts';
import { eventIdOf, quiet } from './node.ts';

const TOPIC = 'trip:t';
/** Longer than any test: a rest ends only by what ends it. */
const FOR_EVER_MS = 1e6;

/** A turn in which handing out costs what it is told, and whose rests end when they are told to. */
class ToldTurn extends Turn {
  cost = 0;
  resting: { join(): void }[] = [];

  constructor() {
    super(1000, quiet);
  }

  override costMs(): number {
    return this.cost;
  }

  override addResting(joiner: { join(): void }): void {
    this.resting.push(joiner);
  }

  wake(): void {
    for (const joiner of this.resting.splice(0)) this.addJoiner(joiner);
  }
}

const typing: ServerPayload = { case: 'typingNotice', value: { tripId: 't', userId: 'u', active: true } };
const chat: ServerPayload = { case: 'notification', value: { id: 'n' } };

/** A feed with one reader, who notes what he is handed: a text for each message, several of one turn joined by `+`. */
async function scene() {
  /** Ordered messages, as Redis remembers them. */
  const history: BusMessage[] = [];
  const turn = new ToldTurn();
  const handed: string[] = [];
  const first: boolean[] = [];
  const measured: number[] = [];
  const bus = {
    subscribe: async () => {},
    position: async () => ({ epoch: 'e', offset: 0 }),
    unsubscribe() {},
    history: async (_topic: string, since: { offset: number }, limit: number) => ({
      epoch: 'e',
      offset: history.length,
      messages: history.slice(since.offset, since.offset + limit),
      complete: true,
    }),
  } as unknown as Bus;
  const feed = new Feed(TOPIC, {
    bus,
    turn,
    log: quiet,
    meter: { stream() {}, fanOut: (seconds) => void measured.push(seconds) },
  });
  await feed.open();
  const sink: Sink = {
    send(outgoing: Outgoing, comesFirst) {
      handed.push(outgoing.frames.map(eventIdOf).join('+'));
      first.push(comesFirst);
    },
    drained: async () => {},
    close() {},
  };
  const subscription = new Subscription(sink, feed);
  feed.subscriptions.add(subscription);
  subscription.begin();
  subscription.goLive();
  let offset = 0;
  function comes(eventId: string, payload = typing, isOrdered = false, sentAtMs = Date.now()): void {
    const header = { lamport: 1, nodeId: 'n', sequence: 1, eventId, topic: TOPIC, sentAtMs };
    const place = isOrdered ? { offset: ++offset, epoch: 'e' } : { offset: 0, epoch: '' };
    const message: BusMessage = { topic: TOPIC, payload: encodeEnvelope(header, payload), ...place };
    if (isOrdered) history.push(message);
    feed.receive(message);
  }
  const turnEnds = () => new Promise((resolve) => setImmediate(resolve));
  /** Two at once, whose handing out takes long. */
  async function restBegins(): Promise<void> {
    turn.cost = FOR_EVER_MS;
    comes('a');
    comes('b');
    await until(() => handed.length === 1, 'the first turn');
    turn.cost = 0;
  }
  return { turn, feed, handed, first, measured, comes, turnEnds, restBegins };
}

/** A topic that was empty when the node came, of which each reading is answered as the test says, in the order asked. */
async function emptyTopic() {
  const asked: { since: TopicPosition; answer(page: HistoryPage): void }[] = [];
  const bus = {
    subscribe: async () => {},
    position: async () => BEGINNING,
    unsubscribe() {},
    history: (_topic: string, since: TopicPosition) =>
      new Promise<HistoryPage>((answer) => void asked.push({ since, answer })),
  } as unknown as Bus;
  const feed = new Feed(TOPIC, { bus, turn: new ToldTurn(), log: quiet, meter: { stream() {}, fanOut() {} } });
  await feed.open();
  const ends: string[] = [];
  const handed: string[] = [];
  const sink: Sink = {
    send: ({ frames }) => void handed.push(...frames.map(eventIdOf)),
    drained: async () => {},
    close: (code) => void ends.push(code),
  };
  const reader = new Subscription(sink, feed);
  feed.subscriptions.add(reader);
  const message = (epoch: string, offset: number): BusMessage => {
    const header = { lamport: 1, nodeId: 'n', sequence: 1, eventId: `${epoch}${offset}`, topic: TOPIC, sentAtMs: 1 };
    return { topic: TOPIC, payload: encodeEnvelope(header, chat), epoch, offset };
  };
  /** All of an epoch, up to there. */
  const page = (epoch: string, offset: number): HistoryPage => {
    const messages = Array.from({ length: offset }, (_, n) => message(epoch, n + 1));
    return { epoch, offset, messages, complete: true };
  };
  return { feed, reader, asked, ends, handed, message, page };
}

t.test('where a reader found that an empty topic began is known while the feed itself is looking for it', async (t) => {
  const { feed, asked, ends, message, page } = await emptyTopic();
  const reading = feed.history(BEGINNING, 100);
  feed.away();
  const back = feed.back();
  asked[0]!.answer(page('a', 1));
  t.equal((await reading).frames.length, 1, 'what the reader is given');
  t.same(asked[1]!.since, BEGINNING);
  asked[1]!.answer(page('b', 1));
  await until(() => asked.length === 3, 'another look');
  t.same(asked[2]!.since, { epoch: 'a', offset: 0 });
  asked[2]!.answer({ epoch: 'b', offset: 1, messages: [], complete: false });
  await back;
  t.same(ends, ['RIDE_SLOW_READER'], 'what came after the first of that epoch was lost');

  const late = await emptyTopic();
  const read = late.feed.history(BEGINNING, 100);
  late.feed.receive(message('a', 2));
  late.asked[0]!.answer(page('b', 1));
  await read;
  late.asked[1]!.answer(page('b', 1));
  await until(() => late.asked.length === 3, 'another look');
  late.asked[2]!.answer(page('b', 1));
  await until(() => late.ends.length > 0, 'the end');
  t.same(late.ends, ['RIDE_SLOW_READER'], 'of an epoch before it a part came');
});

t.test('a live message of an epoch that was over when history was read is not given behind it', async (t) => {
  const { feed, reader, asked, handed, message, page } = await emptyTopic();
  const placed = reader.catchUp(BEGINNING);
  feed.receive(message('a', 1));
  asked[0]!.answer(page('b', 1));
  await placed;
  feed.join();
  reader.goLive();
  t.same(handed, ['b1']);
  feed.receive(message('b', 1));
  await until(() => asked.length === 2, 'a look at what is between');
  asked[1]!.answer({ epoch: 'b', offset: 1, messages: [], complete: false });
  await until(() => feed.received.epoch === 'b', 'the new epoch');
  feed.receive(message('b', 2));
  feed.join();
  t.same(handed, ['b1', 'b2']);
});

t.test('what came live before history said that the topic was empty is given', async (t) => {
  const { feed, reader, asked, handed, message } = await emptyTopic();
  const placed = reader.catchUp(BEGINNING);
  feed.receive(message('a', 1));
  asked[0]!.answer({ ...BEGINNING, messages: [], complete: true });
  t.hasStrict(await placed, { recovered: true, count: 0, from: BEGINNING });
  feed.join();
  reader.goLive();
  feed.receive(message('a', 2));
  feed.join();
  t.same(handed, ['a1', 'a2']);
});

t.test('what comes during a rest waits for its end, together and in order', async (t) => {
  const { turn, handed, comes, turnEnds, restBegins } = await scene();
  await restBegins();
  for (const id of ['c', 'd', 'e']) comes(id);
  await turnEnds();
  await turnEnds();
  t.same(handed, ['a+b'], 'nothing yet');
  t.equal(turn.resting.length, 1, 'it rests once');
  turn.wake();
  await until(() => handed.length === 2, 'the end of the rest');
  t.same(handed, ['a+b', 'c+d+e']);
});

t.test('an ordered message ends the rest, behind what waited', async (t) => {
  const { turn, handed, comes, turnEnds, restBegins } = await scene();
  await restBegins();
  comes('c');
  comes('1', chat, true);
  comes('d');
  await until(() => handed.length === 2, 'what must not wait');
  t.same(handed, ['a+b', 'c+1+d']);
  // The rest that it asked for before finds nothing, and holds up nothing.
  turn.wake();
  await turnEnds();
  comes('e');
  await until(() => handed.length === 3, 'the next');
  t.equal(handed[2], 'e');
});

t.test('an ordered message is the first of a rest as well', async (t) => {
  const { turn, handed, comes, restBegins } = await scene();
  await restBegins();
  comes('1', chat, true);
  comes('2', chat, true);
  await until(() => handed.length === 2, 'both at once');
  t.same(handed, ['a+b', '1+2']);
  t.equal(turn.resting.length, 0);
});

t.test('one at a time, and what costs little, no topic rests', async (t) => {
  const { turn, handed, comes, turnEnds } = await scene();
  turn.cost = FOR_EVER_MS;
  for (const id of ['a', 'b']) {
    comes(id);
    await turnEnds();
  }
  turn.cost = 0.5;
  for (const pair of ['cd', 'ef']) {
    for (const id of pair) comes(id);
    await turnEnds();
  }
  t.same(handed, ['a', 'b', 'c+d', 'e+f']);
});

t.test('an offer and an SOS come first, and what is joined with them', async (t) => {
  const { handed, first, comes, turnEnds } = await scene();
  const alert: ServerPayload = { case: 'sosAlert', value: { alertId: 's' } };
  const offer: ServerPayload = { case: 'jobOffer', value: { offerId: 'o' } };
  comes('a');
  await turnEnds();
  comes('b');
  comes('s', alert, true);
  await turnEnds();
  comes('1', offer, true);
  await turnEnds();
  comes('2', chat, true);
  await turnEnds();
  t.same(handed, ['a', 'b+s', '1', '2']);
  t.same(first, [false, true, true, false]);
  for (const { kind, delivery, comesFirst } of Object.values(serverMessages)) {
    if (comesFirst) t.equal(delivery, 'ordered', `${kind}: only what is ordered is looked at`);
  }
});

t.test('the way from sending to handing out is measured once a turn, rest and all, from the oldest', async (t) => {
  const { turn, feed, measured, comes, turnEnds, restBegins } = await scene();
  await restBegins();
  t.equal(measured.length, 1);
  comes('c', typing, false, Date.now() - 2000);
  comes('d', typing, false, Date.now() - 5000);
  comes('e');
  t.equal(measured.length, 1, 'not before it is handed out');
  turn.wake();
  await turnEnds();
  t.equal(measured.length, 2);
  t.ok(measured[1]! >= 5 && measured[1]! < 60, `in seconds: ${measured[1]}`);
  comes('f', typing, false, Date.now() + 60_000);
  turn.wake();
  await turnEnds();
  t.equal(measured[2], 0, 'a clock that is ahead');
  // What waits for Redis has not been handed out either.
  feed.away();
  comes('g', typing, false, Date.now() - 3000);
  await turnEnds();
  t.equal(measured.length, 3);
});

t.test(
  'what waits for Redis is bounded in bytes; of what is remembered nothing is lost or doubled by that',
  async (t) => {
    const { feed, handed, comes } = await scene();
    const large = 'x'.repeat(60_000);
    feed.away();
    for (let n = 1; n <= 40; n++) {
      comes(`${n}`, { case: 'notification', value: { id: large } }, true);
      comes(`typing ${n}`, { case: 'typingNotice', value: { tripId: 't', userId: large, active: true } });
    }
    await feed.back();
    const got = () => handed.flatMap((ids) => ids.split('+'));
    await until(() => got().includes('40'), 'all that is remembered');
    t.same(
      got().filter((id) => !id.startsWith('typing')),
      Array.from({ length: 40 }, (_, n) => `${n + 1}`),
    );
    t.equal(got().filter((id) => id.startsWith('typing')).length, 9, 'the first megabyte had room for nine of each');
    comes('41', chat, true);
    await until(() => got().at(-1) === '41', 'what is live');
  },
);
