/**
 * What happens to sessions and topics, and the values of its label:
 * - `recovery` of a reader's place: recovered, gap; of his inbox: inbox, inbox_gap. `replayed` messages: topic, inbox
 * - `repair` of what a node may have missed: repaired, lost
 * - `reconnect` tokens: redeemed, unknown (used, expired, never given), given_back when its session could not be opened
 * - `backpressure`: held (what comes in waits), paused (nothing is read)
 * - `presence`: online, offline
 * - `ended` sessions: the code of their end, or gone when the connection ended by itself
 * - `refused` messages and connections `turned_away`: the error's code
 */
export type StreamFact =
  | 'recovery'
  | 'replayed'
  | 'repair'
  | 'reconnect'
  | 'backpressure'
  | 'presence'
  | 'ended'
  | 'refused'
  | 'turned_away';

/** What the realtime core counts; the metrics plugin turns it into Prometheus series under the documents' names. */
export interface Meter {
  sessionOpened(namespace: string): void;
  sessionClosed(namespace: string): void;
  messageIn(namespace: string, kind: string): void;
  messagesOut(namespace: string, kind: string, count: number): void;
  /** Frames that a slow reader did not get, by what was done. */
  dropped(reason: 'latest' | 'ephemeral' | 'slow_reader'): void;
  locationsKept(count: number): void;
  /** From publishing the oldest of what a topic joined in a turn to handing that out on this node, seconds. */
  fanOut(seconds: number): void;
  /** From receiving a message to its ack, seconds. */
  handled(kind: string, seconds: number): void;
  authenticationFailed(reason: string): void;
  /** @param label one of few: see StreamFact */
  stream(fact: StreamFact, label: string, count?: number): void;
  redisHit(operation: string, count?: number): void;
  /** What the watch found: positions `refused` by reason, geofence `crossing`s and `check_in` events by type, `anomaly` flags by kind. */
  watched(what: 'refused' | 'distrusted' | 'crossing' | 'check_in' | 'anomaly', label: string): void;
}
