/** The header that makes a repeated request safe: who sent it, for what, and whether it is the same again. */
import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import type { IdempotencyKey } from '../domain/idempotency/service.ts';
import type { Principal } from '../domain/roles.ts';

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'The same key and body give the same answer, for 24 h' }),
  ),
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Scoped to caller and route; the body's hash tells a repeat from another request. */
export function idempotencyKey(
  principal: Principal,
  route: string,
  key: string | undefined,
  body: unknown,
): IdempotencyKey | undefined {
  if (key === undefined) return undefined;
  return { id: `idem:${sha256(`${principal.userId}\n${route}\n${key}`)}`, bodyHash: sha256(JSON.stringify(body)) };
}
