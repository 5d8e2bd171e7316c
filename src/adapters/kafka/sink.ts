/**
 * The sink on Kafka. Acknowledged by all in-sync replicas; partitioned by key as Kafka's own clients do (murmur2), so that other
 * producers of a key reach the same partition.
 *
 * The producer is not Kafka's idempotent one: a batch that failed is sent again from the disk, also by the next process, which no
 * producer id outlives. Consumers drop repeats by id, as they must anyway.
 */
import { findErrorBy, ProduceAcks, Producer, stringSerializer } from '@platformatic/kafka';
import { type RecordSink, RecordsRefused, SINK_TOPICS, type SinkRecord } from '../../ports/event-sink.ts';
import type { Logger } from '../../ports/logger.ts';
import { baseOptions, ensureTopics, type KafkaConnection, reasonOf } from './connection.ts';

export interface KafkaSinkOptions {
  connection: KafkaConnection;
  /** Topics that are missing are made with so many partitions; 0: never. */
  partitions: number;
  timeoutMs: number;
  log: Logger;
}

/**
 * What Kafka says of a record that it will not take on any other day (of a batch: of some record in it, or of its size in all). As its own
 * clients hold it (org.apache.kafka.common.errors), these are not to be retried. Everything else may pass: also what is refused for good as
 * things stand, as a login, a right or a topic's name, is refused for all records, and an operator can put it right.
 */
const NEVER_TAKEN = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD'];

const isNeverTaken = (error: unknown): boolean =>
  error instanceof Error && NEVER_TAKEN.some((id) => findErrorBy(error, 'apiId', id) !== null);

export function createKafkaSink({ connection, partitions, timeoutMs, log }: KafkaSinkOptions): RecordSink {
  const producer = new Producer<string, Buffer, string, string>({
    ...baseOptions(connection),
    timeout: timeoutMs,
    requestTimeout: timeoutMs,
    serializers: { key: stringSerializer, headerKey: stringSerializer, headerValue: stringSerializer },
  });
  let isReady = false;

  async function prepare(): Promise<void> {
    if (isReady) return;
    await ensureTopics(connection, SINK_TOPICS, partitions, log);
    isReady = true;
  }

  return {
    async send(records) {
      try {
        await prepare();
        // Said here, because the library takes no notice of it among the options of a producer that is not idempotent.
        await producer.send({ acks: ProduceAcks.ALL, messages: records.map(toMessage) });
      } catch (cause) {
        // A topic may have been there and be gone: a broker that lost its data, an operator who made it anew.
        isReady = false;
        if (isNeverTaken(cause)) throw new RecordsRefused(`Kafka: ${reasonOf(cause)}`, { cause });
        throw new Error(`Kafka: ${reasonOf(cause)}`, { cause });
      }
    },
    close: () => producer.close(true),
  };
}

const toMessage = ({ topic, key, headers, payload }: SinkRecord) => ({
  topic,
  key,
  value: payload,
  headers: { ...headers },
});
