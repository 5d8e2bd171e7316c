/** Writes docs/errors.md from the registry in src/errors.ts. */
import { writeFile } from 'node:fs/promises';
import { errorColumns, errorRows } from '../src/plugins/errors-page.ts';

const HEAD = `# Errors

Written by \`script/contracts\` from [src/errors.ts](../src/errors.ts); do not edit.

Every refusal carries one of these codes, the same on every transport:

- **REST** answers with the HTTP status and an RFC 9457 problem document (\`application/problem+json\`): \`type\` (the row below, served
  at \`/docs/errors#<code>\`), \`title\`, \`status\`, \`detail\`, \`code\`, \`corr_id\`, and where they apply \`field\`, \`rule\`, \`retry_after_ms\` (with
  the header \`Retry-After\`) and \`facts\` (who won a race, at which version).
- **A message on a stream** (WebSocket or gRPC) is answered by an \`error\` envelope under its \`corr_id\`: \`code\`, \`message\`, \`field\`, \`rule\`,
  \`retryable\`, \`retry_after_ms\`. The session goes on.
- **The end of a WebSocket** has a close code: 4000–4499 reconnect, 4500–4999 do not reconnect as you are. The reason begins with the
  error's code. Refused before the upgrade, it is an HTTP answer like any other.
- **The end of a gRPC stream** has a status, with the trailers \`ride-code\`, and where they apply \`ride-field\`, \`ride-rule\` and
  \`ride-retry-after-ms\`.

*Retryable* says that the same call may succeed later; after \`retry_after_ms\`, where it is given.

| ${errorColumns.join(' | ')} |
|---|---|---|---|---|---|
`;

export function errorsDoc(): string {
  const rows = errorRows.map(
    ({ code, anchor, cells }) => `| <a id="${anchor}"></a>\`${code}\` | ${cells.join(' | ')} |\n`,
  );
  return `${HEAD}${rows.join('')}`;
}

if (import.meta.main) await writeFile(new URL('../docs/errors.md', import.meta.url), errorsDoc());
