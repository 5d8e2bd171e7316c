/**
 * A payment provider for development and tests: no money moves, but it remembers like a real one. Its holds lie in the store, so that
 * they outlive the process and are the same for all nodes. Riders by the beginning of their ids: `declined` is declined; of `expired` the
 * hold has lapsed when it is captured, and of `expired-poor` nothing can be charged then; of `refused` a capture is refused for good; and
 * `limited` has no more than was held.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HoldRequest, Payments, RaiseOutcome } from '../../ports/payments.ts';
import type { Collection, CollectionSpec, StoredDocument } from '../../ports/store.ts';

export interface DevelopmentHold extends StoredDocument {
  state: 'open' | 'captured' | 'released';
  request: HoldRequest;
  /** By which key it became one of how much. */
  raised?: { key: string; amountMinor: number };
  /** The key that captured or released it. */
  endedBy: string | null;
  capturedMinor: number;
}

export const developmentHoldCollection: CollectionSpec<DevelopmentHold> = {
  name: 'developmentHolds',
  indexes: [{ name: 'state_created', fields: ['state', 'createdAt'] }],
};

const CAS_ATTEMPTS = 16;
const DECLINED = /^declined/;
const EXPIRED = /^expired/;
const REFUSED = /^refused/;
const NOT_CHARGED = /^(declined|expired-poor)/;
const LIMITED = /^limited/;

const heldMinor = ({ raised, request }: DevelopmentHold): number => raised?.amountMinor ?? request.amountMinor;

const mismatch = (key: string): RideError =>
  new RideError('RIDE_IDEMPOTENCY_MISMATCH', `The key ${key} was used for something else`);

export function createDevelopmentPayments(
  holds: Collection<DevelopmentHold>,
  { clock, region }: { clock: Clock; region: string },
): Payments {
  const isSame = (a: HoldRequest, b: HoldRequest): boolean =>
    a.paymentId === b.paymentId &&
    a.riderId === b.riderId &&
    a.amountMinor === b.amountMinor &&
    a.currency === b.currency;

  /** `how` makes the hold what it becomes, or null when it is that already. */
  async function change(holdId: string, how: (hold: DevelopmentHold) => DevelopmentHold | null): Promise<void> {
    for (let attempt = 0; attempt < CAS_ATTEMPTS; attempt++) {
      const hold = await holds.get(holdId);
      if (!hold) throw new RideError('RIDE_NOT_FOUND', `There is no hold ${holdId}`);
      const next = how(hold);
      if (!next || (await holds.compareAndSet({ ...next, version: hold.version + 1 }))) return;
    }
    throw new RideError('RIDE_UNAVAILABLE', 'The hold changed too often', { retryAfterMs: 50 });
  }

  /** Remembers what was asked, once for its key. */
  async function insert(
    id: string,
    request: HoldRequest,
    ends: Pick<DevelopmentHold, 'state' | 'endedBy' | 'capturedMinor'>,
  ): Promise<void> {
    if (!Number.isSafeInteger(request.amountMinor) || request.amountMinor < 1) {
      throw new RideError('RIDE_INVALID_INPUT', 'A whole amount from 1 on', { field: 'amount_minor' });
    }
    try {
      await holds.insert({ id, region, createdAt: clock.now(), version: 1, request, ...ends });
    } catch (error) {
      const earlier = await holds.get(id);
      if (!earlier) throw error;
      if (!isSame(earlier.request, request)) throw mismatch(request.key);
    }
  }

  return {
    async hold(request) {
      const id = `hold_${request.key}`;
      const isDeclined = DECLINED.test(request.riderId);
      await insert(id, request, { state: isDeclined ? 'released' : 'open', endedBy: null, capturedMinor: 0 });
      return isDeclined ? { declined: 'insufficient_funds' } : { holdId: id };
    },

    async charge(request) {
      const id = `charge_${request.key}`;
      const isDeclined = NOT_CHARGED.test(request.riderId);
      const capturedMinor = isDeclined ? 0 : request.amountMinor;
      await insert(id, request, { state: isDeclined ? 'released' : 'captured', endedBy: request.key, capturedMinor });
      return isDeclined ? { declined: 'insufficient_funds' } : { chargeId: id };
    },

    async raise(key, holdId, amountMinor) {
      let outcome: RaiseOutcome = { heldMinor: amountMinor };
      await change(holdId, (hold) => {
        if (hold.raised?.key === key) {
          if (hold.raised.amountMinor !== amountMinor) throw mismatch(key);
          return null;
        }
        if (hold.state !== 'open') throw new RideError('RIDE_ILLEGAL_TRANSITION', `The hold is ${hold.state}`);
        if (!Number.isSafeInteger(amountMinor) || amountMinor <= heldMinor(hold)) {
          throw new RideError('RIDE_INVALID_INPUT', 'A hold is raised to more than it is', { field: 'amount_minor' });
        }
        if (!LIMITED.test(hold.request.riderId)) return { ...hold, raised: { key, amountMinor } };
        outcome = { declined: 'insufficient_funds' };
        return null;
      });
      return outcome;
    },

    capture: (key, holdId, amountMinor) =>
      change(holdId, (hold) => {
        if (hold.state === 'captured' && hold.endedBy === key) {
          if (hold.capturedMinor !== amountMinor) throw mismatch(key);
          return null;
        }
        if (REFUSED.test(hold.request.riderId)) throw new RideError('RIDE_ILLEGAL_TRANSITION', 'The hold is disputed');
        if (hold.state === 'open' && EXPIRED.test(hold.request.riderId)) {
          throw new RideError('RIDE_ILLEGAL_TRANSITION', 'The hold has lapsed', { facts: { hold: 'lapsed' } });
        }
        if (hold.state !== 'open') throw new RideError('RIDE_ILLEGAL_TRANSITION', `The hold is ${hold.state}`);
        if (!Number.isSafeInteger(amountMinor) || amountMinor < 1 || amountMinor > heldMinor(hold)) {
          throw new RideError('RIDE_INVALID_INPUT', 'No more can be captured than is held', { field: 'amount_minor' });
        }
        return { ...hold, state: 'captured', endedBy: key, capturedMinor: amountMinor };
      }),

    release: (key, holdId) =>
      change(holdId, (hold) => {
        if (hold.state === 'captured') throw new RideError('RIDE_ILLEGAL_TRANSITION', 'The hold is captured');
        return hold.state === 'released' ? null : { ...hold, state: 'released', endedBy: key };
      }),

    async openHolds(beforeMs, pageSize, pageToken) {
      const where = { state: 'open', createdAt: { lt: beforeMs } };
      const page = await holds.page({ where, direction: 'asc', pageSize, pageToken });
      const items = page.items.map((hold) => ({
        id: hold.id,
        paymentId: hold.request.paymentId,
        amountMinor: heldMinor(hold),
        createdAt: hold.createdAt,
      }));
      return { items, nextPageToken: page.nextPageToken };
    },
  };
}
