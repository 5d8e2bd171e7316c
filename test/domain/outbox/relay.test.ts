/**
 * The relay over a real store and a real Redis: whoever relays a document's events, and whatever fails on the way, its topic gets
 * each once and in the order of seq, and nothing stays in the outbox.
 */
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ScriptedRedis } from '../../../src/adapters/redis/scripts.ts';
import { createRelay, type OutboxHandler, type Relay } from '../../../src/domain/outbox/relay.ts';
import type { Bus } from '../../../src/ports/bus.ts';
import type { Collection, OutboxEvent, StoredDocument } from '../../../src/ports/store.ts';
import { ServerEnvelopeSchema } from '../../../src/realtime/generated/ride/v1/ride_pb.js';
import { createStoreAt, type Place } from '../../conformance/store/place.ts';
import { note, quiet, realtimeNode } from '../../realtime/node.ts';
import { ownStore } from '../../servers/own-store.ts';
import { startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

interface Thing extends StoredDocument {
  seq: number;
}

interface Node {
  bus: Bus;
  redis: ScriptedRedis;
  things: Collection<Thing>;
  relay: Relay;
  reacted: number[];
  /** What goes wrong with the next events, one each. */
  faults: Fault[];
}

/** Before Redis has it, after Redis has it, or in what follows from it. */
type Fault = 'none' | 'publish' | 'answer' | 'react';

const seqOf = (payload: Buffer): number => Number(fromBinary(ServerEnvelopeSchema, payload).eventId.split('/')[1]);
const topicOf = (id: string): string => `trip:${id}`;

async function node(t: Test, redisUrl: string, place: Place): Promise<Node> {
  const { bus, redis } = await realtimeNode(t, redisUrl);
  const store = await createStoreAt(place);
  const things = store.collection<Thing>({ name: 'things', indexes: [] });
  await store.open();
  t.after(() => store.close());
  const reacted: number[] = [];
  const faults: Fault[] = [];
  let fault: Fault = 'none';
  const handler: OutboxHandler = {
    async publish(id, event, restart) {
      fault = faults.shift() ?? 'none';
      if (fault === 'publish') throw new Error('not published');
      const order = { source: id, seq: event.seq, restart };
      const outcome = await bus.publishOrdered(topicOf(id), note(topicOf(id), event.id), order);
      if (fault === 'answer') throw new Error('published, but nobody knows');
      return outcome;
    },
    async react(_id, event) {
      if (fault === 'react') throw new Error('no reaction');
      reacted.push(event.seq);
    },
  };
  const relay = createRelay(things, handler, { now: () => Number.MAX_SAFE_INTEGER, toWallMs: (ms) => ms }, quiet);
  return { bus, redis, things, relay, reacted, faults };
}

async function nodes(t: Test, count: number): Promise<Node[]> {
  const { url } = await startRedis(t);
  const place = await ownStore(t);
  const all: Node[] = [];
  for (let i = 0; i < count; i++) all.push(await node(t, url, place));
  return all;
}

const eventOf = (id: string, seq: number): OutboxEvent => ({
  id: `${id}/${seq}`,
  seq,
  type: 'thing.changed',
  at: seq,
  data: {},
});

async function create({ things }: Node, id: string): Promise<void> {
  await things.insert({ id, region: 'r', createdAt: 1, version: 1, seq: 1 }, [eventOf(id, 1)]);
}

/** Appends the next event; null when another writer was first. */
async function change({ things }: Node, id: string): Promise<OutboxEvent | null> {
  const thing = (await things.get(id))!;
  const event = eventOf(id, thing.seq + 1);
  const written = await things.compareAndSet({ ...thing, version: thing.version + 1, seq: event.seq }, [event]);
  return written ? event : null;
}

async function published({ bus }: Node, id: string): Promise<number[]> {
  const { messages } = await bus.history(topicOf(id), { epoch: '', offset: 0 }, 1000);
  return messages.map(({ payload }) => seqOf(payload));
}

const upTo = (n: number, from = 1): number[] => Array.from({ length: n - from + 1 }, (_, i) => from + i);

t.test('what was written is published, reacted to, and out of the outbox', async (t) => {
  const [a] = (await nodes(t, 1)) as [Node];
  await create(a, 'x');
  const second = (await change(a, 'x'))!;
  a.relay.kick('x', [eventOf('x', 1), second]);
  await a.relay.idle();
  t.same(await published(a, 'x'), [1, 2]);
  t.same(a.reacted, [1, 2]);
  t.same(await a.things.outboxOf('x'), []);
  t.equal(await a.relay.sweep(0), 0, 'nothing is left for the sweeper');
});

t.test('an event whose forerunner somebody else was to publish waits for it', async (t) => {
  const [a, b] = (await nodes(t, 2)) as [Node, Node];
  await create(a, 'x');
  const second = (await change(b, 'x'))!;
  b.relay.kick('x', [second]);
  await b.relay.idle();
  t.same(await published(a, 'x'), [1, 2], 'the other’s first');
  a.relay.kick('x', [eventOf('x', 1)]);
  await a.relay.idle();
  t.same(await published(a, 'x'), [1, 2], 'and not again when he comes at last');
  t.same(await a.things.outboxOf('x'), []);
});

t.test('Redis forgot the topic: it begins anew with the oldest that is pending, in a new epoch', async (t) => {
  const [a] = (await nodes(t, 1)) as [Node];
  await create(a, 'x');
  a.relay.kick('x', [eventOf('x', 1)]);
  await a.relay.idle();
  const before = await a.bus.position(topicOf('x'));
  await a.redis.flushall();
  const more = [(await change(a, 'x'))!, (await change(a, 'x'))!];
  // The later one is kicked alone: the earlier is found in the outbox.
  a.relay.kick('x', [more[1]!]);
  await a.relay.idle();
  t.same(await published(a, 'x'), [2, 3]);
  t.not((await a.bus.position(topicOf('x'))).epoch, before.epoch);
  t.same(await a.things.outboxOf('x'), []);
});

t.test(
  'what failed on the way stays in the outbox and is finished by the sweeper, once each in the topic',
  async (t) => {
    for (const fault of ['publish', 'answer', 'react'] as const) {
      const [a] = (await nodes(t, 1)) as [Node];
      await create(a, 'x');
      a.faults.push(fault);
      a.relay.kick('x', [eventOf('x', 1)]);
      await a.relay.idle();
      t.equal((await a.things.outboxOf('x')).length, 1, `${fault}: still pending`);
      t.equal(await a.relay.sweep(0), 1);
      t.same(await published(a, 'x'), [1], `${fault}: once`);
      t.same(a.reacted, [1], `${fault}: reacted`);
      t.same(await a.things.outboxOf('x'), []);
    }
  },
);

t.test(
  'random writers, relays, sweeps and failures on two nodes: listeners get everything once, in order',
  async (t) => {
    const both = (await nodes(t, 2)) as [Node, Node];
    const heard = new Map<string, number[]>();
    both[1].bus.onMessage(({ topic, payload }) => {
      heard.get(topic)?.push(seqOf(payload));
    });
    const step = fc.record({
      node: fc.nat(1),
      does: fc.constantFrom<'change' | 'sweep'>('change', 'change', 'change', 'sweep'),
      kicks: fc.boolean(),
      fault: fc.constantFrom<Fault>('none', 'none', 'none', 'publish', 'answer', 'react'),
      waits: fc.boolean(),
    });
    let runs = 0;
    const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const id = `run${++runs}`;
      heard.set(topicOf(id), []);
      await both[1].bus.subscribe(topicOf(id));
      await create(both[0], id);
      const under: Promise<unknown>[] = [];
      for (const { node, does, kicks, fault, waits } of steps) {
        const one = both[node]!;
        one.faults.push(fault);
        const done = (async () => {
          if (does === 'sweep') return void (await one.relay.sweep(0));
          const event = await change(one, id);
          if (event && kicks) one.relay.kick(id, [event]);
        })();
        under.push(done);
        if (waits) await done;
      }
      await Promise.all(under);
      for (const one of both) await one.relay.idle();
      for (const one of both) one.faults.length = 0;
      await until(async () => (await both[0].relay.sweep(0)) === 0, 'the sweeper to find nothing');
      const { seq } = (await both[0].things.get(id))!;
      const inOrder = upTo(seq).join();
      if ((await published(both[0], id)).join() !== inOrder) throw new Error(`history ${await published(both[0], id)}`);
      await until(() => heard.get(topicOf(id))!.length >= seq, 'the listener');
      if (heard.get(topicOf(id))!.join() !== inOrder) throw new Error(`heard ${heard.get(topicOf(id))}`);
      if ((await both[1].things.outboxOf(id)).length > 0) throw new Error('something is left');
      both[1].bus.unsubscribe(topicOf(id));
    });
    await t.resolves(fc.assert(property, { numRuns: 40 }));
  },
);
