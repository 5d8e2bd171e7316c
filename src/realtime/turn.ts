/**
 * The end of a turn of the event loop: first every topic that got something joins it and hands it to its subscribers, then
 * every session that was handed something writes. An idle server adds no delay by this, and a busy one batches by itself, the
 * longer its turns the larger its writes.
 *
 * Sessions are flushed shard by shard within a time budget; what is left goes on in the next turn, so that one big topic does
 * not keep the loop from reading.
 */
/** A session with something to write. */
export interface Flusher {
  flush(): void;
}

/** A topic with frames to hand out. */
export interface Joiner {
  join(): void;
}

export class Turn {
  readonly #budgetMs: number;
  #joiners: Joiner[] = [];
  /** Sessions to flush, by shard; a shard with none has no entry. */
  #dirty = new Map<number, Flusher[]>();
  #scheduled = false;

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs;
  }

  addJoiner(joiner: Joiner): void {
    this.#joiners.push(joiner);
    this.#schedule();
  }

  addSession(shard: number, session: Flusher): void {
    const sessions = this.#dirty.get(shard);
    if (sessions) sessions.push(session);
    else this.#dirty.set(shard, [session]);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#scheduled = false;
    this.#run(this.#budgetMs);
  };

  /** Writes everything at once, whatever the budget; for the end of the process. */
  flush(): void {
    this.#run(Number.POSITIVE_INFINITY);
  }

  #run(budgetMs: number): void {
    if (this.#joiners.length > 0) {
      const joiners = this.#joiners;
      this.#joiners = [];
      for (const joiner of joiners) joiner.join();
    }
    const deadline = performance.now() + budgetMs;
    for (const [shard, sessions] of this.#dirty) {
      // Taken out first: a session that is sent something meanwhile belongs to the next turn, behind the other shards.
      this.#dirty.delete(shard);
      for (let i = 0; i < sessions.length; i++) sessions[i]!.flush();
      if (performance.now() > deadline) break;
    }
    if (this.#dirty.size > 0) this.#schedule();
  }
}
