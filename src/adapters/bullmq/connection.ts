/**
 * Connections for BullMQ. It waits for a connection's `end` when a worker closes, and ioredis does not say that of one that is
 * told to disconnect between two attempts: with Redis away, the end of the process would wait for its last deadline.
 */
import { Redis, type RedisOptions } from 'ioredis';

/** Parts of ioredis that its types hide. */
interface Hidden {
  setStatus(status: 'end'): void;
  flushQueue(error: Error): void;
}

export function connectQueue(options: RedisOptions): Redis {
  const redis = new Redis(options);
  const disconnect = redis.disconnect.bind(redis);
  redis.disconnect = (reconnect = false) => {
    const isBetweenAttempts = redis.status === 'reconnecting';
    disconnect(reconnect);
    if (reconnect || !isBetweenAttempts) return;
    const hidden = redis as unknown as Hidden;
    hidden.setStatus('end');
    hidden.flushQueue(new Error('Connection is closed.'));
  };
  // The connection on which a worker waits for jobs.
  const duplicate = (override?: Partial<RedisOptions>): Redis => connectQueue({ ...options, ...override });
  redis.duplicate = duplicate as typeof redis.duplicate;
  return redis;
}
