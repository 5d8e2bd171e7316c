/**
 * Who may open a session, asked before a connection is upgraded, so that a refusal is an answer and not a broken connection:
 * how many sessions the process holds, how fast one address connects, how many sessions one user has.
 */
import { isIPv6 } from 'node:net';
import { asRideError, RideError } from '../errors.ts';
import type { Meter } from '../ports/meter.ts';
import type { Broker } from './broker.ts';

export interface DoorOptions {
  broker: Pick<Broker, 'assertOpen'>;
  meter: Pick<Meter, 'stream'>;
  /** Connections of one address a second, in the long run. */
  ratePerS: number;
  /** Connections of one address at once. */
  burst: number;
  /** Monotonic milliseconds. */
  now?: () => number;
}

/** When an address has spent all it may at once (GCRA): it is remembered until it may again connect that often. */
type Spent = Map<string, number>;

/** More addresses than this are not told apart by their own past: the oldest are forgotten. */
const MAX_ADDRESSES = 100_000;

/** An IPv6 network hands out /64 at least: one caller has as many addresses as he likes within it. */
export function addressKey(address: string): string {
  const plain = address.replace(/^\[|\](:\d+)?$/g, '').replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped) return mapped;
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  if (tail !== undefined)
    groups.push(...Array<string>(Math.max(0, 8 - groups.length - after)).fill('0'), ...tail.split(':'));
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #now: () => number;
  readonly #intervalMs: number;
  readonly #depthMs: number;
  #spent: Spent = new Map();
  #former: Spent = new Map();
  #swappedAt = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#intervalMs = 1000 / options.ratePerS;
    this.#depthMs = options.burst * this.#intervalMs;
  }

  /**
   * Before anything is read of a connection.
   * @throws RideError RIDE_DRAINING, RIDE_TOO_MANY_SESSIONS, RIDE_RATE_LIMITED
   */
  knock(address: string): void {
    this.#counted(() => this.#knock(address));
  }

  #knock(address: string): void {
    this.#options.broker.assertOpen();
    const now = this.#now();
    const key = addressKey(address);
    this.#forget(now);
    const paidUntil = Math.max(now, this.#spent.get(key) ?? this.#former.get(key) ?? 0) + this.#intervalMs;
    const waitMs = paidUntil - now - this.#depthMs;
    // A tolerance for the sums of fractions; a connection is not let in earlier by it than by a millionth of a second.
    if (waitMs > 1e-3) {
      const { ratePerS, burst } = this.#options;
      const rule = `at most ${ratePerS} connections a second of one address, ${burst} at once`;
      throw new RideError('RIDE_RATE_LIMITED', `Too many connections: ${rule}`, {
        rule,
        retryAfterMs: Math.ceil(waitMs),
      });
    }
    this.#spent.set(key, paidUntil);
  }

  /** Once it is known who connects. @throws RideError RIDE_DRAINING, RIDE_TOO_MANY_SESSIONS, RIDE_USER_SESSIONS */
  enter(userId: string): void {
    this.#counted(() => this.#options.broker.assertOpen(userId));
  }

  #counted(ask: () => void): void {
    try {
      ask();
    } catch (error) {
      this.#options.meter.stream('turned_away', asRideError(error).code);
      throw error;
    }
  }

  /** Two generations: what is in the former one was last touched so long ago that it may connect freely again. */
  #forget(now: number): void {
    if (now - this.#swappedAt < this.#depthMs && this.#spent.size < MAX_ADDRESSES) return;
    this.#former = this.#spent;
    this.#spent = new Map();
    this.#swappedAt = now;
  }
}
