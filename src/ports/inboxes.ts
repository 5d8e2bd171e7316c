/**
 * How far a user's own topic was delivered to any of his devices, under the key `inbox:{userId}`. What lies behind waits in the
 * topic's history for his next connection.
 */
import type { TopicPosition } from './bus.ts';

export interface Inboxes {
  /** Null when nothing was delivered yet. @throws RideError RIDE_UNAVAILABLE */
  position(userId: string): Promise<TopicPosition | null>;
  /** Never backwards within an epoch, whatever the order in which nodes say it. Never waits, never throws. */
  advance(userId: string, position: TopicPosition): void;
}
