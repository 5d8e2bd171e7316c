/** Conditional reads (RFC 9110 section 13): whoever polls with the tag of what he has pays for the body only when it changed. */
import { hash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { etag } from '../domain/names.ts';
import { Named } from '../domain/schemas.ts';

/** Of a change to something that has a version. */
export const VersionHeaders = Type.Object({
  'if-match': Type.Optional(Named(etag, 'The ETag that the step was decided on')),
});

/** Says which version is answered: what `If-Match` may give back. */
export function tellVersion(reply: FastifyReply, { version }: { version: number }): void {
  void reply.header('etag', `"${version}"`);
}

export const versionOf = (header: string | undefined): number | undefined =>
  header === undefined ? undefined : Number(header.slice(1, -1));

/** A strong entity tag from the parts that make the representation what it is. */
export const entityTag = (...parts: readonly (string | number | boolean | undefined)[]): string =>
  `"${hash('sha1', parts.join('\n'), 'hex')}"`;

/** Whether an If-None-Match header names `tag`. Compares weakly, as section 13.1.2 says. */
export function noneMatches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === tag);
}
