/**
 * Keeps the record of who is connected here in line with who is. It goes by what is the case, not by what happened: a user
 * whose sessions come and go faster than the record is written costs one write, and what could not be written is written later.
 *
 * A user who leaves stays on record for a grace, so that a reconnect, here or on another node, is no absence.
 */
import type { Logger } from '../ports/logger.ts';
import type { Leaving, Presences } from '../ports/presences.ts';

export interface PresenceTrackerOptions {
  presences: Presences;
  /** The user has a session on this node now. */
  isHere(userId: string): boolean;
  /** All users who have. */
  users(): Iterable<string>;
  graceMs: number;
  log: Logger;
  /** Wall time, epoch ms. */
  now?: () => number;
}

/** Users of one round trip. */
const BATCH = 500;
/** Within this many ticks every user's record has been looked at once: what Redis lost in a failover comes back. */
const ROUND_TICKS = 200;

export class PresenceTracker {
  readonly #options: PresenceTrackerOptions;
  readonly #now: () => number;
  /** On record as being here. */
  readonly #recorded = new Set<string>();
  /** Record and truth may differ; since when, epoch ms. */
  readonly #changed = new Map<string, number>();
  /** Those of them whose record could not be written while others' could: they wait for the next tick, and hold nobody up. */
  readonly #aside = new Map<string, number>();
  /** Whose grace runs, in the order in which it ends. */
  #leaving: Leaving[] = [];
  #round: Iterator<string> = [].values();
  #writing = false;
  #ticking: Promise<void> | null = null;
  #sweeping: Promise<void> | null = null;
  /** Counts the leases that ran out. */
  #generation = 0;

  constructor(options: PresenceTrackerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Something is being written. */
  get writing(): boolean {
    return this.#writing;
  }

  /** All that is due is on record. */
  get settled(): boolean {
    return !this.#writing && this.#changed.size === 0 && this.#aside.size === 0;
  }

  /** His first session on this node. */
  arrived(userId: string): void {
    if (!this.#recorded.has(userId)) this.#mark(userId, this.#now());
  }

  /** His last session on this node ended. */
  gone(userId: string): void {
    this.#leaving.push({ userId, seenMs: this.#now() });
  }

  /** Renews the lease, ends the presence of dead nodes' users, and writes what is due; call it ten times a lease. Never rejects. */
  tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = null;
    });
    return this.#ticking;
  }

  /** The process stops: what is on record here ends with the grace, by the other nodes. */
  async retire(): Promise<void> {
    await this.#ticking;
    await this.#options.presences.retire(this.#options.graceMs);
  }

  #mark(userId: string, at: number): void {
    this.#changed.set(userId, at);
    this.#kick();
  }

  #kick(): void {
    if (this.#writing || this.#changed.size === 0) return;
    this.#writing = true;
    // With all who arrive in this turn.
    setImmediate(() => void this.#write());
  }

  async #tick(): Promise<void> {
    const { presences, log } = this.#options;
    this.#endGraces();
    try {
      if (!(await presences.renew())) this.#startAgain();
      // A dead node may have had many users: meanwhile the lease has to be renewed.
      this.#sweeping ??= this.#sweep();
      await this.#look();
    } catch (error) {
      log.warn({ err: error }, 'presence: the next tick tries again');
    }
    // What failed before.
    for (const [userId, at] of this.#aside) if (!this.#changed.has(userId)) this.#changed.set(userId, at);
    this.#aside.clear();
    this.#kick();
  }

  #startAgain(): void {
    this.#options.log.warn({}, 'presence: the lease of this node had run out; its users join again');
    this.#generation++;
    this.#recorded.clear();
    for (const userId of this.#options.users()) this.#mark(userId, this.#now());
  }

  async #sweep(): Promise<void> {
    const { presences, log } = this.#options;
    try {
      const ended = await presences.sweep();
      if (ended > 0) log.info({ nodes: ended }, 'presence: users of dead nodes are offline');
    } catch (error) {
      log.warn({ err: error }, 'presence: dead nodes not looked for');
    }
    this.#sweeping = null;
  }

  #endGraces(): void {
    const due = this.#now() - this.#options.graceMs;
    let ended = 0;
    while (ended < this.#leaving.length && this.#leaving[ended]!.seenMs <= due) {
      const { userId, seenMs } = this.#leaving[ended++]!;
      if (!this.#options.isHere(userId)) this.#mark(userId, seenMs);
    }
    if (ended > 0) this.#leaving = this.#leaving.slice(ended);
  }

  /** Brings the record in line, batch by batch. */
  async #write(): Promise<void> {
    const { presences, log } = this.#options;
    try {
      while (this.#changed.size > 0) {
        const generation = this.#generation;
        const { joining, leaving } = this.#batch();
        const failed = new Set((await Promise.all([presences.join(joining), presences.leave(leaving)])).flat());
        // Otherwise it was written for a node that is no more.
        if (generation !== this.#generation) continue;
        this.#setAside(failed);
        this.#written(
          joining.filter((userId) => !failed.has(userId)),
          leaving.filter(({ userId }) => !failed.has(userId)),
        );
      }
    } catch (error) {
      log.warn({ err: error, users: this.#changed.size }, 'presence: not written; the next tick tries again');
    }
    this.#writing = false;
  }

  #batch(): { joining: string[]; leaving: Leaving[] } {
    const joining: string[] = [];
    const leaving: Leaving[] = [];
    for (const [userId, seenMs] of this.#changed) {
      const isHere = this.#options.isHere(userId);
      if (isHere === this.#recorded.has(userId)) this.#changed.delete(userId);
      else if (isHere) joining.push(userId);
      else leaving.push({ userId, seenMs });
      if (joining.length + leaving.length === BATCH) break;
    }
    return { joining, leaving };
  }

  #setAside(userIds: ReadonlySet<string>): void {
    if (userIds.size === 0) return;
    for (const userId of userIds) {
      this.#aside.set(userId, this.#changed.get(userId)!);
      this.#changed.delete(userId);
    }
    this.#options.log.warn({ users: userIds.size }, 'presence: some users not written; the next tick tries again');
  }

  #written(joining: readonly string[], leaving: readonly Leaving[]): void {
    for (const userId of joining) {
      // Should he have gone meanwhile, his grace runs.
      this.#recorded.add(userId);
      this.#changed.delete(userId);
    }
    for (const { userId } of leaving) {
      this.#recorded.delete(userId);
      // Should he have come back meanwhile, he still counted as here.
      if (!this.#options.isHere(userId)) this.#changed.delete(userId);
    }
  }

  /** A part of the round in which record and truth are held against each other, both ways. */
  async #look(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      const { presences, isHere } = this.#options;
      await presences.join(this.#nextInRound());
      for (const userId of await presences.recorded()) {
        if (this.#recorded.has(userId) || isHere(userId)) continue;
        // On record in Redis only: a leave that got lost.
        this.#recorded.add(userId);
        this.#changed.set(userId, this.#now());
      }
    } finally {
      this.#writing = false;
    }
  }

  #nextInRound(): string[] {
    const users: string[] = [];
    const share = Math.ceil(this.#recorded.size / ROUND_TICKS);
    for (let i = 0; i < share; i++) {
      const { value, done } = this.#round.next();
      if (done) {
        this.#round = this.#recorded.values();
        break;
      }
      if (this.#options.isHere(value)) users.push(value);
    }
    return users;
  }
}
