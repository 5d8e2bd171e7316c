/** The table of docs/errors.md at the address that the `type` of every problem document names: a client's developer follows it. */
import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { type ErrorCode, errorCodes, grpcStatus } from '../errors.ts';

const ERRORS_PATH = '/docs/errors';

const anchorOf = (code: string): string => code.toLowerCase();

/** `type` of a problem document (RFC 9457): the code's row on this page. */
export const problemType = (code: ErrorCode): string => `${ERRORS_PATH}#${anchorOf(code)}`;

const constantCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();
const grpcName = new Map<number, string>(
  Object.entries(grpcStatus).map(([name, number]) => [number, constantCase(name)]),
);

export interface ErrorRow {
  code: string;
  anchor: string;
  /** The cells after the code, in the order of `errorColumns`. */
  cells: readonly string[];
}

export const errorColumns = ['code', 'HTTP', 'gRPC', 'close', 'retryable', 'what it means'] as const;

/** The registry as texts, for this page and for docs/errors.md. */
export const errorRows: readonly ErrorRow[] = Object.entries(errorCodes).map(([code, spec]) => {
  const { http, grpc, retryable, title, close }: { close?: number } & typeof spec = spec;
  const cells = [http, `${grpc} ${grpcName.get(grpc)}`, close ?? '', retryable ? 'yes' : 'no', title];
  return { code, anchor: anchorOf(code), cells: cells.map(String) };
});

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}' +
  'table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #ccc}' +
  ':target{background:#fff3b0}';

/** Nothing but this style may be loaded. */
const CONTENT_SECURITY_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The registry is ours and has no markup in it; a test holds it to that. */
function errorsPage(): string {
  const head = errorColumns.map((name) => `<th>${name}</th>`).join('');
  const rows = errorRows.map(({ code, anchor, cells }) => {
    const rest = cells.map((cell) => `<td>${cell}</td>`).join('');
    return `<tr id="${anchor}"><td><code>${code}</code></td>${rest}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Errors of Ridestream</title><style>${STYLE}</style></head>
<body>
<h1>Errors</h1>
<p>Every refusal carries one of these codes, on every transport. <em>Retryable</em> says that the same call may succeed later; after
<code>retry_after_ms</code>, where it is given. Close codes 4000–4499 mean reconnect, 4500–4999 do not reconnect as you are.</p>
<table>
<thead><tr>${head}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}

export const errorsPagePlugin = fp(
  async (app: FastifyInstance) => {
    const page = errorsPage();
    app.get(ERRORS_PATH, { schema: { hide: true } as object }, (_request, reply) =>
      reply
        .headers({ 'content-security-policy': CONTENT_SECURITY_POLICY, 'x-content-type-options': 'nosniff' })
        .type('text/html; charset=utf-8')
        .send(page),
    );
  },
  { name: 'errors-page' },
);
