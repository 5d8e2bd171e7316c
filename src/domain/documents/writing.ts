/**
 * Writing documents that others write too: read, decide, write if nobody was faster, and else decide again on what they left.
 * See docs/decisions/0001-one-document-one-transaction.md.
 */
import { RideError } from '../../errors.ts';
import type { Collection, OutboxEvent, StoredDocument } from '../../ports/store.ts';

/** Another writer was first. */
export const LOST: unique symbol = Symbol('lost');

export interface Patience {
  attempts?: number;
  /** What a caller is told to wait who lost them all. */
  retryAfterMs?: number;
}

/**
 * Runs `attempt`, which reads, decides and writes, again while it loses.
 * @param what `trip`, to complete "The … changed too often"
 * @throws RideError RIDE_CONFLICT after so many lost races, and whatever `attempt` throws
 */
export async function untilWritten<T>(
  what: string,
  attempt: () => Promise<T | typeof LOST>,
  { attempts = 16, retryAfterMs = 50 }: Patience = {},
): Promise<T> {
  for (let tried = 0; tried < attempts; tried++) {
    const result = await attempt();
    if (result !== LOST) return result;
  }
  throw new RideError('RIDE_CONFLICT', `The ${what} changed too often; try again`, { retryAfterMs });
}

/** A write was refused because there is such a document already. */
export const isTaken = (error: unknown): boolean => error instanceof RideError && error.code === 'RIDE_ALREADY_EXISTS';

/** Writes the next version of what was `stored`, or the first; false when another writer was first. @throws RideError RIDE_UNAVAILABLE */
export async function put<T extends StoredDocument>(
  collection: Collection<T>,
  stored: T | null,
  next: T,
  events: readonly OutboxEvent[] = [],
): Promise<boolean> {
  if (stored) return collection.compareAndSet(next, events);
  try {
    await collection.insert(next, events);
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** @throws RideError RIDE_PRECONDITION_FAILED when what the caller decided on is not `document` any more; `facts` say what it is now */
export function checkVersion(
  what: string,
  document: StoredDocument,
  expectedVersion: number | undefined,
  facts: Record<string, string> = {},
): void {
  const { version } = document;
  if (expectedVersion === undefined || expectedVersion === version) return;
  throw new RideError('RIDE_PRECONDITION_FAILED', `The ${what} is at version ${version}`, {
    field: 'If-Match',
    rule: 'the current version',
    facts: { version, ...facts },
  });
}
