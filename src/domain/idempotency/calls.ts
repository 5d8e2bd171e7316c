/**
 * Makes a call that changes something safe to repeat under its idempotency key: whoever comes first with a key does the work, what he
 * is answered is written down before he hears it, and everyone who comes after him is told the same. Things that are made for a key
 * know by themselves who was first: see service.ts.
 */
import type { Clock } from '../../ports/clock.ts';
import type { DomainMeter } from '../../ports/domain-meter.ts';
import type { Collection, CollectionSpec, StoredDocument } from '../../ports/store.ts';
import { put } from '../documents/writing.ts';
import { checkBody, type IdempotencyKey } from './service.ts';

/** An answer as it was sent. */
export interface Answer {
  status: number;
  /** By their names in lower case. */
  headers: Record<string, string>;
  /** Empty: none. */
  body: string;
}

/** Who has a key, and what came of it. */
export interface CallRecord extends StoredDocument {
  bodyHash: string;
  /** Until then the answer is waited for, domain time: a node that was killed must not hold a key for ever. */
  runsUntil: number;
  /** Null while the call is under way. */
  answer: Answer | null;
}

export const callCollection: CollectionSpec<CallRecord> = {
  name: 'answeredCalls',
  indexes: [{ name: 'created', fields: ['createdAt'] }],
};

/** The call is the caller's to do; it was answered; or somebody is at it. */
export type Begun = { claim: CallRecord } | { answer: Answer } | 'under_way';

/** A call that takes longer is done by whoever asks again. */
const LEASE_WALL_MS = 10_000;

export type Calls = ReturnType<typeof createCalls>;

/** @param meter is told of every repeat */
export function createCalls(
  records: Collection<CallRecord>,
  clock: Clock,
  region: string,
  meter: Pick<DomainMeter, 'repeated'>,
) {
  const leaseMs = LEASE_WALL_MS / clock.toWallMs(1);

  async function claim(stored: CallRecord | null, next: CallRecord): Promise<Begun> {
    return (await put(records, stored, next)) ? { claim: next } : 'under_way';
  }

  const begin = ({ id, bodyHash }: IdempotencyKey): Promise<Begun> => {
    const now = clock.now();
    const record = { id, region, createdAt: now, version: 1, bodyHash, runsUntil: now + leaseMs, answer: null };
    return claim(null, record);
  };

  return {
    /**
     * For who did not ask before: most keys are new, so it is written first. After `under_way`, `again` tells how it stands.
     * @throws RideError RIDE_UNAVAILABLE
     */
    begin,

    /** @throws RideError RIDE_IDEMPOTENCY_MISMATCH, RIDE_UNAVAILABLE */
    async again(key: IdempotencyKey): Promise<Begun> {
      const found = await records.get(key.id);
      if (!found) return begin(key);
      checkBody(found, key);
      if (found.answer) {
        meter.repeated();
        return { answer: found.answer };
      }
      const now = clock.now();
      if (found.runsUntil > now) return 'under_way';
      return claim(found, { ...found, version: found.version + 1, runsUntil: now + leaseMs });
    },

    /** From now on the call is answered so. Whoever took it over has his own answer, which stands. @throws RideError RIDE_UNAVAILABLE */
    async keep(mine: CallRecord, answer: Answer): Promise<void> {
      await records.compareAndSet({ ...mine, version: mine.version + 1, answer });
    },

    /** Nothing came of the call: its key is free, for any body. @throws RideError RIDE_UNAVAILABLE; then it is free for the same body, later */
    async free({ id, version }: CallRecord): Promise<void> {
      await records.remove({ id, version }, 1);
    },
  };
}
