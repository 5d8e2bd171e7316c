/**
 * What this node keeps alive in the directory of sessions: its own lease at every tick, and the entries of its sessions, a share at
 * a tick, so that each is written several times within its life. What Redis lost of them comes back by it, too.
 */
import type { Logger } from '../ports/logger.ts';
import type { DirectoryEntry, NodeStats, SessionDirectory } from '../ports/session-directory.ts';

export interface NodeLeaseOptions {
  directory: Pick<SessionDirectory, 'renew' | 'keep'>;
  broker: { readonly size: number; stats(): NodeStats; entries(): Iterable<DirectoryEntry> };
  /** How often `tick` is called, milliseconds. */
  everyMs: number;
  /** Life of an entry that is not renewed, milliseconds. */
  entryTtlMs: number;
  log: Logger;
}

/** Rounds in the life of an entry, each of which renews all: some may fail before one ends. */
const ROUNDS = 4;
/** Entries of one round trip. */
const BATCH = 500;

export class NodeLease {
  readonly #options: NodeLeaseOptions;
  /** Where the round is; it takes in who comes and goes meanwhile. */
  #round: Iterator<DirectoryEntry> = [].values();
  #isKeeping = false;

  constructor(options: NodeLeaseOptions) {
    this.#options = options;
  }

  /** Never rejects: what failed is tried again by a later tick. */
  async tick(): Promise<void> {
    const { directory, broker, log } = this.#options;
    const renewed = directory
      .renew(broker.stats())
      .catch((error: unknown) => log.warn({ err: error }, 'lease of this node not renewed'));
    const kept = this.#keep().catch((error: unknown) => log.warn({ err: error }, 'entries of sessions not renewed'));
    await Promise.all([renewed, kept]);
  }

  /** The next share of the round, batch by batch. */
  async #keep(): Promise<void> {
    if (this.#isKeeping) return;
    this.#isKeeping = true;
    try {
      const { directory, broker, everyMs, entryTtlMs } = this.#options;
      let left = Math.min(broker.size, Math.ceil((broker.size * everyMs * ROUNDS) / entryTtlMs));
      while (left > 0) {
        // Taken and sent in one go: a session that closes from now on has its entry removed after this.
        const batch = this.#next(Math.min(left, BATCH));
        if (batch.length === 0) return;
        left -= batch.length;
        await directory.keep(batch);
      }
    } finally {
      this.#isKeeping = false;
    }
  }

  /** At most so many; fewer where the round ends, none when there are no sessions. */
  #next(count: number): DirectoryEntry[] {
    const entries: DirectoryEntry[] = [];
    let next = this.#round.next();
    if (next.done) {
      this.#round = this.#options.broker.entries()[Symbol.iterator]();
      next = this.#round.next();
    }
    while (!next.done) {
      entries.push(next.value);
      if (entries.length === count) break;
      next = this.#round.next();
    }
    return entries;
  }
}
