/** Other systems on the broker: one that reads topics from their beginning, one that writes. */
import { randomUUID } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { Consumer, MessagesStreamModes, ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka';
import { type DomainEvent, DomainEventSchema } from '../../src/realtime/generated/ride/v1/events_pb.js';
import type { TestScope } from '../servers/process.ts';

export interface Read {
  topic: string;
  partition: number;
  key: string;
  headers: Record<string, string>;
  value: Buffer;
}

/** Everything on the topics, as it comes. */
export async function reader(t: TestScope, broker: string, topics: string[]): Promise<Read[]> {
  const consumer = new Consumer({
    clientId: 'test-reader',
    groupId: randomUUID(),
    bootstrapBrokers: [broker],
    maxWaitTime: 100,
    retries: true,
  });
  const stream = await consumer.consume({ topics, mode: MessagesStreamModes.EARLIEST, autocommit: false });
  const read: Read[] = [];
  stream.on('data', ({ topic, partition, key, headers, value }) => {
    const named = [...headers].map(([name, text]) => [String(name), String(text)]);
    read.push({ topic, partition, key: String(key), headers: Object.fromEntries(named), value });
  });
  t.after(() => consumer.close(true));
  return read;
}

export const eventOf = ({ value }: Read): DomainEvent => fromBinary(DomainEventSchema, value);

/** Writes to a topic; resolves when the broker has it. */
export function writer(t: TestScope, broker: string) {
  const producer = new Producer({
    clientId: 'test-writer',
    bootstrapBrokers: [broker],
    serializers: { key: stringSerializers.key },
  });
  t.after(() => producer.close(true));
  return (topic: string, key: string, value: Uint8Array) =>
    producer.send({ acks: ProduceAcks.ALL, messages: [{ topic, key, value: Buffer.from(value) }] });
}
