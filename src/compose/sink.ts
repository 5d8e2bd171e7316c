/** What leaves for other systems and comes from them: the sink by its setting, the spool behind it, the consumer of Kafka. */
import { join } from 'node:path';
import { Counter, Gauge } from 'prom-client';
import type { KafkaConnection } from '../adapters/kafka/connection.ts';
import type { EventConsumer } from '../adapters/kafka/consumer.ts';
import { openTls } from '../adapters/kafka/tls.ts';
import { createPulsarSink } from '../adapters/pulsar/sink.ts';
import { claimSpools } from '../adapters/spool/folders.ts';
import { createSpooledSink, type DurableSink } from '../adapters/spool/spooled-sink.ts';
import type { EventSink, RecordSink } from '../ports/event-sink.ts';
import type { Logger } from '../ports/logger.ts';
import { createEventIntake, INTAKE_TOPICS } from '../realtime/event-intake.ts';
import { createEventSink } from '../realtime/event-sink.ts';
import type { Opened } from './opened.ts';
import type { NodeConfig, Outside } from './outside.ts';

export interface Sinks {
  /** Absent with PERSISTENCE_SINK noop. */
  sink: EventSink | undefined;
  /** Begins to take events of other systems, where there is a Kafka. */
  startConsumer(): void;
  /** No event of others is taken any more; those under way have their effect. */
  stopConsumer(): Promise<void>;
  /** What waits is on the disk. Call it when nothing sends any more. */
  close(): Promise<void>;
}

/** Large enough to make few files, small enough to give the disk back soon. */
const SEGMENT_BYTES = 8 * 1024 * 1024;

type Parts = Pick<Outside, 'registry' | 'tracing' | 'gauge' | 'bus' | 'lamport' | 'nodeId'>;

export async function openSinks(config: NodeConfig, outside: Parts, log: Logger, opened: Opened): Promise<Sinks> {
  const durable = opened.add('events that leave', await openDurable(config, outside, log), (one) => one?.close());
  const consumer = opened.add('events of others', await openConsumer(config, outside, log), (one) => one?.close());
  const sink = durable && createEventSink({ region: config.region, tracing: outside.tracing, send: durable.send, log });
  return {
    sink,
    startConsumer: () => consumer?.start(),
    stopConsumer: async () => consumer?.close(),
    close: async () => durable?.close(),
  };
}

/** @throws RideError that names a file of TLS which cannot be used */
function kafkaConnection(c: NodeConfig, log: Logger): KafkaConnection {
  const { kafkaSaslUsername: username, kafkaSaslPassword: password } = c;
  const files = { ca: c.kafkaTlsCa, cert: c.kafkaTlsCert, key: c.kafkaTlsKey };
  return {
    brokers: c.kafkaBrokers!,
    clientId: `ridestream-${c.nodeId}`,
    tls: c.kafkaTls === 'on' ? openTls(files, log) : undefined,
    sasl:
      username !== undefined && password !== undefined
        ? { mechanism: c.kafkaSaslMechanism, username, password }
        : undefined,
  };
}

/** The library is loaded only where it is used. */
async function kafkaSink(c: NodeConfig, log: Logger): Promise<RecordSink> {
  const { createKafkaSink } = await import('../adapters/kafka/sink.ts');
  return createKafkaSink({
    connection: kafkaConnection(c, log),
    partitions: c.kafkaPartitions,
    timeoutMs: c.sinkTimeout,
    log,
  });
}

const brokerOf = async (c: NodeConfig, log: Logger): Promise<RecordSink> =>
  c.persistenceSink === 'kafka'
    ? kafkaSink(c, log)
    : createPulsarSink({
        url: c.pulsarUrl!,
        namespace: c.pulsarNamespace,
        token: c.pulsarToken,
        timeoutMs: c.sinkTimeout,
      });

async function openDurable(c: NodeConfig, { registry, gauge }: Parts, log: Logger): Promise<DurableSink | undefined> {
  if (c.persistenceSink === 'noop') return undefined;
  const sink = await brokerOf(c, log);
  const outcomes = new Counter({
    name: 'realtime_sink_events_total',
    help: 'Events for other systems, by what became of them: sent, spooled (and sent later), refused, dead_letter',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const spooling = { maxBytes: c.sinkSpoolBytes, segmentBytes: SEGMENT_BYTES, log };
  const spools = await claimSpools(join(c.dataDir, 'spool'), spooling).catch(async (error: unknown) => {
    await sink.close();
    throw error;
  });
  const durable = createSpooledSink({
    sink,
    spools,
    maxBytes: c.sinkSpoolBytes,
    timeoutMs: c.sinkTimeout,
    log,
    onOutcome: (outcome, count) => outcomes.inc({ outcome }, count),
  });
  gauge('realtime_sink_spool_events', 'Events that wait on the disk for the broker', () => durable.waiting().records);
  gauge('realtime_sink_spool_bytes', 'Bytes of these', () => durable.waiting().bytes);
  gauge('realtime_sink_dead_letters', 'Events on the disk that the broker refused for good', () =>
    durable.deadLetters(),
  );
  return durable;
}

async function openConsumer(c: NodeConfig, outside: Parts, log: Logger): Promise<EventConsumer | undefined> {
  if (c.kafkaBrokers === undefined) return undefined;
  const { bus, lamport, nodeId, registry, gauge } = outside;
  const { createKafkaConsumer } = await import('../adapters/kafka/consumer.ts');
  const taken = new Counter({
    name: 'realtime_kafka_events_total',
    help: 'Events of other systems, by topic and by what became of them: delivered, repeat, own',
    labelNames: ['topic', 'outcome'],
    registers: [registry],
  });
  const consumer = createKafkaConsumer({
    connection: kafkaConnection(c, log),
    groupId: c.kafkaGroup,
    topics: INTAKE_TOPICS,
    partitions: c.kafkaPartitions,
    intake: createEventIntake({
      bus,
      lamport,
      nodeId,
      region: c.region,
      onTaken: (topic, outcome) => taken.inc({ topic, outcome }),
    }),
    deadLetters: await kafkaSink(c, log),
    onDeadLetter: (topic) => taken.inc({ topic, outcome: 'dead_letter' }),
    lagEveryMs: c.kafkaLagInterval,
    log,
  });
  new Gauge({
    name: 'realtime_kafka_consumer_lag',
    help: 'Events of other systems that this process has yet to take',
    labelNames: ['topic'],
    registers: [registry],
    collect() {
      for (const [topic, behind] of consumer.lag()) this.set({ topic }, behind);
    },
  });
  gauge(
    'realtime_kafka_consumer_lag_age_seconds',
    'Since this process measured its lag',
    () => consumer.lagAgeMs() / 1000,
  );
  gauge('realtime_kafka_consumer_partitions', 'Partitions of other systems’ events that this process reads', () =>
    consumer.partitions(),
  );
  return consumer;
}
