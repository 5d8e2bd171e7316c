/** Events that leave are what the contract says, and events that come reach the readers of their topic once. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import t from 'tap';
import type { InboundRecord } from '../../src/ports/event-intake.ts';
import { LEAVES_ON, type LeavingKind } from '../../src/ports/event-sink.ts';
import { createEventIntake } from '../../src/realtime/event-intake.ts';
import { encodeRecord } from '../../src/realtime/event-sink.ts';
import { DomainEventSchema } from '../../src/realtime/generated/ride/v1/events_pb.js';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { createLamport } from '../../src/realtime/lamport.ts';
import { leavingMessages } from '../../src/realtime/leaving.ts';
import { startRedis } from '../servers/redis.ts';
import { realtimeNode } from './node.ts';

t.test('every kind that leaves is a payload of DomainEvent, and the reverse', async (t) => {
  const cases = DomainEventSchema.oneofs[0]!.fields.map((field) => field.name);
  t.same(Object.keys(LEAVES_ON).sort(), [...cases].sort());
  for (const kind of Object.keys(LEAVES_ON) as LeavingKind[]) {
    const message = leavingMessages[kind].example;
    const event = { id: 'evt_1', type: 'thing.happened', at: 1_421_322_004_190, key: 'key-1', seq: 7, kind, message };
    const record = encodeRecord(event, 'nyc');
    t.equal(record.topic, LEAVES_ON[kind]);
    t.equal(record.key, 'key-1');
    t.match(record.headers, {
      ce_specversion: '1.0',
      ce_id: 'evt_1',
      ce_source: 'ridestream/nyc',
      ce_type: 'ride.v1.thing.happened',
      ce_subject: 'key-1',
      ce_time: '2015-01-15T11:40:04.190Z',
      'content-type': 'application/protobuf',
    });
    const decoded = fromBinary(DomainEventSchema, record.payload);
    t.match(decoded, { id: 'evt_1', type: 'thing.happened', key: 'key-1', source: 'ridestream/nyc', seq: 7n });
    t.equal(decoded.atMs, 1_421_322_004_190n);
    const { case: name } = leavingMessages[kind].toWire(message as never);
    t.equal(decoded.payload.case, name);
    t.notOk(decoded.$unknown, 'nothing that the contract does not know');
  }
});

type Init = MessageInitShape<typeof DomainEventSchema>;

const order = (more: Init = {}): Init => ({
  id: 'orders-1',
  type: 'order.packed',
  key: 'trip-1',
  source: 'orders',
  atMs: 5n,
  payload: { case: 'tripEvent', value: { tripId: 'trip-1', type: 'packed', status: 'assigned', seq: 4n, version: 9n } },
  ...more,
});

const record = (init: Init, topic = 'order-events'): InboundRecord => ({
  topic,
  partition: 0,
  offset: '1',
  key: init.key ?? '',
  value: Buffer.from(toBinary(DomainEventSchema, create(DomainEventSchema, init))),
});

t.test('an event names the call that it came from, and the trace of its caller, where there is one', async (t) => {
  const message = leavingMessages.trip_event.example;
  const event = { id: 'e', type: 'trip.assigned', at: 1, key: 'k', seq: 1, kind: 'trip_event' as const, message };
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const headersOf = (trace?: Parameters<typeof encodeRecord>[2]) =>
    Object.entries(encodeRecord(event, 'nyc', trace).headers).filter(([name]) => /trace|correlation/.test(name));
  t.same(headersOf(), []);
  t.same(headersOf({ corrId: 'c' }), [['ce_correlationid', 'c']]);
  t.same(Object.fromEntries(headersOf({ corrId: '', traceparent, tracestate: 'a=1' })), {
    ...{ traceparent, ce_traceparent: traceparent },
    ...{ tracestate: 'a=1', ce_tracestate: 'a=1' },
  });
});

t.test('on the way in', async (t) => {
  const { url } = await startRedis(t);
  const { bus } = await realtimeNode(t, url);
  const outcomes: string[] = [];
  const intake = createEventIntake({
    bus,
    lamport: createLamport(),
    nodeId: 'n1',
    region: 'nyc',
    onTaken: (topic, taken) => outcomes.push(`${topic} ${taken}`),
  });
  const historyOf = async (topic: string) => {
    const { messages } = await bus.history(topic, { epoch: '', offset: 0 }, 100);
    return messages.map(({ payload }) => fromBinary(ServerEnvelopeSchema, payload));
  };

  t.test(
    'an event of an order is told on its trip, once, without a count or version that is ours to give',
    async (t) => {
      t.equal(await intake.take(record(order())), 'delivered');
      t.equal(await intake.take(record(order())), 'repeat');
      t.equal(await intake.take(record(order({ id: 'orders-2' }))), 'delivered');
      const told = await historyOf('trip:trip-1');
      t.same(
        told.map(({ eventId }) => eventId),
        ['orders-1', 'orders-2'],
      );
      t.match(told[0]!.payload, { case: 'tripEvent', value: { type: 'packed', seq: 0n, version: 0n, atMs: 5n } });
      t.same(outcomes, ['order-events delivered', 'order-events repeat', 'order-events delivered']);
    },
  );

  t.test('a notification waits for its user', async (t) => {
    const value = { id: 'n1', title: 'Hello', body: 'It is there.', tripId: 'trip-1' };
    const event: Init = {
      id: 'ntf-1',
      type: 'notification.sent',
      key: 'rider-1',
      source: 'notes',
      payload: { case: 'notification', value },
    };
    t.equal(await intake.take(record(event, 'notification-events')), 'delivered');
    t.match((await historyOf('user:rider-1'))[0]!.payload.value, value);
  });

  t.test('what this region said itself was told already; another region’s is told, with its count', async (t) => {
    const ours = {
      key: 'trip-9',
      payload: { case: 'tripEvent', value: { tripId: 'trip-9', type: 'started', seq: 4n } },
    } as const;
    t.equal(await intake.take(record(order({ ...ours, source: 'ridestream/nyc' }))), 'own');
    t.equal((await historyOf('trip:trip-9')).length, 0);
    t.equal(await intake.take(record(order({ ...ours, source: 'ridestream/sfo' }))), 'delivered');
    t.match((await historyOf('trip:trip-9'))[0]!.payload.value, { seq: 4n });
  });

  t.test('what can never have an effect is refused for good', async (t) => {
    const poison: [InboundRecord, RegExp][] = [
      [{ ...record(order()), value: Buffer.from('{"not":"protobuf"}') }, /RIDE_MALFORMED/],
      [record(order({ id: '' })), /id must be/],
      [record(order({ id: 'with space' })), /id must be/],
      [record(order({ key: '' })), /key must be/],
      [
        record(order({ key: 'x{y}', payload: { case: 'tripEvent', value: { tripId: 'x{y}', type: 'packed' } } })),
        /key must/,
      ],
      [record(order({ source: '' })), /source must be/],
      [record(order({ payload: { case: undefined } })), /payload must be/],
      [record(order({ key: 'another' })), /trip_event.trip_id must be/],
      [record(order({ payload: { case: 'tripEvent', value: { tripId: 'trip-1' } } })), /trip_event.type must be/],
      [record(order(), 'notification-events'), /payload must be/],
    ];
    for (const [bad, reason] of poison) {
      const error = await intake.take(bad).then(
        () => null,
        (cause: unknown) => cause as { code: string; message: string; spec: { retryable: boolean } },
      );
      t.match(`${error?.code} ${error?.message}`, reason);
      t.equal(error?.spec.retryable, false);
    }
  });
});
t.end();
