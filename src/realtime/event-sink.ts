/**
 * Events in domain terms become records: CloudEvents in the binary mode of its Kafka binding, whose data is one
 * ride.v1.DomainEvent (proto/ride/v1/events.proto).
 */
import {
  type EventSink,
  LEAVES_ON,
  type LeavingEvent,
  type LeavingKind,
  type SinkRecord,
} from '../ports/event-sink.ts';
import type { Logger } from '../ports/logger.ts';
import type { Trace, Tracing } from '../ports/tracing.ts';
import { writeDomainEvent } from './generated/server-envelope.ts';
import { leavingMessages } from './leaving.ts';
import { Writer } from './wire.ts';

/** Before the region in `source`: a server of ours. */
export const OUR_SOURCE = 'ridestream/';

const writer = new Writer();

/**
 * Of whom it came from. `traceparent` by CloudEvents' extension for distributed tracing, and by the name that tracers of Kafka look for.
 */
const traceHeaders = ({ corrId, traceparent, tracestate }: Trace): Record<string, string> => ({
  ...(corrId ? { ce_correlationid: corrId } : {}),
  ...(traceparent ? { traceparent, ce_traceparent: traceparent } : {}),
  ...(tracestate ? { tracestate, ce_tracestate: tracestate } : {}),
});

export function encodeRecord<K extends LeavingKind>(
  event: LeavingEvent<K>,
  region: string,
  trace?: Trace | undefined,
): SinkRecord {
  const { id, type, at, key, seq, kind, message } = event;
  const source = `${OUR_SOURCE}${region}`;
  const payload = leavingMessages[kind].toWire(message);
  writer.reset();
  writeDomainEvent(writer, { id, type, atMs: at, key, source, seq, payload });
  return {
    topic: LEAVES_ON[kind],
    key,
    id,
    headers: {
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: source,
      ce_type: `ride.v1.${type}`,
      ce_subject: key,
      ce_time: new Date(at).toISOString(),
      'content-type': 'application/protobuf',
      ...(trace && traceHeaders(trace)),
    },
    payload: writer.finish(),
  };
}

export interface EventSinkOptions {
  region: string;
  tracing: Pick<Tracing, 'current'>;
  /** As DurableSink of the adapters. */
  send(record: SinkRecord, isSample?: boolean): Promise<void>;
  log: Logger;
}

export function createEventSink({ region, tracing, send, log }: EventSinkOptions): EventSink {
  return {
    record: (event) => send(encodeRecord(event, region, tracing.current())),
    sample(event) {
      send(encodeRecord(event, region), true).catch((error: unknown) => log.debug({ err: error }, 'sample not kept'));
    },
  };
}
