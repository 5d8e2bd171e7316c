/**
 * BullMQ on the queues critical, high and normal of document C. Every process works on all three; each priority has its own
 * workers, so that a backlog of normal jobs never holds a critical one. A job carries ids that the store knows; a failed one
 * stays on record.
 */
import { type ConnectionOptions, type Job, Queue, Worker } from 'bullmq';
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  type JobDefinition,
  type QueueName,
  type QueueStats,
  queueNames,
  type RecurringJob,
} from '../../ports/jobs.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import { connectRedis, isClusterUrl, redisOptions } from '../redis/connection.ts';

export interface QueuesOptions {
  redisUrl: string;
  clock: Clock;
  log: Logger;
  concurrency: Record<QueueName, number>;
}

// biome-ignore lint/suspicious/noExplicitAny: each definition knows its own data; the registry holds all of them
type AnyJob = JobDefinition<any>;

const KEEP_FAILED = { age: 7 * 24 * 3600, count: 10_000 };

export interface Queues extends Scheduler {
  /** Begins to work; until then jobs only gather. */
  start(jobs: readonly AnyJob[], recurring: readonly RecurringJob[]): Promise<void>;
  stats(): Promise<Record<QueueName, QueueStats>>;
  /** Lets running jobs end, takes no more. */
  close(): Promise<void>;
}

/** All keys of a queue share a hash tag, since a script of BullMQ touches many; each queue may lie on another node. */
const prefixOf = (name: QueueName): string => `{queue-${name}}`;

/** What queues and workers connect with, and how that ends. A worker waits for Redis, whoever adds a job does not. */
function connections({ redisUrl: url, log }: QueuesOptions) {
  if (isClusterUrl(url)) {
    const onError = (error: Error): void => log.debug({ err: error }, 'queue connection');
    const [queue, worker] = [connectRedis({ url }, onError), connectRedis({ url, patient: true }, onError)];
    const close = (): void => {
      queue.disconnect();
      worker.disconnect();
    };
    return { queue, worker, close };
  }
  const worker = redisOptions({ url, patient: true }) as ConnectionOptions;
  return { queue: { ...worker, enableOfflineQueue: false, maxRetriesPerRequest: 1 }, worker, close: () => {} };
}

export function createQueues(options: QueuesOptions): Queues {
  const { clock, log } = options;
  const connection = connections(options);
  const definitions = new Map<string, AnyJob>();
  const workers: Worker[] = [];
  const queues = Object.fromEntries(
    queueNames.map((name) => {
      // A caller must not hang while Redis is away: its job is found again by the sweeper.
      const queue = new Queue(name, { connection: connection.queue, prefix: prefixOf(name) });
      queue.on('error', (error) => log.debug({ err: error, queue: name }, 'queue connection'));
      return [name, queue];
    }),
  ) as Record<QueueName, Queue>;

  async function work(job: Job): Promise<void> {
    const definition = definitions.get(job.name);
    if (!definition) throw new Error(`no job is called ${job.name}`);
    await definition.run(job.data);
  }

  function startWorker(name: QueueName): Worker {
    const worker = new Worker(name, work, {
      connection: connection.worker,
      prefix: prefixOf(name),
      concurrency: options.concurrency[name],
    });
    worker.on('failed', (job, error) =>
      log.warn({ err: error, queue: name, job: job?.name, attempt: job?.attemptsMade }, 'job failed'),
    );
    worker.on('error', (error) => log.debug({ err: error, queue: name }, 'queue worker connection'));
    return worker;
  }

  return {
    async schedule(name, data, delayMs, key) {
      const definition = definitions.get(name);
      if (!definition) throw new RideError('RIDE_INTERNAL', `no job is called ${name}`);
      try {
        await queues[definition.queue].add(name, data, {
          jobId: `${name}-${key}`,
          delay: Math.ceil(clock.toWallMs(delayMs)),
          attempts: definition.attempts,
          backoff: { type: 'exponential', delay: definition.backoffMs, jitter: 0.5 },
          removeOnComplete: true,
          removeOnFail: KEEP_FAILED,
        });
      } catch (error) {
        throw new RideError('RIDE_UNAVAILABLE', 'The queue (Redis) cannot be reached', {
          cause: error,
          retryAfterMs: 1000,
        });
      }
    },

    async start(jobs, recurring) {
      for (const job of [...jobs, ...recurring]) definitions.set(job.name, job);
      await Promise.all(Object.values(queues).map((queue) => queue.waitUntilReady()));
      for (const job of recurring) {
        const template = { name: job.name, opts: { removeOnComplete: true, removeOnFail: 100 } };
        await queues[job.queue].upsertJobScheduler(job.name, { every: job.everyMs }, template);
      }
      for (const name of queueNames) workers.push(startWorker(name));
    },

    async stats() {
      const entries = await Promise.all(
        queueNames.map(async (name) => {
          const counts = await queues[name].getJobCounts('waiting', 'active', 'delayed', 'failed');
          const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
          return [name, { waiting, active, delayed, failed }] as const;
        }),
      );
      return Object.fromEntries(entries) as Record<QueueName, QueueStats>;
    },

    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all(Object.values(queues).map((queue) => queue.close()));
      connection.close();
    },
  };
}
