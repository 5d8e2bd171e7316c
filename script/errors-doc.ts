/** Writes docs/errors.md from the registry in src/errors.ts. */
import { writeFile } from 'node:fs/promises';
import { errorColumns, errorRows } from '../src/plugins/errors-page.ts';

const HEAD = `# Errors

Written by \`script/contracts\` from [src/errors.ts](../src/errors.ts); do not edit.

Every refusal carries one of these codes, the same on every transport:

- **REST** answers with the HTTP status and an RFC 9457 problem document (\`application/problem+json\`): \`type\` (the row below, served
  at \`/docs/errors#<code>\`), \`title\`, \`status\`, \`detail\`, \`code\`, \`corr_id\`, and where they apply \`field\`, \`rule\`, \`retry_after_ms\` (with
  the header \`Retry-After\`) and \`facts\`.
- **A message on a stream** (WebSocket or gRPC) is answered by an \`error\` envelope under its \`corr_id\`: \`code\`, \`message\`, \`field\`, \`rule\`,
  \`retryable\`, \`retry_after_ms\`, and \`facts\` as texts. The session goes on.
- **The end of a WebSocket** has a close code: 4000–4499 reconnect, 4500–4999 do not reconnect as you are. The reason begins with the
  error's code. Refused before the upgrade, it is an HTTP answer like any other.
- **The end of a gRPC stream** has a status, with the trailers \`ride-code\`, and where they apply \`ride-field\`, \`ride-rule\`,
  \`ride-retry-after-ms\` and \`ride-facts\` (JSON).

The facts tell whoever was too slow how things stand: \`status\` and \`version\` of the trip, \`driver_id\`, and who won: \`winner_role\` (driver, rider, operator or
system), \`winner_event\` (assigned, cancelled or expired), \`winner_version\`, the version of the trip that made it so, and of a cancelled trip \`cancelled_by\`. A
driver who is busy (\`RIDE_DRIVER_BUSY\`) is told \`active_trip_id\`, and as \`winner_version\` the version at which that trip became his. Who never had a part in the
trip, learns status and version only.

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
