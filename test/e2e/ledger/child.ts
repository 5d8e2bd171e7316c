/**
 * A node of its own for ledger.ts: the product's store, relay, spool and sink on Kafka, over documents that it changes. It kills itself
 * with SIGKILL the moment it passes the given place for the n-th time; one that never does hands over everything and ends.
 */
import { join } from 'node:path';
import { createKafkaSink } from '../../../src/adapters/kafka/sink.ts';
import { createRedisBus } from '../../../src/adapters/redis/bus.ts';
import { connectRedis } from '../../../src/adapters/redis/connection.ts';
import { withScripts } from '../../../src/adapters/redis/scripts.ts';
import { claimSpools } from '../../../src/adapters/spool/folders.ts';
import { createSpooledSink } from '../../../src/adapters/spool/spooled-sink.ts';
import { createTracing } from '../../../src/adapters/system/tracing.ts';
import { createRelay } from '../../../src/domain/outbox/relay.ts';
import type { EventSink } from '../../../src/ports/event-sink.ts';
import type { OutboxEvent } from '../../../src/ports/store.ts';
import { createEventSink } from '../../../src/realtime/event-sink.ts';
import { createStoreAt } from '../../conformance/store/place.ts';
import { note, quiet } from '../../realtime/node.ts';
import { until } from '../../until.ts';
import { CHANGES, IDS, type LedgerPlace, type Life, type Point, type Thing } from './ledger.ts';

const [place, life] = process.argv.slice(2).map((text) => JSON.parse(text)) as [LedgerPlace, Life];
const MAX_BYTES = 1e7;

let left = life.nth;
function pass(point: Point): void {
  if (point === life.point && --left === 0) process.kill(process.pid, 'SIGKILL');
}

async function openSink(): Promise<{ events: EventSink; idle(): boolean; close(): Promise<void> }> {
  const connection = { brokers: [place.broker], clientId: 'ledger' };
  const kafka = createKafkaSink({ connection, partitions: 4, timeoutMs: 10_000, log: quiet });
  let refusals = life.refusals;
  const durable = createSpooledSink({
    sink: {
      async send(records) {
        if (refusals-- > 0) throw new Error('the broker is away');
        await kafka.send(records);
        pass('sent');
      },
      close: () => kafka.close(),
    },
    spools: await claimSpools(join(place.folder, 'spool'), { maxBytes: MAX_BYTES, segmentBytes: 2000, log: quiet }),
    maxBytes: MAX_BYTES,
    timeoutMs: 10_000,
    log: quiet,
    onOutcome: (outcome) => outcome === 'spooled' && pass('spooled'),
  });
  return {
    events: createEventSink({ region: 'test', tracing: createTracing(), send: durable.send, log: quiet }),
    idle: () => durable.waiting().records === 0,
    close: () => durable.close(),
  };
}

const redis = withScripts(connectRedis({ url: place.redisUrl }, () => {}));
const bus = createRedisBus(redis, {
  url: place.redisUrl,
  historyLength: 256,
  historyTtlMs: 3_600_000,
  onError: () => {},
  log: quiet,
});
const store = await createStoreAt(place.store);
const things = store.collection<Thing>({ name: 'things', indexes: [] });
await store.open();
const sink = await openSink();

async function record(id: string, { id: eventId, at, seq }: OutboxEvent): Promise<void> {
  pass('told');
  const message = { tripId: id, messageId: eventId, senderId: 'u', senderRole: 'rider' as const, text: '', at };
  await sink.events.record({ id: eventId, type: 'chat.sent', at, key: id, seq, kind: 'chat_message', message });
  pass('recorded');
}

const relay = createRelay(
  {
    ...things,
    async acknowledge(id, eventIds) {
      await things.acknowledge(id, eventIds);
      pass('acknowledged');
    },
  },
  {
    async publish(id, event, restart) {
      const topic = `trip:${id}`;
      const outcome = await bus.publishOrdered(topic, note(topic, event.id), { source: id, seq: event.seq, restart });
      pass('published');
      return outcome;
    },
    react: async () => {},
    record,
  },
  { now: () => Number.MAX_SAFE_INTEGER, toWallMs: (ms) => ms },
  quiet,
);

/** Like a use case: one write with its event, and the relay is told. */
async function change(id: string): Promise<void> {
  const before = await things.get(id);
  const seq = (before?.seq ?? 0) + 1;
  const event: OutboxEvent = { id: `${id}/${seq}`, seq, type: 'thing.changed', at: seq, data: {} };
  const after: Thing = { id, region: 'test', createdAt: 1, version: seq, seq };
  if (before) await things.compareAndSet(after, [event]);
  else await things.insert(after, [event]);
  pass('stored');
  relay.kick(id, [event]);
}

// As a server does it: the sweeper takes up what the life before left, beside what is new.
void relay.sweep(0);
for (let n = 0; n < CHANGES; n++) await change(IDS[n % IDS.length]!);
await until(async () => {
  const pending = await relay.sweep(0);
  await relay.idle();
  return pending === 0 && sink.idle();
}, 'everything to be handed over');
await sink.close();
await store.close();
bus.close();
redis.disconnect();
