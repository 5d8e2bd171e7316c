/**
 * Events of other systems (an order service, a notification service) reach the subscribers of their topic on all nodes: ordered
 * and remembered like any other, and once, because the topic's history knows their ids (docs/decisions/0003).
 */
import { fromBinary } from '@bufbuild/protobuf';
import { topic as topicRule, userId } from '../domain/names.ts';
import { invalidInput, RideError } from '../errors.ts';
import type { Bus } from '../ports/bus.ts';
import type { EventIntake, InboundRecord, Taken } from '../ports/event-intake.ts';
import { NOTIFICATION_EVENTS, ORDER_EVENTS } from '../ports/event-sink.ts';
import { encodeEnvelope } from './envelope.ts';
import { OUR_SOURCE } from './event-sink.ts';
import { type DomainEvent, DomainEventSchema } from './generated/ride/v1/events_pb.js';
import type { Lamport } from './lamport.ts';
import type { ServerPayload } from './payload.ts';

/** The topics that are read. */
export const INTAKE_TOPICS = [ORDER_EVENTS, NOTIFICATION_EVENTS] as const;

export interface EventIntakeOptions {
  bus: Pick<Bus, 'publishOrdered'>;
  lamport: Lamport;
  nodeId: string;
  region: string;
  onTaken(topic: string, taken: Taken): void;
}

const MAX_ID = 128;
const MAX_TEXT = 2000;
const PRINTABLE = /^[\x21-\x7e]{1,128}$/;

function decode({ value }: InboundRecord): DomainEvent {
  try {
    return fromBinary(DomainEventSchema, value);
  } catch (cause) {
    throw new RideError('RIDE_MALFORMED', `not a ride.v1.DomainEvent: ${(cause as Error).message}`, { cause });
  }
}

/** @throws RideError RIDE_INVALID_INPUT */
function checked(event: DomainEvent): DomainEvent {
  if (!PRINTABLE.test(event.id)) throw invalidInput('id', `1 to ${MAX_ID} printable characters`);
  if (!PRINTABLE.test(event.key)) throw invalidInput('key', `1 to ${MAX_ID} printable characters`);
  if (event.source === '') throw invalidInput('source', 'the name of the system that says it');
  return event;
}

interface Addressed {
  topic: string;
  payload: ServerPayload;
}

function ofOrder({ key, source, payload, atMs }: DomainEvent): Addressed {
  if (payload.case !== 'tripEvent') throw invalidInput('payload', 'a trip_event on order-events');
  const { value } = payload;
  if (value.tripId !== key) throw invalidInput('trip_event.trip_id', 'the key of the event');
  if (value.type === '' || value.type.length > 64) throw invalidInput('trip_event.type', '1 to 64 characters');
  if (value.reason.length > MAX_TEXT) throw invalidInput('trip_event.reason', `at most ${MAX_TEXT} characters`);
  // The count of the trip's own events and its version are ours alone to give.
  const isOurs = source.startsWith(OUR_SOURCE);
  const seq = isOurs ? Number(value.seq) : 0;
  const version = isOurs ? Number(value.version) : 0;
  const at = Number(value.atMs || atMs);
  return { topic: `trip:${key}`, payload: { case: 'tripEvent', value: { ...value, seq, version, atMs: at } } };
}

function ofNotification({ key, payload }: DomainEvent): Addressed {
  if (payload.case !== 'notification') throw invalidInput('payload', 'a notification on notification-events');
  const { value } = payload;
  if (value.title.length > MAX_TEXT || value.body.length > MAX_TEXT) {
    throw invalidInput('notification', `texts of at most ${MAX_TEXT} characters`);
  }
  return { topic: `user:${key}`, payload: { case: 'notification', value } };
}

export function createEventIntake({ bus, lamport, nodeId, region, onTaken }: EventIntakeOptions): EventIntake {
  async function deliver(event: DomainEvent, { topic, payload }: Addressed): Promise<Taken> {
    if (!topicRule.pattern.test(topic)) throw invalidInput('key', `the id of a trip or user, ${userId.rule}`);
    const header = {
      lamport: lamport.tick(),
      nodeId,
      sequence: lamport.count(),
      eventId: event.id,
      topic,
      sentAtMs: Date.now(),
    };
    // Each event is a source of its own, with one message: so the topic's history refuses it a second time, in one step.
    const order = { source: `event:${event.id}`, seq: 1, isSingle: true };
    const outcome = await bus.publishOrdered(topic, encodeEnvelope(header, payload), order);
    return outcome === 'published' ? 'delivered' : 'repeat';
  }

  return {
    async take(record) {
      const event = checked(decode(record));
      const isOwn = event.source === `${OUR_SOURCE}${region}`;
      const addressed = record.topic === ORDER_EVENTS ? ofOrder(event) : ofNotification(event);
      const taken = isOwn ? 'own' : await deliver(event, addressed);
      onTaken(record.topic, taken);
      return taken;
    },
  };
}
