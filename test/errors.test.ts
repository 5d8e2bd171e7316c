/** The registry of errors keeps its own promises, and its page says what it says. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { asRideError, errorCodes, grpcStatus, invalidInput, RideError } from '../src/errors.ts';
import { sendProblem } from '../src/plugins/errors.ts';

type Spec = { http: number; grpc: number; close?: number; retryable: boolean; title: string };
const codes = Object.entries(errorCodes) as [keyof typeof errorCodes, Spec][];

t.test('codes and statuses', async (t) => {
  const grpc = new Set<number>(Object.values(grpcStatus));
  for (const [code, spec] of codes) {
    t.match(code, /^RIDE_[A-Z_]+$/);
    t.ok(spec.http >= 400 && spec.http < 600, `${code}: an HTTP error`);
    t.ok(grpc.has(spec.grpc), `${code}: a gRPC status`);
    t.match(spec.title, /^[A-Z][^.]+$/, `${code}: one sentence without a full stop`);
    if (spec.close === undefined) continue;
    const reconnect = spec.close >= 4000 && spec.close < 4500;
    t.equal(reconnect, spec.retryable, `${code}: the close code's range tells whether to reconnect`);
  }
  const closes = codes.map(([, spec]) => spec.close).filter((close) => close !== undefined);
  t.equal(new Set(closes).size, closes.length, 'no close code means two things');
});

t.test('whatever was thrown becomes an error of ours', async (t) => {
  const own = invalidInput('lat', 'a number');
  t.equal(asRideError(own), own);
  t.match(own, { code: 'RIDE_INVALID_INPUT', field: 'lat', rule: 'a number', message: 'lat must be a number' });
  const cause = new TypeError('x is not a function');
  t.match(asRideError(cause), { code: 'RIDE_INTERNAL', message: 'The server failed', cause });
  t.match(asRideError('thrown text'), { code: 'RIDE_INTERNAL', cause: 'thrown text' });
});

t.test('a problem document says all that is known and no more', async (t) => {
  const sent: { headers: Record<string, unknown>; status: number; body: object } = { headers: {}, status: 0, body: {} };
  const reply = {
    header: (name: string, value: unknown) => {
      sent.headers[name] = value;
      return reply;
    },
    code: (status: number) => {
      sent.status = status;
      return reply;
    },
    type: (value: string) => reply.header('content-type', value),
    send: (body: object) => {
      sent.body = body;
      return reply;
    },
  };
  const error = new RideError('RIDE_CONFLICT', 'again', { retryAfterMs: 50, facts: { version: 3 } });
  sendProblem({ id: 'c1' } as never, reply as never, error);
  t.equal(sent.status, 409);
  t.same(sent.headers, { 'retry-after': 1, 'content-type': 'application/problem+json' });
  t.same(JSON.parse(JSON.stringify(sent.body)), {
    type: '/docs/errors#ride_conflict',
    title: 'Another change came first',
    status: 409,
    detail: 'again',
    code: 'RIDE_CONFLICT',
    corr_id: 'c1',
    retry_after_ms: 50,
    facts: { version: 3 },
  });
});

t.test('every code is thrown somewhere, or says so', async (t) => {
  const src = new URL('../src/', import.meta.url);
  const sources = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'errors.ts')
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8'));
  const errors = readFileSync(new URL('plugins/errors.ts', src), 'utf8');
  const text = [...sources, errors].join('\n');
  t.same(
    codes.map(([code]) => code).filter((code) => code !== 'RIDE_INTERNAL' && !text.includes(`'${code}'`)),
    [],
    'no dead codes',
  );
});

t.test('docs/errors.md is what the registry says', async (t) => {
  const { errorsDoc } = await import('../script/errors-doc.ts');
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
  t.equal(text, errorsDoc(), 'run script/contracts');
  for (const [code] of codes) t.match(text, `<a id="${code.toLowerCase()}"></a>`, 'the anchor of its problem type');
});
