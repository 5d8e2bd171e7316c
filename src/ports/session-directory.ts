/**
 * Who is connected where, and follows which trip, under the keys of documents C and E: `socket:user:{socketId}`,
 * `user:socket:{userId}`, `session:{userId}` and `order:subscription:{orderId}`; docs/redis.md lists them. Entries are leases: a
 * node that dies stops renewing them.
 */

export interface DirectoryEntry {
  sessionId: string;
  userId: string;
  role: string;
  namespace: string;
  nodeId: string;
  /** Epoch ms, wall. */
  connectedAt: number;
  /** Wall time at which the sign-in ends, epoch ms. */
  expiresAt: number;
  /** Of the access token, see Principal; empty when none is known. */
  tokenHash: string;
  /** The trips that the session follows. */
  tripIds: readonly string[];
}

export interface NodeStats {
  nodeId: string;
  total: number;
  byNamespace: Record<string, number>;
  byRole: Record<string, number>;
  byCity: Record<string, number>;
}

export interface SessionDirectory {
  /** Writes of one turn go out together and never block a session; failures are logged. */
  opened(entry: DirectoryEntry): void;
  closed(entry: DirectoryEntry): void;
  /** A session follows a trip, or does no more. */
  followed(tripId: string, sessionId: string): void;
  unfollowed(tripId: string, sessionId: string): void;
  /**
   * Gives entries of open sessions their whole life again, writes what is lost of them, and takes out of their users' and trips' sets
   * the sessions that a killed node left there. Rejects with RIDE_UNAVAILABLE.
   */
  keep(entries: readonly DirectoryEntry[]): Promise<void>;
  /** This node's lease and counts; call it once per interval. */
  renew(stats: NodeStats): Promise<void>;
  /** Counts of every node whose lease holds. */
  cluster(): Promise<NodeStats[]>;
  leave(nodeId: string): Promise<void>;
}
