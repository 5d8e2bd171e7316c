/** Records of tests: each says its key and its place among those of the key. */
import type { SinkRecord } from '../../../src/ports/event-sink.ts';

export const recordOf = (key: string, n: number, bytes = 20): SinkRecord => ({
  topic: 'order-events',
  key,
  id: `${key}/${n}`,
  headers: { ce_id: `${key}/${n}` },
  payload: Buffer.alloc(bytes, n % 251),
});

/** The ids of each key as they came for the first time. */
export function firstOf(records: readonly SinkRecord[]): Map<string, string[]> {
  const seen = new Set<string>();
  const byKey = new Map<string, string[]>();
  for (const { id, key } of records) {
    if (seen.has(id)) continue;
    seen.add(id);
    byKey.set(key, [...(byKey.get(key) ?? []), id]);
  }
  return byKey;
}
