/**
 * What the simulator's clients sent and got, written down as it happens, in files that only ever grow: one JSON line an
 * entry, one file a process. Entries are raw, before anything is deduplicated or understood, so that the check that reads
 * them later (check.ts) does not trust the code of the clients any more than that of the server.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** `at` is the wall time of the entry, epoch milliseconds. */
export type LedgerEntry = { at: number } & (
  | { k: 'good'; row: number }
  | { k: 'refused'; row: number; field: string; reason: string }
  /** A request is about to be sent; until it is answered, it is sent again under the same key. */
  | { k: 'request'; rider: string; row: number; key: string }
  | { k: 'requested'; rider: string; row: number; key: string; trip: string }
  | { k: 'request_failed'; rider: string; row: number; key: string; code: string }
  | { k: 'cancel'; rider: string; trip: string }
  | { k: 'cancel_answer'; rider: string; trip: string; code: string }
  /** An ordered trip event as it arrived on a topic, repeats included. */
  | {
      k: 'event';
      user: string;
      role: 'rider' | 'driver';
      topic: string;
      id: string;
      offset: number;
      epoch: string;
      trip: string;
      seq: number;
      type: string;
    }
  | {
      k: 'subscribed';
      user: string;
      topic: string;
      recovered: boolean;
      offset: number;
      epoch: string;
      replayed: number;
    }
  | { k: 'offer'; driver: string; offer: string; trip: string; id: string }
  | { k: 'reply'; driver: string; offer: string; trip: string; accept: boolean }
  /** The driver has the trip: `via` says how it learned so. */
  | { k: 'won'; driver: string; trip: string; via: string }
  /** Its acceptance was refused: the offer had expired, or the trip was another's or over. */
  | { k: 'too_late'; driver: string; trip: string; code: string }
  | { k: 'step'; driver: string; trip: string; step: string }
  | { k: 'stepped'; driver: string; trip: string; step: string }
  /** The driver is done with the trip: it completed it, or learned that it ended otherwise. */
  | { k: 'free'; driver: string; trip: string; why: string }
  | { k: 'connected'; user: string; server: string }
  | { k: 'note'; user: string; trip: string; text: string }
);

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;
export type NewEntry = WithoutTime<LedgerEntry>;

export interface Ledger {
  write(entry: NewEntry): void;
  /** Writes out what is buffered; entries are also written whenever enough of them wait. */
  flush(): void;
  close(): void;
}

const BUFFER_CHARS = 64 * 1024;
const SUFFIX = '.ledger.jsonl';

/** Opens `NAME.ledger.jsonl` in the directory for appending. */
export function openLedger(directory: string, name: string): Ledger {
  mkdirSync(directory, { recursive: true });
  const file = openSync(join(directory, name + SUFFIX), 'a');
  let buffer = '';
  const flush = () => {
    if (buffer) writeSync(file, buffer);
    buffer = '';
  };
  return {
    write(entry) {
      buffer += `${JSON.stringify({ at: Date.now(), ...entry })}\n`;
      if (buffer.length > BUFFER_CHARS) flush();
    },
    flush,
    close() {
      flush();
      closeSync(file);
    },
  };
}

/**
 * All entries of the ledgers in a directory, file after file, each in the order of its writing. Throws on a line that is not
 * JSON, except for a last line that a killed process left unfinished.
 */
export function readLedgers(directory: string): LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith(SUFFIX)) continue;
    const lines = readFileSync(join(directory, name), 'utf8').split('\n');
    const unfinished = lines.pop();
    if (unfinished) console.warn(`${name}: the last line is not finished and is left out`);
    lines.forEach((line, i) => {
      try {
        entries.push(JSON.parse(line) as LedgerEntry);
      } catch (error) {
        throw new Error(`${name}, line ${i + 1}: not JSON`, { cause: error });
      }
    });
  }
  return entries;
}
