/** The publisher port on the bus: a message in domain terms becomes one encoded envelope for all its readers. */
import type { Bus } from '../ports/bus.ts';
import type { OutboundKind, OutboundMessages, Publisher } from '../ports/publisher.ts';
import { encodeEnvelope } from './envelope.ts';
import type { Lamport } from './lamport.ts';
import { serverMessages } from './messages/index.ts';

export interface PublisherOptions {
  bus: Bus;
  lamport: Lamport;
  nodeId: string;
}

export function createPublisher({ bus, lamport, nodeId }: PublisherOptions): Publisher {
  function encode<K extends OutboundKind>(
    topic: string,
    kind: K,
    message: OutboundMessages[K],
    eventId: string,
  ): Buffer {
    const header = { lamport: lamport.tick(), nodeId, sequence: lamport.count(), eventId, topic, sentAtMs: Date.now() };
    return encodeEnvelope(header, serverMessages[kind].toWire(message));
  }

  return {
    publishOrdered: (topic, kind, message, eventId, order) =>
      bus.publishOrdered(topic, encode(topic, kind, message, eventId), order),
    publishLatest(topic, kind, message, eventId = '') {
      bus.publish(topic, encode(topic, kind, message, eventId));
    },
  };
}
