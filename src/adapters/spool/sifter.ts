/**
 * One record that the broker refuses for ever must not hold up those behind it. A batch with such a record in it is sent again in halves,
 * and those in halves, until what is refused stands alone: that is put aside, on the disk, and the rest arrives in its order.
 */
import { RecordsRefused, type SinkRecord } from '../../ports/event-sink.ts';

export interface SifterOptions {
  /** @throws RecordsRefused, or what says that it may be sent again as it is */
  send(records: readonly SinkRecord[]): Promise<void>;
  /** Resolves when a crash cannot lose it. */
  putAside(record: SinkRecord, reason: RecordsRefused): Promise<void>;
  /** Asked between two sends; what it throws ends the matter, to be begun anew. */
  check(): void;
}

export interface Sifter {
  /** Resolves when the broker has each of them or it was put aside. Rejects as `send` and `putAside` do; then all of them may come again. */
  deliver(records: readonly SinkRecord[]): Promise<void>;
  /** Of the last batch, if that was not delivered: this one is put aside already. */
  isAside(record: SinkRecord): boolean;
}

const nameOf = ({ topic, id }: SinkRecord): string => `${topic}/${id}`;

export function createSifter({ send, putAside, check }: SifterOptions): Sifter {
  /** While a batch comes again and again it is put aside once. */
  const aside = new Set<string>();

  async function sift(records: readonly SinkRecord[]): Promise<void> {
    if (records.length === 0) return;
    try {
      await send(records);
    } catch (error) {
      if (!(error instanceof RecordsRefused)) throw error;
      if (records.length === 1) {
        await putAside(records[0]!, error);
        aside.add(nameOf(records[0]!));
        return;
      }
      const half = records.length >> 1;
      for (const part of [records.slice(0, half), records.slice(half)]) {
        check();
        await sift(part);
      }
    }
  }

  const isAside = (record: SinkRecord): boolean => aside.has(nameOf(record));
  return {
    isAside,
    async deliver(records) {
      await sift(aside.size === 0 ? records : records.filter((record) => !isAside(record)));
      aside.clear();
    },
  };
}
