/**
 * The live map page of operators: static files of web/public under /map/, Leaflet from its own package, the page's settings and,
 * when there is one, the base map. The page asks no outside host for anything, and its policy makes the browser hold to that.
 *
 * Nothing here is secret: who opens the page still needs a token for every read and for the stream.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { RideError } from '../errors.ts';

export interface MapPageOptions {
  /** City whose drivers and trips the page shows. */
  city: string;
  region: string;
  /** The page may fetch itself an admin token (POST /api/v1/auth/token). */
  development: boolean;
  /** GeoJSON file drawn under the map, RFC 7946; its member `attribution`, if any, is shown on the map. */
  basemapFile?: string;
  /** Age past which a position is stale, milliseconds of domain time; default 60 s. */
  freshnessMs?: number;
  /** Domain milliseconds in a wall millisecond; default 1. */
  clockSpeed?: number;
  /** IANA time zone of the times shown; default: the reader's. */
  timeZone?: string;
}

interface Basemap {
  plain: Buffer;
  gzipped: Buffer;
  etag: string;
}

const PUBLIC = fileURLToPath(new URL('../../web/public/', import.meta.url));
const LEAFLET = join(dirname(createRequire(import.meta.url).resolve('leaflet/package.json')), 'dist');

/** The base map is held in memory and parsed by every reader's browser. */
const BASEMAP_MAX_BYTES = 64 * 1024 * 1024;

/**
 * `connect-src 'self'` covers the WebSocket of the same origin. Text never becomes markup: `require-trusted-types-for`, with
 * the one policy of web/public/js/trusted.js.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types default',
].join('; ');

const GEOJSON_TYPES = new Set([
  'FeatureCollection',
  'Feature',
  'GeometryCollection',
  'Point',
  'MultiPoint',
  'LineString',
  'MultiLineString',
  'Polygon',
  'MultiPolygon',
]);

/**
 * Reads and checks the base map, so that a wrong file stops the start and not the reader.
 * @throws RideError RIDE_UNAVAILABLE that names the file and what is wrong with it
 */
async function readBasemap(file: string): Promise<Basemap> {
  const refuse = (why: string, cause?: unknown) =>
    new RideError('RIDE_UNAVAILABLE', `The base map ${file} ${why}`, { cause });
  const plain = await readFile(file).catch((error: Error) => {
    throw refuse(`cannot be read: ${error.message}`, error);
  });
  if (plain.length > BASEMAP_MAX_BYTES) throw refuse(`is larger than ${BASEMAP_MAX_BYTES} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(plain.toString('utf8'));
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message}`, error);
  }
  const type = typeof parsed === 'object' && parsed !== null && 'type' in parsed ? parsed.type : undefined;
  if (typeof type !== 'string' || !GEOJSON_TYPES.has(type))
    throw refuse('is not GeoJSON: its type is none of RFC 7946');
  const etag = `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 27)}"`;
  return { plain, gzipped: await promisify(gzip)(plain), etag };
}

/** Headers of every answer under /map. */
function protect(reply: FastifyReply): void {
  reply.headers({
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  });
}

async function mapPage(app: FastifyInstance, options: MapPageOptions): Promise<void> {
  const basemap = options.basemapFile === undefined ? null : await readBasemap(options.basemapFile);
  const settings = {
    city: options.city,
    region: options.region,
    development: options.development,
    basemap: basemap !== null,
    freshness_ms: options.freshnessMs,
    clock_speed: options.clockSpeed,
    time_zone: options.timeZone,
  };
  const hidden = { schema: { hide: true } };

  app.addHook('onRequest', async (_request, reply) => protect(reply));

  // Relative, so that it also holds behind a proxy that adds a prefix.
  app.get('/map', hidden, (_request, reply) => reply.redirect('map/', 308));

  app.get('/map/config.json', hidden, (_request, reply) => reply.header('cache-control', 'no-store').send(settings));

  if (basemap !== null) {
    app.get('/map/basemap.geojson', hidden, (request, reply) => {
      reply.headers({ 'cache-control': 'public, max-age=3600', etag: basemap.etag, vary: 'accept-encoding' });
      if (request.headers['if-none-match'] === basemap.etag) return reply.code(304).send();
      reply.type('application/geo+json');
      if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return reply.send(basemap.plain);
      return reply.header('content-encoding', 'gzip').send(basemap.gzipped);
    });
  }

  const common = { decorateReply: false, index: false as const, dotfiles: 'deny' as const, schemaHide: true };
  // Names do not change with the content: browsers keep the files and ask each time whether they are still right (ETag).
  await app.register(fastifyStatic, {
    ...common,
    root: PUBLIC,
    prefix: '/map/',
    index: 'index.html',
    cacheControl: false,
    setHeaders: (reply) => reply.header('cache-control', 'no-cache'),
  });
  await app.register(fastifyStatic, { ...common, root: LEAFLET, prefix: '/map/vendor/leaflet/', maxAge: '1d' });
}

/** `encapsulate`: its headers are for its own routes. */
export default fp<MapPageOptions>(mapPage, { name: 'map-page', fastify: '5.x', encapsulate: true });
