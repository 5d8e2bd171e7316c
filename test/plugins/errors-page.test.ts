/** The page that the `type` of every problem document leads to. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { errorCodes } from '../../src/errors.ts';
import { errorRows } from '../../src/plugins/errors-page.ts';
import { build } from '../helper.ts';

const s = await build(t);

t.test('the type of a problem is an address, with a row for its code', async (t) => {
  const { body: problem } = await s.rest('GET', '/api/v1/trips');
  t.equal(problem.type, '/docs/errors#ride_unauthenticated');
  const [path, anchor] = problem.type.split('#');
  const page = await s.rest('GET', path);
  t.equal(page.status, 200);
  t.match(page.headers.get('content-type'), /^text\/html; charset=utf-8/);
  t.match(page.body, `<tr id="${anchor}"><td><code>RIDE_UNAUTHENTICATED</code></td><td>401</td>`);
});

t.test('every code has its row, once', async (t) => {
  const { body: html } = await s.rest('GET', '/docs/errors');
  const ids = [...html.matchAll(/<tr id="([^"]+)"/g)].map(([, id]) => id);
  t.same(
    ids,
    Object.keys(errorCodes).map((code) => code.toLowerCase()),
  );
  for (const { title } of Object.values(errorCodes)) t.ok(html.includes(`<td>${title}</td>`), title);
});

t.test('it loads nothing but its own style, and has no markup from elsewhere', async (t) => {
  const { headers, body: html } = await s.rest('GET', '/docs/errors');
  const [, style] = /<style>(.*)<\/style>/s.exec(html)!;
  const hash = createHash('sha256').update(style!).digest('base64');
  t.match(headers.get('content-security-policy'), `default-src 'none'; style-src 'sha256-${hash}'`);
  for (const { code, cells } of errorRows) t.notMatch([code, ...cells].join(''), /[<>&"]/, code);
});

t.test('the API’s pages are still where they were', async (t) => {
  t.equal((await s.rest('GET', '/docs/asyncapi.yaml')).status, 200);
  t.equal((await s.rest('GET', '/docs')).status, 200);
});
t.end();
