/**
 * How much one user may send, by class, over all his devices and all nodes: messages on sockets by their rate class, requests
 * by their tier. Each user and class has a token bucket in Redis; a node leases some of it at a time and spends from the
 * lease, so that a message costs no round trip. Redis away: each node holds the limit by itself.
 * docs/decisions/0005-leased-tokens.md has the bounds.
 */
import type { BucketShape, Grant, TokenBuckets } from '../ports/token-buckets.ts';
import type { RateClass } from './messages/definition.ts';

export type LimitedClass = Exclude<RateClass, 'none'>;

export interface LimiterOptions<C extends string> {
  buckets: TokenBuckets;
  /** What a user may send within the window, by class. No two limiters on the same buckets may share the name of a class. */
  limits: Readonly<Record<C, number>>;
  windowMs: number;
  /** Wall time, epoch ms. */
  now?: () => number;
}

/** A lease is at most this part of the bucket. */
const LEASES_PER_BUCKET = 10;
/** Users of one generation; when more come, those that were not heard of for longest are forgotten early. */
const USERS_MAX = 100_000;
/** A bucket that has not answered within this counts as away: a message must not wait for its limit. */
const ANSWER_TIMEOUT_MS = 1000;
/** After a failure the next question waits this long; meanwhile nodes decide by themselves. */
const RETRY_MS = 1000;

interface Waiting {
  price: number;
  paid(waitMs: number): void;
}

/** The tokens of one user and class that this node has in hand. */
class Lease {
  readonly bucket: string;
  tokens = 0;
  /** Tokens paid here in this generation: how much this node may hold in stock. */
  spent = 0;
  /** What the bucket held when it last answered, and when that was. */
  left = 0;
  leftAt = 0;
  /** Until then the bucket cannot give `shortOf` tokens. */
  retryAt = 0;
  shortOf = 0;
  /** Who waits for the bucket's answer, in order; null while nobody does. */
  waiting: Waiting[] | null = null;
  /** What they need together. */
  demand = 0;
  asking: Promise<void> | null = null;
  /** What this node alone would allow: decides when the shared bucket is away. */
  ownLevel: number;
  ownAt: number;

  constructor(bucket: string, capacity: number, now: number) {
    this.bucket = bucket;
    this.ownLevel = capacity;
    this.ownAt = now;
  }
}

type Leases<C extends string> = Partial<Record<C, Lease>>;

export class Limiter<C extends string = LimitedClass> {
  readonly #options: LimiterOptions<C>;
  readonly #now: () => number;
  readonly #shapes: Record<C, BucketShape>;
  /** By user. Two generations, swapped once a window: who was not heard of for a window has a full bucket again. */
  #users = new Map<string, Leases<C>>();
  #former = new Map<string, Leases<C>>();
  #swappedAt: number;
  /** The shared buckets failed: not asked before this. */
  #awayUntil = 0;

  constructor(options: LimiterOptions<C>) {
    const { windowMs } = options;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#swappedAt = this.#now();
    const limits = Object.entries<number>(options.limits);
    const shapes = limits.map(([name, capacity]) => [name, { capacity, windowMs }]);
    this.#shapes = Object.fromEntries(shapes) as Record<C, BucketShape>;
  }

  /**
   * Pays for a message that costs `cost` tokens (more than the whole bucket costs the whole bucket). Calls `paid` with 0 when it
   * may be handled, else with how long its sender has to wait, milliseconds: at once, or when the lease is used up and the bucket
   * has answered. Nobody overtakes another of the same user and class.
   */
  charge(userId: string, rateClass: C, cost: number, paid: (waitMs: number) => void): void {
    const now = this.#now();
    const shape = this.#shapes[rateClass];
    const lease = this.#leaseOf(userId, rateClass, now);
    const price = Math.min(cost, shape.capacity);
    if (lease.waiting === null) {
      const isPaid = this.#payInHand(lease, shape, price, now);
      if (isPaid || isShort(lease, price, now)) {
        paid(isPaid ? 0 : lease.retryAt - now);
        return;
      }
      lease.waiting = [];
    }
    lease.waiting.push({ price, paid });
    lease.demand += price;
    if (lease.asking === null) this.#askForAll(lease, shape, price);
  }

  /** As `charge`; returns what it calls, and a promise of it when the bucket has to be asked. */
  spend(userId: string, rateClass: C, cost: number): number | Promise<number> {
    let waitMs: number | null = null;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.charge(userId, rateClass, cost, (ms) => {
      waitMs = ms;
      resolve(ms);
    });
    return waitMs ?? promise;
  }

  /** Pays as `spend` does if that needs nothing but the lease: then what is left, as of `left`; else null, and nothing is paid. */
  spendInHand(userId: string, rateClass: C, cost: number): number | null {
    const now = this.#now();
    const shape = this.#shapes[rateClass];
    const lease = this.#leaseOf(userId, rateClass, now);
    return this.#payInHand(lease, shape, Math.min(cost, shape.capacity), now) ? leftOf(lease, shape, now) : null;
  }

  /** What the user may still send now, as far as this node knows: what it leased and what the bucket last said. */
  left(userId: string, rateClass: C): number {
    const now = this.#now();
    return leftOf(this.#leaseOf(userId, rateClass, now), this.#shapes[rateClass], now);
  }

  /** Users whose leases are remembered. */
  get size(): number {
    let size = this.#users.size;
    for (const userId of this.#former.keys()) if (!this.#users.has(userId)) size++;
    return size;
  }

  /** Nothing is being asked for. */
  idle(userId: string): boolean {
    const leases = this.#users.get(userId) ?? this.#former.get(userId) ?? {};
    return Object.values<Lease | undefined>(leases).every((lease) => lease?.asking === null);
  }

  /** The limit of a class, to complete "must be". */
  ruleOf(rateClass: C): string {
    const { capacity, windowMs } = this.#shapes[rateClass];
    return `at most ${capacity} ${rateClass} messages in ${windowMs / 1000} s`;
  }

  /** The user's last session on this node ended: what it did not spend, its next one may, wherever that is. */
  release(userId: string): void {
    const leases = this.#users.get(userId) ?? this.#former.get(userId);
    if (!leases) return;
    for (const rateClass of Object.keys(leases) as C[]) {
      const lease = leases[rateClass]!;
      if (lease.tokens === 0) continue;
      this.#options.buckets.giveBack(lease.bucket, this.#shapes[rateClass], lease.tokens);
      this.#refillOwn(lease, this.#shapes[rateClass]);
      lease.ownLevel += lease.tokens;
      lease.tokens = 0;
    }
  }

  #leaseOf(userId: string, rateClass: C, now: number): Lease {
    if (now - this.#swappedAt >= this.#options.windowMs || this.#users.size >= USERS_MAX) {
      this.#former = this.#users;
      this.#users = new Map();
      this.#swappedAt = now;
    }
    let leases = this.#users.get(userId);
    if (!leases) {
      leases = this.#former.get(userId) ?? {};
      for (const lease of Object.values<Lease | undefined>(leases)) lease!.spent = 0;
      this.#users.set(userId, leases);
    }
    let lease = leases[rateClass];
    if (!lease) {
      lease = new Lease(`${rateClass}:${userId}`, this.#shapes[rateClass].capacity, now);
      leases[rateClass] = lease;
    }
    return lease;
  }

  #payInHand(lease: Lease, shape: BucketShape, price: number, now: number): boolean {
    if (lease.tokens < price) return false;
    pay(lease, price);
    const stock = stockOf(lease, shape);
    // Early enough that a steady sender never waits.
    if (lease.tokens < stock / 4 && lease.asking === null && now >= lease.retryAt) {
      this.#ask(lease, shape, 1, stock - lease.tokens);
    }
    return true;
  }

  #askForAll(lease: Lease, shape: BucketShape, price: number): void {
    const most = lease.demand + stockOf(lease, shape, lease.demand);
    this.#ask(lease, shape, price - lease.tokens, most - lease.tokens);
  }

  #ask(lease: Lease, shape: BucketShape, least: number, most: number): void {
    lease.asking = this.#fetch(lease, shape, least, most).finally(() => {
      lease.asking = null;
      this.#serve(lease, shape);
    });
  }

  /** Tells those who wait, the first first, until one needs more than there is. */
  #serve(lease: Lease, shape: BucketShape): void {
    while (lease.waiting !== null) {
      const { price, paid } = lease.waiting[0]!;
      const now = this.#now();
      let waitMs = 0;
      if (lease.tokens >= price) pay(lease, price);
      else if (isShort(lease, price, now)) waitMs = lease.retryAt - now;
      else {
        if (lease.asking === null) this.#askForAll(lease, shape, price);
        return;
      }
      lease.demand -= price;
      if (lease.waiting.length === 1) lease.waiting = null;
      else lease.waiting.shift();
      paid(waitMs);
    }
  }

  async #fetch(lease: Lease, shape: BucketShape, least: number, most: number): Promise<void> {
    const { granted, waitMs, left } = await this.#grant(lease, shape, least, most);
    lease.tokens += granted;
    lease.left = left;
    lease.leftAt = this.#now();
    this.#refillOwn(lease, shape);
    lease.ownLevel = Math.max(0, lease.ownLevel - granted);
    if (granted > 0) return;
    lease.retryAt = this.#now() + waitMs;
    // Who needs less may still ask.
    lease.shortOf = least;
  }

  async #grant(lease: Lease, shape: BucketShape, least: number, most: number) {
    if (this.#now() < this.#awayUntil) return this.#ownGrant(lease, shape, least, most);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(reject, ANSWER_TIMEOUT_MS);
    try {
      return await Promise.race([this.#options.buckets.take(lease.bucket, shape, least, most), late]);
    } catch {
      // Late or away. A late answer's tokens are lost to their user until the bucket has filled up again.
      this.#awayUntil = this.#now() + RETRY_MS;
      return this.#ownGrant(lease, shape, least, most);
    } finally {
      clearTimeout(timer);
    }
  }

  #refillOwn(lease: Lease, { capacity, windowMs }: BucketShape): void {
    const now = this.#now();
    const gained = (Math.max(0, now - lease.ownAt) * capacity) / windowMs;
    lease.ownLevel = Math.min(capacity, lease.ownLevel + gained);
    lease.ownAt = now;
  }

  #ownGrant(lease: Lease, shape: BucketShape, least: number, most: number): Grant {
    this.#refillOwn(lease, shape);
    const level = Math.floor(lease.ownLevel);
    if (level < least) {
      const waitMs = Math.ceil(((least - lease.ownLevel) * shape.windowMs) / shape.capacity);
      return { granted: 0, waitMs, left: level };
    }
    const granted = Math.min(level, most);
    return { granted, waitMs: 0, left: level - granted };
  }
}

/** The bucket has said that it cannot give so much, and when it can. */
const isShort = (lease: Lease, price: number, now: number): boolean =>
  now < lease.retryAt && price - lease.tokens >= lease.shortOf;

function pay(lease: Lease, price: number): void {
  lease.tokens -= price;
  lease.spent += price;
}

function leftOf(lease: Lease, { capacity, windowMs }: BucketShape, now: number): number {
  const gained = (Math.max(0, now - lease.leftAt) * capacity) / windowMs;
  return Math.min(capacity, Math.floor(lease.tokens + lease.left + gained));
}

/**
 * Tokens that a node may hold unspent: no more than it has paid, `paying` among it, so that a user who is spread over many
 * nodes does not have his bucket lie in leases; and at most a part of the bucket, which of a small one is nothing.
 */
const stockOf = ({ spent }: Lease, { capacity }: BucketShape, paying = 0): number =>
  Math.min(Math.floor(capacity / LEASES_PER_BUCKET), spent + paying);
