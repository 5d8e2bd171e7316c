/**
 * Ordered messages on their way to Redis: those of one moment go out by one script, for each by itself costs this process and Redis
 * more than what is done with it. Each has its own outcome, and fails alone.
 */
import type { PublishOutcome } from '../../ports/publisher.ts';
import { orAway, redisAway } from './connection.ts';
import { FAILED, type ScriptedRedis } from './scripts.ts';

/** Keys and arguments of `ridePublishOrdered`. */
export type OrderedMessage = Parameters<ScriptedRedis['ridePublishOrdered']>;

export interface OrderedMessages {
  /** In the order of the calls. @throws RideError RIDE_UNAVAILABLE */
  add(message: OrderedMessage): Promise<PublishOutcome>;
  /** Sends what was added, before what the caller sends next. */
  flush(): void;
}

interface Waiting {
  message: OrderedMessage;
  answer: PromiseWithResolvers<PublishOutcome>;
}

/** Messages of one script, so that Redis is not kept from others for long. */
const MOST_TOGETHER = 50;

export function createOrderedMessages(redis: ScriptedRedis): OrderedMessages {
  let waiting: Waiting[] = [];

  const alone = (message: OrderedMessage): Promise<PublishOutcome> => orAway(redis.ridePublishOrdered(...message));

  async function together(all: readonly Waiting[]): Promise<void> {
    const keys = all.flatMap(({ message: [memory, history] }) => [memory, history]);
    const rest = all.flatMap(({ message: [, , ...own] }) => own);
    try {
      const outcomes = await orAway(redis.ridePublishAllOrdered(keys.length, ...keys, ...rest));
      for (const [i, { answer }] of all.entries()) {
        const outcome = outcomes[i]!;
        if (outcome.startsWith(FAILED)) answer.reject(redisAway(new Error(outcome.slice(FAILED.length))));
        else answer.resolve(outcome as PublishOutcome);
      }
    } catch (error) {
      for (const { answer } of all) answer.reject(error);
    }
  }

  function flush(): void {
    const all = waiting;
    waiting = [];
    if (all.length === 1) {
      const [{ message, answer }] = all as [Waiting];
      alone(message).then(answer.resolve, answer.reject);
      return;
    }
    for (let from = 0; from < all.length; from += MOST_TOGETHER) void together(all.slice(from, from + MOST_TOGETHER));
  }

  return {
    add(message) {
      // Topics of a cluster lie on many nodes, which no script spans.
      if (redis.isCluster) return alone(message);
      const answer = Promise.withResolvers<PublishOutcome>();
      if (waiting.push({ message, answer }) === 1) queueMicrotask(flush);
      return answer.promise;
    },
    flush,
  };
}
