/**
 * Ids that carry their shard key. `trip_<region>_<26 characters>`: the tail is a ULID in lower case (48 bits of creation
 * time in milliseconds, 80 random bits), so an id tells region and creation time, and every read or write by id can name
 * the shard `{region, createdAt}` of document C without looking anything up. Ids of one kind sort by creation time.
 */
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const VALUE = new Map([...ALPHABET].map((char, value) => [char, value]));

/** Prefixes by what they name. */
export type IdKind =
  | 'trip'
  | 'drv'
  | 'ofr'
  | 'evt'
  | 'sos'
  | 'msg'
  | 'ses'
  | 'idem'
  | 'usr'
  | 'dec'
  | 'gfn'
  | 'crs'
  | 'bkg';

export interface IdParts {
  kind: string;
  region: string;
  createdAt: number;
}

export interface Ids {
  /** A new id, dated now by the domain clock. */
  next(kind: IdKind): string;
  readonly region: string;
}

export function createIds(region: string, clock: Clock, random: Random): Ids {
  return {
    region,
    next: (kind) => formatId(kind, region, clock.now(), random.bytes(16)),
  };
}

/** Every two characters there are: ids are made of pairs. */
const PAIRS = [...ALPHABET].flatMap((first) => [...ALPHABET].map((second) => first + second));

/** The last instant and its text: many ids are of one. */
const last = { at: -1, text: '' };

function timeText(at: number): string {
  if (at === last.at) return last.text;
  let text = '';
  let rest = at;
  for (let i = 0; i < 5; i++) {
    text = PAIRS[rest % 1024]! + text;
    rest = Math.floor(rest / 1024);
  }
  last.at = at;
  last.text = text;
  return text;
}

/** `random`: 16 bytes, of which 80 bits are used. `createdAt`: epoch milliseconds below 2^48. */
export function formatId(kind: string, region: string, createdAt: number, random: Uint8Array): string {
  let id = `${kind}_${region}_${timeText(Math.floor(createdAt))}`;
  for (let i = 0; i < 16; i += 2) id += PAIRS[(random[i]! & 31) * 32 + (random[i + 1]! & 31)];
  return id;
}

/**
 * Region and creation time of a document that is to be stored under `id`: read off the id where it is one of ours, else
 * where and when it is made (an account's id may come from elsewhere).
 */
export function shardKeyOf(id: string, region: string, now: number): { region: string; createdAt: number } {
  const parts = parseId(id);
  return parts ? { region: parts.region, createdAt: parts.createdAt } : { region, createdAt: now };
}

/** Six decimal digits out of the 80 random bits of an id of ours, all as likely as each other. */
export function sixDigitsOf(id: string): string {
  let value = 0;
  for (const char of id.slice(-16)) value = (value * 32 + VALUE.get(char)!) % 1_000_000;
  return String(value).padStart(6, '0');
}

/** Null when `id` is not one of ours. */
export function parseId(id: string): IdParts | null {
  const match = /^([a-z]+)_([a-z0-9-]{1,32})_([0-9a-hjkmnp-tv-z]{26})$/.exec(id);
  if (!match) return null;
  let createdAt = 0;
  for (const char of match[3]!.slice(0, 10)) createdAt = createdAt * 32 + VALUE.get(char)!;
  return { kind: match[1]!, region: match[2]!, createdAt };
}
