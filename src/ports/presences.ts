/**
 * Who is connected, over all devices and nodes. A node holds one lease for all its users: a node that dies stops renewing it,
 * and the others end the presence of its users. Nothing hangs on a farewell.
 *
 * A user is online while one node whose lease holds has him. The first join and the last leave are told, in the order in which
 * they happened, to whoever follows `presence:<userId>`.
 */
export interface PresenceState {
  userId: string;
  online: boolean;
  /** Of one who is offline: when he was last connected, epoch ms (wall); null when he never was, or long ago. */
  lastSeenMs: number | null;
}

export interface Leaving {
  userId: string;
  /** When his last session ended, epoch ms (wall). */
  seenMs: number;
}

export interface Presences {
  /**
   * These users have sessions on this node. Safe to repeat. Resolves whose record could not be written while others' could: to be
   * repeated for them. Rejects with RIDE_UNAVAILABLE when nobody's was; then repeat it.
   */
  join(userIds: readonly string[]): Promise<string[]>;
  /** These have none here any more. Otherwise the same. */
  leave(leaving: readonly Leaving[]): Promise<string[]>;
  /**
   * Holds this node's lease; call it several times a lease. False when the lease had run out and others ended the presence of
   * this node's users: all of them have to join again.
   */
  renew(): Promise<boolean>;
  /** Ends the presence of users whose nodes let their lease run out. Returns how many nodes that were. */
  sweep(): Promise<number>;
  /** Some of the users that are on record as being on this node; once around is all of them. For finding what was lost. */
  recorded(): Promise<string[]>;
  /** This node stops: its lease runs out in `afterMs`, so that users who come back elsewhere in time never were away. */
  retire(afterMs: number): Promise<void>;
  read(userId: string): Promise<PresenceState>;
}
