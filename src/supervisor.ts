/**
 * Several processes of the server on one machine. The supervisor owns the private Redis if there is one, starts the workers,
 * starts one again that ended, serves the metrics of all, and drains all. The workers share the ports; the system spreads the
 * connections over them. Each is a node like any other: nothing is kept in the supervisor that a worker needs.
 */
import { canSharePorts, freeAddresses } from './adapters/system/ports.ts';
import type { AppOptions, Listening } from './app.ts';
import type { ListenAddress } from './config.ts';
import { listenMetrics } from './plugins/metrics.ts';
import { createWorkerMetrics } from './plugins/worker-metrics.ts';
import type { Logger } from './ports/logger.ts';
import { WorkerProcess } from './worker-process.ts';

export interface SupervisorOptions {
  config: AppOptions['config'];
  /** Environment of the workers, on which their settings are laid. */
  env: Readonly<Record<string, string | undefined>>;
  /** The program's main file. */
  program: string;
  log: Logger;
}

export interface Supervisor {
  /** Starts the workers and resolves when all listen. @throws Error when one of them cannot start */
  listen(): Promise<Listening>;
  /** Drains all workers. */
  close(): Promise<void>;
}

/** Beyond its drain deadline a worker gets this long to close what it has open. */
const CLOSE_GRACE_MS = 5000;

/** Where the system cannot share ports, there is one worker, which is this process. */
export async function canHaveWorkers({ host }: ListenAddress): Promise<boolean> {
  return canSharePorts(host);
}

const formatAddress = ({ host, port }: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

export function createSupervisor({ config, env, program, log }: SupervisorOptions): Supervisor {
  const workers: WorkerProcess[] = [];
  const metrics = createWorkerMetrics(workers);
  let metricsApp: Awaited<ReturnType<typeof listenMetrics>> | undefined;
  let closing: Promise<void> | undefined;

  function addWorker(settings: Record<string, string>): WorkerProcess {
    const worker = new WorkerProcess({
      number: workers.length + 1,
      program,
      env: { ...env, ...settings },
      nodeId: config.nodeId,
      log,
      onEnd: (counted) => metrics.retire(counted),
    });
    workers.push(worker);
    return worker;
  }

  async function close(): Promise<void> {
    await Promise.all(workers.map((worker) => worker.stop(config.drainDeadline + CLOSE_GRACE_MS)));
    await metricsApp?.close();
  }

  return {
    async listen() {
      const [http, grpc] = await freeAddresses([config.httpListen, config.grpcListen] as const);
      const settings = {
        WORKERS: '1',
        REDIS_URL: config.redisUrl,
        HTTP_LISTEN_ADDR: formatAddress(http),
        GRPC_LISTEN_ADDR: formatAddress(grpc),
        // Domain time is the same in all of them.
        CLOCK_ANCHOR: String(config.clockAnchor ?? Date.now()),
      };
      metricsApp = await listenMetrics(metrics, config.metricsListen);
      try {
        // The first one alone: what stops it would stop them all, and is said once.
        const at = await addWorker(settings).start();
        const others = Array.from({ length: config.workers - 1 }, () => addWorker(settings));
        await Promise.all(others.map((worker) => worker.start()));
        return { ...at, metrics: new URL(metricsApp.listeningOrigin).host };
      } catch (error) {
        closing ??= close();
        await closing;
        throw error;
      }
    },

    close() {
      closing ??= close();
      return closing;
    },
  };
}
