/**
 * Writes openapi/openapi.yaml from the routes as they run. Nothing listens; a Redis of its own is started for the parts that
 * want one while the server is put together.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { stringify } from 'yaml';
import { buildApp } from '../src/app.ts';
import { loadConfig } from '../src/config.ts';
import { startRedis } from '../test/servers/redis.ts';

const HEAD = '# Written by script/contracts from the schemas in src/routes; do not edit.\n';

/** The document of a server that is put together, as YAML. */
export function openapiYaml(app: FastifyInstance): string {
  return HEAD + stringify(app.swagger(), { lineWidth: 120, aliasDuplicateObjects: false });
}

if (import.meta.main) {
  const redis = await startRedis({ after() {} });
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-openapi-'));
  const config = loadConfig({ REDIS_URL: redis.url, DATA_DIR: folder, LOG_LEVEL: 'warn' });
  const { app, close } = await buildApp({ config: { ...config, redisUrl: redis.url, nodeId: 'openapi' } });
  await app.ready();
  await writeFile(new URL('../openapi/openapi.yaml', import.meta.url), openapiYaml(app));
  await close();
  await redis.stop();
  await rm(folder, { recursive: true });
}
