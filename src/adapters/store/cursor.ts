/**
 * Page tokens, the same for every store adapter: the place where a page ended (its last document's order value and id),
 * bound to the query by a digest, so that a token that was cut, made up or taken from another query is refused rather
 * than obeyed.
 */
import { createHash } from 'node:crypto';
import { invalidInput } from '../../errors.ts';
import type { PageQuery } from '../../ports/store.ts';

export interface Cursor {
  /** Order value of the last document; null when it has none. */
  value: string | number | boolean | null;
  id: string;
}

/** `scope` names the collection. */
export function formatCursor(scope: string, query: PageQuery, cursor: Cursor): string {
  const body = JSON.stringify([cursor.value, cursor.id]);
  return Buffer.from(`${digest(scope, query, body)}${body}`).toString('base64url');
}

/** @throws RideError RIDE_INVALID_INPUT, field `page_token`. */
export function parseCursor(scope: string, query: PageQuery, token: string): Cursor {
  const text = Buffer.from(token, 'base64url').toString();
  const body = text.slice(16);
  if (digest(scope, query, body) !== text.slice(0, 16)) throw refused();
  let place: unknown;
  try {
    place = JSON.parse(body);
  } catch {
    throw refused();
  }
  // The digest is no secret: who made up a token and its digest is refused here.
  if (!Array.isArray(place) || place.length !== 2 || !isScalar(place[0]) || typeof place[1] !== 'string')
    throw refused();
  return { value: place[0], id: place[1] };
}

const isScalar = (value: unknown): value is Cursor['value'] => value === null || typeof value !== 'object';

function refused(): Error {
  return invalidInput('page_token', 'the next_page_token of the page before, with the same query');
}

function digest(scope: string, query: PageQuery, body: string): string {
  const where = Object.entries(query.where).sort(([a], [b]) => (a < b ? -1 : 1));
  const all = JSON.stringify([scope, where, query.orderBy ?? 'createdAt', query.direction ?? 'desc', body]);
  return createHash('sha256').update(all).digest('base64url').slice(0, 16);
}
