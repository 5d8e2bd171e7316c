/**
 * What a reconnect token stands for, under document E's key `reconnect:token:{token}`: who the client is and where it was in
 * its topics, so that any node can go on with its session.
 */
import type { Principal } from '../domain/roles.ts';
import type { TopicPosition } from './bus.ts';

export interface SavedSession extends Principal {
  namespace: string;
  /** Up to where the client surely has what was sent, by topic. */
  topics: Readonly<Record<string, TopicPosition>>;
}

export interface Reconnects {
  /** Resolves when any node can redeem the token. @throws RideError RIDE_UNAVAILABLE */
  create(token: string, session: SavedSession, ttlMs: number): Promise<void>;
  /**
   * Writes anew what a token stands for, unless it has been redeemed, forgotten or lost: a connection that is dead without
   * knowing it must not bring a used token back. Never waits, never throws.
   */
  update(token: string, session: SavedSession, ttlMs: number): void;
  /** Takes the token out: of several that redeem one token at once, one gets its session. @throws RideError RIDE_UNAVAILABLE */
  redeem(token: string): Promise<SavedSession | null>;
  /** The client will not come back. Never waits, never throws. */
  forget(token: string): void;
}
