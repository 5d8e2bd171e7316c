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

/** With the topic's position now. */
export interface HistoryPage extends TopicPosition {
  /** Messages after the asked place, in order, all of the topic's present epoch. */
  messages: BusMessage[];
  /**
   * Nothing that is remembered lies between the asked place and the first message. False when something there is no longer kept,
   * and when the place is in no past of the topic's: an unknown epoch, or an offset that it has not come to.
   *
   * When Redis may have lost a topic's end, the topic goes on in a new epoch. A place in the epoch before it is still in its
   * past, so who followed the topic all the time can go on; `epoch` is another one than asked for then, and who was away may
   * have missed what was lost.
   */
  complete: boolean;
}

export interface Bus {
  /** To whoever listens now. Never waits, never throws. */
  publish(topic: string, payload: Uint8Array): void;
  /** Appends to the topic's history and tells the listeners, in one step. */
  publishOrdered(topic: string, payload: Uint8Array, order?: SourceOrder): Promise<PublishOutcome>;
  /**
   * Resolves when this node receives everything published from now on. Counted: each needs its unsubscribe, also one that
   * rejected.
   */
  subscribe(topic: string): Promise<void>;
  unsubscribe(topic: string): void;
  onMessage(listener: (message: BusMessage) => void): void;
  /** Calls `listener` with topics that messages may pass by from now on, before any message that comes after such a gap. */
  onAway(listener: (topics: readonly string[]) => void): void;
  /** Calls `listener` with topics that were away and are received again. */
  onBack(listener: (topics: readonly string[]) => void): void;
  /** Up to `limit` messages that come after `since`; offset 0 without an epoch is the topic's beginning. */
  history(topic: string, since: TopicPosition, limit: number): Promise<HistoryPage>;
  /** Where a topic is, with all that this node published before. */
  position(topic: string): Promise<TopicPosition>;
  /** Those of many topics whose position is another than is said here, with the one that it is. */
  elsewhere(places: ReadonlyMap<string, TopicPosition>): Promise<Map<string, TopicPosition>>;
}
