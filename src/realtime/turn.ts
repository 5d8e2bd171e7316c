/**
 * The end of a turn of the event loop: first every topic that got something joins it and hands it to its subscribers, then
 * every session that was handed something writes. An idle server adds no delay by this, and a busy one batches by itself, the
 * longer its turns the larger its writes.
 *
 * Sessions are flushed shard by shard within a time budget; what is left goes on in the next turn, so that one big topic does
 * not keep the loop from reading. Before them come those that hold an answer, an offer or an SOS: these wait for no big topic.
 *
 * A topic with very many followers rests as long as handing out took: it gets at most half of the loop, and the other half reads
 * what it joins next.
 */
import type { ErrorCode } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';

/** A session with something to write. */
export interface Flusher {
  flush(): void;
  close(code: ErrorCode, reason: string): void;
}

/** A topic with frames to hand out. */
export interface Joiner {
  join(): void;
}

/** Fewer writes say little about what one costs. */
const ENOUGH_WRITES = 16;
/** After so many sessions the clock is looked at. */
const SLICE = 64;
const SMOOTHING = 0.1;

export class Turn {
  readonly #budgetMs: number;
  readonly #log: Logger;
  #joiners: Joiner[] = [];
  /** Sessions to flush, by shard; a shard with none has no entry. */
  #dirty = new Map<number, Flusher[]>();
  /** Sessions that come before all of them. */
  #first: Flusher[] = [];
  #scheduled = false;
  /** What handing out to one session takes, a moving average, milliseconds. */
  #writeMs = 0;
  /** Topics that rest, and when the first of them is due (process clock, ms). */
  #resting: Joiner[] = [];
  #restTimer: NodeJS.Timeout | null = null;

  constructor(budgetMs: number, log: Logger) {
    this.#budgetMs = budgetMs;
    this.#log = log;
  }

  addJoiner(joiner: Joiner): void {
    this.#joiners.push(joiner);
    this.#schedule();
  }

  /** The topics of a rest are joined together, no earlier than the first of them asked for. */
  addResting(joiner: Joiner, restMs: number): void {
    this.#resting.push(joiner);
    this.#restTimer ??= setTimeout(this.#wake, restMs);
  }

  readonly #wake = (): void => {
    this.#restTimer = null;
    const rested = this.#resting;
    this.#resting = [];
    for (const joiner of rested) this.addJoiner(joiner);
  };

  /** How long it takes to hand something out to so many sessions, milliseconds. */
  costMs(sessions: number): number {
    return sessions * this.#writeMs;
  }

  addSession(shard: number, session: Flusher): void {
    const sessions = this.#dirty.get(shard);
    if (sessions) sessions.push(session);
    else this.#dirty.set(shard, [session]);
    this.#schedule();
  }

  addFirst(session: Flusher): void {
    this.#first.push(session);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    try {
      this.#run(this.#budgetMs);
    } finally {
      // Only now: what the end itself brings (a topic's sessions) is part of it, and needs no other.
      this.#scheduled = false;
      if (this.#joiners.length > 0 || this.#first.length > 0 || this.#dirty.size > 0) this.#schedule();
    }
  };

  /** Writes everything at once, whatever the budget; for the end of the process. */
  flush(): void {
    if (this.#restTimer !== null) clearTimeout(this.#restTimer);
    this.#wake();
    this.#run(Number.POSITIVE_INFINITY);
  }

  /** What fails is that topic's or session's alone: all others go on. One `try` for as many as go well, for this is the hot path. */
  #join(joiners: readonly Joiner[]): void {
    for (let next = 0; next < joiners.length; ) {
      try {
        while (next < joiners.length) joiners[next++]!.join();
      } catch (error) {
        this.#log.error({ err: error }, 'what a topic brought in a turn could not be handed out');
      }
    }
  }

  #flush(sessions: readonly Flusher[], from: number, to: number): void {
    for (let next = from; next < to; ) {
      try {
        while (next < to) sessions[next++]!.flush();
      } catch (error) {
        this.#log.error({ err: error }, 'a session could not be written to; it ends');
        sessions[next - 1]!.close('RIDE_INTERNAL', 'connect again');
      }
    }
  }

  #run(budgetMs: number): void {
    if (this.#joiners.length > 0) {
      const joiners = this.#joiners;
      this.#joiners = [];
      this.#join(joiners);
    }
    if (this.#first.length > 0) {
      const first = this.#first;
      this.#first = [];
      this.#flush(first, 0, first.length);
    }
    const startedAt = performance.now();
    const deadline = startedAt + budgetMs;
    let flushed = 0;
    let now = startedAt;
    for (const [shard, sessions] of this.#dirty) {
      // Taken out first: a session that is sent something meanwhile belongs to the next turn, behind the other shards.
      this.#dirty.delete(shard);
      let next = 0;
      do {
        const end = Math.min(next + SLICE, sessions.length);
        this.#flush(sessions, next, end);
        next = end;
        now = performance.now();
      } while (next < sessions.length && now <= deadline);
      flushed += next;
      if (next < sessions.length) this.#dirty.set(shard, [...sessions.slice(next), ...(this.#dirty.get(shard) ?? [])]);
      if (now > deadline) break;
    }
    if (flushed >= ENOUGH_WRITES) this.#writeMs += SMOOTHING * ((now - startedAt) / flushed - this.#writeMs);
  }
}
