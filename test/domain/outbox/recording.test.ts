/**
 * What the relay hands to other systems, over a real store and a real Redis: nothing leaves the outbox before it was handed over,
 * and whoever hands it over, the first arrivals of a document's events are in the order of seq.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createRelay, type Relay } from '../../../src/domain/outbox/relay.ts';
import type { Collection, OutboxEvent, StoredDocument } from '../../../src/ports/store.ts';
import { createStoreAt, type Place } from '../../conformance/store/place.ts';
import { note, quiet, realtimeNode } from '../../realtime/node.ts';
import { ownStore } from '../../servers/own-store.ts';
import { startRedis } from '../../servers/redis.ts';
import { until } from '../../until.ts';

interface Thing extends StoredDocument {
  seq: number;
}

/** A broker of all nodes: takes each record after a while, or refuses it; each node's records in the order of its calls. */
class Log {
  readonly arrived: string[] = [];
  /** How many milliseconds the next take, and whether they fail; then at once. */
  readonly plan: { ms: number; fails: boolean }[] = [];
  isAway = false;

  async take(id: string, before: Promise<unknown>): Promise<void> {
    const { ms, fails } = this.plan.shift() ?? { ms: 0, fails: false };
    await before;
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (fails || this.isAway) throw new Error('not taken');
    this.arrived.push(id);
  }

  /** Of a document, each once. */
  first(documentId: string): number[] {
    const ids = [...new Set(this.arrived)].filter((id) => id.startsWith(`${documentId}/`));
    return ids.map((id) => Number(id.split('/')[1]));
  }
}

interface Node {
  things: Collection<Thing>;
  relay: Relay;
  published: string[];
}

async function node(t: Test, redisUrl: string, place: Place, log: Log): Promise<Node> {
  const { bus } = await realtimeNode(t, redisUrl);
  const store = await createStoreAt(place);
  const things = store.collection<Thing>({ name: 'things', indexes: [] });
  await store.open();
  t.after(() => store.close());
  const published: string[] = [];
  let last: Promise<unknown> = Promise.resolve();
  const relay = createRelay(
    things,
    {
      async publish(id, event, restart) {
        const topic = `trip:${id}`;
        const outcome = await bus.publishOrdered(topic, note(topic, event.id), { source: id, seq: event.seq, restart });
        published.push(event.id);
        return outcome;
      },
      react: async () => {},
      record(_id, event) {
        const mine = log.take(event.id, last);
        last = mine.catch(() => {});
        return mine;
      },
    },
    { now: () => Number.MAX_SAFE_INTEGER, toWallMs: (ms) => ms },
    quiet,
  );
  return { things, relay, published };
}

async function nodes(t: Test, log: Log, count: number): Promise<Node[]> {
  const { url } = await startRedis(t);
  const place = await ownStore(t);
  const all: Node[] = [];
  for (let i = 0; i < count; i++) all.push(await node(t, url, place, log));
  return all;
}

const eventOf = (id: string, seq: number): OutboxEvent => ({
  id: `${id}/${seq}`,
  seq,
  type: 'thing.changed',
  at: seq,
  data: {},
});

const thing = (id: string): Thing => ({ id, region: 'r', createdAt: 1, version: 1, seq: 1 });

async function create({ things }: Node, id: string): Promise<OutboxEvent> {
  await things.insert(thing(id), [eventOf(id, 1)]);
  return eventOf(id, 1);
}

async function change({ things }: Node, id: string): Promise<OutboxEvent> {
  for (;;) {
    const thing = (await things.get(id))!;
    const event = eventOf(id, thing.seq + 1);
    if (await things.compareAndSet({ ...thing, version: thing.version + 1, seq: event.seq }, [event])) return event;
  }
}

t.test(
  'people are told while the broker is slow, and the outbox keeps the event until the broker has it',
  async (t) => {
    const log = new Log();
    const [a] = (await nodes(t, log, 1)) as [Node];
    const gate = Promise.withResolvers<void>();
    log.take = async (id) => {
      await gate.promise;
      log.arrived.push(id);
    };
    a.relay.kick('x', [await create(a, 'x')]);
    a.relay.kick('x', [await change(a, 'x')]);
    await until(() => a.published.length === 2, 'both to be told');
    t.same(log.arrived, []);
    t.equal((await a.things.outboxOf('x')).length, 2);
    gate.resolve();
    await a.relay.idle();
    t.same(log.arrived, ['x/1', 'x/2']);
    t.same(await a.things.outboxOf('x'), []);
  },
);

t.test('what the sink refuses stays in the outbox for the sweeper', async (t) => {
  const log = new Log();
  const [a] = (await nodes(t, log, 1)) as [Node];
  log.isAway = true;
  a.relay.kick('x', [await create(a, 'x')]);
  await a.relay.idle();
  t.same(a.published, ['x/1']);
  t.equal((await a.things.outboxOf('x')).length, 1);
  log.isAway = false;
  await a.relay.sweep(0);
  await a.relay.idle();
  t.same(log.arrived, ['x/1']);
  t.same(await a.things.outboxOf('x'), []);
});

t.test('documents that the sink refuses keep no other from the sweeper', async (t) => {
  const log = new Log();
  const [a] = (await nodes(t, log, 1)) as [Node];
  log.isAway = true;
  // More than one sweep takes; of some the dates are the same.
  for (let n = 0; n < 450; n++) await a.things.insert(thing(`x${n}`), [{ ...eventOf(`x${n}`, 1), at: 1 + (n >> 1) }]);
  await a.things.insert(thing('late'), [{ ...eventOf('late', 1), at: 1000 }]);
  const told = (): number => new Set(a.published).size;
  let sweeps = 0;
  for (; told() < 451 && sweeps < 10; sweeps++) {
    await a.relay.sweep(0);
    await a.relay.idle();
  }
  t.equal(told(), 451);
  t.equal(sweeps, 3, 'each sweep goes on where the one before ended');
  log.isAway = false;
  for (let left = 1; left > 0; ) {
    left = await a.relay.sweep(0);
    await a.relay.idle();
  }
  t.equal(new Set(log.arrived).size, 451, 'and begins anew behind the last');
});

t.test('more documents of one date than a sweep takes', async (t) => {
  const log = new Log();
  const [a] = (await nodes(t, log, 1)) as [Node];
  for (let n = 0; n < 250; n++) await a.things.insert(thing(`x${n}`), [eventOf(`x${n}`, 1)]);
  for (let left = 1; left > 0; ) {
    left = await a.relay.sweep(0);
    await a.relay.idle();
  }
  t.equal(log.arrived.length, 250);
});

t.test('what another node has yet to hand over goes first', async (t) => {
  const log = new Log();
  const [a, b] = (await nodes(t, log, 2)) as [Node, Node];
  const gate = Promise.withResolvers<void>();
  const usual = log.take.bind(log);
  log.take = async (id) => {
    log.take = usual;
    await gate.promise;
    log.arrived.push(id);
  };
  a.relay.kick('x', [await create(a, 'x')]);
  await until(() => log.take === usual, 'the first to be on its way');
  b.relay.kick('x', [await change(b, 'x')]);
  await b.relay.idle();
  t.same(log.arrived, ['x/1', 'x/2']);
  gate.resolve();
  await a.relay.idle();
  t.same(log.arrived, ['x/1', 'x/2', 'x/1'], 'the late one is a repeat');
  t.same(await a.things.outboxOf('x'), []);
});

t.test('random writers on two nodes and a broker that is slow and fails: all arrive, in order', async (t) => {
  const log = new Log();
  const both = (await nodes(t, log, 2)) as [Node, Node];
  const step = fc.record({
    node: fc.nat(1),
    does: fc.constantFrom<'change' | 'sweep'>('change', 'change', 'change', 'sweep'),
    ms: fc.nat(6),
    fails: fc.boolean(),
    waits: fc.boolean(),
  });
  let runs = 0;
  const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
    const id = `run${++runs}`;
    both[0].relay.kick(id, [await create(both[0], id)]);
    const under: Promise<unknown>[] = [];
    for (const { node, does, ms, fails, waits } of steps) {
      const one = both[node]!;
      log.plan.push({ ms, fails });
      const done = (async () => {
        if (does === 'sweep') await one.relay.sweep(0);
        else one.relay.kick(id, [await change(one, id)]);
      })();
      under.push(done);
      if (waits) await done;
    }
    await Promise.all(under);
    for (const one of both) await one.relay.idle();
    log.plan.length = 0;
    await until(async () => {
      const left = await both[0].relay.sweep(0);
      await both[0].relay.idle();
      return left === 0;
    }, 'the sweeper to find nothing');
    const { seq } = (await both[0].things.get(id))!;
    const expected = Array.from({ length: seq }, (_, n) => n + 1).join();
    if (log.first(id).join() !== expected) throw new Error(`arrived ${log.first(id)} of ${seq}`);
  });
  await t.resolves(fc.assert(property, { numRuns: 40 }));
});
t.end();
