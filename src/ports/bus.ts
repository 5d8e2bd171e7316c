/**
 * The bus between nodes: live messages of a topic, and the history from which a reader that missed some catches up. Payloads
 * are finished envelopes (binary protobuf without offset and epoch, which the topic's memory gives).
 */
import type { PublishOutcome, SourceOrder } from './publisher.ts';

export interface BusMessage {
  topic: string;
  /** 1, 2, 3, … within `epoch` for an ordered message; 0 for one without history. */
  offset: number;
  epoch: string;
  payload: Buffer;
}

export interface TopicPosition {
  /** Empty when the topic has no history. */
  epoch: string;
  offset: number;
}

export interface HistoryPage extends TopicPosition {
  /** Messages after the asked offset, in order. */
  messages: BusMessage[];
  /** False when messages between the asked offset and the first one are no longer kept. */
  complete: boolean;
}

export interface Bus {
  /** To whoever listens now. Never waits, never throws. */
  publish(topic: string, payload: Uint8Array): void;
  /** Appends to the topic's history and tells the listeners, in one step. */
  publishOrdered(topic: string, payload: Uint8Array, order?: SourceOrder): Promise<PublishOutcome>;
  /** Resolves when this node receives everything published from now on. Counted: each needs its unsubscribe. */
  subscribe(topic: string): Promise<void>;
  unsubscribe(topic: string): void;
  onMessage(listener: (message: BusMessage) => void): void;
  /** Up to `limit` messages with an offset above `sinceOffset`. */
  history(topic: string, sinceOffset: number, limit: number): Promise<HistoryPage>;
  position(topic: string): Promise<TopicPosition>;
}
