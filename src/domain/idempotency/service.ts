/**
 * Makes a resource once for an idempotency key. The key is claimed first, with the id that the resource will have, so that a repeat
 * while the first still runs, or after a crash between the two writes, makes or finds the same.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Collection } from '../../ports/store.ts';
import type { Ids } from '../ids.ts';
import type { IdempotencyKey, IdempotencyRecord } from '../trips/service.ts';

export interface Making<T> {
  newId(): string;
  find(id: string): Promise<T | null>;
  /** Null when somebody else made it meanwhile. */
  make(id: string): Promise<T | null>;
}

export type Idempotency = ReturnType<typeof createIdempotency>;

export function createIdempotency(records: Collection<IdempotencyRecord>, clock: Clock, ids: Ids) {
  async function claim({ id, bodyHash }: IdempotencyKey, resourceId: string): Promise<IdempotencyRecord> {
    const record = { id, region: ids.region, createdAt: clock.now(), version: 1, bodyHash, resourceId };
    try {
      await records.insert(record);
      return record;
    } catch (error) {
      const winner = await records.get(id);
      if (winner) return winner;
      throw error;
    }
  }

  return {
    /** Whether the key was used before, for this body or another. */
    knows: async ({ id }: IdempotencyKey): Promise<boolean> => (await records.get(id)) !== null,

    /** `created` is false for a repeat. @throws RideError RIDE_IDEMPOTENCY_MISMATCH, and whatever `make` throws */
    async once<T>(key: IdempotencyKey | undefined, making: Making<T>): Promise<{ made: T; created: boolean }> {
      if (!key) {
        const made = await making.make(making.newId());
        if (!made) throw new RideError('RIDE_INTERNAL', 'A new id was taken');
        return { made, created: true };
      }
      const owner = (await records.get(key.id)) ?? (await claim(key, making.newId()));
      if (owner.bodyHash !== key.bodyHash) {
        throw new RideError('RIDE_IDEMPOTENCY_MISMATCH', 'This Idempotency-Key was used for another body', {
          field: 'Idempotency-Key',
          rule: 'unique for each body',
        });
      }
      const existing = await making.find(owner.resourceId);
      if (existing) return { made: existing, created: false };
      const made = await making.make(owner.resourceId);
      if (made) return { made, created: true };
      const theirs = await making.find(owner.resourceId);
      if (!theirs) throw new RideError('RIDE_CONFLICT', 'It was made and is gone; try again', { retryAfterMs: 50 });
      return { made: theirs, created: false };
    },
  };
}
