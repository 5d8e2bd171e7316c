/**
 * Makes a resource once for an idempotency key. The key is claimed first, with the id that the resource will have, so that a repeat
 * while the first still runs, or after a crash between the two writes, makes or finds the same.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DomainMeter } from '../../ports/domain-meter.ts';
import type { Collection, CollectionSpec, StoredDocument } from '../../ports/store.ts';
import type { Ids } from '../ids.ts';

/** Remembers which resource a key made. */
export interface IdempotencyRecord extends StoredDocument {
  bodyHash: string;
  resourceId: string;
}

export const idempotencyCollection: CollectionSpec<IdempotencyRecord> = {
  name: 'idempotencyKeys',
  indexes: [{ name: 'created', fields: ['createdAt'] }],
};

export interface IdempotencyKey {
  /** Derived from caller, route and key; the record's id. */
  id: string;
  bodyHash: string;
}

/** @throws RideError RIDE_IDEMPOTENCY_MISMATCH when the key was used for another body */
export function checkBody(record: { bodyHash: string }, key: IdempotencyKey): void {
  if (record.bodyHash === key.bodyHash) return;
  throw new RideError('RIDE_IDEMPOTENCY_MISMATCH', 'This Idempotency-Key was used for another body', {
    field: 'Idempotency-Key',
    rule: 'unique for each body',
  });
}

/** What a thing is to be made of; or what says so, where that follows from things that change, as the cities that are drawn. */
export type Wish<T extends object> = T | (() => T);

export const wished = <T extends object>(wish: Wish<T>): T => (typeof wish === 'function' ? (wish as () => T)() : wish);

/** `P`: what the thing is made of, checked. */
export interface Making<T, P> {
  /**
   * Asked before the key is claimed: a request that cannot be must not use it up. What it throws refuses the request, unless the thing
   * is there: that is the answer to a repeat, whatever has changed since the first.
   */
  prepare(): P | Promise<P>;
  newId(prepared: P): string;
  find(id: string): Promise<T | null>;
  /** Null when somebody else made it meanwhile. */
  make(id: string, prepared: P): Promise<T | null>;
}

export type Idempotency = ReturnType<typeof createIdempotency>;

/** @param meter is told of every repeat */
export function createIdempotency(
  records: Collection<IdempotencyRecord>,
  clock: Clock,
  ids: Ids,
  meter: Pick<DomainMeter, 'repeated'>,
) {
  /** Writes first and reads only who was earlier: most keys are new. */
  async function claim(record: IdempotencyRecord): Promise<IdempotencyRecord> {
    try {
      await records.insert(record);
      return record;
    } catch (error) {
      const winner = await records.get(record.id);
      if (winner) return winner;
      throw error;
    }
  }

  function repeated<T>(made: T): { made: T; created: boolean } {
    meter.repeated();
    return { made, created: false };
  }

  /** What was made for the key, if anything was. @throws RideError RIDE_IDEMPOTENCY_MISMATCH */
  async function madeFor<T, P>(key: IdempotencyKey, { find }: Making<T, P>): Promise<T | null> {
    const owner = await records.get(key.id);
    if (!owner) return null;
    checkBody(owner, key);
    return find(owner.resourceId);
  }

  return {
    /** `created` is false for a repeat. @throws RideError RIDE_IDEMPOTENCY_MISMATCH, and whatever `prepare` and `make` throw */
    async once<T, P>(key: IdempotencyKey | undefined, making: Making<T, P>): Promise<{ made: T; created: boolean }> {
      let prepared: P;
      try {
        prepared = await making.prepare();
      } catch (refusal) {
        const made = key ? await madeFor(key, making) : null;
        if (made) return repeated(made);
        throw refusal;
      }
      const resourceId = making.newId(prepared);
      if (!key) {
        const made = await making.make(resourceId, prepared);
        if (!made) throw new RideError('RIDE_INTERNAL', 'A new id was taken');
        return { made, created: true };
      }
      const record = { ...key, region: ids.region, createdAt: clock.now(), version: 1, resourceId };
      const owner = await claim(record);
      checkBody(owner, key);
      const existing = owner === record ? null : await making.find(owner.resourceId);
      if (existing) return repeated(existing);
      const made = await making.make(owner.resourceId, prepared);
      if (made) return { made, created: true };
      const theirs = await making.find(owner.resourceId);
      if (!theirs) throw new RideError('RIDE_CONFLICT', 'It was made and is gone; try again', { retryAfterMs: 50 });
      return repeated(theirs);
    },
  };
}
