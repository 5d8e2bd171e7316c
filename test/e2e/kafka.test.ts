/** Two nodes on a real Kafka: what leaves, what comes, what happens while the broker is away, and when a node is. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import t, { type Test } from 'tap';
import { ensureTopics } from '../../src/adapters/kafka/connection.ts';
import { SINK_TOPICS } from '../../src/ports/event-sink.ts';
import { type DomainEvent, DomainEventSchema } from '../../src/realtime/generated/ride/v1/events_pb.js';
import { eventOf, reader, writer } from '../clients/kafka.ts';
import { readMetrics, sum } from '../clients/metrics.ts';
import { connect } from '../clients/peer.ts';
import { build, type TestServer } from '../helper.ts';
import { quiet } from '../realtime/node.ts';
import { assignedRide, type Ride } from '../scene.ts';
import { startKafka } from '../servers/kafka.ts';
import { ownDatabase, ownStore } from '../servers/own-store.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { checkLedger } from './ledger/ledger.ts';

const LIMIT_MS = 30_000;
/** Each is eight lives of a node. */
const LEDGER_RUNS = Number(process.env.LEDGER_RUNS ?? 1);

const kafka = await startKafka(t);
t.test('Kafka', { skip: 'skip' in kafka ? kafka.skip : false }, async (t) => {
  if ('skip' in kafka) return;
  const { broker } = kafka;
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-kafka-e2e-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const redis = await startRedis(t, { appendOnly: true });
  const env = {
    REDIS_URL: redis.url,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    ...ownDatabase(t),
    PERSISTENCE_SINK: 'kafka',
    KAFKA_BROKERS: broker,
    KAFKA_PARTITIONS: '4',
    KAFKA_LAG_INTERVAL: '1s',
    SINK_TIMEOUT: '2s',
    // Peers of this test wait longer than they talk.
    HEARTBEAT_TIMEOUT: '2m',
    SWEEP_INTERVAL: '500ms',
    SWEEP_AGE: '500ms',
  };
  await ensureTopics({ brokers: [broker], clientId: 'test' }, SINK_TOPICS, 4, quiet);
  const [a, b] = [await build(t, { env }), await build(t, { env })];
  const nodes: TestServer[] = [a, b];
  const write = writer(t, broker);
  const value = async (node: TestServer, name: string, labels = {}): Promise<number> =>
    sum(await readMetrics(node.at.metrics), name, labels);

  const onAll = async (name: string, labels = {}): Promise<number> => {
    const values = await Promise.all(nodes.map((node) => value(node, name, labels)));
    return values.reduce((total, one) => total + one);
  };

  const packed = (tripId: string, id: string, more = {}) =>
    toBinary(
      DomainEventSchema,
      create(DomainEventSchema, {
        id,
        type: 'order.packed',
        key: tripId,
        source: 'orders',
        atMs: 1n,
        payload: { case: 'tripEvent', value: { tripId, type: 'packed', status: 'assigned' } },
        ...more,
      }),
    );

  const orders = await reader(t, broker, [...SINK_TOPICS]);
  /** What other systems know of a trip when they drop repeats. */
  function ofTrip(id: string): DomainEvent[] {
    const events = orders.filter(({ key }) => key === id).map(eventOf);
    return [...new Map(events.map((event) => [event.id, event])).values()];
  }

  /** The trip's story in the store and on the topic, by event id; repeats on the topic count once. */
  async function sameStory(t: Test, ride: Ride): Promise<void> {
    const history = await a.rest('GET', `/api/v1/trips/${ride.id}/events`, ride.rider.token);
    const ids: string[] = history.body.items.map(({ id }: { id: string }) => id);
    const isOwn = ({ source, payload }: DomainEvent) => source !== 'orders' && payload.case === 'tripEvent';
    const onTopic = () =>
      ofTrip(ride.id)
        .filter(isOwn)
        .map(({ id }) => id);
    await until(() => onTopic().length >= ids.length, `${ids.length} events of ${ride.id} on the topic`, LIMIT_MS);
    t.same(onTopic(), ids, 'the topic tells the story of the store, in its order');
  }

  await t.test('a trip, its chat and positions of its driver leave: keyed, in order, each event once', async (t) => {
    const ride = await assignedRide(t, a);
    for (const step of ['arrive', 'start', 'complete'] as const) {
      if (step === 'arrive')
        await ride.driver.peer.ask({ chat_send: { trip_id: ride.id, message_id: 'm1', text: 'Here I am' } });
      await ride.step(step);
    }
    await sameStory(t, ride);
    const events = ofTrip(ride.id).filter(({ payload }) => payload.case === 'tripEvent');
    t.same(
      events.map(({ type }) => type),
      ['requested', 'offered', 'assigned', 'driver_arrived', 'started', 'completed'].map((type) => `trip.${type}`),
    );
    t.same(
      events.map(({ seq }) => Number(seq)),
      [1, 2, 3, 4, 5, 6],
    );
    t.match(events[2], {
      source: 'ridestream/test',
      payload: { value: { tripId: ride.id, driverId: ride.driver.id } },
    });
    const [first] = orders.filter(({ key }) => key === ride.id);
    t.match(first?.headers, { ce_specversion: '1.0', ce_type: 'ride.v1.trip.requested', ce_subject: ride.id });
    t.match(first?.headers, { ce_correlationid: /^[0-9a-f]{32}$/ }, 'of the request that it came from');
    t.equal(
      new Set(
        orders
          .filter(({ key, topic }) => key === ride.id && topic === 'order-events')
          .map(({ partition }) => partition),
      ).size,
      1,
    );
    await until(
      () => ofTrip(ride.id).some(({ payload }) => payload.case === 'chatMessage'),
      'the chat on its topic',
      LIMIT_MS,
    );
    const ofDriver = () =>
      orders.filter(({ topic, key }) => topic === 'porter-events' && key === ride.driver.id).map(eventOf);
    const sample = () => ofDriver().find(({ payload }) => payload.case === 'location');
    await until(() => sample() !== undefined, 'a position of the driver', LIMIT_MS);
    const changes = () => {
      const known = new Map(ofDriver().map((event) => [event.id, event]));
      return [...known.values()].filter(({ payload }) => payload.case === 'driverChanged');
    };
    await until(() => changes().length >= 3, 'his availability', LIMIT_MS);
    t.same(
      changes().map(({ type, seq }) => [type, Number(seq)]),
      [
        ['driver.became_available', 1],
        ['driver.took_trip', 2],
        ['driver.became_available', 3],
      ],
    );
    t.match(changes()[1], {
      payload: { value: { availability: 'on_trip', activeTripId: ride.id, status: 'looking' } },
    });
    t.match(sample(), {
      type: 'location.sampled',
      payload: { case: 'location', value: { driverId: ride.driver.id, stale: false } },
    });
    const isReceipt = ({ topic, key }: { topic: string; key: string }) =>
      topic === 'notification-events' && key === ride.rider.id;
    await until(() => orders.some(isReceipt), 'the receipt that the rider was sent', LIMIT_MS);
    t.match(eventOf(orders.find(isReceipt)!), {
      type: 'notification.sent',
      payload: { case: 'notification', value: { tripId: ride.id, title: 'Receipt' } },
    });
  });

  await t.test('an order event of another system reaches the sockets of all nodes, once', async (t) => {
    const ride = await assignedRide(t, a);
    const peers = await Promise.all(nodes.map((node) => connect(t, node.at, 'websocket-json', ride.rider.token)));
    for (const peer of peers) await peer.ask({ subscribe: { topic: `order:${ride.id}` } });
    await write('order-events', ride.id, packed(ride.id, 'orders-1'));
    await write('order-events', ride.id, packed(ride.id, 'orders-1'));
    await write('order-events', ride.id, packed(ride.id, 'orders-2'));
    for (const peer of peers) {
      await peer.inbox.find((m) => m.event_id === 'orders-2', 'the second event');
      const got = peer.inbox.all.filter((m) => m.trip_event?.type === 'packed').map((m) => m.event_id);
      t.same(got, ['orders-1', 'orders-2']);
    }
    t.ok((await onAll('realtime_kafka_events_total', { outcome: 'repeat' })) >= 1, 'the second time it is known');
    const isOwnTaken = async () => (await onAll('realtime_kafka_events_total', { outcome: 'own' })) >= 6;
    await until(isOwnTaken, 'what these nodes said themselves to be passed over', LIMIT_MS);
    await until(async () => (await onAll('realtime_kafka_consumer_lag')) === 0, 'the lag to be none', LIMIT_MS);
    t.equal(await onAll('realtime_kafka_consumer_partitions'), 8, 'the partitions of both topics are read');
    t.ok((await onAll('realtime_kafka_consumer_lag_age_seconds')) < 60, 'the lag is measured');
  });

  await t.test('what is no event goes to the dead letters, and what comes behind it goes on', async (t) => {
    const dead = await reader(t, broker, ['order-events.dead-letters']);
    const ride = await assignedRide(t, b);
    const peer = await connect(t, a.at, 'websocket-json', ride.rider.token);
    await peer.ask({ subscribe: { topic: `trip:${ride.id}` } });
    await write('order-events', ride.id, Buffer.from('poison'));
    await write('order-events', ride.id, packed('another', 'orders-3'));
    await write('order-events', ride.id, packed(ride.id, 'orders-4'));
    await peer.inbox.find((m) => m.event_id === 'orders-4', 'the event behind the poison');
    await until(() => dead.length >= 1, 'the dead letter', LIMIT_MS);
    t.equal(dead[0]!.value.toString(), 'poison');
    t.equal(dead[0]!.key, ride.id);
    t.match(dead[0]!.headers, {
      'x-dead-letter-topic': 'order-events',
      'x-dead-letter-group': 'realtime-gateway-group',
      'x-dead-letter-reason': /DomainEvent/,
      'x-dead-letter-offset': /^\d+$/,
    });
  });

  await t.test('a node is killed anywhere between the store and the broker: the ledger has no gap', async (t) => {
    const place = { broker, redisUrl: redis.url, store: await ownStore(t), folder };
    await checkLedger(t, place, LEDGER_RUNS, async (id, count) => {
      const seqs = () => ofTrip(id).map(({ seq }) => Number(seq));
      await until(() => seqs().length >= count, `${count} events of ${id}`, LIMIT_MS);
      return seqs();
    });
  });

  await t.test('a node that ends leaves its partitions to the other: nothing is lost', async (t) => {
    const rides = [
      await assignedRide(t, a),
      await assignedRide(t, a),
      await assignedRide(t, a),
      await assignedRide(t, a),
    ];
    const peers = await Promise.all(rides.map(({ rider }) => connect(t, a.at, 'websocket-json', rider.token)));
    for (const [n, peer] of peers.entries()) await peer.ask({ subscribe: { topic: `trip:${rides[n]!.id}` } });
    await b.stop();
    for (const { id } of rides) await write('order-events', id, packed(id, `after-${id}`));
    for (const [n, peer] of peers.entries()) {
      const isTold = () => peer.inbox.all.some((m) => m.event_id === `after-${rides[n]!.id}`);
      await until(isTold, 'its event', LIMIT_MS);
    }
  });

  await t.test('the broker is killed: rides go on, their events wait on the disk and follow in order', async (t) => {
    const before = await assignedRide(t, a);
    await sameStory(t, before);
    await kafka.kill();
    await before.step('arrive');
    const during = await assignedRide(t, a);
    for (const step of ['arrive', 'start', 'complete'] as const) await during.step(step);
    await until(async () => (await value(a, 'realtime_sink_spool_events')) >= 7, 'the spool', LIMIT_MS);
    t.ok((await value(a, 'realtime_sink_spool_bytes')) > 0);
    t.equal(await value(a, 'realtime_sink_events_total', { outcome: 'refused' }), 0);
    await kafka.restart();
    await before.step('start');
    await until(async () => (await value(a, 'realtime_sink_spool_events')) === 0, 'the spool to be sent', LIMIT_MS);
    await sameStory(t, before);
    await sameStory(t, during);
    const peer = await connect(t, a.at, 'websocket-json', before.rider.token);
    await peer.ask({ subscribe: { topic: `trip:${before.id}` } });
    await write('order-events', before.id, packed(before.id, 'orders-back'));
    // The group first has to miss the member that could not say farewell.
    await until(
      () => peer.inbox.all.some((m) => m.event_id === 'orders-back'),
      'what comes to be taken again',
      LIMIT_MS,
    );
  });

  await t.test('Redis is away: what comes waits in Kafka, is seen as lag, and follows', async (t) => {
    const ride = await assignedRide(t, a);
    const peer = await connect(t, a.at, 'websocket-json', ride.rider.token);
    await peer.ask({ subscribe: { topic: `trip:${ride.id}` } });
    await redis.stop();
    for (let n = 0; n < 5; n++) await write('order-events', ride.id, packed(ride.id, `waiting-${n}`));
    await until(async () => (await value(a, 'realtime_kafka_consumer_lag')) >= 5, 'the lag', LIMIT_MS);
    await redis.restart();
    await until(() => peer.inbox.all.some((m) => m.event_id === 'waiting-4'), 'the last that waited', LIMIT_MS);
    const told = peer.inbox.all.filter((m) => m.trip_event?.type === 'packed').map((m) => m.event_id);
    t.same(
      [...new Set(told)],
      [0, 1, 2, 3, 4].map((n) => `waiting-${n}`),
    );
    await until(async () => (await value(a, 'realtime_kafka_consumer_lag')) === 0, 'no lag', LIMIT_MS);
  });
});
