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

export interface Making<T> {
  newId(): string;
  find(id: string): Promise<T | null>;
  /** Null when somebody else made it meanwhile. */
  make(id: string): Promise<T | null>;
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

  return {
    /** Whether the key was used before, for this body or another. */
    knows: async ({ id }: IdempotencyKey): Promise<boolean> => (await records.get(id)) !== null,

    /** `created` is false for a repeat. @throws RideError RIDE_IDEMPOTENCY_MISMATCH, and whatever `make` throws */
    async once<T>(key: IdempotencyKey | undefined, making: Making<T>): Promise<{ made: T; created: boolean }> {
      const resourceId = making.newId();
      if (!key) {
        const made = await making.make(resourceId);
        if (!made) throw new RideError('RIDE_INTERNAL', 'A new id was taken');
        return { made, created: true };
      }
      const record = { ...key, region: ids.region, createdAt: clock.now(), version: 1, resourceId };
      const owner = await claim(record);
      checkBody(owner, key);
      const existing = owner === record ? null : await making.find(owner.resourceId);
      if (existing) return repeated(existing);
      const made = await making.make(owner.resourceId);
      if (made) return { made, created: true };
      const theirs = await making.find(owner.resourceId);
      if (!theirs) throw new RideError('RIDE_CONFLICT', 'It was made and is gone; try again', { retryAfterMs: 50 });
      return repeated(theirs);
    },
  };
}
