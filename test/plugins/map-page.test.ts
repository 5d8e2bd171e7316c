/** The files of the map page: what is served, under which policy, and what is not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import mapPage, { type MapPageOptions } from '../../src/plugins/map-page.ts';

async function build(t: Test, options: Partial<MapPageOptions> = {}) {
  const app = Fastify();
  t.teardown(() => app.close());
  // The server's own headers come first; the page's must win on its routes and only there.
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'content-security-policy': "default-src 'self'", 'x-frame-options': 'SAMEORIGIN' });
  });
  await app.register(mapPage, { city: 'porto', region: 'eu-west', development: false, ...options });
  app.get('/elsewhere', async () => 'here');
  return app;
}

function file(t: Test, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ridestream-map-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'base.geojson');
  writeFileSync(path, content);
  return path;
}

t.test('/map leads to the page, relative so that a prefix of a proxy stays', async (t) => {
  const app = await build(t);
  const answer = await app.inject('/map');
  t.equal(answer.statusCode, 308);
  t.equal(answer.headers.location, 'map/');
});

t.test('every file that the page names is served with its type', async (t) => {
  const app = await build(t);
  const page = await app.inject('/map/');
  t.equal(page.statusCode, 200);
  t.match(page.headers['content-type'], /^text\/html/);
  const named = [...page.body.matchAll(/(?:src|href)="([^"#:]+)"/g)].map((match) => match[1]!);
  t.ok(named.length >= 5, named.join(' '));
  const queue = named.map((name) => `/map/${name}`);
  const seen = new Set<string>();
  for (const path of queue) {
    if (seen.has(path)) continue;
    seen.add(path);
    const answer = await app.inject(path);
    t.equal(answer.statusCode, 200, path);
    t.match(answer.headers['content-type'], path.endsWith('.css') ? /^text\/css/ : /javascript/, path);
    if (!path.includes('/vendor/')) {
      for (const [, name] of answer.body.matchAll(/from '\.\/([\w-]+\.js)'/g)) queue.push(`/map/js/${name}`);
    }
  }
  t.ok(seen.size > 20, `${seen.size} files`);
});

t.test('the policy names no outside host, allows no inline code, and is the page’s alone', async (t) => {
  const app = await build(t);
  for (const path of ['/map/', '/map/config.json', '/map/vendor/leaflet/leaflet.js', '/map/none']) {
    const policy = String((await app.inject(path)).headers['content-security-policy']);
    t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, path);
    t.match(policy, /require-trusted-types-for 'script'/);
    t.notMatch(policy, /unsafe|https?:|\*/, path);
    t.equal((await app.inject(path)).headers['x-content-type-options'], 'nosniff');
  }
  t.notMatch((await app.inject('/elsewhere')).headers['content-security-policy'], /default-src 'none'/);
  const page = (await app.inject('/map/')).body;
  t.notMatch(
    page,
    /\son\w+=|\sstyle=|<script>|<style>|https?:\/\/(?!www\.w3\.org)/,
    'nothing inline, nothing from outside',
  );
});

t.test('caching: own files are asked for again, Leaflet is kept a day, settings never', async (t) => {
  const app = await build(t);
  const script = await app.inject('/map/js/main.js');
  t.equal(script.headers['cache-control'], 'no-cache');
  const again = await app.inject({ url: '/map/js/main.js', headers: { 'if-none-match': String(script.headers.etag) } });
  t.equal(again.statusCode, 304);
  t.equal((await app.inject('/map/vendor/leaflet/leaflet.js')).headers['cache-control'], 'public, max-age=86400');
  t.equal((await app.inject('/map/config.json')).headers['cache-control'], 'no-store');
});

t.test('settings of the page', async (t) => {
  t.same((await (await build(t)).inject('/map/config.json')).json(), {
    city: 'porto',
    region: 'eu-west',
    development: false,
    basemap: false,
  });
  const app = await build(t, { freshnessMs: 30_000, clockSpeed: 60, timeZone: 'Europe/Lisbon', development: true });
  t.match((await app.inject('/map/config.json')).json(), {
    freshness_ms: 30_000,
    clock_speed: 60,
    time_zone: 'Europe/Lisbon',
    development: true,
  });
});

t.test('nothing but the page’s files can be read', async (t) => {
  const app = await build(t);
  const paths = [
    '../tsconfig.json',
    '%2e%2e/tsconfig.json',
    'js/',
    'js',
    '.git/config',
    'vendor/leaflet/../../tsconfig.json',
  ];
  for (const path of [...paths, 'vendor/leaflet/..%2fpackage.json', 'basemap.geojson']) {
    const answer = await app.inject(`/map/${path}`);
    t.ok(answer.statusCode === 404 || answer.statusCode === 403, `${path}: ${answer.statusCode}`);
  }
});

t.test('a base map is served whole, compressed for who takes it, and once', async (t) => {
  const geojson = JSON.stringify({ type: 'FeatureCollection', features: [], attribution: 'Somebody' });
  const app = await build(t, { basemapFile: file(t, geojson) });
  t.equal((await app.inject('/map/config.json')).json().basemap, true);
  const plain = await app.inject('/map/basemap.geojson');
  t.equal(plain.body, geojson);
  t.match(plain.headers, { 'content-type': /^application\/geo\+json/, vary: 'accept-encoding' });
  const headers = { 'accept-encoding': 'br, gzip' };
  const packed = await app.inject({ url: '/map/basemap.geojson', headers });
  t.equal(packed.headers['content-encoding'], 'gzip');
  t.equal(gunzipSync(packed.rawPayload).toString(), geojson);
  const again = { url: '/map/basemap.geojson', headers: { 'if-none-match': String(plain.headers.etag) } };
  t.equal((await app.inject(again)).statusCode, 304);
});

t.test('a wrong base map stops the start and says what is wrong', async (t) => {
  const start = (basemapFile: string) => build(t, { basemapFile });
  await t.rejects(start('/nowhere/base.geojson'), { message: /\/nowhere\/base\.geojson cannot be read/ });
  await t.rejects(start(file(t, '{"type":')), { message: /is not JSON/ });
  await t.rejects(start(file(t, '{"type":"Topology"}')), { message: /is not GeoJSON/ });
  await t.rejects(start(file(t, 'null')), { message: /is not GeoJSON/ });
});

t.test('the page’s sources make no markup from text', async (t) => {
  const app = await build(t);
  const names = [...(await app.inject('/map/js/main.js')).body.matchAll(/from '\.\/([\w-]+\.js)'/g)].map((m) => m[1]!);
  for (const name of ['main.js', ...names]) {
    const code = readFileSync(new URL(`../../web/public/js/${name}`, import.meta.url), 'utf8').replace(
      /^\s*\/\/.*$/gm,
      '',
    );
    t.notMatch(code, /\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b|new Function/, name);
  }
});
