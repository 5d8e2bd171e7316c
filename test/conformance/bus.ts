/**
 * The bus port's promises as one suite, run on every kind of Redis. A node of the server is one bus; a case makes as many as it
 * needs.
 */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Bus, BusMessage } from '../../src/ports/bus.ts';
import { until } from '../until.ts';

export interface BusPlace {
  /** One more node. */
  node(): Promise<Bus>;
  /** Ordered messages that are kept of a topic. */
  historyLength: number;
  /** Breaks the connections by which the nodes listen; they may come back. */
  cut(): Promise<void>;
}

type Case = (t: Test, place: BusPlace) => Promise<void>;

/** A bus and everything it received. */
async function listen(place: BusPlace, ...topics: string[]) {
  const bus = await place.node();
  const received: BusMessage[] = [];
  bus.onMessage((message) => received.push(message));
  await Promise.all(topics.map((topic) => bus.subscribe(topic)));
  const of = (topic: string): BusMessage[] => received.filter((message) => message.topic === topic);
  return {
    bus,
    received,
    of,
    texts: (topic: string): string[] => of(topic).map(({ payload }) => payload.toString('latin1')),
    /** Everything that was published on these topics before this call has come or never will. */
    async settled(...published: string[]): Promise<void> {
      const mark = Buffer.from(randomUUID());
      for (const topic of published) bus.publish(topic, mark);
      await until(
        () => published.every((topic) => of(topic).some(({ payload }) => payload.equals(mark))),
        'the mark comes back',
      );
    },
  };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const aTopic = (kind = 'trip'): string => `${kind}:${randomUUID()}`;
const START = { epoch: '', offset: 0 };

const cases: Record<string, Case> = {
  'a message without history reaches every node that listens, byte for byte': async (t, place) => {
    const topic = aTopic();
    const [a, b] = [await listen(place, topic), await listen(place, topic)];
    const payload = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
    a.bus.publish(topic, payload);
    await until(() => a.received.length === 1 && b.received.length === 1, 'both have it');
    t.same(b.received, [{ topic, epoch: '', offset: 0, payload }]);
    t.same(await b.bus.position(topic), START, 'it left no trace');
  },

  'ordered messages count from 1 within one epoch, on every node': async (t, place) => {
    const topic = aTopic();
    const [a, b] = [await listen(place, topic), await listen(place, topic)];
    for (let i = 1; i <= 20; i++) t.equal(await a.bus.publishOrdered(topic, bytes(`m${i}\n`)), 'published');
    await until(() => b.received.length === 20 && a.received.length === 20, 'both have them');
    const { epoch } = b.received[0]!;
    t.ok(epoch);
    const expected = Array.from({ length: 20 }, (_, i) => ({
      topic,
      epoch,
      offset: i + 1,
      payload: bytes(`m${i + 1}\n`),
    }));
    t.same(b.received, expected);
    t.same(a.received, expected);
    t.same(await b.bus.position(topic), { epoch, offset: 20 });
  },

  'publishers on two nodes agree on one order': async (t, place) => {
    const topic = aTopic();
    const [a, b] = [await listen(place, topic), await listen(place, topic)];
    await Promise.all(
      [a, b].flatMap(({ bus }, node) =>
        Array.from({ length: 50 }, (_, i) => bus.publishOrdered(topic, bytes(`${node}.${i}`))),
      ),
    );
    await until(() => a.received.length === 100 && b.received.length === 100, 'both have all');
    t.same(a.texts(topic), b.texts(topic));
    t.same(
      a.received.map((message) => message.offset),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
  },

  'hundreds of topics at once, each to its own': async (t, place) => {
    const topics = Array.from({ length: 300 }, () => aTopic());
    const [a, b] = [await listen(place, ...topics), await listen(place)];
    await Promise.all(topics.map((topic) => b.bus.publishOrdered(topic, bytes(topic))));
    await until(() => a.received.length === topics.length, 'all have come');
    t.ok(a.received.every(({ topic, payload, offset }) => payload.equals(bytes(topic)) && offset === 1));
    t.same(b.received, []);
  },

  'what one turn publishes on a topic comes to other nodes in its order, with history or without, however much it is':
    async (t, place) => {
      const topic = aTopic();
      const [a, b] = [await listen(place), await listen(place, topic)];
      // The scripts are there from now on, and what is sent stays as it is sent.
      await a.bus.publishOrdered(topic, bytes('first'));
      const sent = Array.from({ length: 1600 }, (_, i) => `${i % 700 === 100 ? 'ordered' : 'plain'} ${i}`);
      const published = sent.map((text) =>
        text.startsWith('ordered') ? a.bus.publishOrdered(topic, bytes(text)) : a.bus.publish(topic, bytes(text)),
      );
      await Promise.all(published);
      await until(() => b.received.length > sent.length, 'all of it');
      t.same(b.texts(topic), ['first', ...sent]);
    },

  'subscriptions are counted; the last unsubscribe ends it': async (t, place) => {
    const topic = aTopic();
    const [a, b] = [await listen(place, topic, topic), await listen(place, topic)];
    a.bus.unsubscribe(topic);
    b.bus.publish(topic, bytes('one'));
    await until(() => a.received.length === 1, 'it still listens');
    a.bus.unsubscribe(topic);
    await b.bus.publishOrdered(topic, bytes('two'));
    await b.settled(topic);
    await a.bus.subscribe(topic);
    b.bus.publish(topic, bytes('three'));
    await until(() => a.texts(topic).includes('three'), 'it listens again');
    // The mark of what has settled may be on its way still when it listens again.
    const said = a.texts(topic).filter((text) => ['one', 'two', 'three'].includes(text));
    t.same(said, ['one', 'three']);
  },

  'who unsubscribes before the subscription stands is told so, and not that Redis is away': async (t, place) => {
    const topic = aTopic();
    const bus = await place.node();
    const subscribed = bus.subscribe(topic);
    bus.unsubscribe(topic);
    await t.rejects(subscribed, { code: 'RIDE_CONFLICT' });
  },

  'a subscription taken up in the same turn as it ended stands': async (t, place) => {
    const topic = aTopic();
    const a = await listen(place, topic);
    a.bus.unsubscribe(topic);
    await a.bus.subscribe(topic);
    a.bus.publish(topic, bytes('here'));
    await until(() => a.received.length === 1, 'it came');
    t.same(a.texts(topic), ['here']);
  },

  'a source is published in its own order, once each': async (t, place) => {
    const topic = aTopic();
    const a = await listen(place, topic);
    const publish = (seq: number, restart = false) =>
      a.bus.publishOrdered(topic, bytes(`${seq}`), { source: 's', seq, restart });
    t.equal(await publish(2), 'unknown');
    t.equal(await publish(1), 'published');
    t.equal(await publish(1), 'duplicate');
    t.equal(await publish(3), 'gap');
    t.equal(await publish(2), 'published');
    const { epoch } = await a.bus.position(topic);
    t.equal(await a.bus.publishOrdered(topic, bytes('other'), { source: 'o', seq: 1 }), 'published');
    t.equal(await publish(9, true), 'published', 'a new memory begins with it');
    const position = await a.bus.position(topic);
    t.equal(position.offset, 1);
    t.not(position.epoch, epoch);
    t.equal(await publish(9, true), 'duplicate');
    await until(() => a.received.length === 4, 'all have come');
    t.same(a.texts(topic), ['1', '2', 'other', '9']);
  },

  'of many topics those are named that are elsewhere': async (t, place) => {
    const bus = await place.node();
    const topics = Array.from({ length: 600 }, () => aTopic());
    const [still, moved, gone] = [topics[3]!, topics[299]!, topics[599]!];
    for (const topic of [still, moved]) await bus.publishOrdered(topic, bytes('1'));
    const places = new Map(topics.map((topic) => [topic, START]));
    for (const topic of [still, moved]) places.set(topic, await bus.position(topic));
    places.set(gone, { epoch: 'forgotten', offset: 3 });
    await bus.publishOrdered(moved, bytes('2'));
    const elsewhere = await bus.elsewhere(places);
    t.same([...elsewhere.keys()].sort(), [moved, gone].sort());
    t.same(elsewhere.get(moved), { epoch: places.get(moved)!.epoch, offset: 2 });
    t.same(elsewhere.get(gone), START);
    t.equal((await bus.elsewhere(new Map())).size, 0);
  },

  'history gives what comes after a place, in pages': async (t, place) => {
    const topic = aTopic();
    const { bus } = await listen(place);
    t.same(await bus.history(topic, START, 10), { ...START, messages: [], complete: true });
    for (let i = 1; i <= 7; i++) await bus.publishOrdered(topic, bytes(`${i}\0`));
    const first = await bus.history(topic, START, 5);
    const { epoch } = first;
    t.same(
      first.messages,
      [1, 2, 3, 4, 5].map((offset) => ({ topic, epoch, offset, payload: bytes(`${offset}\0`) })),
    );
    t.hasStrict(first, { offset: 7, complete: true });
    const second = await bus.history(topic, { epoch, offset: 5 }, 5);
    t.same(
      second.messages.map((message) => message.offset),
      [6, 7],
    );
    t.same(await bus.history(topic, { epoch, offset: 7 }, 5), { epoch, offset: 7, messages: [], complete: true });
  },

  'history says so when it no longer has what was asked for': async (t, place) => {
    const topic = aTopic();
    const { bus } = await listen(place);
    for (let i = 0; i < place.historyLength + 2; i++) await bus.publishOrdered(topic, bytes(`${i}`));
    const { epoch, offset } = await bus.position(topic);
    t.equal((await bus.history(topic, START, 5)).complete, false, 'the first are no longer kept');
    t.equal((await bus.history(topic, { epoch, offset: 1 }, 5)).complete, false);
    t.equal((await bus.history(topic, { epoch, offset: 2 }, 5)).complete, true);
    t.equal((await bus.history(topic, { epoch, offset: offset + 1 }, 5)).complete, false, 'a place that never was');
    const stranger = await bus.history(topic, { epoch: 'another', offset: 3 }, 5);
    t.same(stranger, { epoch, offset, messages: [], complete: false }, 'an epoch of which nothing is known');
  },

  'a broken connection comes back, and says so when the topics stand again': async (t, place) => {
    const topics = Array.from({ length: 20 }, () => aTopic());
    const [a, b] = [await listen(place, ...topics), await place.node()];
    const [away, back] = [new Set<string>(), new Set<string>()];
    a.bus.onAway((gone) => {
      for (const topic of gone) away.add(topic);
    });
    a.bus.onBack((again) => {
      for (const topic of again) if (away.has(topic)) back.add(topic);
    });
    await Promise.all(topics.map((topic) => b.publishOrdered(topic, bytes('before'))));
    await until(() => a.received.length === topics.length, 'all have come');
    t.equal(away.size, 0, 'nothing was amiss yet');
    await place.cut();
    await until(() => back.size === topics.length, 'all topics are back');
    await Promise.all(topics.map((topic) => b.publishOrdered(topic, bytes('after'))));
    await until(() => a.received.length === 2 * topics.length, 'the live messages come');
    for (const topic of topics) t.same(a.texts(topic), ['before', 'after']);
  },
};

export async function busConformance(t: Test, name: string, place: BusPlace): Promise<void> {
  for (const [title, body] of Object.entries(cases)) await t.test(`${name}: ${title}`, (t) => body(t, place));
}
