/** Publishes to a server's topics as another node would: over the same Redis, without a server of its own. */
import { createRedisBus } from '../../src/adapters/redis/bus.ts';
import { connectRedis } from '../../src/adapters/redis/connection.ts';
import { withScripts } from '../../src/adapters/redis/scripts.ts';
import type { Publisher } from '../../src/ports/publisher.ts';
import { createLamport } from '../../src/realtime/lamport.ts';
import { createPublisher } from '../../src/realtime/publisher.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };

/** A broken connection shows in the promises of what is published. */
export function publisherOn(t: { after(hook: () => void): void }, redisUrl: string, historyLength = 256): Publisher {
  const redis = withScripts(connectRedis({ url: redisUrl }, () => {}));
  const options = { url: redisUrl, historyLength, historyTtlMs: 3_600_000, onError: () => {}, log };
  const bus = createRedisBus(redis, options);
  t.after(() => {
    bus.close();
    redis.disconnect();
  });
  return createPublisher({ bus, lamport: createLamport(), nodeId: 'publisher' });
}
