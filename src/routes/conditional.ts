/** Conditional reads (RFC 9110 section 13): whoever polls with the tag of what he has pays for the body only when it changed. */
import { hash } from 'node:crypto';

/** A strong entity tag from the parts that make the representation what it is. */
export const entityTag = (...parts: readonly (string | number | boolean | undefined)[]): string =>
  `"${hash('sha1', parts.join('\n'), 'hex')}"`;

/** Whether an If-None-Match header names `tag`. Compares weakly, as section 13.1.2 says. */
export function noneMatches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === tag);
}
