/** How every client of Kafka connects, and the topics it needs. */
import { Admin, type BaseOptions, type SASLOptions } from '@platformatic/kafka';
import type { Logger } from '../../ports/logger.ts';

export interface KafkaConnection {
  /** `host:port`; some of them are enough. */
  brokers: readonly string[];
  clientId: string;
  /** TLS with the system's authorities. */
  tls: boolean;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string } | undefined;
}

const CONNECT_TIMEOUT_MS = 3000;

export function baseOptions({ brokers, clientId, tls, sasl }: KafkaConnection): BaseOptions {
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Whoever calls tries again, for as long as it takes.
    retries: 1,
    retryDelay: 200,
    ...(tls ? { tls: {}, tlsServerName: true } : {}),
    ...(sasl ? { sasl: sasl satisfies SASLOptions } : {}),
  };
}

/**
 * Makes those topics that are missing, with the brokers' own replication. Where that is not allowed the operator has made them, or
 * the first send says so.
 * @param partitions 0 leaves it to the operator
 */
export async function ensureTopics(
  connection: KafkaConnection,
  topics: readonly string[],
  partitions: number,
  log: Logger,
): Promise<void> {
  if (partitions === 0) return;
  const admin = new Admin(baseOptions(connection));
  try {
    const known = new Set(await admin.listTopics());
    for (const topic of topics) {
      if (known.has(topic)) continue;
      // One by one: another node may make the same at this moment.
      try {
        await admin.createTopics({ topics: [topic], partitions, replicas: -1 });
        log.info({ topic, partitions }, 'topic made');
      } catch (error) {
        if (!(await admin.listTopics()).includes(topic)) throw error;
      }
    }
  } finally {
    await admin.close();
  }
}
