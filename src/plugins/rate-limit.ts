/**
 * Document C's tiers per minute: 100 without sign-in, 500 signed in, 1000 premium. A caller's requests are paid from a bucket
 * that all nodes share, by leases, so that a request costs no round trip: docs/decisions/0005-leased-tokens.md has the bounds.
 * One caller's excess never touches another's (property 5).
 */
import rateLimit, { type FastifyRateLimitStore, normalizeIP } from '@fastify/rate-limit';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  onRequestHookHandler,
  preHandlerAsyncHookHandler,
} from 'fastify';
import fp from 'fastify-plugin';
import { isOperator, type Principal } from '../domain/roles.ts';
import { RideError } from '../errors.ts';

export type Tier = 'default' | 'authenticated' | 'premium';

/** Who may send how much more. */
export interface RequestBudget {
  /** Pays for `cost` requests: 0, or how long the caller has to wait, milliseconds. Never rejects. */
  spend(caller: string, tier: Tier, cost: number): number | Promise<number>;
  /** Pays from what is in hand: how many requests are left then; null when that does not suffice, and nothing is paid. */
  spendInHand(caller: string, tier: Tier, cost: number): number | null;
  /** Requests that the caller has left, as far as this node knows. */
  left(caller: string, tier: Tier): number;
}

export interface RateLimitOptions {
  budget: RequestBudget;
  /** Requests in a window. */
  tiers: Readonly<Record<Tier, number>>;
}

/** The tiers count a minute. */
export const RATE_WINDOW_MS = 60_000;

function tierOf({ principal }: FastifyRequest): Tier {
  if (!principal) return 'default';
  return principal.premium || isOperator(principal.role) ? 'premium' : 'authenticated';
}

/** Names of callers; a principal is the same object for as long as its token is remembered. */
const users = new WeakMap<Principal, string>();

/** One address of IPv6 is a whole network of 2^64: it counts as one. */
const addressOf = ({ ip }: FastifyRequest): string => `address:${normalizeIP(ip ?? 'gone')}`;

function callerOf(request: FastifyRequest): string {
  const { principal } = request;
  if (!principal) return addressOf(request);
  let name = users.get(principal);
  if (name === undefined) {
    name = `user:${principal.userId}`;
    users.set(principal, name);
  }
  return name;
}

/** Until all that was used is there again, milliseconds. */
const refillMs = (used: number, max: number): number => Math.max(1, (used * RATE_WINDOW_MS) / max);

function tell(reply: FastifyReply, max: number, left: number): void {
  void reply
    .header('ratelimit-limit', max)
    .header('ratelimit-remaining', left)
    .header('ratelimit-reset', Math.ceil(refillMs(max - left, max) / 1000));
}

function refusal(max: number, waitMs: number): RideError {
  const rule = `at most ${max} requests a minute`;
  const text = `At most ${max} requests a minute; wait ${Math.ceil(waitMs / 1000)} s`;
  return new RideError('RIDE_RATE_LIMITED', text, { retryAfterMs: waitMs, rule });
}

/** What no route answers is paid for by its address, whoever asks: a search for what there is costs as any other request does. */
export const payByAddress =
  ({ budget, tiers }: RateLimitOptions): preHandlerAsyncHookHandler =>
  async (request, reply) => {
    const caller = addressOf(request);
    const waitMs = await budget.spend(caller, 'default', 1);
    tell(reply, tiers.default, waitMs > 0 ? 0 : budget.left(caller, 'default'));
    if (waitMs > 0) throw refusal(tiers.default, waitMs);
  };

/** The tier whose bucket pays: of several of one height, which is all that the store is told, always the same. */
function payingTier(tiers: RateLimitOptions['tiers'], max: number): Tier {
  for (const name in tiers) if (tiers[name as Tier] === max) return name as Tier;
  throw new RangeError(`No tier has ${max} requests`);
}

/** What @fastify/rate-limit counts in. */
function storeOver({ budget, tiers }: RateLimitOptions) {
  return class BudgetStore implements FastifyRateLimitStore {
    incr(
      caller: string,
      tell: (error: Error | null, count?: { current: number; ttl: number }) => void,
      _windowMs: number,
      max: number,
    ): void {
      const tier = payingTier(tiers, max);
      const answer = (waitMs: number): void => {
        const used = waitMs > 0 ? max + 1 : max - budget.left(caller, tier);
        // Until the next one may come, or the bucket is full again.
        tell(null, { current: used, ttl: waitMs > 0 ? waitMs : refillMs(used, max) });
      };
      const waitMs = budget.spend(caller, tier, 1);
      if (typeof waitMs === 'number') answer(waitMs);
      else waitMs.then(answer, tell);
    }

    child(): BudgetStore {
      return this;
    }
  };
}

export const rateLimitPlugin = fp<RateLimitOptions>(
  async (app: FastifyInstance, options) => {
    const { budget, tiers } = options;
    await app.register(rateLimit, {
      global: false,
      timeWindow: RATE_WINDOW_MS,
      max: (request) => tiers[tierOf(request)],
      keyGenerator: callerOf,
      store: storeOver(options),
      enableDraftSpec: true,
      errorResponseBuilder: (_request, { max, ttl }) => refusal(max, ttl),
    });
    const count = app.rateLimit();

    /** Most requests are paid from the lease in hand, which takes no promise: @fastify/rate-limit has those that may wait or be refused. */
    const pay: onRequestHookHandler = (request, reply, done) => {
      const max = tiers[tierOf(request)];
      const left = budget.spendInHand(callerOf(request), payingTier(tiers, max), 1);
      if (left === null) return count.call(app, request, reply);
      tell(reply, max, left);
      done();
    };
    // As a route's own hook it comes after those of the scope, which find out who asks; before anything is read or refused, so
    // that bad tokens count against their address.
    app.addHook('onRoute', (route) => {
      route.onRequest = [route.onRequest ?? [], pay].flat();
    });
  },
  { name: 'rate-limit', dependencies: ['auth'] },
);
