/**
 * Positions as Redis told them last. Who follows a driver asks more often than he moves: as long as Redis tells the same text, its
 * position is the same object, which is neither parsed again nor, by who keeps what he made of it, written again. Redis is asked
 * every time; only what it says is recognised.
 */
import type { Position } from '../../ports/positions.ts';
import { positionOf } from './position-fields.ts';

interface Parsed {
  text: string;
  position: Position;
}

/** Keys that are remembered; the oldest go first. */
const KEYS_MAX = 20_000;

/** A text of its own, that keeps nothing alive of the reply that it is a part of. */
const ownCopy = (part: string): string => Buffer.from(part).toString();

/**
 * @param text the values of POSITION_FIELDS in JSON, or what Redis said when it could not read them
 * @throws Error with the latter
 */
export function parsePosition(text: string): Position | null {
  const values = JSON.parse(text) as (string | false | null)[] | string;
  if (typeof values === 'string') throw new Error(values);
  return positionOf(values);
}

export class ParsedPositions {
  readonly #known = new Map<string, Parsed>();
  readonly #max: number;

  constructor(max = KEYS_MAX) {
    this.#max = max;
  }

  /** The position that stands under `key` as `text`; null when there is none. @throws as parsePosition */
  of(key: string, text: string): Position | null {
    const known = this.#known.get(key);
    if (known?.text === text) return known.position;
    const position = parsePosition(text);
    if (position === null) this.#known.delete(key);
    else if (known) Object.assign(known, { text: ownCopy(text), position });
    else this.#remember(key, { text: ownCopy(text), position });
    return position;
  }

  #remember(key: string, parsed: Parsed): void {
    if (this.#known.size >= this.#max) {
      const oldest = this.#known.keys().next().value;
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(key, parsed);
  }
}
