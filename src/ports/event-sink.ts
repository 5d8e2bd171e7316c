/**
 * Where events leave for other systems (document A's persistence sink, document E's topics). The store and its outbox are the
 * truth; what is here is a copy of it, at least once, in the order of each key.
 */
import type { Availability, DriverStatus } from '../domain/drivers/driver.ts';
import type { VehicleClass } from '../domain/roles.ts';
import type { OutboundMessages } from './publisher.ts';

/** Document E's topics; the names are contracts. */
export const ORDER_EVENTS = 'order-events';
export const PORTER_EVENTS = 'porter-events';
export const NOTIFICATION_EVENTS = 'notification-events';
export const CHAT_EVENTS = 'chat-events';
export const SINK_TOPICS = [ORDER_EVENTS, PORTER_EVENTS, NOTIFICATION_EVENTS, CHAT_EVENTS] as const;

/** A finished record. */
export interface SinkRecord {
  topic: string;
  /** Records of one key keep their order. */
  key: string;
  /** By which consumers drop repeats. */
  id: string;
  headers: Readonly<Record<string, string>>;
  payload: Buffer;
}

/**
 * The broker will never take some of these records, however often they come: each is too large for it, or breaks a rule of its topic.
 * Which of them, not every broker says; a record that is refused alone is one.
 */
export class RecordsRefused extends Error {
  override readonly name = 'RecordsRefused';
}

/** The way to a broker, as an adapter keeps it. */
export interface RecordSink {
  /**
   * Resolves when the broker has all of them for good (Kafka: acks of all in-sync replicas). Rejects when it may lack some; the
   * caller then sends all of them again, so consumers see repeats; with RecordsRefused only in smaller parts. Never called again before it settled or `timeoutMs` passed.
   */
  send(records: readonly SinkRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** What other systems are told: what people are, and what nobody follows. */
export interface LeavingMessages extends OutboundMessages {
  driver_changed: {
    driverId: string;
    availability: Availability;
    status: DriverStatus;
    activeTripId: string | null;
    city: string;
    vehicleClass: VehicleClass;
    at: number;
  };
}

/** Kinds of messages that leave, with the topic they leave on. */
export const LEAVES_ON = {
  trip_event: ORDER_EVENTS,
  rating_given: ORDER_EVENTS,
  location: PORTER_EVENTS,
  driver_changed: PORTER_EVENTS,
  notification: NOTIFICATION_EVENTS,
  chat_message: CHAT_EVENTS,
} as const satisfies Partial<Record<keyof LeavingMessages, string>>;

export type LeavingKind = keyof typeof LEAVES_ON;

/** An event in domain terms. */
export interface LeavingEvent<K extends LeavingKind = LeavingKind> {
  id: string;
  /** Past tense, dotted: `trip.assigned`. */
  type: string;
  /** Domain time, epoch milliseconds. */
  at: number;
  key: string;
  /** Counts the events of `key`; 0 where nobody counts. */
  seq: number;
  kind: K;
  message: LeavingMessages[K];
}

export interface EventSink {
  /**
   * Resolves when a crash of this process can no longer lose it: the broker has it, or the disk. Events of one key leave in the
   * order of the calls. Rejects with RIDE_UNAVAILABLE when neither takes it; the caller keeps it and comes again.
   */
  record<K extends LeavingKind>(event: LeavingEvent<K>): Promise<void>;
  /** What may be lost, and is when there is no room: samples. Never waits, never throws; losses are counted. */
  sample<K extends LeavingKind>(event: LeavingEvent<K>): void;
}
