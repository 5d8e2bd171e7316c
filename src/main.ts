/**
 * The process: settings, private Redis when none is named, build, listen, signals, drain. The only reader of process.env.
 */
import { hostname } from 'node:os';
import pino from 'pino';
import { startPrivateRedis } from './adapters/redis/private-server.ts';
import { type AppOptions, buildApp } from './app.ts';
import { ConfigError, loadConfig } from './config.ts';
import { RideError } from './errors.ts';
import { loggerOptions } from './settings.ts';

/** A slug from the host's name and the process id: unique among the processes that share a Redis. */
function defaultNodeId(): string {
  const host = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 20);
  return `${host}-${process.pid}`;
}

async function main(): Promise<void> {
  const settings = loadConfig(process.env);
  const nodeId = settings.nodeId ?? defaultNodeId();
  const log = pino(loggerOptions({ ...settings, nodeId }) as pino.LoggerOptions);
  const privateRedis = settings.redisUrl
    ? null
    : await startPrivateRedis({ dataDir: settings.dataDir, binary: settings.redisServer, log });
  const config = { ...settings, nodeId, redisUrl: settings.redisUrl ?? privateRedis!.url };
  try {
    await serve(config, log, privateRedis !== null, async () => privateRedis?.stop());
  } catch (error) {
    await privateRedis?.stop();
    throw error;
  }
}

async function serve(
  config: AppOptions['config'],
  log: pino.Logger,
  ownRedis: boolean,
  stopRedis: () => Promise<void>,
): Promise<void> {
  const server = await buildApp({ config });
  let stopping = false;
  async function stop(signal: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'draining');
    await server.close();
    await stopRedis();
    log.info({ signal }, 'stopped');
    process.exit(0);
  }
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));

  const listening = await server.listen();
  const store = config.mongodbUrl ? 'mongodb' : 'sqlite';
  log.info({ ...listening, store, redis: ownRedis ? 'private' : 'shared', mode: config.mode }, 'listening');
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`ridestream: ${problem}\n`);
  } else if (error instanceof RideError) {
    process.stderr.write(`ridestream: ${error.message}\n`);
  } else {
    process.stderr.write(`ridestream: ${error instanceof Error ? error.stack : String(error)}\n`);
  }
  process.exit(1);
});
