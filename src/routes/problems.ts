/** The refusals of a route for its schema, by HTTP status. */
import { ProblemSchema, type ProblemSchema as Schema } from '../domain/schemas.ts';
import { sends } from './response-headers.ts';

type Entry = { description: string; content: { 'application/problem+json': { schema: typeof Schema } } };

const DESCRIPTION: Record<number, string> = {
  400: 'The input breaks a rule',
  401: 'Sign-in is missing, not valid or expired',
  403: 'The caller may not do this',
  404: 'There is no such resource',
  409: 'The state does not allow this, or someone was faster',
  412: 'The version is not the current one',
  413: 'The body is too large',
  415: 'The content type is not JSON',
  422: 'The idempotency key was used for another body',
  429: 'Too many requests',
  500: 'The server failed',
  503: 'A part that this needs is away',
};

/** Statuses of errors that pass: they say when. */
const MAY_BE_REPEATED: ReadonlySet<number> = new Set([409, 429, 503]);

/** With 500, which no route can rule out. */
export function problems(...statuses: readonly number[]): Record<number, Entry> {
  return Object.fromEntries(
    [...statuses, 500].map((status) => {
      const content = { 'application/problem+json': { schema: ProblemSchema } };
      const entry = { description: DESCRIPTION[status]!, content };
      return [status, MAY_BE_REPEATED.has(status) ? sends(entry, 'Retry-After') : entry];
    }),
  );
}
