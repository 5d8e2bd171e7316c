/** A kind of background work: how urgent it is, how it is repeated, and what runs. One file a job in src/jobs. */
export const queueNames = ['critical', 'high', 'normal'] as const;
export type QueueName = (typeof queueNames)[number];

export interface JobDefinition<Data> {
  name: string;
  queue: QueueName;
  /** Tries in all, with exponential backoff and jitter from `backoffMs`. */
  attempts: number;
  backoffMs: number;
  run(data: Data): Promise<void>;
}

/** Work that recurs on one node of the cluster at a time. */
export interface RecurringJob extends JobDefinition<Record<string, never>> {
  everyMs: number;
}

export interface QueueStats {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}
