/**
 * BullMQ on the queues critical, high and normal of document C. Every process works on all three; each priority has its own
 * workers, so that a backlog of normal jobs never holds a critical one. A job carries ids that the store knows; a failed one
 * stays on record.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, Queue, Worker } from 'bullmq';
import type { Redis, RedisOptions } from 'ioredis';
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
import { COMMAND_TIMEOUT_MS, isClusterUrl, patience, redisAway, redisOptions } from '../redis/connection.ts';
import { slotMasterOptions } from '../redis/slot-master.ts';
import { connectQueue } from './connection.ts';

export interface QueuesOptions {
  redisUrl: string;
  /** The connection for commands; on a cluster it knows who serves what. */
  redis: Redis;
  clock: Clock;
  log: Logger;
  concurrency: Record<QueueName, number>;
}

// biome-ignore lint/suspicious/noExplicitAny: each definition knows its own data; the registry holds all of them
type AnyJob = JobDefinition<any>;

/** Between two attempts to set up what recurs. */
const RETRY_MS = 100;
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

/** All keys of a queue lie on one node, also of a cluster. */
function serverOf(name: QueueName, { redisUrl: url, redis }: QueuesOptions): RedisOptions {
  return isClusterUrl(url)
    ? slotMasterOptions({ url, commands: redis, key: prefixOf(name) })
    : redisOptions({ url, patient: true });
}

export function createQueues(options: QueuesOptions): Queues {
  const { clock, log } = options;
  const definitions = new Map<string, AnyJob>();
  const workers: Worker[] = [];
  const timers: NodeJS.Timeout[] = [];
  const connections: Redis[] = [];

  /** An error shows at the queue or worker that uses the connection. */
  function connect(name: QueueName, limits: RedisOptions): Redis {
    const connection = connectQueue({ ...serverOf(name, options), ...limits });
    connection.on('error', (error) => log.debug({ err: error, queue: name }, 'queue connection'));
    connections.push(connection);
    return connection;
  }

  const queues = Object.fromEntries(
    queueNames.map((name) => {
      // A caller must not hang while Redis is away: its job is found again by the sweeper.
      const connection = connect(name, { ...patience, enableOfflineQueue: false, maxRetriesPerRequest: 1 });
      const queue = new Queue(name, { connection, prefix: prefixOf(name) });
      queue.on('error', (error) => log.debug({ err: error, queue: name }, 'queue'));
      return [name, queue];
    }),
  ) as Record<QueueName, Queue>;

  async function work(job: Job): Promise<void> {
    const definition = definitions.get(job.name);
    if (definition) await definition.run(job.data);
    else await giveUp(job);
  }

  /**
   * A job of another version. While nodes are being replaced, one that knows it may take its next attempt; after the last it stays on
   * record as failed. What recurs would come back for ever: it ends here, and a node that knows it sets it up again.
   */
  async function giveUp(job: Job): Promise<void> {
    if (job.repeatJobKey === undefined) throw new Error(`no job is called ${job.name}`);
    log.warn({ job: job.name, queue: job.queueName }, 'no recurring job is called so; it recurs no more');
    await queues[job.queueName as QueueName].removeJobScheduler(job.repeatJobKey);
  }

  function startWorker(name: QueueName): Worker {
    const worker = new Worker(name, work, {
      connection: connect(name, patience),
      prefix: prefixOf(name),
      concurrency: options.concurrency[name],
    });
    worker.on('failed', (job, error) =>
      log.warn({ err: error, queue: name, job: job?.name, attempt: job?.attemptsMade }, 'job failed'),
    );
    worker.on('error', (error) => log.debug({ err: error, queue: name }, 'queue worker connection'));
    return worker;
  }

  async function recur(job: RecurringJob): Promise<void> {
    const template = { name: job.name, opts: { removeOnComplete: true, removeOnFail: 100 } };
    await queues[job.queue].upsertJobScheduler(job.name, { every: job.everyMs }, template);
  }

  /** The master of a queue's slot may be another since its connection stood: it connects again, and meanwhile takes nothing. */
  async function begin(job: RecurringJob): Promise<void> {
    const deadline = performance.now() + COMMAND_TIMEOUT_MS;
    for (;;) {
      try {
        return await recur(job);
      } catch (error) {
        if (performance.now() > deadline) throw error;
        log.debug({ err: error, job: job.name }, 'job not set up yet; tried again');
        await sleep(RETRY_MS);
      }
    }
  }

  /** What recurs is remembered by Redis alone; when Redis has forgotten it, it begins again. */
  async function keep(job: RecurringJob): Promise<void> {
    try {
      if (!(await queues[job.queue].getJobScheduler(job.name))) await recur(job);
    } catch (error) {
      log.debug({ err: error, job: job.name }, 'whether the job still recurs is not known; asked again later');
    }
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
        throw redisAway(error, 'The queue');
      }
    },

    async start(jobs, recurring) {
      for (const job of [...jobs, ...recurring]) definitions.set(job.name, job);
      await Promise.all(Object.values(queues).map((queue) => queue.waitUntilReady()));
      for (const job of recurring) {
        await begin(job);
        timers.push(setInterval(() => void keep(job), job.everyMs));
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
      for (const timer of timers) clearInterval(timer);
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all(Object.values(queues).map((queue) => queue.close()));
      for (const connection of connections) connection.disconnect();
    },
  };
}
