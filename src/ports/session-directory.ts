/**
 * Who is connected where, under document E's keys: `socket:user:{socketId}`, `user:socket:{userId}`, `session:{userId}`,
 * and `order:subscription:{orderId}`. Entries are leases: a node that dies stops renewing them.
 */

/** Life of an entry that is not renewed: a day, as document E has it. */
export const ENTRY_TTL_MS = 24 * 3_600_000;

export interface DirectoryEntry {
  sessionId: string;
  userId: string;
  role: string;
  namespace: string;
  nodeId: string;
  /** Epoch ms, wall. */
  connectedAt: number;
}

export interface NodeStats {
  nodeId: string;
  total: number;
  byNamespace: Record<string, number>;
  byRole: Record<string, number>;
  byCity: Record<string, number>;
}

export interface SessionDirectory {
  /** Writes are pipelined and never block a session; failures are logged and counted. */
  opened(entry: DirectoryEntry): void;
  closed(entry: DirectoryEntry): void;
  /** Gives entries of open sessions their whole life again, and writes what is lost of them. Rejects with RIDE_UNAVAILABLE. */
  keep(entries: readonly DirectoryEntry[]): Promise<void>;
  /** This node's lease and counts; call it once per interval. */
  renew(stats: NodeStats): Promise<void>;
  /** Counts of every node whose lease holds. */
  cluster(): Promise<NodeStats[]>;
  leave(nodeId: string): Promise<void>;
}
