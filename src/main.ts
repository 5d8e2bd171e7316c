/**
 * The process: settings, private Redis when none is named, build, listen, signals, drain. With WORKERS it is the supervisor of
 * as many processes of this same program. The only reader of process.env.
 */
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { type PrivateRedis, startPrivateRedis } from './adapters/redis/private-server.ts';
import type { AppOptions } from './app.ts';
import { ConfigError, listenProblem, loadConfig } from './config.ts';
import { RideError } from './errors.ts';
import { defaultNodeId } from './node-id.ts';
import { loggerOptions } from './settings.ts';
import { canHaveWorkers, createSupervisor } from './supervisor.ts';
import { linkToSupervisor, workerNumber } from './worker-link.ts';

async function main(): Promise<void> {
  const settings = loadConfig(process.env);
  const nodeId = settings.nodeId ?? defaultNodeId(hostname());
  const log = pino(loggerOptions({ ...settings, nodeId }) as pino.LoggerOptions);
  const privateRedis = settings.redisUrl
    ? null
    : await startPrivateRedis({ dataDir: settings.dataDir, binary: settings.redisServer, log });
  const config = { ...settings, nodeId, redisUrl: settings.redisUrl ?? privateRedis!.url };
  try {
    await serve(config, log, privateRedis);
  } catch (error) {
    await privateRedis?.stop();
    throw error;
  }
}

/** How long closing may go on after the drain's deadline: of one node, and where Redis or workers end with it. */
const CLOSE_GRACE_MS = { node: 4000, whole: 15_000 };

async function serve(config: AppOptions['config'], log: pino.Logger, ownRedis: PrivateRedis | null): Promise<void> {
  const isWorker = workerNumber(process.argv) !== undefined;
  const hasWorkers = config.workers > 1 && (await canHaveWorkers(config.httpListen));
  if (config.workers > 1 && !hasWorkers) {
    log.warn({ workers: config.workers }, 'this system cannot share ports between processes: there is one worker');
  }
  const program = fileURLToPath(import.meta.url);
  // A supervisor has no need of the server's code, which is most of the program.
  const app = hasWorkers ? null : await (await import('./app.ts')).buildApp({ config, isWorker });
  const server = app ?? createSupervisor({ config, env: process.env, program, log });

  let stopping = false;
  async function stop(reason: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info({ signal: reason }, 'draining');
    // Parts that are away (Redis, say) may hold up the closing of what is left after the drain: it has an end too.
    const graceMs = ownRedis || hasWorkers ? CLOSE_GRACE_MS.whole : CLOSE_GRACE_MS.node;
    setTimeout(() => {
      log.warn({ signal: reason }, 'stopped before everything was closed');
      process.exit(1);
    }, config.drainDeadline + graceMs).unref();
    const logFailure = (error: unknown): void => log.error({ err: error, signal: reason }, 'not everything was closed');
    await server.close().catch(logFailure);
    await ownRedis?.stop().catch(logFailure);
    log.info({ signal: reason }, 'stopped');
    process.exit(0);
  }
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  const supervisor = isWorker && app ? linkToSupervisor(process, app, () => void stop('supervisor gone')) : null;

  const at = await server.listen().catch((error: unknown) => {
    // Told to stop before it was up: `stop` ends the process.
    if (stopping) return null;
    throw listenProblem(error, config) ?? error;
  });
  if (!at || stopping) return;
  const facts = {
    ...at,
    store: config.mongodbUrl ? 'mongodb' : 'sqlite',
    redis: ownRedis ? 'private' : 'shared',
    mode: config.mode,
    ...(hasWorkers ? { workers: config.workers } : {}),
  };
  log.info(facts, isWorker ? 'worker listening' : 'listening');
  supervisor?.listening(at);
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
